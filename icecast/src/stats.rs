//! What Icecast says of itself (`/admin/stats`), typed. The differences between Xiph's and Karl Heyes' are here and
//! nowhere else. No IO.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::xml::{self, Element, Malformed};

/// Whose Icecast it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// Xiph's 2.4.
    Xiph,
    /// Icecast-KH.
    Kh,
}

/// The server and its mounts at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    /// Told by what it counts, not by its name: that can be configured.
    pub flavor: Flavor,
    /// With the mark of the configuration in effect.
    pub location: String,
    /// Who runs it.
    pub admin: String,
    /// The name it calls itself by.
    pub host: String,
    /// Its version.
    pub server_id: String,
    /// When it started.
    pub started: Option<Timestamp>,
    /// Connections of all kinds, now.
    pub clients: u64,
    /// Connections since it started.
    pub connections: u64,
    /// Listeners since it started.
    pub listener_connections: u64,
    /// By path.
    pub mounts: BTreeMap<String, Mount>,
}

/// A mount Icecast knows of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mount {
    /// A source (or a relay's upstream) is connected.
    pub has_source: bool,
    /// Connected now, relays included.
    pub listeners: u64,
    /// Relays among them; `None` where it was not asked or is not told.
    pub relays: Option<u64>,
    /// Most at once.
    pub peak: u64,
    /// Cut by the queue limit since the source came: Icecast calls them slow.
    pub cut: u64,
    /// What it takes; `None` is no limit.
    pub max_listeners: Option<u64>,
    /// When the source came.
    pub since: Option<Timestamp>,
    /// From the source, since it came. Icecast counts every 5 s.
    pub read: u64,
    /// To listeners, since the source came.
    pub sent: u64,
    /// For the public, under Xiph's names.
    pub told: BTreeMap<&'static str, String>,
}

impl Mount {
    /// Without relays, where they are known.
    pub fn people(&self) -> u64 {
        self.listeners.saturating_sub(self.relays.unwrap_or(0))
    }

    /// What is on, as one line.
    pub fn title(&self) -> Option<String> {
        let told = |name| self.told.get(name).filter(|text| !text.is_empty());
        match (told("artist"), told("title")) {
            (Some(artist), Some(title)) => Some(format!("{artist} - {title}")),
            (one, other) => one.or(other).cloned(),
        }
    }

    /// Kilobits per second, as the source says.
    pub fn bitrate(&self) -> Option<u64> {
        let number = |name| self.told.get(name).and_then(|text| text.parse::<u64>().ok());
        number("bitrate")
            .or_else(|| number("ice-bitrate"))
            .or_else(|| number("audio_bitrate").map(|bits| bits / 1000))
    }
}

/// Texts of a source that the public may see. All else, as addresses of listeners, stays here.
pub const TEXTS: [&str; 11] = [
    "artist",
    "audio_info",
    "genre",
    "listenurl",
    "server_description",
    "server_name",
    "server_type",
    "server_url",
    "subtype",
    "title",
    "yp_currently_playing",
];
/// Numbers of a source that the public may see.
pub const NUMBERS: [&str; 9] = [
    "audio_bitrate",
    "audio_channels",
    "audio_samplerate",
    "bitrate",
    "channels",
    "ice-bitrate",
    "ice-channels",
    "ice-samplerate",
    "samplerate",
];
/// Characters of a text that are kept.
const LONGEST: usize = 1000;
const MOST_MOUNTS: usize = 500;

/// Reads an answer that came at `now`.
pub fn read(body: &[u8], now: Timestamp) -> Result<Stats, Malformed> {
    let root = xml::parse(&String::from_utf8_lossy(body))?;
    let text = |name: &str| kept(root.value(name).unwrap_or_default());
    let flavor = match root.value("stream_kbytes_sent") {
        Some(_) => Flavor::Kh,
        None => Flavor::Xiph,
    };
    let mounts = root.all("source").take(MOST_MOUNTS).filter_map(|source| {
        // Icecast-KH also lists files that listeners fall back on, without a slash.
        let path = source.attribute("mount").filter(|path| path.starts_with('/'))?;
        Some((kept(path), mount(source, flavor, now)))
    });
    Ok(Stats {
        flavor,
        location: text("location"),
        admin: text("admin"),
        host: text("host"),
        server_id: text("server_id"),
        started: match flavor {
            Flavor::Xiph => root.value("server_start_iso8601").and_then(iso8601),
            Flavor::Kh => root.value("server_start").and_then(common_log),
        },
        clients: number(&root, "clients"),
        connections: number(&root, "connections"),
        listener_connections: number(&root, "listener_connections"),
        mounts: mounts.collect(),
    })
}

/// How many of the clients in an answer to `/admin/listclients` are relays. Xiph names a user only where a mount has
/// authentication; both send the name of their program, which nobody else can on an origin that only we reach.
pub fn relays(body: &[u8], relay_user: &str) -> Result<u64, Malformed> {
    let root = xml::parse(&String::from_utf8_lossy(body))?;
    let is_relay = |listener: &&Element| {
        // KH's older ones write names small.
        let told = |name: &str| {
            let mut all = listener.children.iter();
            all.find(|child| child.name.eq_ignore_ascii_case(name))
                .map(|child| child.text.trim())
        };
        told("username") == Some(relay_user)
            || told("UserAgent").is_some_and(|agent| agent.starts_with("Icecast "))
    };
    let listeners = root.all("source").flat_map(|source| source.all("listener"));
    Ok(listeners.filter(is_relay).map(|_| 1).sum())
}

fn mount(source: &Element, flavor: Flavor, now: Timestamp) -> Mount {
    let since = match flavor {
        Flavor::Xiph => source.value("stream_start_iso8601").and_then(iso8601),
        Flavor::Kh => source.value("connected").and_then(|seconds| ago(seconds, now)),
    };
    let names = TEXTS.into_iter().chain(NUMBERS);
    Mount {
        // A mount that only has a fallback, or an on-demand relay at rest, has no type.
        has_source: source.value("server_type").is_some(),
        listeners: number(source, "listeners"),
        relays: None,
        peak: number(source, "listener_peak"),
        cut: number(source, "slow_listeners"),
        max_listeners: source.value("max_listeners").and_then(|text| text.parse().ok()),
        since,
        read: number(source, "total_bytes_read"),
        sent: number(source, "total_bytes_sent"),
        told: names
            .filter_map(|name| Some((name, kept(source.value(name)?))))
            .collect(),
    }
}

fn number(parent: &Element, name: &str) -> u64 {
    parent.value(name).and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn kept(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

fn iso8601(text: &str) -> Option<Timestamp> {
    Timestamp::strptime("%Y-%m-%dT%H:%M:%S%z", text).ok()
}

fn common_log(text: &str) -> Option<Timestamp> {
    Timestamp::strptime("%d/%b/%Y:%H:%M:%S %z", text).ok()
}

fn ago(seconds: &str, now: Timestamp) -> Option<Timestamp> {
    let ago = SignedDuration::from_secs(i64::from(seconds.parse::<u32>().ok()?));
    now.checked_sub(ago).ok()
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub const XIPH: &str = include_str!("stats/xiph.xml");
    pub const KH: &str = include_str!("stats/kh.xml");

    pub fn now() -> Timestamp {
        "2026-11-21T20:54:30Z".parse().unwrap()
    }

    #[test]
    fn both_flavors_tell_the_same() {
        let (xiph, kh) = (
            read(XIPH.as_bytes(), now()).unwrap(),
            read(KH.as_bytes(), now()).unwrap(),
        );
        assert_eq!((xiph.flavor, kh.flavor), (Flavor::Xiph, Flavor::Kh));
        for stats in [&xiph, &kh] {
            assert_eq!(stats.location, "K\u{f6}ln & Bonn [configuration 5f]");
            assert_eq!(stats.started, Some("2026-11-21T20:54:12Z".parse().unwrap()));
            assert_eq!(
                (stats.clients, stats.connections, stats.listener_connections),
                (4, 45, 10)
            );
            assert_eq!(
                stats.mounts.keys().collect::<Vec<_>>(),
                ["/hid", "/live", "/rest"]
            );
            let live = &stats.mounts["/live"];
            assert_eq!((live.listeners, live.peak, live.cut), (2, 10, 3));
            assert_eq!(
                (live.read, live.sent, live.max_listeners),
                (158_200, 705_240, None)
            );
            assert_eq!(live.since, Some("2026-11-21T20:54:13Z".parse().unwrap()));
            assert_eq!(live.title().as_deref(), Some("<b>&amp;"));
            assert_eq!(live.bitrate(), Some(64));
            assert_eq!(stats.mounts["/hid"].max_listeners, Some(3));
            assert!(live.has_source && !stats.mounts["/rest"].has_source);
            assert!(!live.told.contains_key("source_ip"));
        }
    }

    #[test]
    fn hostile_answers_are_told_or_refused() {
        let title = |bytes: &[u8]| {
            let mut body = b"<icestats><source mount=\"/a\"><title>".to_vec();
            body.extend(bytes);
            body.extend(b"</title></source></icestats>");
            read(&body, now()).map(|stats| stats.mounts["/a"].title())
        };
        for (sent, read) in [
            (b"-".as_slice(), "-"),
            (b"5.", "5."),
            (b"1984", "1984"),
            (b"&quot;q&quot; \\", "\"q\" \\"),
            (b"\xe4\xf6", "\u{fffd}\u{fffd}"),
            (b"a\x01\x00b", "a\u{1}\u{0}b"),
            (b"<![CDATA[<x>]]>", "<x>"),
        ] {
            assert_eq!(title(sent).unwrap().as_deref(), Some(read));
        }
        assert_eq!(title(&b"x".repeat(100_000)).unwrap().unwrap().len(), LONGEST);
        for end in 22..XIPH.trim_end().len() {
            assert!(read(&XIPH.as_bytes()[..end], now()).is_err(), "{end}");
        }
        let odd = "<icestats><source/><source mount=\"x\"/><source mount=\"/a\"><listeners>-1</listeners>\
            <connected>99999999999999</connected><stream_start_iso8601>soon</stream_start_iso8601></source></icestats>";
        let odd = read(odd.as_bytes(), now()).unwrap();
        assert_eq!(odd.mounts.len(), 1);
        assert_eq!((odd.mounts["/a"].listeners, odd.mounts["/a"].since), (0, None));
        let many = (0..2000)
            .map(|n| format!("<source mount=\"/{n}\"/>"))
            .collect::<Vec<_>>()
            .concat();
        let many = read(format!("<icestats>{many}</icestats>").as_bytes(), now()).unwrap();
        assert_eq!(many.mounts.len(), MOST_MOUNTS);
    }

    #[test]
    fn relays_are_told_from_people() {
        let clients = "<icestats><source mount=\"/live\"><Listeners>4</Listeners>
            <listener><IP>1</IP><UserAgent>Icecast 2.4.4</UserAgent></listener>
            <listener id=\"3\"><useragent>curl</useragent><username>relay</username></listener>
            <listener><UserAgent>Mozilla Icecast 2</UserAgent></listener><listener/></source></icestats>";
        assert_eq!(relays(clients.as_bytes(), "relay").unwrap(), 2);
        assert_eq!(relays(b"<icestats/>", "relay").unwrap(), 0);
        assert!(relays(b"<icestats>", "relay").is_err());
    }
}

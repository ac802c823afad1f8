//! What the agent has to know of the configuration Icecast runs with. No IO.
//!
//! Read here too: what Icecast takes without a word and then does not do, or does with a default that everybody knows.

use std::fmt;

use crate::xml::Element;

/// Who may ask Icecast about itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Usually `admin`.
    pub user: String,
    /// Secret.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login")
    }
}

/// A `<mount>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountSettings {
    /// A path; may have `*` in it.
    pub name: String,
    /// Not for the public.
    pub hidden: bool,
    /// More are refused.
    pub max_listeners: Option<u64>,
}

/// The part of a configuration that matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// For `/admin`.
    pub login: Login,
    /// Whom relays log in as.
    pub relay_user: String,
    /// Connections of all kinds.
    pub clients: u64,
    /// Streams; relayed ones count.
    pub sources: u64,
    /// In their order.
    pub mounts: Vec<MountSettings>,
    /// Paths fetched from another Icecast. With any, this is a relay and no origin.
    pub relays: Vec<String>,
}

/// What is wrong, in words that quote nothing.
pub type Senseless = String;

const LIMITS: [&str; 6] = [
    "clients",
    "sources",
    "queue-size",
    "client-timeout",
    "header-timeout",
    "source-timeout",
];

impl Settings {
    /// Out of `<icecast>`.
    pub fn read(root: &Element) -> Result<Self, Senseless> {
        let limits = last(root, "limits")?;
        let [clients, sources, queue, ..] = {
            let mut read = [0; LIMITS.len()];
            for (place, name) in read.iter_mut().zip(LIMITS) {
                *place = limit(limits, name)?;
            }
            read
        };
        if sources > clients {
            return Err("sources count as clients: <clients> may not be less than <sources>".to_owned());
        }
        if let Some(burst) = optional(limits, "burst-size")?
            && burst > queue
        {
            return Err(
                "<burst-size> is more than <queue-size>: every listener would be cut as too slow".to_owned(),
            );
        }
        sockets(root)?;
        let logins = last(root, "authentication")?;
        // Without it Icecast would let in who knows its default.
        password(logins, "source-password")?;
        password(logins, "relay-password")?;
        Ok(Self {
            login: Login {
                user: logins.value("admin-user").unwrap_or("admin").to_owned(),
                password: password(logins, "admin-password")?,
            },
            relay_user: logins.value("relay-user").unwrap_or("relay").to_owned(),
            clients,
            sources,
            mounts: root.all("mount").map(mount).collect::<Result<_, _>>()?,
            relays: root.all("relay").map(relay).collect::<Result<_, _>>()?,
        })
    }

    /// Whether the public may know of `path`.
    pub fn hides(&self, path: &str) -> bool {
        path.starts_with("/.") || !path.starts_with('/') || {
            let exact = self.mounts.iter().find(|mount| mount.name == path);
            exact.map_or_else(
                || {
                    self.mounts
                        .iter()
                        .any(|mount| mount.hidden && fits(&mount.name, path))
                },
                |mount| mount.hidden,
            )
        }
    }

    /// What `path` takes at most.
    pub fn max_listeners(&self, path: &str) -> Option<u64> {
        let mut all = self.mounts.iter().filter(|mount| mount.name == path);
        all.next().and_then(|mount| mount.max_listeners)
    }

    /// Paths that are written out.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let mounts = self.mounts.iter().map(|mount| mount.name.as_str());
        mounts
            .filter(|name| !name.contains('*'))
            .chain(self.relays.iter().map(String::as_str))
    }
}

fn last<'a>(root: &'a Element, name: &str) -> Result<&'a Element, Senseless> {
    let found = root.children.iter().rev().find(|child| child.name == name);
    found.ok_or_else(|| format!("it has no <{name}>"))
}

fn limit(limits: &Element, name: &str) -> Result<u64, Senseless> {
    let read = optional(limits, name)?;
    // Icecast's defaults; only those of `clients`, `sources` and `queue-size` matter.
    let default = match name {
        "clients" => 256,
        "sources" => 16,
        "queue-size" => 500 << 10,
        _ => 10,
    };
    Ok(read.unwrap_or(default))
}

/// Icecast reads `500k` as 500 (Xiph), a word as 0, and 0 as "nobody may come in".
fn optional(parent: &Element, name: &str) -> Result<Option<u64>, Senseless> {
    let Some(text) = parent.value(name) else {
        return Ok(None);
    };
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text
        .parse::<u64>()
        .ok()
        .filter(|number| digits && (1..=1 << 31).contains(number));
    number
        .map(Some)
        .ok_or_else(|| format!("<{name}> has to be a plain number of at least 1"))
}

fn sockets(root: &Element) -> Result<(), Senseless> {
    let mut ports = root.all("listen-socket").map(port).peekable();
    if ports.peek().is_none() {
        return Err("it has no <listen-socket>".to_owned());
    }
    ports.try_for_each(|port| port)
}

fn port(parent: &Element) -> Result<(), Senseless> {
    let port = parent.value("port").and_then(|text| text.parse::<u16>().ok());
    port.filter(|port| *port > 0)
        .map(|_| ())
        .ok_or_else(|| format!("a <{}> has no <port> from 1 to 65535", parent.name))
}

fn password(logins: &Element, name: &str) -> Result<String, Senseless> {
    let password = logins.value(name).filter(|text| !text.is_empty());
    password
        .map(ToOwned::to_owned)
        .ok_or_else(|| format!("<{name}> is missing or empty"))
}

fn path(parent: &Element, name: &str) -> Result<String, Senseless> {
    let path = parent.value(name).filter(|text| text.starts_with('/'));
    path.map(ToOwned::to_owned)
        .ok_or_else(|| format!("a <{}> has no <{name}> that begins with a slash", parent.name))
}

fn mount(mount: &Element) -> Result<MountSettings, Senseless> {
    if mount.value("fallback-mount").is_some() {
        path(mount, "fallback-mount")?;
    }
    let max_listeners = match mount.value("max-listeners") {
        // Icecast's word for no limit.
        Some("-1") => None,
        _ => optional(mount, "max-listeners")?,
    };
    Ok(MountSettings {
        name: path(mount, "mount-name")?,
        hidden: mount.value("hidden").is_some_and(yes),
        max_listeners,
    })
}

fn relay(relay: &Element) -> Result<String, Senseless> {
    // Icecast-KH may have several `<master>` instead.
    if relay.all("master").next().is_none() {
        port(relay)?;
        if relay.value("server").is_none_or(str::is_empty) {
            return Err("a <relay> has no <server>".to_owned());
        }
        path(relay, "mount")?;
    }
    if relay.value("local-mount").is_some() {
        path(relay, "local-mount")
    } else {
        path(relay, "mount")
    }
}

fn yes(text: &str) -> bool {
    ["1", "true", "yes", "on"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word))
}

/// Icecast-KH's `*` crosses slashes and Xiph's does not: rather too much hidden than too little.
fn fits(pattern: &str, path: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == path;
    };
    let Some(left) = path.strip_prefix(head) else {
        return false;
    };
    (0..=left.len()).any(|from| left.get(from..).is_some_and(|left| fits(rest, left)))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::xml::parse;

    pub const SOUND: &str = "<icecast><location>here</location><limits><clients>10</clients><sources>3</sources>
        <queue-size>102400</queue-size><burst-size>65536</burst-size></limits>
        <authentication><source-password>s</source-password><relay-password>r</relay-password>
        <admin-password>hackme</admin-password></authentication><listen-socket><port>8000</port></listen-socket>
        <mount><mount-name>/live.mp3</mount-name><max-listeners>7</max-listeners></mount>
        <mount><mount-name>/test.mp3</mount-name><hidden>TRUE</hidden></mount>
        <mount><mount-name>/hold/*.mp3</mount-name><hidden>1</hidden></mount>
        <relay><server>o</server><port>8000</port><mount>/a.mp3</mount><local-mount>/b.mp3</local-mount></relay></icecast>";

    fn read(config: &str) -> Result<Settings, Senseless> {
        let root = parse(config).map_err(|malformed| malformed.to_string())?;
        Settings::read(&root)
    }

    #[test]
    fn what_matters_is_read() {
        let settings = read(SOUND).unwrap();
        assert_eq!((settings.clients, settings.sources), (10, 3));
        assert_eq!(
            (settings.login.user.as_str(), settings.login.password.as_str()),
            ("admin", "hackme")
        );
        assert_eq!(settings.relay_user, "relay");
        assert_eq!(
            settings.paths().collect::<Vec<_>>(),
            ["/live.mp3", "/test.mp3", "/b.mp3"]
        );
        assert_eq!(
            (
                settings.max_listeners("/live.mp3"),
                settings.max_listeners("/b.mp3")
            ),
            (Some(7), None)
        );
        for hidden in ["/test.mp3", "/.internal", "/hold/a/b.mp3", "fallback.mp3"] {
            assert!(settings.hides(hidden), "{hidden}");
        }
        for public in ["/live.mp3", "/test.mp32", "/hold/a.opus", "/unknown"] {
            assert!(!settings.hides(public), "{public}");
        }
        assert!(!format!("{settings:?}").contains("hackme"));
    }

    #[test]
    fn what_icecast_takes_and_does_not_do_is_refused() {
        for (part, instead, word) in [
            ("<clients>10</clients>", "<clients>0</clients>", "clients"),
            ("<clients>10</clients>", "<clients>many</clients>", "clients"),
            ("<clients>10</clients>", "<clients>2</clients>", "sources"),
            ("<sources>3</sources>", "<sources>-1</sources>", "sources"),
            ("102400", "500k", "queue-size"),
            ("102400", "1000", "burst-size"),
            ("<source-password>s<", "<source-password><", "source-password"),
            ("<admin-password>hackme</admin-password>", "", "admin-password"),
            (
                "<listen-socket><port>8000</port></listen-socket>",
                "",
                "listen-socket",
            ),
            ("<listen-socket><port>8000", "<listen-socket><port>80000", "port"),
            ("<mount-name>/live.mp3", "<mount-name>live.mp3", "mount-name"),
            (
                "<max-listeners>7<",
                "<max-listeners>7</max-listeners><fallback-mount>x</fallback-mount><max-listeners>7<",
                "fallback-mount",
            ),
            ("<max-listeners>7", "<max-listeners>0", "max-listeners"),
            ("<server>o</server>", "", "server"),
            ("<mount>/a.mp3</mount>", "", "mount"),
        ] {
            let config = SOUND.replace(part, instead);
            assert_ne!(config, SOUND, "{part}");
            let refusal = read(&config).unwrap_err();
            assert!(
                refusal.contains(word) && !refusal.contains("hackme"),
                "{instead}: {refusal}"
            );
        }
        assert!(read("<icecast/>").is_err());
    }
}

//! The public pages: Xiph's `status-json.xsl`, right where theirs is not, and a simpler one. No IO.
//!
//! Xiph's own writes a title that looks like a number as a number (`1984`, and `-` and `5.`, which are no JSON at all).
//! Here a text is a text.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::flow::{Air, Flows};
use crate::mark;
use crate::settings::Settings;
use crate::stats::{Mount, NUMBERS, Stats};

const ISO8601: &str = "%Y-%m-%dT%H:%M:%S%z";
const RFC2822: &str = "%a, %d %b %Y %H:%M:%S %z";

/// Rendered once for everybody who asks.
#[derive(Clone, Debug)]
pub struct Pages {
    /// `/status-json.xsl`.
    pub xsl: Arc<str>,
    /// `/status.json`.
    pub simple: Arc<str>,
}

impl Pages {
    /// Of what Icecast says.
    pub fn render(stats: &Stats, settings: &Settings, flows: &Flows) -> Self {
        Self {
            xsl: xsl(stats, settings).to_string().into(),
            simple: simple(stats, settings, flows).to_string().into(),
        }
    }

    /// While Icecast does not answer: nothing can be heard.
    pub fn of_nothing() -> Self {
        Self {
            xsl: json!({"icestats": {"dummy": null}}).to_string().into(),
            simple: json!({"listeners": 0, "mounts": []}).to_string().into(),
        }
    }
}

fn public<'a>(stats: &'a Stats, settings: &'a Settings) -> impl Iterator<Item = (&'a String, &'a Mount)> {
    let heard = stats.mounts.iter().filter(|(_, mount)| mount.has_source);
    heard.filter(|(path, _)| !settings.hides(path))
}

/// `source` is missing with none, an object with one, a list with more.
fn xsl(stats: &Stats, settings: &Settings) -> Value {
    let mut server = Map::new();
    let texts = [
        ("admin", stats.admin.as_str()),
        ("host", &stats.host),
        ("location", mark::split(&stats.location).0),
        ("server_id", &stats.server_id),
    ];
    for (name, text) in texts {
        server.insert(name.to_owned(), text.into());
    }
    begin(&mut server, "server_start", stats.started);
    let mut sources: Vec<Value> = public(stats, settings).map(|(_, mount)| source(mount)).collect();
    match sources.len() {
        0 => {}
        1 => {
            server.insert("source".to_owned(), sources.remove(0));
        }
        _ => {
            server.insert("source".to_owned(), sources.into());
        }
    }
    server.insert("dummy".to_owned(), Value::Null);
    json!({"icestats": server})
}

fn source(mount: &Mount) -> Value {
    let mut source = Map::new();
    for (name, text) in &mount.told {
        let number = NUMBERS.contains(name).then(|| text.parse::<u64>().ok()).flatten();
        source.insert(
            (*name).to_owned(),
            number.map_or_else(|| text.as_str().into(), Value::from),
        );
    }
    source.insert("listeners".to_owned(), mount.people().into());
    source.insert("listener_peak".to_owned(), mount.peak.into());
    begin(&mut source, "stream_start", mount.since);
    source.insert("dummy".to_owned(), Value::Null);
    source.into()
}

fn begin(object: &mut Map<String, Value>, name: &str, at: Option<Timestamp>) {
    if let Some(at) = at {
        object.insert(name.to_owned(), at.strftime(RFC2822).to_string().into());
        object.insert(format!("{name}_iso8601"), at.strftime(ISO8601).to_string().into());
    }
}

fn simple(stats: &Stats, settings: &Settings, flows: &Flows) -> Value {
    let mounts: Vec<Value> = public(stats, settings)
        .map(|(path, mount)| {
            json!({
                "mount": path,
                "onAir": flows.air(path) == Air::Flows,
                "listeners": mount.people(),
                "title": mount.title(),
                "name": mount.told.get("server_name"),
                "contentType": mount.told.get("server_type"),
                "bitrate": mount.bitrate(),
                "since": mount.since.map(|since| since.to_string()),
            })
        })
        .collect();
    let listeners: u64 = public(stats, settings).map(|(_, mount)| mount.people()).sum();
    json!({"listeners": listeners, "mounts": mounts})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::SOUND;
    use crate::stats::{read, tests::KH, tests::XIPH, tests::now};
    use crate::xml::parse;

    fn settings() -> Settings {
        Settings::read(&parse(&SOUND.replace("/test.mp3", "/hid")).unwrap()).unwrap()
    }

    fn pages(xml: &str) -> (Value, Value) {
        let stats = read(xml.as_bytes(), now()).unwrap();
        let pages = Pages::render(&stats, &settings(), &Flows::default());
        (
            serde_json::from_str(&pages.xsl).unwrap(),
            serde_json::from_str(&pages.simple).unwrap(),
        )
    }

    #[test]
    fn one_source_is_an_object_as_xiph_has_it() {
        let (xiph, simple) = pages(XIPH);
        let expected = json!({"icestats": {
            "admin": "adm1", "host": "host1", "location": "K\u{f6}ln & Bonn", "server_id": "Icecast 2.4.4",
            "server_start": "Sat, 21 Nov 2026 20:54:12 +0000", "server_start_iso8601": "2026-11-21T20:54:12+0000",
            "source": {"bitrate": 64, "genre": "various", "listener_peak": 10, "listeners": 2,
                "listenurl": "http://host1:18000/live", "server_description": "Unspecified description",
                "server_name": "Unspecified name", "server_type": "audio/mpeg",
                "stream_start": "Sat, 21 Nov 2026 20:54:13 +0000", "stream_start_iso8601": "2026-11-21T20:54:13+0000",
                "title": "<b>&amp;", "dummy": null},
            "dummy": null}});
        assert_eq!(xiph, expected);
        assert_eq!(
            simple,
            json!({"listeners": 2, "mounts": [{"mount": "/live", "onAir": false, "listeners": 2,
            "title": "<b>&amp;", "name": "Unspecified name", "contentType": "audio/mpeg", "bitrate": 64,
            "since": "2026-11-21T20:54:13Z"}]})
        );
        let (kh, _) = pages(KH);
        let source = &kh["icestats"]["source"];
        assert_eq!(source["stream_start_iso8601"], "2026-11-21T20:54:13+0000");
        assert!(
            !kh.to_string().contains("10.0.0.7") && !kh.to_string().contains("127.0.0.1"),
            "{kh}"
        );
    }

    #[test]
    fn none_is_missing_and_many_are_a_list() {
        let (none, simple) = pages("<icestats><location>[configuration 1]</location></icestats>");
        assert_eq!(none["icestats"]["location"], "");
        assert!(none["icestats"].get("source").is_none());
        assert_eq!(simple, json!({"listeners": 0, "mounts": []}));
        let another = "<source mount=\"/b\"><server_type>a</server_type><title>1984</title></source>\
            <source mount=\"/.cushion\"><server_type>a</server_type></source></icestats>";
        let (many, simple) = pages(&XIPH.replace("</icestats>", another));
        let sources = many["icestats"]["source"].as_array().unwrap();
        assert_eq!(sources.len(), 2, "hidden ones are not told: {many}");
        assert_eq!(simple["mounts"].as_array().unwrap().len(), 2);
        for page in [many, simple] {
            assert!(
                !page.to_string().contains("cushion") && !page.to_string().contains("/hid"),
                "{page}"
            );
        }
        let nothing = Pages::of_nothing();
        assert!(serde_json::from_str::<Value>(&nothing.xsl).unwrap()["icestats"].is_object());
    }

    #[test]
    fn texts_stay_texts() {
        for (sent, title) in [
            ("-", "-"),
            ("5.", "5."),
            ("1984", "1984"),
            ("true", "true"),
            ("\"q\"\\ &quot;", "\"q\"\\ \""),
            ("a\u{1}\n\u{0}", "a\u{1}\n\u{0}"),
            ("</script>", "</script>"),
        ] {
            let escaped = if title == "</script>" {
                "&lt;/script&gt;"
            } else {
                sent
            };
            let (xsl, simple) = pages(&XIPH.replace("&lt;b&gt;&amp;amp;", escaped));
            assert_eq!(xsl["icestats"]["source"]["title"], title.trim());
            assert_eq!(simple["mounts"][0]["title"], title.trim());
        }
        let (xsl, _) = pages(&XIPH.replace("<bitrate>64", "<bitrate>Quality 4"));
        assert_eq!(xsl["icestats"]["source"]["bitrate"], "Quality 4");
    }

    #[test]
    fn relays_are_no_listeners() {
        let mut stats = read(XIPH.as_bytes(), now()).unwrap();
        stats.mounts.get_mut("/live").unwrap().relays = Some(2);
        let page = simple(&stats, &settings(), &Flows::default());
        assert_eq!(page["listeners"], 0);
        assert_eq!(xsl(&stats, &settings())["icestats"]["source"]["listeners"], 0);
    }
}

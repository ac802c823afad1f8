//! [`Server`] as `icecast.xml`. Every text goes through [`Element::text`], which escapes it. No IO.

use std::{
    borrow::Cow,
    fmt::{self, Display, Formatter},
};

use super::model::{Limits, Passwords, Relay, Server, Stream};
use quick_xml::escape::escape;

/// Port all our Icecast servers listen on.
pub const PORT: u16 = 8000;
/// Icecast's user name for relays.
const RELAY_USER: &str = "relay";
/// Xiph tries broken relays again this often; measured, a new stream is relayed within this and a second more.
const SECONDS_BETWEEN_RELAY_CHECKS: u32 = 1;

/// The whole file.
#[must_use]
pub fn render(server: &Server) -> String {
    let mut root = Element::new("icecast")
        .value("location", &server.location)
        .value("admin", &server.admin)
        .value("hostname", server.hostname.as_str())
        .child(limits(&server.limits))
        .child(authentication(&server.passwords))
        .child(Element::new("listen-socket").value("port", PORT.to_string()))
        .child(cors());
    if !server.relays.is_empty() {
        root = root.value("master-update-interval", SECONDS_BETWEEN_RELAY_CHECKS.to_string());
    }
    let relays = server.relays.iter().map(relay);
    let streams = server.streams.iter().map(stream);
    let root = relays
        .chain(streams)
        .chain([paths(), logging()])
        .fold(root, Element::child);
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", At(&root, 0))
}

fn limits(limits: &Limits) -> Element {
    Element::new("limits")
        .value("clients", limits.clients.to_string())
        .value("sources", limits.sources.to_string())
        .value("queue-size", limits.queue_bytes.to_string())
        .value("client-timeout", "30")
        .value("header-timeout", "15")
        .value("source-timeout", limits.source_timeout.as_secs().to_string())
        .value("burst-size", limits.burst_bytes.to_string())
}

fn authentication(passwords: &Passwords) -> Element {
    Element::new("authentication")
        .value("source-password", passwords.source.reveal())
        .value("relay-user", RELAY_USER)
        .value("relay-password", passwords.relay.reveal())
        .value("admin-user", "admin")
        .value("admin-password", passwords.admin.reveal())
}

/// Players in web pages of other sites may listen; Xiph sends no such header by itself.
fn cors() -> Element {
    let header = Element::new("header")
        .attribute("name", "Access-Control-Allow-Origin")
        .attribute("value", "*");
    Element::new("http-headers").child(header)
}

fn relay(relay: &Relay) -> Element {
    let titles = if relay.titles { "1" } else { "0" };
    Element::new("relay")
        .value("server", &relay.server)
        .value("port", PORT.to_string())
        .value("mount", relay.path.as_str())
        .value("local-mount", relay.path.as_str())
        .value("username", RELAY_USER)
        .value("password", relay.password.reveal())
        .value("relay-shoutcast-metadata", titles)
        .value("on-demand", "0")
}

/// `public` is always said: otherwise the source decides, and Liquidsoap's default is to tell directories. So is the
/// charset: Xiph reads MP3 titles as ISO 8859-1 without it, whatever the source says.
fn stream(stream: &Stream) -> Element {
    Element::new("mount")
        .attribute("type", "normal")
        .value("mount-name", stream.path.as_str())
        .value("public", "0")
        .value("charset", "UTF-8")
}

fn paths() -> Element {
    Element::new("paths")
        .value("basedir", "/usr/share/icecast2")
        .value("logdir", "/tmp")
        .value("webroot", "/usr/share/icecast2/web")
        .value("adminroot", "/usr/share/icecast2/admin")
        .child(
            Element::new("alias")
                .attribute("source", "/")
                .attribute("destination", "/status.xsl"),
        )
}

/// `-` is stderr.
fn logging() -> Element {
    Element::new("logging")
        .value("accesslog", "-")
        .value("errorlog", "-")
        .value("loglevel", "3")
}

/// One XML element with either children or a text.
struct Element {
    name: &'static str,
    attributes: Vec<(&'static str, &'static str)>,
    text: String,
    children: Vec<Self>,
}

impl Element {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            attributes: Vec::new(),
            text: String::new(),
            children: Vec::new(),
        }
    }

    fn attribute(mut self, name: &'static str, value: &'static str) -> Self {
        self.attributes.push((name, value));
        self
    }

    fn child(mut self, child: Self) -> Self {
        self.children.push(child);
        self
    }

    fn value<'a>(self, name: &'static str, text: impl Into<Cow<'a, str>>) -> Self {
        self.child(Self::new(name).text(text))
    }

    fn text<'a>(mut self, text: impl Into<Cow<'a, str>>) -> Self {
        self.text = escape(text.into()).into_owned();
        self
    }
}

/// An element that is so deep inside others.
struct At<'a>(&'a Element, usize);

impl Display for At<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Self(
            Element {
                name,
                attributes,
                text,
                children,
            },
            depth,
        ) = self;
        let indent = "  ".repeat(*depth);
        write!(out, "{indent}<{name}")?;
        for (attribute, value) in attributes {
            write!(out, " {attribute}=\"{}\"", escape(*value))?;
        }
        match (children.as_slice(), text.as_str()) {
            ([], "") => writeln!(out, "/>"),
            ([], text) => writeln!(out, ">{text}</{name}>"),
            (children, _) => {
                writeln!(out, ">")?;
                for child in children {
                    write!(out, "{}", At(child, depth + 1))?;
                }
                writeln!(out, "{indent}</{name}>")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use quick_xml::{Reader, escape::unescape, events::Event};

    use super::*;
    use crate::text::{HostName, Password, StreamPath};

    fn server(text: &str) -> Server {
        let password =
            |prefix: &str| Password::parse(format!("{prefix}{text}").as_bytes()).expect("password");
        let path = StreamPath::parse("path", "/live", "mp3").expect("path");
        Server {
            hostname: HostName::parse("host", "radio.example.org").expect("host"),
            location: text.to_owned(),
            admin: text.to_owned(),
            limits: Limits {
                clients: 1,
                sources: 1,
                queue_bytes: 1,
                burst_bytes: 1,
                source_timeout: Duration::from_secs(1),
            },
            passwords: Passwords {
                source: password("s"),
                admin: password("a"),
                relay: password("r"),
            },
            relays: vec![Relay {
                server: "radio-origin-0".to_owned(),
                path: path.clone(),
                titles: true,
                password: password("r"),
            }],
            streams: vec![Stream { path }],
        }
    }

    /// (path of the element, its text), as a parser sees them.
    fn parse(xml: &str) -> Vec<(String, String)> {
        let mut reader = Reader::from_str(xml);
        let (mut path, mut found) = (Vec::new(), Vec::new());
        let mut text = String::new();
        loop {
            match reader.read_event().expect("well-formed") {
                Event::Start(start) => {
                    path.push(start.name().as_ref().to_owned());
                    text.clear();
                }
                Event::Text(part) => text.push_str(&part.xml10_content()),
                Event::GeneralRef(entity) => {
                    text.push_str(&unescape(&format!("&{};", &*entity)).unwrap());
                }
                Event::End(_) => {
                    if !text.trim().is_empty() {
                        found.push((path.join("/"), text.clone()));
                    }
                    text.clear();
                    path.pop();
                }
                Event::Eof => return found,
                _ => {}
            }
        }
    }

    #[test]
    fn hostile_text_stays_text() {
        let harmless = parse(&render(&server("harmless")));
        for hostile in [
            "\"/><mount><mount-name>/x</mount-name></mount>",
            "</location><paths><webroot>/etc</webroot></paths><location>",
            "]]></icecast>",
            "<!--",
            "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>&e;",
            "&amp;&lt;&#60;&#x3c;&nosuch;",
            "#{system(\"id\")}",
            "🎙️ Söder & Söhne 'live' \"now\"",
            "  spaces  ",
            &"&<>".repeat(3000),
        ] {
            // Passwords have a limit of their own.
            let short: String = hostile.chars().take(200).collect();
            let found = parse(&render(&server(&short)));
            let paths =
                |all: &[(String, String)]| all.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
            assert_eq!(paths(&found), paths(&harmless), "{hostile}");
            let text = |path: &str| &found.iter().find(|(found, _)| found == path).unwrap().1;
            assert_eq!(text("icecast/location"), &short);
            assert_eq!(text("icecast/admin"), &short);
            assert_eq!(
                text("icecast/authentication/source-password"),
                &format!("s{short}")
            );
            assert_eq!(text("icecast/relay/password"), &format!("r{short}"));
        }
    }

    #[test]
    fn every_password_is_rendered() {
        // Without them Icecast would fall back on `hackme` and `changeme`.
        let paths: Vec<_> = parse(&render(&server("x")))
            .into_iter()
            .map(|(path, _)| path)
            .collect();
        for key in ["source-password", "relay-password", "admin-password"] {
            assert!(paths.contains(&format!("icecast/authentication/{key}")), "{key}");
        }
    }
}

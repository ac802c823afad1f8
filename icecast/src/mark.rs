//! A mark in each configuration that Icecast gives back, so that it is known which one is in effect. No IO.
//!
//! It stands at the end of `<location>`: `/admin/stats` tells it, and both Xiph (tried) and Icecast-KH (`stats_global`)
//! take it over at every reload. It is no hash: of a file full of passwords nothing should be told to the public.

use quick_xml::Reader;
use quick_xml::events::Event;

const OPENS: &str = "[configuration ";
const CLOSES: char = ']';

/// One configuration among all of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark(String);

impl Mark {
    /// Another one than all before, as long as no two are made within a microsecond.
    pub fn at(now: jiff::Timestamp) -> Self {
        Self(format!("{:x}", now.as_microsecond()))
    }

    /// `config`, which is well-formed, with this mark and none of another.
    pub fn put_into(&self, config: &str) -> String {
        let mark = format!("{OPENS}{}{CLOSES}", self.0);
        let Some(place) = place(config) else {
            return config.to_owned();
        };
        let (before, after) = match place {
            Place::After(at) => (config[..at].trim_end(), &config[at..]),
            Place::Instead(from, to) => {
                let (before, after) = (&config[..from], &config[to..]);
                return format!("{before}<location>{mark}</location>{after}");
            }
        };
        let before = split(before).0;
        let space = if before.ends_with('>') { "" } else { " " };
        format!("{before}{space}{mark}{after}")
    }

    /// The one in `config`.
    pub fn of(config: &str) -> Option<Self> {
        match place(config)? {
            Place::After(at) => split(&config[..at]).1,
            Place::Instead(..) => None,
        }
    }
}

/// What Icecast calls its location, as (what the station calls it, the mark).
pub fn split(location: &str) -> (&str, Option<Mark>) {
    let mark = location
        .trim_end()
        .strip_suffix(CLOSES)
        .and_then(|text| text.rsplit_once(OPENS));
    match mark {
        Some((text, mark)) if !mark.is_empty() && mark.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            (text.trim_end(), Some(Mark(mark.to_owned())))
        }
        _ => (location, None),
    }
}

enum Place {
    /// Where the text of the last `<location>` ends.
    After(usize),
    /// An empty element, or between elements.
    Instead(usize, usize),
}

fn place(config: &str) -> Option<Place> {
    let mut reader = Reader::from_str(config);
    let (mut depth, mut found) = (0_usize, None);
    loop {
        let event = reader.read_event().ok()?;
        let end = usize::try_from(reader.buffer_position()).ok()?;
        match event {
            Event::Start(_) => {
                depth += 1;
                if depth == 1 {
                    found = Some(Place::Instead(end, end));
                }
            }
            Event::Empty(tag) if depth == 1 && tag.name().as_ref() == "location" => {
                found = Some(Place::Instead(config.get(..end)?.rfind('<')?, end));
            }
            Event::End(tag) => {
                depth = depth.checked_sub(1)?;
                if depth == 1 && tag.name().as_ref() == "location" {
                    found = Some(Place::After(config.get(..end)?.rfind("</")?));
                }
            }
            Event::Eof => return found,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::parse;

    fn mark(microsecond: i64) -> Mark {
        Mark::at(jiff::Timestamp::from_microsecond(microsecond).unwrap())
    }

    #[test]
    fn a_mark_is_read_back_wherever_it_was_put() {
        for (config, location) in [
            (
                "<icecast><location>K\u{f6}ln &amp; Bonn</location><b>c</b></icecast>",
                "K\u{f6}ln & Bonn",
            ),
            ("<icecast>\n  <location/>\n  <b/>\n</icecast>", ""),
            (
                "<?xml version=\"1.0\"?><!-- <location>no</location> --><icecast><b/></icecast>",
                "",
            ),
            (
                "<icecast><m><location>not this</location></m><location>here</location ></icecast>",
                "here",
            ),
            (
                "<icecast><location>first</location><location>last ]</location></icecast>",
                "last ]",
            ),
            (
                "<icecast><location>[configuration ]</location></icecast>",
                "[configuration ]",
            ),
        ] {
            assert_eq!(Mark::of(config), None, "{config}");
            let first = mark(0xabc).put_into(config);
            assert_eq!(Mark::of(&first), Some(mark(0xabc)), "{first}");
            let second = mark(0xdef).put_into(&first);
            assert_eq!(second, first.replace("abc]", "def]"), "{second}");
            let root = parse(&second).unwrap();
            let told = root.value("location").unwrap();
            assert_eq!(split(told), (location, Some(mark(0xdef))), "{second}");
            let others = |root: &crate::xml::Element| {
                root.children
                    .iter()
                    .filter(|child| child.name != "location")
                    .cloned()
                    .collect::<Vec<_>>()
            };
            assert!(others(&root) == others(&parse(config).unwrap()), "{second}");
        }
    }

    #[test]
    fn what_a_station_writes_is_no_mark() {
        for location in [
            "",
            "]",
            "[configuration",
            "[configuration xyz]",
            "Earth (c0ffee)",
            "[configuration 1] x",
        ] {
            assert_eq!(split(location), (location, None));
        }
    }
}

//! XML as a small tree: Icecast's configuration, and what Icecast says of itself. No IO.

use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesRef, BytesStart, Event};

/// Neither a configuration nor an answer goes deeper than 5.
const DEEPEST: usize = 16;

/// An element and all that is in it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// As written.
    pub name: String,
    /// In their order.
    pub attributes: Vec<(String, String)>,
    /// All text directly in it.
    pub text: String,
    /// In their order.
    pub children: Vec<Self>,
}

/// No XML: cut off, or broken at this byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no well-formed XML at byte {at}")]
pub struct Malformed {
    at: u64,
}

impl Element {
    /// The text of the last child of this name: of two, Icecast takes the last.
    pub fn value(&self, name: &str) -> Option<&str> {
        let mut found = self.children.iter().rev().filter(|child| child.name == name);
        found.next().map(|child| child.text.trim())
    }

    /// All children of this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// An attribute's value.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let mut all = self.attributes.iter();
        all.find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn of(tag: &BytesStart<'_>, malformed: Malformed) -> Result<Self, Malformed> {
        let attributes = tag.attributes().map(|attribute| {
            let attribute = attribute.map_err(|_| malformed)?;
            let value = unescape(&attribute.value).map_err(|_| malformed)?;
            Ok((attribute.key.as_ref().to_owned(), value.into_owned()))
        });
        Ok(Self {
            name: tag.name().as_ref().to_owned(),
            attributes: attributes.collect::<Result<_, Malformed>>()?,
            ..Self::default()
        })
    }
}

/// The outermost element. Icecast repeats what sources say, so a character that XML does not know becomes U+FFFD
/// instead of hiding the rest.
pub fn parse(text: &str) -> Result<Element, Malformed> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    loop {
        let Ok(event) = reader.read_event() else {
            return Err(Malformed {
                at: reader.error_position(),
            });
        };
        let malformed = Malformed {
            at: reader.buffer_position(),
        };
        let closed = match event {
            Event::Start(tag) if open.len() < DEEPEST => {
                open.push(Element::of(&tag, malformed)?);
                None
            }
            Event::Empty(tag) => Some(Element::of(&tag, malformed)?),
            Event::End(_) => open.pop(),
            Event::Text(part) => {
                add(&mut open, &part.xml10_content());
                None
            }
            Event::CData(part) => {
                add(&mut open, &part.xml10_content());
                None
            }
            Event::GeneralRef(part) => {
                add(&mut open, character(&part).encode_utf8(&mut [0; 4]));
                None
            }
            Event::Start(_) | Event::Eof => return Err(malformed),
            _ => None,
        };
        match (closed, open.last_mut()) {
            (Some(child), Some(parent)) => parent.children.push(child),
            (Some(root), None) => return Ok(root),
            (None, _) => {}
        }
    }
}

fn add(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

fn character(reference: &BytesRef<'_>) -> char {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return character;
    }
    match reference.as_ref() {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => char::REPLACEMENT_CHARACTER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_attributes_are_what_they_stand_for() {
        let text = "<?xml version=\"1.0\"?>\n<a b='&lt;&#xF6;'><c> one </c><c>A &amp;amp; &#246;<![CDATA[<&]]>&apos;</c><d/></a>";
        let root = parse(text).unwrap();
        assert_eq!(root.attribute("b"), Some("<\u{f6}"));
        assert_eq!(root.value("c"), Some("A &amp; \u{f6}<&'"), "the last one counts");
        assert_eq!(root.value("d"), Some(""));
        assert_eq!((root.value("e"), root.all("c").count()), (None, 2));
        let hostile = parse("<a>&#0;&nosuch;&#1;&#xD800;</a>").unwrap();
        assert_eq!(hostile.text, "\u{fffd}\u{fffd}\u{1}\u{fffd}");
    }

    #[test]
    fn every_cut_is_told() {
        let whole = "<a b=\"c\"><d>e &amp; f</d><g/></a>";
        for end in 0..whole.len() {
            assert!(parse(&whole[..end]).is_err(), "{}", &whole[..end]);
        }
        for broken in [
            "<a></b>",
            "no XML",
            "",
            "<a b></a>",
            "<a b='&x'/>",
            &"<a>".repeat(100_000),
        ] {
            assert!(parse(broken).is_err(), "{}", &broken[..broken.len().min(20)]);
        }
    }
}

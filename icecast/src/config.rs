//! Which configurations may reach Icecast. No IO.
//!
//! Icecast ends at start when its file is no XML, and at a reload logs an error that nobody reads. Other things it takes
//! without a word and does something else: those are refused too.

use agent::watch::Files;
use quick_xml::Reader;
use quick_xml::events::Event;

use crate::settings::{Senseless, Settings};
use crate::xml;

/// The Secret's key.
pub const KEY: &str = "icecast.xml";

/// Why a version of the Secret is not handed to Icecast.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The key is missing.
    #[error("it has no key {KEY}")]
    Missing,
    /// Not well-formed.
    #[error("its {KEY} is no well-formed XML (byte {at}: {what})")]
    Malformed { at: u64, what: String },
    /// Well-formed, but of something else.
    #[error("its {KEY} is no Icecast configuration: the outermost element has to be <icecast>")]
    Foreign,
    /// Well-formed, and Icecast would do something else than it says.
    #[error("its {KEY} would not work: {0}")]
    Senseless(Senseless),
}

/// A configuration that may reach Icecast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usable<'a> {
    /// All of it.
    pub text: &'a str,
    /// What the agent has to know of it.
    pub settings: Settings,
}

/// The configuration in `files`, if Icecast can read it.
pub fn usable(files: &Files) -> Result<Usable<'_>, Unusable> {
    let content = files.0.get(KEY).ok_or(Unusable::Missing)?;
    check(content)?;
    let text = str::from_utf8(content).map_err(|wrong| {
        let at = u64::try_from(wrong.valid_up_to()).unwrap_or(u64::MAX);
        malformed(at, "not UTF-8")
    })?;
    let root = xml::parse(text).map_err(|_| malformed(0, "cannot be read as XML"))?;
    let settings = Settings::read(&root).map_err(Unusable::Senseless)?;
    Ok(Usable { text, settings })
}

fn check(content: &[u8]) -> Result<(), Unusable> {
    let mut reader = Reader::from_reader(content);
    reader.config_mut().check_comments = true;
    let (mut depth, mut roots) = (0_usize, 0_usize);
    loop {
        // The parser's own words may quote the text, and with it a password: only where is told.
        let Ok(event) = reader.read_event() else {
            return Err(malformed(reader.error_position(), "cannot be read as XML"));
        };
        let at = reader.buffer_position();
        match event {
            Event::Start(tag) | Event::Empty(tag) if depth == 0 && tag.name().as_ref() != "icecast" => {
                return Err(if roots == 0 {
                    Unusable::Foreign
                } else {
                    malformed(at, "a second root element")
                });
            }
            Event::Start(ref tag) | Event::Empty(ref tag) => {
                if tag.attributes().any(|attribute| attribute.is_err()) {
                    return Err(malformed(at, "an attribute cannot be read"));
                }
                if depth == 0 {
                    roots += 1;
                }
                if matches!(event, Event::Start(_)) {
                    depth += 1;
                }
            }
            Event::End(_) => depth -= 1,
            Event::Text(text) if depth == 0 && !text.trim().is_empty() => {
                return Err(malformed(at, "text outside of <icecast>"));
            }
            Event::Eof if depth > 0 => return Err(malformed(at, "it ends in the middle")),
            Event::Eof => break,
            _ => {}
        }
    }
    match roots {
        0 => Err(Unusable::Foreign),
        1 => Ok(()),
        _ => Err(malformed(0, "more than one root element")),
    }
}

fn malformed(at: u64, what: &str) -> Unusable {
    Unusable::Malformed {
        at,
        what: what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::SOUND;

    #[test]
    fn well_formed_configurations_pass() {
        for content in [
            "<icecast/>",
            "<?xml version=\"1.0\"?>\n<!-- on air -->\n<icecast><limits><clients>10</clients></limits></icecast>\n",
            "<icecast><mount type=\"normal\"><stream-name>&lt;b&gt; &amp; \u{1F4FB}</stream-name></mount></icecast>",
        ] {
            assert_eq!(check(content.as_bytes()), Ok(()), "{content}");
        }
    }

    #[test]
    fn what_icecast_could_not_read_is_refused_without_quoting_it() {
        for content in [
            "<icecast><limits></icecast>",
            "<icecast><limits>",
            "<icecast></icecast></icecast>",
            "<icecast/><icecast/>",
            "<icecast/>hackme",
            "<icecast><mount type=normal></mount></icecast>",
            "<icecast><mount type=\"a\" type=\"b\"/></icecast>",
            "<icecast><source-password>hackme</relay-password></icecast>",
            "<icecast><source-password hackme",
            "<icecast><!-- hackme",
        ] {
            let refusal = check(content.as_bytes()).unwrap_err();
            assert!(
                matches!(refusal, Unusable::Malformed { .. }),
                "{content}: {refusal}"
            );
            assert!(!refusal.to_string().contains("hackme"), "{refusal}");
        }
        for content in ["", "\n", "hackme", "<html><icecast/></html>"] {
            assert!(check(content.as_bytes()).is_err(), "{content:?}");
        }
        assert_eq!(usable(&Files::default()), Err(Unusable::Missing));
    }

    #[test]
    fn what_would_not_work_is_refused_without_quoting_it() {
        let files = |content: &[u8]| Files([(KEY.to_owned(), content.to_vec())].into());
        assert_eq!(usable(&files(SOUND.as_bytes())).unwrap().text, SOUND);
        let nobody = SOUND.replace("<clients>10<", "<clients>0<");
        let refusal = usable(&files(nobody.as_bytes())).unwrap_err();
        assert!(matches!(refusal, Unusable::Senseless(_)), "{refusal}");
        assert!(!refusal.to_string().contains("hackme"), "{refusal}");
        let mut bytes = SOUND.replace("here", "K#ln").into_bytes();
        let place = bytes.iter().position(|byte| *byte == b'#').unwrap();
        bytes[place] = 0xf6;
        assert!(matches!(usable(&files(&bytes)), Err(Unusable::Malformed { .. })));
    }

    #[test]
    fn every_cut_of_a_configuration_is_refused() {
        let whole = "<?xml version=\"1.0\"?><icecast><a b=\"c\">d</a><!-- e --></icecast>";
        for end in 0..whole.len() {
            assert!(check(&whole.as_bytes()[..end]).is_err(), "{}", &whole[..end]);
        }
    }
}

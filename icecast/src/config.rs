//! Which configurations may reach Icecast. No IO.
//!
//! Icecast ends at start when its file is no XML, and at a reload logs an error that nobody reads. Whether the
//! content makes sense is the operator's affair: it rendered it.

use agent::watch::Files;
use quick_xml::Reader;
use quick_xml::events::Event;

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
}

/// The configuration in `files`, if Icecast can read it.
pub fn usable(files: &Files) -> Result<&[u8], Unusable> {
    let content = files.0.get(KEY).ok_or(Unusable::Missing)?;
    check(content)?;
    Ok(content)
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
    fn every_cut_of_a_configuration_is_refused() {
        let whole = "<?xml version=\"1.0\"?><icecast><a b=\"c\">d</a><!-- e --></icecast>";
        for end in 0..whole.len() {
            assert!(check(&whole.as_bytes()[..end]).is_err(), "{}", &whole[..end]);
        }
    }
}

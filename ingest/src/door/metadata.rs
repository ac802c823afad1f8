//! Titles that come beside the stream: `/admin/metadata?mode=updinfo&mount=/live/studio&song=...`. No IO.

use super::head::percent_decoded;
use super::refusal::Refused;

/// Where Icecast's clients send titles.
pub const PATH: &str = "/admin/metadata";
/// Where Shoutcast's do.
pub const SHOUTCAST_PATH: &str = "/admin.cgi";

/// A title that a source tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The input's path.
    pub path: String,
    /// Empty if nothing is to be shown.
    pub title: String,
}

/// What the query asks for.
pub fn read(query: &str) -> Result<Update, Refused> {
    let all: Vec<(&str, Vec<u8>)> = query.split('&').map(parameter).collect();
    let of = |name: &str| {
        let named = all.iter().find(|(key, _)| *key == name);
        named.map(|(_, value)| value.as_slice())
    };
    if of("mode") != Some(b"updinfo") {
        return Err(Refused::bad(
            400,
            "Of /admin/metadata only mode=updinfo is known here",
        ));
    }
    let path = of("mount")
        .and_then(|mount| std::str::from_utf8(mount).ok())
        .filter(|mount| !mount.chars().any(char::is_control))
        .ok_or_else(|| Refused::bad(400, "A title needs mount=, the path the source sends to"))?;
    let charset = of("charset").unwrap_or_default();
    let text = |name| of(name).map(|told| decoded(told, charset)).unwrap_or_default();
    if of("song").is_none() && of("title").is_none() {
        return Err(Refused::bad(400, "A title needs song=, or artist= and title="));
    }
    let (song, artist, title) = (text("song"), text("artist"), text("title"));
    let title = match (song.trim(), artist.trim(), title.trim()) {
        ("", "", title) => title.to_owned(),
        ("", artist, title) => format!("{artist} - {title}"),
        (song, ..) => song.to_owned(),
    };
    Ok(Update {
        path: path.to_owned(),
        title: shown(&title).to_owned(),
    })
}

fn parameter(pair: &str) -> (&str, Vec<u8>) {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    (name, percent_decoded(value.replace('+', " ").as_bytes()))
}

/// Idle DJ software sends the `-` between an artist and a title it does not have.
fn shown(title: &str) -> &str {
    let told = title.chars().any(|c| c != '-' && !c.is_whitespace());
    if told { title.trim() } else { "" }
}

/// UTF-8, unless it says or shows that it is not.
fn decoded(told: &[u8], charset: &[u8]) -> String {
    const WESTERN: [&str; 5] = ["iso-8859-1", "iso8859-1", "latin1", "windows-1252", "cp1252"];
    let western = WESTERN
        .iter()
        .any(|name| charset.eq_ignore_ascii_case(name.as_bytes()));
    match std::str::from_utf8(told) {
        Ok(text) if !western => text.to_owned(),
        _ => told.iter().map(|&byte| western_character(byte)).collect(),
    }
}

/// As browsers do: who says ISO-8859-1 has Windows' additions to it, curly quotes and dashes above all.
fn western_character(byte: u8) -> char {
    const ADDED: [char; 32] = [
        '€', ' ', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', ' ', 'Ž', ' ', ' ', '‘', '’', '“',
        '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', ' ', 'ž', 'Ÿ',
    ];
    byte.checked_sub(0x80)
        .and_then(|index| ADDED.get(usize::from(index)).copied())
        .unwrap_or_else(|| char::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn title(query: &str) -> String {
        let update = read(&format!("mode=updinfo&mount=%2Flive%2Fstudio&{query}")).unwrap();
        assert_eq!(update.path, "/live/studio");
        update.title
    }

    #[test]
    fn titles_of_all_kinds_of_software() {
        assert_eq!(title("song=Anna+-+Blue+%26+Green"), "Anna - Blue & Green");
        assert_eq!(title("artist=Anna&title=Blue"), "Anna - Blue");
        assert_eq!(title("title=Blue"), "Blue");
        assert_eq!(title("song=Blue&artist=ignored"), "Blue");
        assert_eq!(title("song=100% live"), "100% live");
        assert_eq!(title("song=%e"), "%e");
        assert_eq!(title("url=&song="), "");
        assert_eq!(title("song=+-+"), "");
        assert_eq!(title("artist=&title="), "");
    }

    #[test]
    fn characters_are_what_was_meant() {
        assert_eq!(title("song=M%C3%B6we"), "Möwe");
        assert_eq!(title("song=M%F6we"), "Möwe");
        assert_eq!(title("song=M%F6we&charset=ISO-8859-1"), "Möwe");
        assert_eq!(title("song=%93M%F6we%94+%96+%80&charset=latin1"), "“Möwe” – €");
        assert_eq!(title("song=M%C3%B6we&charset=latin1"), "MÃ¶we");
        assert_eq!(title("song=M%C3%B6we&charset=UTF-8"), "Möwe");
        assert_eq!(title("song=%F0%9F%8E%B5&charset=whatever"), "🎵");
    }

    #[test]
    fn what_is_no_title_is_refused() {
        for query in [
            "",
            "mode=updinfo",
            "mode=updinfo&mount=/a",
            "mode=updinfo&song=x",
            "mode=killsource&mount=/a&song=x",
            "mode=updinfo&mount=%FF&song=x",
            "mode=updinfo&mount=/a%0A&song=x",
        ] {
            let refused = read(query).unwrap_err();
            assert_eq!(refused.status, 400, "{query}");
        }
    }
}

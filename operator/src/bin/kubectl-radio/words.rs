//! Text as a terminal shows it. No IO.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

/// What came from elsewhere, fit for a terminal: there, control characters can say anything, and some letters turn the line
/// around.
pub fn plain(text: &str) -> String {
    let is_safe = |c: char| {
        !c.is_control()
            && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|c| if is_safe(c) { c } else { '\u{fffd}' })
        .collect()
}

/// The same, of at most so many characters.
pub fn short(text: &str, most: usize) -> String {
    let text = plain(text);
    if text.chars().count() <= most {
        return text;
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// Rows as columns: each as wide as its widest, the last one as it comes. Nothing is left behind at the ends of lines.
pub fn columns<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; N]| {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths).filter(|(_, width)| *width > 0) {
            line.push_str(cell);
            let missing = width.saturating_sub(cell.chars().count());
            line.extend(std::iter::repeat_n(' ', missing + 2));
        }
        line.truncate(line.trim_end().len());
        line
    };
    rows.iter().map(line).collect()
}

/// `1 object`, `2 objects`.
pub fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}

/// For clap: an IANA time zone.
pub fn zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text).map_err(|_| "not a time zone such as UTC or Europe/Berlin".to_owned())
}

/// For clap: `90s`, `30m`, `24h`, `7d`.
pub fn length(text: &str) -> Result<Duration, String> {
    let wrong = || "not a time such as 90s, 30m, 24h or 7d".to_owned();
    let unit = match text.as_bytes().last() {
        Some(b's') => 1,
        Some(b'm') => 60,
        Some(b'h') => 3_600,
        Some(b'd') => 86_400,
        _ => return Err(wrong()),
    };
    let number: u32 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    if number == 0 {
        return Err(wrong());
    }
    Ok(Duration::from_secs(u64::from(number) * unit))
}

/// The same, as the API takes it: in the largest unit that it is a whole number of.
pub fn api_length(seconds: u64) -> String {
    match seconds {
        seconds if seconds.is_multiple_of(3_600) => format!("{}h", seconds / 3_600),
        seconds if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

/// `Saturday 21 November 2026`.
pub fn day(instant: Timestamp, zone: &TimeZone) -> String {
    let local = instant.to_zoned(zone.clone());
    local.strftime("%A %-d %B %Y").to_string()
}

/// `18:02:42`.
pub fn time(instant: Timestamp, zone: &TimeZone) -> String {
    instant.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_says_nothing_to_a_terminal() {
        assert_eq!(
            plain("a\x1b[2Jb\nc\u{202e}d ü🎙"),
            "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d ü🎙"
        );
        assert_eq!(short("Night Shift", 11), "Night Shift");
        assert_eq!(short("Night  Shift", 7), "Night…");
        assert_eq!(short("", 3), "");
    }

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        assert_eq!(
            columns(&[row(["ü", "", "last"]), row(["longer", "", ""])]),
            ["ü       last", "longer"]
        );
    }

    #[test]
    fn lengths() {
        for (text, seconds) in [("90s", 90), ("30m", 1_800), ("24h", 86_400), ("7d", 604_800)] {
            assert_eq!(length(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "s", "0s", "-1h", "1", "1w", "1.5h", "99999999999s", "1ü"] {
            assert!(length(text).is_err(), "{text}");
        }
        for (seconds, text) in [(90, "90s"), (120, "2m"), (21_600, "6h"), (86_400, "24h")] {
            assert_eq!(api_length(seconds), text);
        }
    }

    #[test]
    fn times_are_told_where_somebody_lives() {
        let instant: Timestamp = "2026-11-21T23:30:05.9Z".parse().unwrap();
        let berlin = zone("Europe/Berlin").unwrap();
        assert_eq!(day(instant, &TimeZone::UTC), "Saturday 21 November 2026");
        assert_eq!(time(instant, &TimeZone::UTC), "23:30:05");
        assert_eq!(day(instant, &berlin), "Sunday 22 November 2026");
        assert_eq!(time(instant, &berlin), "00:30:05");
        assert!(zone("Moon/Crater").is_err());
    }
}

//! From what people write to numbers: sizes, rates, lengths of time. No IO.

/// Bytes of `500Ki`, `10Gi` and the like; `None` for what no rule of ours lets through.
#[must_use]
pub fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(2)?)?;
    let shift = match unit {
        "Ki" => 10,
        "Mi" => 20,
        "Gi" => 30,
        "Ti" => 40,
        _ => return None,
    };
    Some(whole(number, 6)? << shift)
}

/// Seconds of `90s`, `2m`, `6h`; `None` for what no rule of ours lets through.
#[must_use]
pub fn seconds(text: &str) -> Option<u32> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let each = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    Some(u32::try_from(whole(number, 5)?).ok()? * each)
}

/// Seconds of `90s`, `2m`, `6h`, and of `0s`; `None` for what no rule of ours lets through.
#[must_use]
pub fn span(text: &str) -> Option<u32> {
    if text == "0s" { Some(0) } else { seconds(text) }
}

/// Seconds of `30m`, `24h`, `90d`; `None` for what no rule of ours lets through.
#[must_use]
pub fn age(text: &str) -> Option<u64> {
    match text.strip_suffix('d') {
        Some(days) => Some(whole(days, 5)? * 86_400),
        None => seconds(text).map(u64::from),
    }
}

/// A whole number from 1, of so many digits at most.
fn whole(number: &str, digits: usize) -> Option<u64> {
    let plain = number.len() <= digits && number.bytes().all(|digit| digit.is_ascii_digit());
    number.parse().ok().filter(|number| plain && *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("500Mi", Some(524_288_000)),
            ("10Gi", Some(10_737_418_240)),
            ("2Ti", Some(2_199_023_255_552)),
            ("64Ki", Some(65_536)),
            ("999999Ti", Some(999_999 << 40)),
            ("0Gi", None),
            ("+1Gi", None),
            ("1000000Gi", None),
            ("1.5Gi", None),
            ("10G", None),
            ("Gi", None),
            ("é", None),
            ("", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }

    #[test]
    fn lengths_of_time() {
        for (text, expected) in [
            ("90s", Some(90)),
            ("2m", Some(120)),
            ("6h", Some(21_600)),
            ("99999h", Some(359_996_400)),
            ("0s", None),
            ("100000s", None),
            ("-1s", None),
            ("1h30m", None),
            ("1d", None),
            ("s", None),
            ("€", None),
            ("", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn none_at_all_and_days() {
        assert_eq!(span("0s"), Some(0));
        assert_eq!(span("15m"), Some(900));
        assert_eq!(span("0m"), None);
        for (text, expected) in [
            ("90d", Some(7_776_000)),
            ("24h", Some(86_400)),
            ("99999d", Some(8_639_913_600)),
            ("0d", None),
            ("d", None),
            ("1w", None),
        ] {
            assert_eq!(age(text), expected, "{text}");
        }
    }
}

//! Numbers as people read them in `kubectl get recordings`. No IO.

use jiff::{SignedDuration, Timestamp};

/// `42s`, `12m30s`, `1h59m`.
#[must_use]
pub fn duration(length: SignedDuration) -> String {
    let seconds = length.as_secs().max(0);
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
        (hours, minutes, _) => format!("{hours}h{minutes:02}m"),
    }
}

/// `512 B`, `1.4 MiB`, `164 MiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    let mut unit = "B";
    let (mut whole, mut rest) = (bytes, 0);
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if whole < 1024 {
            break;
        }
        (whole, rest) = (whole / 1024, whole % 1024);
        unit = next;
    }
    if whole < 10 && unit != "B" {
        format!("{whole}.{} {unit}", rest * 10 / 1024)
    } else {
        format!("{whole} {unit}")
    }
}

/// `2026-11-21 14:00:03 UTC`.
#[must_use]
pub fn moment(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        for (seconds, expected) in [
            (-5, "0s"),
            (0, "0s"),
            (59, "59s"),
            (60, "1m00s"),
            (750, "12m30s"),
            (3599, "59m59s"),
            (3600, "1h00m"),
            (7195, "1h59m"),
            (97_200, "27h00m"),
        ] {
            assert_eq!(duration(SignedDuration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn sizes() {
        for (bytes, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (10_239, "9.9 KiB"),
            (10_240, "10 KiB"),
            (1_500_000, "1.4 MiB"),
            (171_966_464, "164 MiB"),
            (6 << 30, "6.0 GiB"),
            (u64::MAX, "16777215 TiB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }

    #[test]
    fn moments() {
        let instant: Timestamp = "2026-11-21T14:00:03.75Z".parse().unwrap();
        assert_eq!(moment(instant), "2026-11-21 14:00:03 UTC");
    }
}

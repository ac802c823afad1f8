//! Names of sessions: sort by time, fit for file names and object keys. No IO.

use jiff::Timestamp;

const LENGTH: usize = "20261121T135025123Z-1f3a".len();

pub(super) fn id(started: Timestamp, chance: u16) -> String {
    let milliseconds = started.as_millisecond().rem_euclid(1000);
    format!(
        "{}{milliseconds:03}Z-{chance:04x}",
        started.strftime("%Y%m%dT%H%M%S")
    )
}

/// Whether a directory may be a session's. Anything else on the volume (`lost+found`) is none of ours.
pub(super) fn is_id(name: &str) -> bool {
    name.len() == LENGTH
        && name.as_bytes()[LENGTH - 5] == b'-'
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time() {
        let first: Timestamp = "2026-11-21T13:50:25.123Z".parse().unwrap();
        assert_eq!(id(first, 0x1f3a), "20261121T135025123Z-1f3a");
        let second: Timestamp = "2026-11-21T13:50:26.001Z".parse().unwrap();
        assert!(id(first, 0xffff) < id(second, 0));
        assert!(is_id(&id(second, 7)));
        for not in [
            "lost+found",
            "",
            "../../../etc/passwd/a-bcd",
            "20261121T135025123Z-1f3",
            "20261121T135025123Zé1f3a",
        ] {
            assert!(!is_id(not), "{not}");
        }
    }
}

//! When somebody must hear that the tapes are filling up. No IO.

use crate::api::Fill;

/// A level falls only this far below where it rises: else it would come and go with each session that is removed.
const SLACK: u64 = 5;

/// How full tapes are that take `used` of `cap` bytes and were last told to be that full. A cap of 0 is none.
pub(super) fn fill(before: Fill, used: u64, cap: u64) -> Fill {
    let reaches = |level: Fill, percent: u64| {
        let percent = if before >= level { percent - SLACK } else { percent };
        cap > 0 && u128::from(used) * 100 >= u128::from(cap) * u128::from(percent)
    };
    if reaches(Fill::High, 80) {
        Fill::High
    } else if reaches(Fill::Half, 50) {
        Fill::Half
    } else {
        Fill::Low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_rise_and_fall_at_different_marks() {
        use Fill::{Half, High, Low};
        let mut now = Low;
        let course = [
            (0, Low),
            (49, Low),
            (50, Half),
            (46, Half),
            (45, Half),
            (44, Low),
            (49, Low),
            (79, Half),
            (80, High),
            (75, High),
            (74, Half),
            (79, Half),
            (100, High),
            (44, Low),
            (130, High),
            (60, Half),
        ];
        for (step, (percent, expected)) in course.into_iter().enumerate() {
            now = fill(now, percent << 30, 100 << 30);
            assert_eq!(now, expected, "step {step}, {percent} %");
        }
        assert_eq!(fill(High, 5, 0), Low, "nobody told a cap");
        assert_eq!(fill(Low, u64::MAX, u64::MAX), High);
    }
}

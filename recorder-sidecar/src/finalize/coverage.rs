//! How much of what should have been on air there is. No IO.

use jiff::Timestamp;

use super::intervals::OnAir;
use super::published::GapKind;
use crate::manifest::Manifest;

/// Until when somebody should be on air: a slot's end, but not beyond what can be in the Recording. `None`: it is of no slot.
pub(super) fn expected_until(manifest: &Manifest) -> Option<Timestamp> {
    let slot = manifest.recording.show.as_ref()?;
    Some(slot.slot_end.min(manifest.recording.limit))
}

/// What of the expected time the objects play, in percent: of a slot without its overrun, else of all from the first instant
/// to the last.
pub(super) fn coverage(manifest: &Manifest, on_air: &OnAir, seconds: f64) -> f64 {
    let Some(until) = expected_until(manifest) else {
        return percent(seconds, on_air.from, on_air.to);
    };
    let all = heard(on_air, Timestamp::MAX);
    // Objects that lack something may lack it anywhere.
    let plays = if all > 0.0 { (seconds / all).min(1.0) } else { 0.0 };
    percent(heard(on_air, until) * plays, on_air.from, until)
}

/// How long sources were on air up to an instant, without what was lost of them, in seconds.
pub(super) fn heard(on_air: &OnAir, until: Timestamp) -> f64 {
    let length = |from: Timestamp, to: Timestamp| to.min(until).duration_since(from).as_secs_f64().max(0.0);
    let on: f64 = on_air
        .pieces
        .iter()
        .map(|piece| length(piece.from, piece.to))
        .sum();
    let lost = on_air.gaps.iter().filter(|gap| gap.kind == GapKind::Lost);
    let lost: f64 = lost.map(|gap| length(gap.from, gap.to)).sum();
    (on - lost).max(0.0)
}

fn percent(seconds: f64, from: Timestamp, to: Timestamp) -> f64 {
    let expected = to.duration_since(from).as_secs_f64();
    let percent = if expected > 0.0 {
        seconds / expected * 100.0
    } else {
        0.0
    };
    // Buffers of sources make a little more than there was time for.
    (percent.min(100.0) * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SlotOf;
    use crate::finalize::fixtures::{at, manifest};
    use crate::finalize::intervals::Piece;
    use crate::finalize::published::{Gap, LostBytes};
    use crate::manifest::{OverWhy, Range};

    /// A slot of 1000 s that may be overrun by 500.
    fn slot() -> Manifest {
        let mut slot = manifest(0, Some(1500), OverWhy::Until, Vec::new());
        slot.recording.show = Some(SlotOf {
            name: "night-shift".to_owned(),
            slot_end: at(1000),
        });
        slot
    }

    fn on_air(pieces: &[(i64, i64)], lost: Option<(i64, i64)>) -> OnAir {
        let bytes = Range { from: 0, to: 9 };
        let piece = |&(from, to): &(i64, i64)| Piece {
            session: 0,
            from: at(from),
            to: at(to),
            bytes,
        };
        let gap = |(from, to)| Gap {
            from: at(from),
            to: at(to),
            kind: GapKind::Lost,
            lost: Some(LostBytes {
                session: "a".to_owned(),
                bytes,
            }),
        };
        OnAir {
            from: at(0),
            to: at(1500),
            pieces: pieces.iter().map(piece).collect(),
            gaps: lost.map(gap).into_iter().collect(),
        }
    }

    fn covers(pieces: &[(i64, i64)], seconds: f64) -> f64 {
        coverage(&slot(), &on_air(pieces, None), seconds)
    }

    fn is(percent: f64, expected: f64) {
        assert!((percent - expected).abs() < 0.01, "{percent} is not {expected}");
    }

    #[test]
    fn the_overrun_makes_up_for_nothing() {
        is(covers(&[(0, 1000)], 1000.0), 100.0);
        is(covers(&[(0, 1500)], 1500.0), 100.0);
        is(covers(&[(400, 1500)], 1100.0), 60.0);
        is(covers(&[(1000, 1500)], 500.0), 0.0);
        is(covers(&[(0, 300), (600, 1100)], 800.0), 70.0);
        is(covers(&[], 0.0), 0.0);
    }

    #[test]
    fn what_the_objects_lack_counts_wherever_it_was() {
        is(covers(&[(0, 1000)], 500.0), 50.0);
        is(covers(&[(0, 1000)], 1004.0), 100.0);
        let lost = on_air(&[(0, 1000)], Some((900, 1000)));
        is(coverage(&slot(), &lost, 900.0), 90.0);
    }

    #[test]
    fn somebody_may_stop_it_before_the_slot_ends() {
        let mut stopped = slot();
        stopped.recording.limit = at(600);
        is(coverage(&stopped, &on_air(&[(0, 600)], None), 600.0), 100.0);
    }

    #[test]
    fn what_is_of_no_slot_is_measured_from_its_first_instant_to_its_last() {
        let free = manifest(0, None, OverWhy::Idle, Vec::new());
        is(coverage(&free, &on_air(&[(0, 1500)], None), 750.0), 50.0);
    }
    #[test]
    fn coverage_has_two_digits_and_no_surprises() {
        assert_eq!(percent(999.0, at(0), at(1000)).to_string(), "99.9");
        assert_eq!(percent(1005.0, at(0), at(1000)).to_string(), "100");
        assert_eq!(percent(0.0, at(0), at(0)).to_string(), "0");
    }
}

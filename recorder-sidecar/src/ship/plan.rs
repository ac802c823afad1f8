//! Which bytes of a session become segments. No IO.
//!
//! Each segment goes from one of the ingest's cuts to the next, so that every attempt makes the same ones and none can
//! double what another has stored.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::manifest::{Range, Segment};

/// A segment is sent from memory, and none is larger. Cuts are nearer, unless the ingest's disk lost them.
pub(super) const LARGEST: u64 = 8 << 20;
/// The ingest writes a Clock line while it takes bytes: cuts that are no further behind it may still come.
const LATE: u64 = 1 << 20;

/// What is known of a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    pub headers: Option<Range>,
    pub start: u64,
    /// Nothing from here on is wanted.
    pub end: Option<u64>,
    pub cuts: &'a BTreeSet<u64>,
    /// All cuts below are among `cuts`.
    pub covered: u64,
    pub lost: &'a [Range],
    /// Bytes that the spool has for good.
    pub have: u64,
    pub stored: &'a BTreeMap<u64, Segment>,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// In their order.
    pub missing: Vec<Range>,
    /// Everything below is stored, or lost, or was never wanted.
    pub done: u64,
}

impl Known<'_> {
    /// Where everything begins.
    pub fn origin(&self) -> u64 {
        self.headers.map_or(self.start, |headers| headers.from)
    }

    /// The next `most` segments, of a session that is done up to `from`.
    pub fn plan(&self, from: u64, most: usize) -> Plan {
        let mut plan = Plan {
            missing: Vec::new(),
            done: from.max(self.origin()),
        };
        let mut at = plan.done;
        while self.end.is_none_or(|end| at < end) {
            if let Some(to) = self.passes(at) {
                at = to;
                if plan.missing.is_empty() {
                    plan.done = to;
                }
                continue;
            }
            // Until a later Clock line is known, nobody can tell when its last byte came.
            let is_here = |to: u64| to <= self.have && (to <= self.covered || self.end.is_some());
            let next = self
                .boundary(at)
                .filter(|&to| is_here(to) && plan.missing.len() < most);
            let Some(to) = next else { break };
            plan.missing.push(Range { from: at, to });
            at = to;
        }
        plan
    }

    /// To where there is nothing to be done, from a place where there is nothing.
    fn passes(&self, at: u64) -> Option<u64> {
        if let Some(stored) = self.stored.get(&at) {
            return Some(stored.range.to);
        }
        if at < self.start && self.headers.is_none_or(|headers| at >= headers.to) {
            return Some(self.start);
        }
        let lost = self.lost.iter().filter(|lost| lost.from <= at && at < lost.to);
        let to = lost.map(|lost| lost.to).max()?;
        // An earlier attempt may have had what is lost now.
        Some(self.next_stored(at).map_or(to, |stored| stored.min(to)))
    }

    fn boundary(&self, at: u64) -> Option<u64> {
        let cut = self
            .cuts
            .range((Bound::Excluded(at), Bound::Unbounded))
            .next()
            .copied();
        let headers_end = self.headers.map(|headers| headers.to).filter(|&to| at < to);
        let hole = self
            .lost
            .iter()
            .map(|lost| lost.from)
            .filter(|&from| from > at)
            .min();
        // Of what lies behind this, cuts may be missing.
        let sure = |to: &u64| *to <= self.covered || self.end.is_some();
        let others = [self.end, hole, self.next_stored(at)]
            .into_iter()
            .flatten()
            .filter(sure);
        let next = [cut, headers_end].into_iter().flatten().chain(others).min();
        match next {
            Some(to) if to - at <= LARGEST => Some(to),
            None if self.covered < at + LARGEST + LATE => None,
            _ => Some(at + LARGEST),
        }
    }

    fn next_stored(&self, at: u64) -> Option<u64> {
        let behind = self.stored.range((Bound::Excluded(at), Bound::Unbounded)).next();
        behind.map(|(from, _)| *from)
    }

    /// What is lost and not stored.
    pub fn lost(&self) -> Vec<Range> {
        let mut holes: Vec<Range> = Vec::new();
        let mut gone = self.lost.to_vec();
        gone.sort();
        for lost in gone {
            let mut at = lost
                .from
                .max(holes.last().map_or(self.start, |hole| hole.to))
                .max(self.start);
            let to = self.end.map_or(lost.to, |end| end.min(lost.to));
            while at < to {
                let covering = self
                    .stored
                    .range(..=at)
                    .next_back()
                    .map(|(_, segment)| segment.range.to);
                if let Some(stored_to) = covering.filter(|&stored_to| stored_to > at) {
                    at = stored_to;
                    continue;
                }
                let hole_to = self.next_stored(at).map_or(to, |stored| stored.min(to));
                match holes.last_mut() {
                    Some(hole) if hole.to == at => hole.to = hole_to,
                    _ => holes.push(Range {
                        from: at,
                        to: hole_to,
                    }),
                }
                at = hole_to;
            }
        }
        holes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn stored(ranges: &[(u64, u64)]) -> BTreeMap<u64, Segment> {
        let segment = |&(from, to): &(u64, u64)| {
            let segment = Segment {
                key: String::new(),
                range: Range { from, to },
                sha256: String::new(),
                md5: String::new(),
                t0: Timestamp::UNIX_EPOCH,
                t1: Timestamp::UNIX_EPOCH,
            };
            (from, segment)
        };
        ranges.iter().map(segment).collect()
    }

    fn plan(
        change: impl FnOnce(&mut Known<'_>),
        cuts: &[u64],
        stored_: &[(u64, u64)],
        lost: &[(u64, u64)],
    ) -> (Vec<(u64, u64)>, u64) {
        let cuts = cuts.iter().copied().collect();
        let stored = stored(stored_);
        let lost: Vec<_> = lost.iter().map(|&(from, to)| Range { from, to }).collect();
        let mut known = Known {
            headers: None,
            start: 0,
            end: None,
            cuts: &cuts,
            covered: 450,
            lost: &lost,
            have: 450,
            stored: &stored,
        };
        change(&mut known);
        let plan = known.plan(0, 99);
        (
            plan.missing.iter().map(|range| (range.from, range.to)).collect(),
            plan.done,
        )
    }

    const CUTS: [u64; 5] = [0, 100, 200, 300, 400];

    #[test]
    fn segments_go_from_cut_to_cut() {
        assert_eq!(
            plan(|_| {}, &CUTS, &[], &[]),
            (vec![(0, 100), (100, 200), (200, 300), (300, 400)], 0)
        );
        assert_eq!(
            plan(
                |known| known.end = Some(450),
                &CUTS,
                &[(0, 100), (100, 200), (200, 300), (300, 400)],
                &[]
            ),
            (vec![(400, 450)], 400)
        );
        assert_eq!(
            plan(|known| known.have = 250, &CUTS, &[(0, 100)], &[]),
            (vec![(100, 200)], 100)
        );
        // What was stored out of order is neither sent again nor counted too early.
        assert_eq!(
            plan(|_| {}, &CUTS, &[(0, 100), (200, 300)], &[]),
            (vec![(100, 200), (300, 400)], 100)
        );
        assert_eq!(plan(|_| {}, &[], &[], &[]), (vec![], 0));
    }

    #[test]
    fn another_cutting_is_met_without_overlap() {
        assert_eq!(
            plan(|_| {}, &CUTS, &[(150, 200)], &[]),
            (vec![(0, 100), (100, 150), (200, 300), (300, 400)], 0)
        );
    }

    #[test]
    fn holes_are_passed_and_told() {
        assert_eq!(
            plan(|_| {}, &CUTS, &[], &[(0, 50), (220, 230)]),
            (
                vec![(50, 100), (100, 200), (200, 220), (230, 300), (300, 400)],
                50
            )
        );
        // The bucket has what this attempt lost.
        assert_eq!(
            plan(|_| {}, &CUTS, &[(0, 100), (100, 200)], &[(0, 250)]),
            (vec![(250, 300), (300, 400)], 250)
        );
        let (cuts, stored, lost) = (
            BTreeSet::new(),
            stored(&[(100, 200), (300, 400)]),
            [Range { from: 0, to: 350 }, Range { from: 340, to: 500 }],
        );
        let known = Known {
            headers: None,
            start: 10,
            end: Some(450),
            cuts: &cuts,
            covered: 0,
            lost: &lost,
            have: 0,
            stored: &stored,
        };
        let holes: Vec<_> = known.lost().iter().map(|hole| (hole.from, hole.to)).collect();
        assert_eq!(holes, [(10, 100), (200, 300), (400, 450)]);
    }

    #[test]
    fn a_hole_waits_until_the_cuts_before_it_are_known() {
        assert_eq!(
            plan(|known| known.covered = 60, &[0], &[], &[(120, 130)]),
            (vec![], 0)
        );
        assert_eq!(
            plan(|known| known.covered = 120, &[0, 100], &[], &[(120, 130)]),
            (vec![(0, 100), (100, 120)], 0)
        );
    }

    #[test]
    fn a_later_beginning_takes_its_headers_along() {
        let late = |known: &mut Known<'_>| {
            known.headers = Some(Range { from: 0, to: 30 });
            known.start = 200;
        };
        assert_eq!(
            plan(late, &CUTS, &[], &[]),
            (vec![(0, 30), (200, 300), (300, 400)], 0)
        );
        assert_eq!(
            plan(late, &CUTS, &[(0, 30)], &[]),
            (vec![(200, 300), (300, 400)], 200)
        );
    }

    #[test]
    fn without_cuts_nothing_grows_beyond_measure() {
        let long =
            |covered: u64| move |known: &mut Known<'_>| (known.have, known.covered) = (covered, covered);
        assert_eq!(plan(long(LARGEST + 1), &[], &[], &[]), (vec![], 0));
        assert_eq!(plan(long(LARGEST + LATE), &[], &[], &[]), (vec![(0, LARGEST)], 0));
        assert_eq!(
            plan(long(LARGEST + 9), &[LARGEST + 9], &[], &[]),
            (vec![(0, LARGEST), (LARGEST, LARGEST + 9)], 0)
        );
    }
}

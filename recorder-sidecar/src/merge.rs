//! What two pods of one Recording have written, as one. No IO.
//!
//! The pod of a node that is cut off may go on beside the one that replaced it. Neither knows of the other, and each writes
//! down what it knows: together that is everything.

use std::collections::HashSet;

use ingest::api::Line;

use crate::manifest::{Manifest, Range, Segment, Taped};

/// Everything that either knows.
#[must_use]
pub fn manifests(mut one: Manifest, other: Manifest) -> Manifest {
    for taped in other.sessions {
        let known = one
            .sessions
            .iter_mut()
            .find(|known| known.session.id == taped.session.id);
        match known {
            Some(known) => sessions(known, taped),
            None => one.sessions.push(taped),
        }
    }
    one.sessions.sort_by(|a, b| a.session.id.cmp(&b.session.id));
    for rehearsal in other.rehearsals {
        match one
            .rehearsals
            .iter_mut()
            .find(|known| known.session == rehearsal.session)
        {
            Some(known) => known.to = known.to.or(rehearsal.to),
            None => one.rehearsals.push(rehearsal),
        }
    }
    one.rehearsals.sort_by(|a, b| a.session.cmp(&b.session));
    one.over = match (one.over, other.over) {
        (Some(one), Some(other)) => Some(if other.at > one.at { other } else { one }),
        (one, other) => one.or(other),
    };
    one.written = one.written.max(other.written);
    one
}

/// Adds what the other knows of the same session.
pub fn sessions(one: &mut Taped, other: Taped) {
    let knows_more = |one: &Taped| (one.session.ended.is_some(), one.session.bytes);
    if knows_more(&other) > knows_more(one) {
        one.session = other.session;
    }
    if other.start < one.start {
        one.start = other.start;
        one.headers = other.headers;
    }
    // Who lost the ingest knows of less.
    one.end = one.end.max(other.end);
    let known: HashSet<String> = one.segments.iter().map(|segment| segment.key.clone()).collect();
    let more = other.segments.into_iter();
    one.segments
        .extend(more.filter(|segment| !known.contains(&segment.key)));
    one.segments.sort_by_key(|segment| segment.range);
    one.lost.extend(other.lost);
    one.lost = without(std::mem::take(&mut one.lost), &one.segments);
    one.lines = lines(std::mem::take(&mut one.lines), other.lines);
}

/// All lines of both, each once, in the order of their offsets.
#[must_use]
pub fn lines(mut one: Vec<Line>, other: Vec<Line>) -> Vec<Line> {
    let text = |line: &Line| serde_json::to_string(line).unwrap_or_default();
    let known: HashSet<String> = one.iter().map(text).collect();
    one.extend(other.into_iter().filter(|line| !known.contains(&text(line))));
    one.sort_by_key(|line| match *line {
        Line::End { at, .. } => (at, true),
        Line::Clock { at, .. }
        | Line::Cut { at, .. }
        | Line::Link { at, .. }
        | Line::Title { at, .. }
        | Line::Mark { at, .. }
        | Line::Routing { at, .. }
        | Line::Lost { at, .. } => (at, false),
    });
    one
}

/// What of these ranges no segment has; in order, none overlap.
fn without(mut lost: Vec<Range>, segments: &[Segment]) -> Vec<Range> {
    lost.sort_unstable();
    let mut left = Vec::new();
    let mut at = 0;
    for range in lost {
        at = at.max(range.from);
        for segment in segments.iter().map(|segment| segment.range) {
            if segment.to <= at || segment.from >= range.to {
                continue;
            }
            if at < segment.from {
                left.push(Range {
                    from: at,
                    to: segment.from,
                });
            }
            at = segment.to;
        }
        if at < range.to {
            left.push(Range {
                from: at,
                to: range.to,
            });
            at = range.to;
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finalize::fixtures::{at, manifest, segment, taped};
    use crate::manifest::OverWhy;
    use ingest::api::Ended;

    fn range(from: u64, to: u64) -> Range {
        Range { from, to }
    }

    #[test]
    fn two_halves_are_a_whole_whoever_comes_first() {
        let cut = |at| Line::Cut { at, media_ms: at };
        let mut cut_off = taped("s1", 0);
        cut_off.segments = vec![segment("s1", 0, 10), segment("s1", 10, 14)];
        cut_off.end = Some(14);
        cut_off.lines = vec![cut(0), cut(10)];
        let mut replaced = taped("s1", 0);
        replaced.segments = vec![segment("s1", 10, 20), segment("s1", 20, 30)];
        replaced.lost = vec![range(0, 10), range(30, 35)];
        replaced.end = Some(35);
        replaced.session.ended = Some(Ended {
            at: at(9),
            why: String::new(),
        });
        replaced.lines = vec![cut(10), cut(20)];
        let mut one = manifest(0, None, OverWhy::Idle, vec![cut_off]);
        one.over = None;
        let two = manifest(0, None, OverWhy::Idle, vec![taped("s2", 1), replaced]);
        for merged in [
            manifests(one.clone(), two.clone()),
            manifests(two.clone(), one.clone()),
        ] {
            assert!(merged.over.is_some());
            let ids: Vec<_> = merged.sessions.iter().map(|taped| &taped.session.id).collect();
            assert_eq!(ids, ["s1", "s2"]);
            let both = &merged.sessions[0];
            assert!(both.session.ended.is_some());
            assert_eq!(both.end, Some(35));
            assert_eq!(both.lost, [range(30, 35)]);
            let ranges: Vec<_> = both.segments.iter().map(|segment| segment.range).collect();
            assert_eq!(
                ranges,
                [range(0, 10), range(10, 14), range(10, 20), range(20, 30)]
            );
            assert_eq!(both.lines.len(), 3);
            assert_eq!(
                manifests(merged.clone(), two.clone()),
                merged,
                "once more is nothing"
            );
        }
    }

    #[test]
    fn what_is_stored_is_not_lost() {
        let segments = [(5, 10), (8, 12), (20, 30)].map(|(from, to)| segment("s1", from, to));
        let lost = vec![range(40, 50), range(0, 25), range(20, 45)];
        assert_eq!(
            without(lost, &segments),
            [range(0, 5), range(12, 20), range(30, 45), range(45, 50)]
        );
        assert_eq!(without(vec![range(6, 9)], &segments), []);
    }
}

//! Who was on air when, and what of that is missing. No IO.

use ingest::api::Line;
use ingest::config::Routing;
use jiff::{SignedDuration, Timestamp};

use super::coverage::expected_until;
use super::join::holes;
use super::published::{Gap, GapKind, LostBytes};
use crate::manifest::{Manifest, Range, Rehearsal, Taped, routings};

/// How precise the turns of presenters are.
const EDGE: SignedDuration = SignedDuration::from_secs(1);

/// A Recording, as it was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnAir {
    /// From here on something was expected: the window's start if it has an end, otherwise the first sound.
    pub from: Timestamp,
    /// Until here; of a slot to its end, or to the last sound behind it.
    pub to: Timestamp,
    /// In order; none overlap.
    pub pieces: Vec<Piece>,
    /// In order.
    pub gaps: Vec<Gap>,
}

/// One session on air.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its place in the manifest.
    pub session: usize,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// Which bytes came then.
    pub bytes: Range,
}

/// A session's time at the Mount.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stay {
    session: usize,
    /// 0 is heard before 1.
    priority: u16,
    from: Timestamp,
    to: Timestamp,
    /// When it was routed live.
    live: Vec<(Timestamp, Timestamp)>,
}

impl Stay {
    fn of(session: usize, taped: &Taped) -> Option<Self> {
        let from = taped.session.started;
        let to = last_byte(taped, end(taped))?;
        (from < to).then(|| Self {
            session,
            priority: taped.session.priority,
            from,
            to,
            live: live(taped, from, to),
        })
    }

    fn is_live(&self, at: Timestamp) -> bool {
        self.live.iter().any(|&(from, to)| from <= at && at < to)
    }

    fn is_connected(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }
}

/// Nothing of the session is there from here on.
#[must_use]
pub fn end(taped: &Taped) -> u64 {
    let stored = taped
        .segments
        .iter()
        .map(|segment| segment.range.to)
        .max()
        .unwrap_or(0);
    taped.end.unwrap_or(stored)
}

/// When the last byte came. The source may have stayed behind it for a while, and had nothing to be heard.
fn last_byte(taped: &Taped, end: u64) -> Option<Timestamp> {
    let marks = taped.lines.iter().filter_map(|line| match *line {
        Line::Clock { at, t } | Line::End { at, t, .. } if at >= end => Some((at, t)),
        _ => None,
    });
    match marks.min() {
        Some((at, t)) if at == end => Some(t),
        _ => taped.clock().when(end.checked_sub(1)?),
    }
}

fn live(taped: &Taped, from: Timestamp, to: Timestamp) -> Vec<(Timestamp, Timestamp)> {
    let mut routing = taped.first_routing();
    let mut since = from;
    let mut spans = Vec::new();
    let last = std::iter::once((0, to, routing));
    for (_, t, next) in routings(&taped.lines).into_iter().chain(last) {
        let t = t.clamp(from, to);
        if routing == Routing::Live && since < t {
            spans.push((since, t));
        }
        (since, routing) = (t, next);
    }
    spans
}

/// Where in a session's bytes a change of who is on air lies.
fn offset(taped: &Taped, stay: &Stay, at: Timestamp) -> u64 {
    let (start, end) = (taped.start, end(taped));
    if at <= stay.from {
        return start;
    }
    if at >= stay.to {
        return end;
    }
    // The tape tells exactly which byte its own change came with.
    let own = routings(&taped.lines).into_iter().find(|&(_, t, _)| t == at);
    let offset = own
        .map(|(offset, ..)| offset)
        .or_else(|| taped.clock().offset(at));
    offset.unwrap_or(end).clamp(start, end)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Stay(usize),
    Nobody(GapKind),
}

/// Who is heard at an instant: of those that are live the first in priority, of equals who came first.
fn heard(stays: &[Stay], rehearsals: &[Rehearsal], at: Timestamp) -> Heard {
    let live = stays.iter().enumerate().filter(|(_, stay)| stay.is_live(at));
    if let Some((index, _)) = live.min_by_key(|(index, stay)| (stay.priority, stay.from, *index)) {
        return Heard::Stay(index);
    }
    let rehearses = |rehearsal: &Rehearsal| rehearsal.from <= at && rehearsal.to.is_none_or(|to| at < to);
    if stays.iter().any(|stay| stay.is_connected(at)) || rehearsals.iter().any(rehearses) {
        return Heard::Nobody(GapKind::Rehearsal);
    }
    Heard::Nobody(GapKind::NoSource)
}

/// What was heard from then to then.
fn timeline(
    stays: &[Stay],
    rehearsals: &[Rehearsal],
    from: Timestamp,
    to: Timestamp,
) -> Vec<(Timestamp, Timestamp, Heard)> {
    let edges_of = |stay: &Stay| {
        let live = stay.live.iter().flat_map(|&(from, to)| [from, to]);
        [stay.from, stay.to].into_iter().chain(live).collect::<Vec<_>>()
    };
    let within = |at: &Timestamp| from < *at && *at < to;
    let mut edges: Vec<_> = stays
        .iter()
        .flat_map(edges_of)
        .chain(
            rehearsals
                .iter()
                .flat_map(|rehearsal| [Some(rehearsal.from), rehearsal.to].into_iter().flatten()),
        )
        .filter(within)
        .chain([from, to])
        .collect();
    edges.sort_unstable();
    edges.dedup();
    let mut timeline: Vec<(Timestamp, Timestamp, Heard)> = Vec::new();
    for pair in edges.windows(2) {
        let &[from, to] = pair else { continue };
        let heard = heard(stays, rehearsals, from);
        match timeline.last_mut() {
            Some((_, until, before)) if *before == heard => *until = to,
            _ => timeline.push((from, to, heard)),
        }
    }
    timeline
}

/// Nobody has to be on air behind this instant: what is silent to the end is none of the Recording there.
fn leave_out_behind(timeline: &mut Vec<(Timestamp, Timestamp, Heard)>, until: Timestamp) {
    while let Some((from, to, Heard::Nobody(_))) = timeline.last_mut() {
        if *from < until {
            *to = until.min(*to);
            return;
        }
        timeline.pop();
    }
}

/// Turns are kept to the second: for what a source that is there waits at the edges of its slot, nobody missed it.
fn is_a_turns_edge(gap: &Gap, on_air: &OnAir) -> bool {
    let touches = gap.from == on_air.from || gap.to == on_air.to;
    gap.kind == GapKind::Rehearsal && touches && gap.to.duration_since(gap.from) < EDGE
}

/// What was on air within the Recording's window.
#[must_use]
pub fn on_air(manifest: &Manifest) -> OnAir {
    let window = manifest.recording.window;
    let sessions = &manifest.sessions;
    let stays: Vec<_> = sessions
        .iter()
        .enumerate()
        .filter_map(|(index, taped)| Stay::of(index, taped))
        .collect();
    let last = stays.iter().map(|stay| stay.to).max().unwrap_or(window.from);
    // The next Recording begins at the limit, with the very byte where this one ends: see `offset`.
    let held = manifest.recording.held_until().is_some();
    let limit = manifest.recording.limit;
    let limit = if held { limit } else { last.min(limit) };
    let mut timeline = timeline(&stays, &manifest.rehearsals, window.from, limit.max(window.from));
    if !held {
        // What was not on air before the first and behind the last was not expected either.
        let is_heard = |(_, _, heard): &(_, _, Heard)| matches!(heard, Heard::Stay(_));
        let first = timeline.iter().position(is_heard).unwrap_or(timeline.len());
        timeline.drain(..first);
        timeline.truncate(timeline.iter().rposition(is_heard).map_or(0, |last| last + 1));
    }
    if let Some(until) = expected_until(manifest) {
        leave_out_behind(&mut timeline, until);
    }
    let mut on_air = OnAir {
        from: timeline.first().map_or(window.from, |first| first.0),
        to: timeline.last().map_or(window.from, |last| last.1),
        pieces: Vec::new(),
        gaps: Vec::new(),
    };
    for (from, to, heard) in timeline {
        let stay = match heard {
            Heard::Nobody(kind) => {
                let gap = Gap {
                    from,
                    to,
                    kind,
                    lost: None,
                };
                if !is_a_turns_edge(&gap, &on_air) {
                    on_air.gaps.push(gap);
                }
                continue;
            }
            Heard::Stay(index) => &stays[index],
        };
        let taped = &sessions[stay.session];
        let bytes = Range {
            from: offset(taped, stay, from),
            to: offset(taped, stay, to),
        };
        on_air
            .gaps
            .extend(holes(taped, bytes).into_iter().map(|hole| lost(taped, hole)));
        on_air.pieces.push(Piece {
            session: stay.session,
            from,
            to,
            bytes,
        });
    }
    on_air
}

/// Bytes of a session that were on air and are missing, as a gap.
#[must_use]
pub fn lost(taped: &Taped, bytes: Range) -> Gap {
    let clock = taped.clock();
    let started = taped.session.started;
    let from = clock.when(bytes.from).unwrap_or(started);
    Gap {
        from,
        to: clock
            .when(bytes.to.saturating_sub(1))
            .unwrap_or(started)
            .max(from),
        kind: GapKind::Lost,
        lost: Some(LostBytes {
            session: taped.session.id.clone(),
            bytes,
        }),
    }
}

#[cfg(test)]
#[path = "intervals_tests.rs"]
mod tests;

//! The course of a Recording: which times on air it is made of, and when it is over. No IO.
//!
//! Recorder and operator both ask here, so that what the one leaves to the next Recording the other makes a Recording for.
//! A Recording is a chain: from its beginning it goes on as long as nobody is off air for longer than it may be idle. What
//! comes after a longer silence belongs to the next one, however late anybody looks.

use ingest::api::{Line, Session};
use ingest::config::Routing;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::Recording;
use crate::manifest::{OverWhy, first_routing, routings};

/// A session that neither grows nor ends has lost its ingest. The tape may come back: so long it is waited for.
pub const LOST_INGEST: SignedDuration = SignedDuration::from_mins(30);

/// One time on air.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    /// From when.
    pub from: Timestamp,
    /// Until when; absent: it is on air.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
}

impl Span {
    fn lasts_beyond(&self, instant: Timestamp) -> bool {
        self.to.is_none_or(|to| to > instant)
    }
}

/// When a session was on air, by the list of sessions.
#[must_use]
pub fn spans(session: &Session) -> Vec<Span> {
    if is_login(session) {
        return Vec::new();
    }
    let Some(aired) = &session.aired else {
        return Vec::new();
    };
    // A source may stay connected for days and be on air twice: two Recordings.
    let spells = aired.spells.iter().map(|spell| Span {
        from: spell.from,
        to: spell.to,
    });
    let whole = Span {
        from: aired.first,
        to: aired.last,
    };
    if aired.spells.is_empty() {
        vec![whole]
    } else {
        spells.collect()
    }
}

/// It never was more than that: nothing came of it.
fn is_login(session: &Session) -> bool {
    session.ended.is_some() && session.bytes == 0
}

/// When a session was on air, by its index.
#[must_use]
pub fn spans_told(session: &Session, lines: &[Line]) -> Vec<Span> {
    if is_login(session) {
        return Vec::new();
    }
    let first = (first_routing(session, lines) == Routing::Live).then_some(Span {
        from: session.started,
        to: None,
    });
    let mut spans: Vec<Span> = first.into_iter().collect();
    for (_, t, routing) in routings(lines) {
        match (routing, spans.last_mut()) {
            (Routing::Live, Some(Span { to: None, .. })) => {}
            (Routing::Live, _) => spans.push(Span { from: t, to: None }),
            (Routing::Rehearsal, Some(Span { to: open @ None, .. })) => *open = Some(t),
            (Routing::Rehearsal, _) => {}
        }
    }
    if let (Some(last), Some(ended)) = (spans.last_mut(), &session.ended) {
        last.to.get_or_insert(ended.at);
    }
    spans
}

/// What makes times on air one Recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Where.
    pub mount: String,
    /// Only this input's; absent: all inputs'.
    pub input: Option<String>,
    /// Nothing before it belongs to it.
    pub from: Timestamp,
    /// With an end, everything until then belongs to it, whoever was silent how long.
    pub until: Option<Timestamp>,
    /// The longest silence that is none of the end.
    pub idle_end: SignedDuration,
    /// Nothing from here on belongs to it. See [`Recording::limit`].
    pub limit: Timestamp,
}

impl From<&Recording> for Rule {
    fn from(recording: &Recording) -> Self {
        Self {
            mount: recording.mount.clone(),
            input: recording.input.clone(),
            from: recording.window.from,
            until: recording.held_until(),
            idle_end: SignedDuration::from_secs(i64::from(recording.idle_end_seconds)),
            limit: recording.limit(),
        }
    }
}

impl Rule {
    /// Whether a session is of the Mount, and of the input if there is one.
    #[must_use]
    pub fn is_of(&self, session: &Session) -> bool {
        session.mount == self.mount && self.input.as_ref().is_none_or(|input| *input == session.input)
    }

    /// How far the chain goes, of everything that is known of the Mount: what the tape has, and what spool, bucket and
    /// status remember. `members` are in it whatever the rule would say: something of them is stored already.
    #[must_use]
    pub fn reach(&self, known: &[Span], members: &[Span]) -> Reach {
        let mut reach = Reach {
            rule: self.clone(),
            last: Last::Never,
        };
        for member in members {
            reach.take(member);
        }
        let mut known = known.to_vec();
        known.sort_unstable();
        for span in &known {
            if reach.has(span) {
                reach.take(span);
            }
        }
        reach
    }
}

/// When somebody was last on air.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Last {
    /// Nobody ever was.
    Never,
    /// Until then.
    Until(Timestamp),
    /// Somebody is.
    Now,
}

/// How far a Recording goes, as far as this is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    rule: Rule,
    last: Last,
}

impl Reach {
    /// Whether nothing more can belong to it, whoever is on air.
    pub(crate) fn is_past_its_limit(&self, now: Timestamp) -> bool {
        now >= self.rule.limit
    }

    /// Cuts times on air at the limit. One without an end was on air until then if it `goes_on` beyond.
    pub(crate) fn clip(&self, spans: &mut [Span], goes_on: impl Fn() -> bool) {
        let limit = self.rule.limit;
        for span in spans {
            span.to = match span.to {
                Some(to) => Some(to.min(limit)),
                None => goes_on().then_some(limit),
            };
        }
    }

    /// When somebody of the Recording was last on air.
    #[must_use]
    pub fn last(&self) -> Last {
        self.last
    }

    /// Whether a time on air belongs to the Recording, in whole or in part.
    #[must_use]
    pub fn has(&self, span: &Span) -> bool {
        let Rule { from, limit, .. } = self.rule;
        let is_within = span.from < limit && span.lasts_beyond(from);
        is_within && (self.rule.until.is_some() || self.goes_on_at(span.from))
    }

    /// Whether any of a session's times on air does.
    #[must_use]
    pub fn has_any(&self, spans: &[Span]) -> bool {
        spans.iter().any(|span| self.has(span))
    }

    fn goes_on_at(&self, instant: Timestamp) -> bool {
        let last = match self.last {
            Last::Now => return true,
            Last::Until(last) => last.max(self.rule.from),
            Last::Never => self.rule.from,
        };
        instant.duration_since(last) <= self.rule.idle_end
    }

    fn take(&mut self, span: &Span) {
        let last = span.to.map_or(Last::Now, Last::Until);
        self.last = self.last.max(last);
    }

    /// Whether nothing more will belong to the Recording, and why. `begun` is since when it is looked at: with nobody ever
    /// on air, it waits for the one it was made for.
    #[must_use]
    pub fn over(&self, begun: Timestamp, now: Timestamp) -> Option<OverWhy> {
        let Rule { until, limit, .. } = self.rule;
        let silent_since = match self.last {
            Last::Now => None,
            Last::Until(last) => Some(last),
            Last::Never => Some(begun.max(self.rule.from)),
        };
        let idle = silent_since
            .filter(|_| until.is_none())
            .and_then(|since| since.saturating_add(self.rule.idle_end).ok())
            .filter(|end| *end <= now && *end < limit);
        if idle.is_some() {
            return Some(OverWhy::Idle);
        }
        let by_window = until.is_some_and(|until| until <= limit);
        (now >= limit).then_some(if by_window {
            OverWhy::Until
        } else {
            OverWhy::MaxLength
        })
    }

    /// What comes at or after this is not wanted, once it is over for this reason.
    #[must_use]
    pub fn end(&self, why: OverWhy) -> Timestamp {
        match (why, self.last) {
            (OverWhy::Idle, Last::Until(last)) => last.min(self.rule.limit),
            (OverWhy::Idle, Last::Never) => self.rule.from,
            _ => self.rule.limit,
        }
    }
}

/// More than these are not made at once.
const MOST: usize = 64;

/// Where Recordings have to begin so that everything on air is in one, when these are there already: a show's first instant
/// on air, or where the one before has reached its greatest length. `known` are all times on air that the tape has of one
/// Mount, or of one input where each is recorded on its own.
#[must_use]
pub fn beginnings(
    known: &[Span],
    there: &[Reach],
    idle_end: SignedDuration,
    longest: SignedDuration,
    now: Timestamp,
) -> Vec<Timestamp> {
    let mut known = known.to_vec();
    known.sort_unstable();
    let mut there = there.to_vec();
    let mut missing = Vec::new();
    for span in &known {
        let mut at = span.from;
        while at <= now && missing.len() < MOST {
            let covering = there
                .iter()
                .filter(|reach| reach.has(span) && reach.rule.from <= at && at < reach.rule.limit);
            if let Some(limit) = covering.map(|reach| reach.rule.limit).max() {
                if !span.lasts_beyond(limit) {
                    break;
                }
                at = limit;
                continue;
            }
            let rule = Rule {
                mount: String::new(),
                input: None,
                from: at,
                until: None,
                idle_end,
                limit: at.saturating_add(longest).unwrap_or(Timestamp::MAX),
            };
            missing.push(at);
            there.push(rule.reach(&known, &[]));
            if longest <= SignedDuration::ZERO {
                break;
            }
        }
    }
    missing
}

#[cfg(test)]
#[path = "course_tests.rs"]
mod tests;

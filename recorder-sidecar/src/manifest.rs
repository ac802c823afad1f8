//! What lies in the bucket: where each piece is, and what is known of it. No IO.
//!
//! ```text
//! <prefix>/segments/<session>/<from>-<to>.<ext>   bytes from..to of a session, as the source sent them
//! <prefix>/manifest.json                          Manifest: what ship knows
//! <prefix>/manifests/<life>.json                  the same, as one pod left it at its end; there are two if two were at work
//! <prefix>/final-<version>/...                    what finalize makes
//! ```

use std::collections::BTreeMap;

use ingest::api::{Container, Line, Session};
use ingest::config::Routing;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::{Recording, Rendition, SlotOf, Window};

pub use crate::clock::{Lines, WallClock};
use crate::course::{Rule, Span, spans_told};

/// The key of [`Manifest`], below the Recording's prefix.
pub const MANIFEST_KEY: &str = "manifest.json";
/// Everything below it is a [`Manifest`] that nobody writes again.
pub const MANIFESTS: &str = "manifests/";
/// No manifest is larger: a month without an end would have this many bytes.
pub const LARGEST_MANIFEST: u64 = 64 << 20;
/// Everything below it is a [`Segment`].
pub const SEGMENTS: &str = "segments/";

/// Everything that is known of a Recording when its tapes and its spool are gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The Recording.
    pub recording: About,
    /// When this was written.
    pub written: Timestamp,
    /// Absent while more may come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Over>,
    /// The oldest first.
    pub sessions: Vec<Taped>,
    /// Sessions that never were on air, beside those that were: why nobody was heard.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rehearsals: Vec<Rehearsal>,
}

/// A session that never was on air. Nothing of it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rehearsal {
    /// Its id.
    pub session: String,
    /// From when it was connected.
    pub from: Timestamp,
    /// Until when; absent: longer than is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
}

/// The Recording, without its keys and tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// See [`Recording`].
    pub name: String,
    /// See [`Recording`].
    pub namespace: String,
    /// See [`Recording`].
    pub station: String,
    /// See [`Recording`].
    pub mount: String,
    /// See [`Recording`].
    pub title: String,
    /// See [`Recording`].
    pub window: Window,
    /// Nothing after it belongs to it; see [`Recording::limit`].
    pub limit: Timestamp,
    /// See [`Recording`].
    #[serde(default = "crate::config::idle_end")]
    pub idle_end_seconds: u32,
    /// See [`Recording`].
    #[serde(default, skip_serializing_if = "crate::config::is_not")]
    pub ends_idle: bool,
    /// See [`Recording`]. This and what follows is for whoever makes the Recording again out of the bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// See [`Recording`]; absent: written before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length_seconds: Option<u32>,
    /// See [`Recording`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub renditions: Vec<Rendition>,
    /// See [`Recording`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_coverage_percent: Option<u8>,
    /// See [`Recording`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub show: Option<SlotOf>,
}

impl About {
    /// See [`Recording::held_until`].
    #[must_use]
    pub fn held_until(&self) -> Option<Timestamp> {
        self.window.until.filter(|_| !self.ends_idle)
    }
}

impl From<&Recording> for About {
    fn from(recording: &Recording) -> Self {
        Self {
            name: recording.name.clone(),
            namespace: recording.namespace.clone(),
            station: recording.station.clone(),
            mount: recording.mount.clone(),
            title: recording.title.clone(),
            window: recording.window,
            limit: recording.limit(),
            idle_end_seconds: recording.idle_end_seconds,
            ends_idle: recording.ends_idle,
            input: recording.input.clone(),
            max_length_seconds: Some(recording.max_length_seconds),
            renditions: recording.renditions.clone(),
            min_coverage_percent: recording.min_coverage_percent,
            show: recording.show.clone(),
        }
    }
}

/// How a Recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Over {
    /// When it was found to be over.
    pub at: Timestamp,
    /// Why.
    pub why: OverWhy,
}

/// Why a Recording is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OverWhy {
    /// No source was live for as long as it waits.
    Idle,
    /// Its window ended.
    Until,
    /// It has the greatest length; the next Recording goes on.
    MaxLength,
}

/// What is stored of one session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Taped {
    /// The session as it was last seen.
    pub session: Session,
    /// What of it is wanted begins here: at 0, or at the last cut before the Recording's window.
    pub start: u64,
    /// If that is not 0: the stream headers that decode it. They are segments too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<Range>,
    /// Nothing from here on is wanted: the session's end, or the first cut after the Recording's limit. Absent while
    /// neither is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<u64>,
    /// In the order of their offsets.
    pub segments: Vec<Segment>,
    /// What neither tape nor spool had. Whatever else is missing between `start` and `end` was never stored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<Range>,
    /// The index: all lines of `Link`, `Cut`, `Title`, `Mark`, `Routing` and `End`, and of `Clock` as many as [`WallClock`] needs.
    pub lines: Vec<Line>,
}

/// Of a manifest's clock the marks are thinned: so much may a time be off.
const EDGE: SignedDuration = SignedDuration::from_secs(2);

impl Manifest {
    /// When each of the sessions was on air for this Recording, in their order. A source that stays connected may be on air
    /// again, hours later: that is the next one's. One that goes on beyond the limit was on air until then.
    #[must_use]
    pub fn on_air(&self) -> Vec<Vec<Span>> {
        let About { window, limit, .. } = self.recording;
        let rule = Rule {
            mount: self.recording.mount.clone(),
            input: None,
            from: window.from,
            until: self.recording.held_until(),
            idle_end: SignedDuration::from_secs(i64::from(self.recording.idle_end_seconds)),
            limit,
        };
        let told = |taped: &Taped| spans_told(&taped.session, &taped.lines);
        let all: Vec<Span> = self.sessions.iter().flat_map(told).collect();
        let reach = rule.reach(&all, &[]);
        let own = |taped: &Taped| {
            let mut spans = told(taped);
            // What is stored of it belongs, whatever the rest of the chain was.
            if reach.has_any(&spans) {
                spans.retain(|span| reach.has(span));
            } else {
                spans.retain(|span| span.from < limit);
            }
            reach.clip(&mut spans, || taped.reaches(limit));
            spans
        };
        self.sessions.iter().map(own).collect()
    }
}

impl Taped {
    /// Whether its bytes are known up to this instant.
    #[must_use]
    pub fn reaches(&self, instant: Timestamp) -> bool {
        let last = self.end.and_then(|end| self.clock().when(end));
        last.is_some_and(|last| instant.duration_since(last) <= EDGE)
    }

    /// Where it was heard when it connected.
    #[must_use]
    pub fn first_routing(&self) -> Routing {
        first_routing(&self.session, &self.lines)
    }

    /// Which byte came when.
    #[must_use]
    pub fn clock(&self) -> WallClock {
        WallClock::of(&self.session, &self.lines)
    }
}

/// Where a session was heard when it connected. The tape tells only of changes, and there are but two places.
#[must_use]
pub fn first_routing(session: &Session, lines: &[Line]) -> Routing {
    match routings(lines).first() {
        Some((_, _, Routing::Live)) => Routing::Rehearsal,
        Some((_, _, Routing::Rehearsal)) => Routing::Live,
        None => session.routing,
    }
}

/// With which byte, when, and where to a session was routed, in this order.
pub(crate) fn routings(lines: &[Line]) -> Vec<(u64, Timestamp, Routing)> {
    let mut changes: Vec<_> = lines
        .iter()
        .filter_map(|line| match *line {
            Line::Routing { at, t, routing } => Some((at, t, routing)),
            _ => None,
        })
        .collect();
    changes.sort_by_key(|&(at, t, _)| (at, t));
    changes
}

/// Offsets from..to of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Range {
    /// The first.
    pub from: u64,
    /// The first that is not in it.
    pub to: u64,
}

impl Range {
    /// How many bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.to.saturating_sub(self.from)
    }
}

/// An object of a session's own bytes. Never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Segment {
    /// Below the Recording's prefix.
    pub key: String,
    /// Which bytes.
    #[serde(flatten)]
    pub range: Range,
    /// SHA-256 of them, in hexadecimal.
    pub sha256: String,
    /// MD5 of them, in hexadecimal; what most stores have as `ETag`.
    pub md5: String,
    /// When the first of them came.
    pub t0: Timestamp,
    /// When the last of them came.
    pub t1: Timestamp,
}

/// The name by which files of a container are known.
#[must_use]
pub fn extension(container: Container) -> &'static str {
    match container {
        Container::Ogg => "ogg",
        Container::Mp3 => "mp3",
        Container::Adts => "aac",
        Container::Webm => "webm",
    }
}

/// The key of a segment: sorted, keys are in the order of the bytes.
#[must_use]
pub fn segment_key(session: &str, range: Range, container: Container) -> String {
    let extension = extension(container);
    format!(
        "{SEGMENTS}{session}/{:015}-{:015}.{extension}",
        range.from, range.to
    )
}

/// The session and the bytes that a key stands for; `None` if it is no segment's.
#[must_use]
pub fn parse_segment_key(key: &str) -> Option<(&str, Range)> {
    let (session, file) = key.strip_prefix(SEGMENTS)?.split_once('/')?;
    let (range, _) = file.split_once('.')?;
    let (from, to) = range.split_once('-')?;
    // What lies beside it under another name (a conflict) has more behind the second number.
    let range = Range {
        from: from.parse().ok()?,
        to: to.get(..15)?.parse().ok()?,
    };
    (range.from < range.to && !session.is_empty()).then_some((session, range))
}

impl Segment {
    /// What the object tells beside its bytes; the store adds their sums.
    #[must_use]
    pub fn to_metadata(&self, session: &Session) -> BTreeMap<String, String> {
        [
            ("t0", self.t0.to_string()),
            ("t1", self.t1.to_string()),
            ("input", session.input.clone()),
            ("priority", session.priority.to_string()),
            ("started", session.started.to_string()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }

    /// From what the object tells; `None` if it is not one of ours.
    #[must_use]
    pub fn from_metadata(key: &str, metadata: &BTreeMap<String, String>) -> Option<Self> {
        let (_, range) = parse_segment_key(key)?;
        Some(Self {
            key: key.to_owned(),
            range,
            sha256: metadata.get("sha256")?.clone(),
            md5: metadata.get("md5")?.clone(),
            t0: metadata.get("t0")?.parse().ok()?,
            t1: metadata.get("t1")?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000 + second).unwrap()
    }

    fn session() -> Session {
        Session {
            id: "20261121T135025123Z-1f3a".to_owned(),
            mount: "main".to_owned(),
            input: "studio".to_owned(),
            path: "/live/studio".to_owned(),
            priority: 0,
            routing: Routing::Live,
            user: "source".to_owned(),
            container: Container::Ogg,
            codec: None,
            title: None,
            started: at(0),
            bytes: 0,
            kept_from: 0,
            ended: None,
            aired: None,
            acked_by: Vec::new(),
        }
    }

    #[test]
    fn keys_sort_as_bytes_do_and_tell_them() {
        let key = |from, to| segment_key("s1", Range { from, to }, Container::Adts);
        assert_eq!(key(0, 163_840), "segments/s1/000000000000000-000000000163840.aac");
        let mut keys = [key(1_000_000, 2_000_000), key(99, 1_000_000), key(0, 99)];
        keys.sort();
        assert_eq!(keys, [key(0, 99), key(99, 1_000_000), key(1_000_000, 2_000_000)]);
        assert_eq!(
            parse_segment_key(&key(99, 1_000_000)),
            Some((
                "s1",
                Range {
                    from: 99,
                    to: 1_000_000
                }
            ))
        );
        for strange in [
            "manifest.json",
            "segments/s1/1-2",
            "segments/s1/x-y.ogg",
            "segments/s1/",
            "segments//",
            &key(7, 7),
        ] {
            assert_eq!(parse_segment_key(strange), None, "{strange}");
        }
    }

    #[test]
    fn a_segment_can_be_known_by_its_metadata() {
        let range = Range { from: 10, to: 20 };
        let segment = Segment {
            key: segment_key("s1", range, Container::Ogg),
            range,
            sha256: "aa".to_owned(),
            md5: "bb".to_owned(),
            t0: at(1),
            t1: at(2),
        };
        let mut metadata = segment.to_metadata(&session());
        metadata.extend([
            ("sha256".to_owned(), "aa".to_owned()),
            ("md5".to_owned(), "bb".to_owned()),
        ]);
        assert_eq!(
            Segment::from_metadata(&segment.key, &metadata).as_ref(),
            Some(&segment)
        );
        assert_eq!(Segment::from_metadata(&segment.key, &BTreeMap::new()), None);
    }

    #[test]
    fn the_first_routing_is_what_the_first_change_left() {
        let route = |at_, second, routing| Line::Routing {
            at: at_,
            t: at(second),
            routing,
        };
        assert_eq!(first_routing(&session(), &[]), Routing::Live);
        let lines = [route(500, 3, Routing::Live), route(200, 2, Routing::Rehearsal)];
        assert_eq!(first_routing(&session(), &lines), Routing::Live);
        assert_eq!(first_routing(&session(), &lines[..1]), Routing::Rehearsal);
    }
}

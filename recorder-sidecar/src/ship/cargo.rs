//! One session on its way to the bucket. Does no IO but for the spool's.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use ingest::api::{Line, Session};
use ingest::reader::{Desk, OnTape};
use jiff::{SignedDuration, Timestamp};

use super::plan::{Known, Plan};
use crate::config::Recording;
use crate::course::{LOST_INGEST, Span, spans, spans_told};
use crate::manifest::{Range, Segment, Taped};
use crate::merge;
use crate::spool::Copy;

/// What is known of a session, from the list, the spool, and the bucket.
#[derive(Debug, Default)]
pub(super) struct Cargo {
    pub copy: Option<Copy>,
    /// As an earlier life left it in the bucket.
    pub old: Option<Taped>,
    /// As the list has it.
    pub listed: Option<Session>,
    pub desk: Option<Desk>,
    pub stored: BTreeMap<u64, Segment>,
    pub under_way: BTreeSet<u64>,
    /// Everything below is stored, or lost, or was never wanted.
    pub done: u64,
    pub acked: u64,
    pub ack_under_way: bool,
    /// It is the Recording's, as far as its course is known.
    pub belongs: bool,
    /// What comes at or after this is not wanted.
    pub edge: Option<Timestamp>,
    first_listed: Option<Timestamp>,
    /// When its ingest last answered, asked because nothing came.
    ingest_seen: Option<Timestamp>,
    probe_under_way: bool,
}

/// Sources that send nothing for so long were ended by the ingest.
const STANDS_STILL: SignedDuration = SignedDuration::from_mins(1);

impl Cargo {
    pub fn adopted(mut taped: Taped) -> Self {
        let segments = std::mem::take(&mut taped.segments);
        Self {
            stored: segments
                .into_iter()
                .map(|segment| (segment.range.from, segment))
                .collect(),
            old: Some(taped),
            ..Self::default()
        }
    }

    /// Takes what another pod has written meanwhile.
    pub fn merge(&mut self, mut taped: Taped) {
        for segment in std::mem::take(&mut taped.segments) {
            self.take(segment);
        }
        match &mut self.old {
            Some(old) => merge::sessions(old, taped),
            None => self.old = Some(taped),
        }
    }

    pub fn list(&mut self, tape: &OnTape) {
        self.listed = Some(tape.session.clone());
        self.desk = Some(tape.desk.clone());
        self.first_listed.get_or_insert_with(Timestamp::now);
    }

    /// The session as it is known best.
    pub fn session(&self) -> Option<&Session> {
        let copied = self.copy.as_ref().map(Copy::session);
        let listed = self.listed.as_ref();
        // The list does not say how many bytes there are, and forgets a session with its tape.
        copied
            .filter(|copied| copied.ended.is_some())
            .or(listed)
            .or(copied)
            .or_else(|| self.old.as_ref().map(|old| &old.session))
    }

    /// When it was on air. What has lost its ingest was until that was last noticed.
    pub fn spans(&self, now: Timestamp) -> Vec<Span> {
        let mut spans = self.spans_told();
        if let Some(Span { to: open @ None, .. }) = spans.last_mut()
            && self.has_lost_its_ingest(now)
        {
            *open = Some(self.heard_of(now));
        }
        spans
    }

    fn spans_told(&self) -> Vec<Span> {
        let copied = |copy: &Copy| spans_told(copy.session(), copy.routings());
        match (&self.copy, &self.listed, &self.old) {
            (Some(copy), _, _) if copy.session().ended.is_some() => copied(copy),
            (_, Some(listed), _) => spans(listed),
            (Some(copy), None, _) => copied(copy),
            (None, None, Some(old)) => spans_told(&old.session, &old.lines),
            (None, None, None) => Vec::new(),
        }
    }

    /// Those of which something is stored: whatever the tape has forgotten, they belong.
    pub fn spans_stored(&self, now: Timestamp) -> Vec<Span> {
        let Some(last) = self.stored.values().map(|segment| segment.t1).max() else {
            return Vec::new();
        };
        let mut spans = self.spans(now);
        spans.retain(|span| span.from <= last);
        spans
    }

    /// Nothing from here on is wanted, or will come.
    fn end(&self, now: Timestamp) -> Option<u64> {
        let Some(copy) = &self.copy else {
            return self.old.as_ref()?.end;
        };
        // Who left the line with the edge has nothing behind it, whenever the tape found the time to note its last bytes.
        let ended = self.session().and_then(|session| session.ended.as_ref());
        let goes_on = |edge: &Timestamp| ended.is_none_or(|ended| ended.at > *edge);
        let cut = self.edge.filter(goes_on).and_then(|edge| copy.cut_from(edge));
        let whole = copy.is_whole() || self.has_lost_its_ingest(now);
        // An ingest that crashed may have ended before what was copied of it.
        cut.or_else(|| whole.then(|| copy.have().max(self.done)))
    }

    fn with_known<T>(&self, now: Timestamp, take: impl FnOnce(Known<'_>) -> T) -> T {
        let none = BTreeSet::new();
        let old = self.old.as_ref();
        let copy = self.copy.as_ref();
        take(Known {
            headers: copy.map_or_else(|| old.and_then(|old| old.headers), Copy::headers),
            start: copy.map_or_else(|| old.map_or(0, |old| old.start), Copy::start),
            end: self.end(now),
            cuts: copy.map_or(&none, Copy::cuts),
            covered: copy.map_or(0, Copy::covered),
            lost: copy.map_or_else(|| old.map_or(&[][..], |old| &old.lost), Copy::lost),
            have: copy.map_or(0, Copy::have),
            stored: &self.stored,
        })
    }

    /// What can be sent now.
    pub fn plan(&mut self, now: Timestamp, most: usize) -> Vec<Range> {
        let most = most + self.under_way.len();
        let Plan { mut missing, done } = self.with_known(now, |known| known.plan(self.done, most));
        self.done = done;
        missing.retain(|range| !self.under_way.contains(&range.from));
        missing
    }

    /// Nothing of it is missing in the bucket, and nothing more will come.
    pub fn is_complete(&self, now: Timestamp) -> bool {
        if self.copy.is_some() {
            return self.end(now).is_some_and(|end| self.done >= end);
        }
        match &self.listed {
            Some(listed) => {
                listed.ended.is_some() && self.done >= listed.bytes || self.has_lost_its_ingest(now)
            }
            // Neither tape nor spool have any of it: what the bucket has is all there is.
            None => true,
        }
    }

    /// When anything of it or of its ingest was last noticed.
    fn heard_of(&self, now: Timestamp) -> Timestamp {
        let stored = self
            .old
            .as_ref()
            .and_then(|_| self.stored.values().next_back())
            .map(|last| last.t1);
        let grown = self
            .copy
            .as_ref()
            .map(Copy::grown)
            .or(self.first_listed)
            .or(stored);
        grown.max(self.ingest_seen).unwrap_or(now)
    }

    fn has_lost_its_ingest(&self, now: Timestamp) -> bool {
        now.duration_since(self.heard_of(now)) > LOST_INGEST
    }

    /// The ingest to be asked whether it is there.
    pub fn silent_ingest(&mut self, now: Timestamp) -> Option<Desk> {
        let is_whole = self.copy.as_ref().is_some_and(Copy::is_whole);
        if is_whole || self.probe_under_way || now.duration_since(self.heard_of(now)) < STANDS_STILL {
            return None;
        }
        self.listed.as_ref()?;
        self.probe_under_way = true;
        self.desk.clone()
    }

    /// It answered, or not.
    pub fn probed(&mut self, answered: bool, now: Timestamp) {
        self.probe_under_way = false;
        if answered {
            self.ingest_seen = Some(now);
        }
    }

    /// A segment is in the bucket.
    pub fn stored(&mut self, segment: Segment, now: Timestamp) -> io::Result<()> {
        self.under_way.remove(&segment.range.from);
        self.take(segment);
        self.plan(now, 0);
        self.free()
    }

    /// It is in the bucket, whoever stored it. Of two that begin together the longer one counts.
    fn take(&mut self, segment: Segment) {
        let known = self.stored.get(&segment.range.from);
        if known.is_none_or(|known| known.range.to < segment.range.to) {
            self.stored.insert(segment.range.from, segment);
        }
    }

    /// Lets the spool forget what the bucket has.
    pub fn free(&mut self) -> io::Result<()> {
        let done = self.done;
        self.copy.as_mut().map_or(Ok(()), |copy| copy.free(done))
    }

    /// What the tape may be told is stored, if that is news. The next Recording begins at the last cut before the limit, and
    /// may not be there yet: what it will want is kept for it.
    pub fn to_ack(&self, limit: Timestamp) -> Option<(Desk, u64)> {
        let listed = self.listed.as_ref()?;
        let goes_on = listed.ended.as_ref().is_none_or(|ended| ended.at > limit);
        let most = match &self.copy {
            Some(copy) if goes_on => copy.cut_before(limit),
            // Nobody knows the cuts.
            None if goes_on && self.edge.is_some_and(|edge| edge >= limit) => Some(self.acked),
            _ => None,
        };
        // An ingest that crashed may have less than we do.
        let to = if listed.ended.is_some() {
            self.done.min(listed.bytes)
        } else {
            self.done
        };
        let to = most.map_or(to, |most| to.min(most));
        (to > self.acked && !self.ack_under_way).then(|| self.desk.clone().map(|desk| (desk, to)))?
    }

    /// Bytes of the session that are known of.
    pub fn bytes(&self) -> u64 {
        let have = self.copy.as_ref().map_or(0, Copy::have);
        self.session().map_or(have, |session| session.bytes.max(have))
    }

    /// What neither tape nor bucket have.
    pub fn lost(&self, now: Timestamp) -> Vec<Range> {
        self.with_known(now, |known| known.lost())
    }

    /// For the manifest.
    pub fn taped(&self, recording: &Recording, now: Timestamp) -> Option<Taped> {
        let session = self.session()?.clone();
        let (headers, start, end, lost) =
            self.with_known(now, |known| (known.headers, known.start, known.end, known.lost()));
        let mut lines = match (&self.copy, &self.old) {
            // An earlier life may have known lines that the ingest has forgotten since.
            (Some(copy), Some(old)) => merge::lines(copy.lines(), old.lines.clone()),
            (Some(copy), None) => copy.lines(),
            (None, old) => old.as_ref().map(|old| old.lines.clone()).unwrap_or_default(),
        };
        // The Recordings before and behind it cut at the same byte, whatever lines each keeps.
        if let Some(copy) = &self.copy {
            lines.extend(
                [recording.window.from, recording.limit()]
                    .into_iter()
                    .filter_map(|t| {
                        let at = copy.offset_of(t)?;
                        Some(Line::Clock { at, t })
                    }),
            );
        }
        Some(Taped {
            session,
            start,
            headers,
            end,
            segments: self.stored.values().cloned().collect(),
            lost,
            lines,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::spool::{About, Local};
    use ingest::api::{Aired, Container};
    use ingest::config::Routing;

    fn session() -> Session {
        Session {
            id: "s1".to_owned(),
            mount: "main".to_owned(),
            input: "studio".to_owned(),
            path: "/live/studio".to_owned(),
            priority: 0,
            routing: Routing::Live,
            user: "source".to_owned(),
            container: Container::Mp3,
            codec: None,
            title: None,
            started: Timestamp::UNIX_EPOCH,
            bytes: 5,
            kept_from: 0,
            ended: None,
            aired: Some(Aired {
                first: Timestamp::UNIX_EPOCH,
                last: None,
                spells: Vec::new(),
            }),
            acked_by: Vec::new(),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A session of 1000 bytes with cuts each 100 that came 100 a second, whose index says these things besides.
    fn cargo(spool: &Path, more: &[Line]) -> Cargo {
        let about = About {
            session: session(),
            start: 0,
            headers: None,
        };
        let local = Local::create(spool, &about, &[]).unwrap();
        local.append(0, &[0; 1_000]).unwrap();
        let cuts = (0..10).map(|cut| Line::Cut {
            at: cut * 100,
            media_ms: cut * 1_000,
        });
        let clocks = (1..10).map(|second| Line::Clock {
            at: second * 100 - 1,
            t: at(i64::try_from(second).unwrap()),
        });
        let lines = cuts.chain(clocks).chain(more.iter().cloned());
        for (next, line) in (1..).zip(lines) {
            local.line(next, &line).unwrap();
        }
        if more.iter().any(|line| matches!(line, Line::End { .. })) {
            local.tape_is_whole();
            local.index_is_whole();
        }
        local.sync().unwrap();
        Cargo {
            copy: Some(Copy::open(spool, "s1").unwrap()),
            ..Cargo::default()
        }
    }

    /// A busy disk syncs late, and its Clock line tells when that was.
    #[test]
    fn a_session_is_stored_to_its_last_byte_however_late_that_was_synced() {
        let spool = tempfile::tempdir().unwrap();
        let late = [
            Line::Clock { at: 1_000, t: at(14) },
            Line::End {
                at: 1_000,
                t: at(10),
                why: String::new(),
            },
        ];
        let mut cargo = cargo(spool.path(), &late);
        for (edge, end) in [(10, 1_000), (11, 1_000), (7, 700)] {
            cargo.edge = Some(at(edge));
            assert_eq!(cargo.end(at(99)), Some(end), "{edge}");
        }
    }

    #[test]
    fn what_leaves_the_air_is_cut_behind_its_last_byte_there() {
        let spool = tempfile::tempdir().unwrap();
        // By the clock its byte 710 came a moment after second 7.
        let left = Line::Routing {
            at: 710,
            t: at(7),
            routing: Routing::Rehearsal,
        };
        let mut cargo = cargo(spool.path(), &[left]);
        cargo.edge = Some(at(7));
        assert_eq!(cargo.end(at(99)), Some(800));
        cargo.edge = Some(at(9));
        assert_eq!(cargo.end(at(99)), None, "a later line may tell of an earlier one");
    }

    #[test]
    fn a_session_that_stands_still_is_waited_for_while_its_ingest_answers() {
        let desk = Desk::new("localhost:1".to_owned(), String::new());
        let mut cargo = Cargo::default();
        cargo.list(&OnTape {
            session: session(),
            desk,
        });
        let listed = cargo.first_listed.unwrap();
        let after = |minutes: i64| listed + SignedDuration::from_mins(minutes);
        assert!(cargo.silent_ingest(after(0)).is_none());
        assert!(cargo.silent_ingest(after(2)).is_some());
        assert!(cargo.silent_ingest(after(2)).is_none(), "it is being asked");
        cargo.probed(true, after(2));
        let last = |cargo: &Cargo, now| cargo.spans(now).last().unwrap().to;
        assert_eq!(last(&cargo, after(31)), None);
        assert!(cargo.silent_ingest(after(31)).is_some());
        cargo.probed(false, after(31));
        assert_eq!(last(&cargo, after(33)), Some(after(2)));
    }
}

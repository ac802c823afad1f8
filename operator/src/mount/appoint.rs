//! Which Recordings a Mount has to get: one for everything that was on air and is in none. No IO, no clock.
//!
//! `recorder::course` says what is one Recording, to the recorder too, so that what the one leaves the other takes up.

use std::{collections::BTreeSet, time::Duration};

use ingest::api::Session;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use radio_crds::{
    MOUNT_LABEL, Mount, Recording, RecordingSpec, STATION_LABEL, Station, quantity,
    recorded::{Recorded, RecordingMode},
    recording::{DEFAULT_IDLE_END, DEFAULT_MAX_LENGTH, Over, Phase, Window},
    station::Storage,
};
use recorder::course::{Reach, Rule, Span, beginnings, spans};

use super::recording_name::name_of;
use crate::{
    k8s::meta::{MANAGED_BY, MANAGED_BY_LABEL},
    recording::ends::{held_until, limit},
    show::plan::Reserved,
};

/// The longest title the API takes.
const LONGEST_TITLE: usize = 200;
/// More than these are not made at once.
const MOST: usize = 64;
/// How precise the ingest is when a presenter's time is over.
const LEAVING: SignedDuration = SignedDuration::from_secs(1);

/// Whether anything of a Mount is recorded, and where to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Archive<'a> {
    /// There.
    In(&'a Storage),
    /// There, but only what is on air in slots of Shows.
    OfShows(&'a Storage),
    /// The Station has no storage.
    NoStorage,
    /// The Mount is not to be recorded.
    NotWanted,
}

impl<'a> Archive<'a> {
    /// What Mount and Station ask for.
    #[must_use]
    pub fn of(mount: &Mount, station: &'a Station) -> Self {
        match (mount.recording_mode(), station.storage()) {
            (RecordingMode::Never, _) => Self::NotWanted,
            (RecordingMode::Always, Some(storage)) => Self::In(storage),
            (RecordingMode::Shows, Some(storage)) => Self::OfShows(storage),
            (RecordingMode::Always | RecordingMode::Shows, None) => Self::NoStorage,
        }
    }

    /// Where slots of Shows are recorded, if they are.
    #[must_use]
    pub fn of_slots(self) -> Option<&'a Storage> {
        match self {
            Self::In(storage) | Self::OfShows(storage) => Some(storage),
            Self::NoStorage | Self::NotWanted => None,
        }
    }
}

/// The Recordings to be made, when these are there, the tape has these sessions, and these times are those of Shows.
#[must_use]
pub fn appoint(
    mount: &Mount,
    station: &Station,
    sessions: &[Session],
    there: &[Recording],
    slots: &[Reserved],
    now: Timestamp,
) -> Vec<Recording> {
    let Archive::In(storage) = Archive::of(mount, station) else {
        return Vec::new();
    };
    let name = mount.name_any();
    let mut sessions: Vec<&Session> = sessions.iter().filter(|session| session.mount == name).collect();
    sessions.sort_by(|a, b| a.id.cmp(&b.id));
    let inputs: BTreeSet<Option<&str>> = if each_input_is_a_stream(mount) {
        sessions
            .iter()
            .map(|session| Some(session.input.as_str()))
            .collect()
    } else {
        BTreeSet::from([None])
    };
    let wanted = |input| {
        let missing = missing(mount, input, &sessions, there, slots, now);
        missing
            .into_iter()
            .map(move |window| recording(mount, station, storage, input, window))
    };
    inputs.into_iter().flat_map(wanted).collect()
}

/// Sources of a `*` are heard at once, each for itself.
fn each_input_is_a_stream(mount: &Mount) -> bool {
    mount.spec.passthrough.is_some() && mount.spec.path.contains('*')
}

/// The times that Recordings of all inputs, or of this one, have to be of.
fn missing(
    mount: &Mount,
    input: Option<&str>,
    sessions: &[&Session],
    there: &[Recording],
    slots: &[Reserved],
    now: Timestamp,
) -> Vec<Window> {
    let name = mount.name_any();
    let over = ends(there, slots);
    let known: Vec<(&Session, Vec<Span>)> = sessions
        .iter()
        .filter(|session| input.is_none_or(|input| input == session.input))
        .map(|session| (*session, spans(session)))
        .map(|(session, spans)| (session, left(&spans, &over, now)))
        .collect();
    let on_tape: Vec<Span> = known.iter().flat_map(|(_, spans)| spans.clone()).collect();
    let slots: Vec<&Reserved> = slots
        .iter()
        .filter(|slot| slot.input.as_deref() == input)
        .collect();
    let is_there = |slot: &&Reserved| {
        there
            .iter()
            .any(|recording| recording.name_any() == slot.recording)
    };
    let to_be_made = slots.iter().copied().filter(|slot| !is_there(slot));
    let to_be_made = to_be_made.map(|slot| slot_rule(&name, slot).reach(&on_tape, &[]));
    let there = there
        .iter()
        .filter(|recording| recording.spec.mount == name)
        .filter(|recording| recording.spec.input.is_none() || recording.spec.input.as_deref() == input)
        .filter_map(|recording| reach(recording, &on_tape));
    let mut taken: Vec<Reach> = there.chain(to_be_made).collect();
    // The ingest's clock may be ahead of ours; what it tells of has happened.
    let now = on_tape.iter().map(|span| span.from).fold(now, Timestamp::max);
    let (idle_end, longest) = limits(mount);
    let mut missing = Vec::new();
    for _ in 0..MOST {
        let Some(from) = beginnings(&on_tape, &taken, idle_end, longest, now)
            .first()
            .copied()
        else {
            break;
        };
        let window = window(from, longest, &slots);
        let rule = Rule {
            mount: name.clone(),
            input: input.map(str::to_owned),
            from,
            until: None,
            idle_end,
            limit: window.until.unwrap_or_else(|| later(from, longest)),
        };
        let reach = rule.reach(&on_tape, &[]);
        let own = name_of(&name, input, from);
        if known
            .iter()
            .any(|(session, spans)| is_left(session, spans, &reach, from, &own))
        {
            missing.push(window);
        }
        taken.push(reach);
    }
    missing
}

/// When Recordings of slots are over.
fn ends(there: &[Recording], slots: &[Reserved]) -> Vec<Timestamp> {
    let of_slots = there.iter().filter(|recording| recording.spec.show.is_some());
    let made = of_slots.filter_map(|recording| recording.spec.window.until);
    made.chain(slots.iter().map(|slot| slot.until)).collect()
}

/// Who goes with the end of a slot goes a moment after it: that moment is no recording of its own.
fn left(spans: &[Span], over: &[Timestamp], now: Timestamp) -> Vec<Span> {
    let leaves = |span: &Span, end: Timestamp| {
        let lasts = span.to.is_none_or(|to| to > end);
        let beyond = span.to.unwrap_or(now).duration_since(end);
        span.from < end && lasts && (SignedDuration::ZERO..LEAVING).contains(&beyond)
    };
    let left = |span: &Span| Span {
        to: over.iter().copied().find(|end| leaves(span, *end)).or(span.to),
        ..*span
    };
    spans.iter().map(left).collect()
}

/// What is on air when a slot of a Show begins is in the Recording of that one.
fn window(from: Timestamp, longest: SignedDuration, slots: &[&Reserved]) -> Window {
    let limit = later(from, longest);
    let next = slots
        .iter()
        .map(|slot| slot.from)
        .filter(|start| *start > from)
        .min();
    Window {
        from,
        until: next.filter(|next| *next <= limit),
    }
}

fn slot_rule(mount: &str, slot: &Reserved) -> Rule {
    Rule {
        mount: mount.to_owned(),
        input: slot.input.clone(),
        from: slot.from,
        until: Some(slot.until),
        idle_end: SignedDuration::ZERO,
        limit: slot.until,
    }
}

fn later(instant: Timestamp, by: SignedDuration) -> Timestamp {
    instant.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// How far a Recording that is there goes.
fn reach(recording: &Recording, on_tape: &[Span]) -> Option<Reach> {
    let spec = &recording.spec;
    let status = recording.status.as_ref();
    let over = status.and_then(|status| status.over);
    let ended = status
        .and_then(|status| status.ended_at.as_ref())
        .map_or(spec.window.from, |ended| ended.0);
    let rule = Rule {
        mount: spec.mount.clone(),
        input: spec.input.clone(),
        from: spec.window.from,
        until: held_until(recording),
        idle_end: match over {
            // Its recorder has left: whoever comes now is not in it, however soon.
            Some(Over::Idle) => SignedDuration::ZERO,
            _ => SignedDuration::from_secs(spec.idle_end_seconds()?.into()),
        },
        limit: limit(recording)?,
    };
    let members: Vec<Span> = status
        .into_iter()
        .flat_map(|status| &status.sessions)
        .map(|session| Span {
            from: session.from,
            // Without an end it was lost with its ingest, and given up.
            to: session.to.or_else(|| over.map(|_| ended)),
        })
        .collect();
    Some(rule.reach(on_tape, &members))
}

/// Whether anything of a session is worth a Recording from there on: it is on air, or nobody has it. A Recording that had
/// it and was deleted afterwards is not made again.
fn is_left(session: &Session, spans: &[Span], reach: &Reach, from: Timestamp, own: &str) -> bool {
    spans.iter().enumerate().any(|(number, span)| {
        let is_first = number == 0 && span.from >= from;
        let is_stored = if is_first {
            !session.acked_by.is_empty()
        } else {
            // What was acked may be the part before, which another Recording has.
            session.acked_by.iter().any(|name| name == own)
        };
        reach.has(span) && (span.to.is_none() || !is_stored)
    })
}

/// The longest silence in a Recording, and its greatest length.
fn limits(mount: &Mount) -> (SignedDuration, SignedDuration) {
    let wanted = mount.spec.recording.as_ref();
    let seconds = |own: Option<&String>, default: &str| {
        let own = own.and_then(|own| quantity::seconds(own));
        SignedDuration::from_secs(
            own.or_else(|| quantity::seconds(default))
                .unwrap_or_default()
                .into(),
        )
    };
    (
        seconds(
            wanted.and_then(|wanted| wanted.idle_end.as_ref()),
            DEFAULT_IDLE_END,
        ),
        seconds(
            wanted.and_then(|wanted| wanted.max_length.as_ref()),
            DEFAULT_MAX_LENGTH,
        ),
    )
}

/// Of whoever is on air in a time that is no Show's. Nobody owns it: it outlives Mount and Station.
#[must_use]
pub fn recording(
    mount: &Mount,
    station: &Station,
    storage: &Storage,
    input: Option<&str>,
    window: Window,
) -> Recording {
    let Recorded {
        mode: _,
        max_length,
        idle_end,
        renditions,
        min_coverage,
    } = mount.spec.recording.clone().unwrap_or_default();
    let from = window.from;
    // Beside an end, only a silence that is named counts.
    let idle_end = idle_end.or_else(|| window.until.map(|_| DEFAULT_IDLE_END.to_owned()));
    let spec = RecordingSpec {
        station: station.name_any(),
        mount: mount.name_any(),
        input: input.map(str::to_owned),
        title: title(mount, station, input),
        window,
        show: None,
        idle_end,
        max_length,
        store: storage.s3.clone(),
        spool_size: storage.spool_size.clone(),
        renditions,
        min_coverage,
        edition: None,
    };
    let labels = [
        (MANAGED_BY_LABEL, MANAGED_BY),
        (STATION_LABEL, &spec.station),
        (MOUNT_LABEL, &spec.mount),
    ];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let mut recording = Recording::new(&name_of(&mount.name_any(), input, from), spec);
    recording.metadata.namespace = mount.namespace();
    recording.metadata.labels = Some(labels.into());
    recording
}

fn title(mount: &Mount, station: &Station, input: Option<&str>) -> String {
    let title = mount.spec.title.as_ref().unwrap_or(&station.spec.title);
    input
        .map(|input| format!("{title}, {input}"))
        .filter(|title| title.chars().count() <= LONGEST_TITLE)
        .unwrap_or_else(|| title.clone())
}

/// The Recordings of a Mount that go on.
#[must_use]
pub fn under_way(mount: &str, recordings: &[Recording]) -> Vec<String> {
    let goes_on = |recording: &&Recording| {
        let status = recording.status.as_ref();
        let phase = status.and_then(|status| status.phase);
        recording.spec.mount == mount
            && recording.metadata.deletion_timestamp.is_none()
            && status.and_then(|status| status.over).is_none()
            && matches!(phase, None | Some(Phase::Waiting | Phase::OnAir))
    };
    recordings
        .iter()
        .filter(goes_on)
        .map(ResourceExt::name_any)
        .collect()
}

/// How long it is until one of them has its greatest length or the end of its window, and the next has to be made.
#[must_use]
pub fn until_rotation(mount: &str, recordings: &[Recording], now: Timestamp) -> Option<Duration> {
    let left = recordings
        .iter()
        .filter(|recording| recording.spec.mount == mount)
        .filter_map(|recording| {
            let limit = limit(recording)?;
            // Who is still there a moment after a slot has not just left.
            let stays = recording.spec.show.as_ref().map(|_| later(limit, LEAVING));
            Some([Some(limit), stays])
        })
        .flat_map(|instants| instants.into_iter().flatten())
        .filter_map(|instant| Duration::try_from(instant.duration_since(now)).ok());
    left.filter(|left| !left.is_zero()).min()
}

#[cfg(test)]
#[path = "appoint_tests.rs"]
mod tests;

//! Step 5, first half: what the status says beside conditions. Nothing in it changes as time goes by. No IO.

use std::collections::BTreeSet;

use jiff::{Timestamp, Unit};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use radio_crds::{
    RecordingStatus,
    recording::{Gap, GapKind, Object, Over, Phase},
};
use recorder::{
    manifest::OverWhy,
    published,
    report::{Made, Missing, Published, Stored},
};

use super::{jobs::one_line, plan::Plan, sessions::is_open, status::Observed, validate::ValidSpec, words};

const LISTED_GAPS: usize = 16;
const LISTED_OBJECTS: usize = 8;
const LISTED_DOUBTS: usize = 16;

/// What the status says beside conditions.
#[must_use]
pub fn details(observed: &Observed) -> RecordingStatus {
    let Observed {
        spec,
        plan,
        ship,
        before,
        ..
    } = observed;
    let mut status = RecordingStatus {
        phase: Some(plan.phase),
        edition: plan.edition,
        reopened: (plan.reopened > 0).then_some(plan.reopened),
        sessions: plan.sessions.clone(),
        ..before.clone()
    };
    let from = spec.told.window.from;
    let first = status.sessions.iter().map(|session| session.from.max(from)).min();
    status.started_at = first.map(whole).or(status.started_at);
    if let Some(why) = ship.as_ref().and_then(|ship| ship.over) {
        status.over = Some(over(why));
    }
    if let Some(stored) = &plan.stored {
        take_stored(&mut status, stored);
    }
    if let Some(published) = &plan.published {
        take_published(&mut status, published, spec);
    }
    if plan.phase == Phase::Doubtful {
        add_missing(&mut status, plan);
    }
    status
}

/// As precise as the API keeps it: more would differ from itself when it is read back.
fn whole(instant: Timestamp) -> Time {
    let second = Timestamp::from_second(instant.as_second());
    Time(second.unwrap_or(instant))
}

fn over(why: OverWhy) -> Over {
    match why {
        OverWhy::Idle => Over::Idle,
        OverWhy::Until => Over::Until,
        OverWhy::MaxLength => Over::MaxLength,
    }
}

fn take_stored(status: &mut RecordingStatus, stored: &Stored) {
    status.over = Some(over(stored.over.why));
    let end = stored.to.unwrap_or(stored.over.at);
    if let Some(started) = status.started_at.as_ref() {
        status.ended_at = Some(whole(end));
        status.duration = Some(words::duration(end.duration_since(started.0)));
    }
    take_bytes(status, stored.bytes);
}

fn take_bytes(status: &mut RecordingStatus, bytes: u64) {
    status.bytes = Some(i64::try_from(bytes).unwrap_or(i64::MAX));
    status.size = Some(words::size(bytes));
}

fn take_published(status: &mut RecordingStatus, published: &Published, spec: &ValidSpec) {
    take_bytes(status, published.bytes);
    let length = jiff::SignedDuration::try_from_secs_f64(published.seconds);
    status.duration = Some(words::duration(length.unwrap_or_default()));
    status.version = Some(published.version);
    status.coverage = Some(percent(published.coverage_percent));
    status.verified_at = Some(whole(published.verified_at));
    status.gaps = Some(i32::try_from(published.gaps).unwrap_or(i32::MAX));
    // The API server refuses two of one beginning and kind.
    let mut told = BTreeSet::new();
    let gaps = published.gap_list.iter().map(gap);
    status.gap_list = gaps
        .filter(|gap| told.insert((gap.from, gap.kind)))
        .take(LISTED_GAPS)
        .collect();
    let objects = published.objects.iter().chain(&published.renditions);
    let mut told = BTreeSet::new();
    status.objects = objects
        .filter(|made| told.insert(made.key.as_str()))
        .take(LISTED_OBJECTS)
        .map(|made| object(made, spec))
        .collect();
    status.doubts = doubts(published);
}

/// 0 to 100, a broken number too.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 0..=100, and what is no number is 0"
)]
fn percent(percent: f64) -> u8 {
    percent.round().clamp(0.0, 100.0) as u8
}

fn gap(missing: &Missing) -> Gap {
    Gap {
        from: missing.from,
        to: missing.to,
        kind: match missing.kind {
            published::GapKind::NoSource => GapKind::NoSource,
            published::GapKind::Rehearsal => GapKind::Rehearsal,
            published::GapKind::Lost => GapKind::Lost,
        },
        bytes: missing
            .bytes
            .map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
    }
}

fn object(made: &Made, spec: &ValidSpec) -> Object {
    let length = jiff::SignedDuration::try_from_secs_f64(made.seconds).unwrap_or_default();
    Object {
        key: format!("{}{}", spec.told.prefix(), made.key),
        url: spec.url(&made.key),
        bytes: i64::try_from(made.bytes).unwrap_or(i64::MAX),
        seconds: length.round(Unit::Second).unwrap_or(length).as_secs(),
        codec: one_line(&made.codec),
        sha256: made.sha256.clone(),
    }
}

fn doubts(published: &Published) -> Vec<String> {
    let mut doubts: Vec<String> = published
        .doubts
        .iter()
        .map(|doubt| one_line(&doubt.to_string()))
        .collect();
    let more = published.doubts_left_out + doubts.len().saturating_sub(LISTED_DOUBTS - 1);
    if more > 0 {
        doubts.truncate(LISTED_DOUBTS - 1);
        doubts.push(format!("and {more} more; final.json in the bucket has them all"));
    }
    doubts
}

/// Sessions of which nothing arrived are in no report.
fn add_missing(status: &mut RecordingStatus, plan: &Plan) {
    for session in plan
        .sessions
        .iter()
        .filter(|session| is_open(session) && session.bytes.is_none())
    {
        let doubt = format!(
            "session {} of input {} was on air, and nothing of it is stored: its ingest was lost, and its tape may have it \
             when it is back",
            session.id, session.input
        );
        if status.doubts.len() < LISTED_DOUBTS && !status.doubts.contains(&doubt) {
            status.doubts.push(doubt);
        }
    }
}

#[cfg(test)]
#[path = "details_tests.rs"]
mod tests;

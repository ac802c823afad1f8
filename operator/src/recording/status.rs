//! Step 5, second half: how a Recording is. No IO.

use ingest::api::Fill;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use radio_crds::{
    RecordingStatus,
    conditions::{SPOOL_FILLING, STORE_REACHABLE, reason},
    recording::Phase,
};
use recorder::report::{CaptureState, ShipState, Trouble};

use super::{
    details::details,
    jobs::one_line,
    plan::Plan,
    validate::ValidSpec,
    words::{moment, size},
};
use crate::k8s::conditions::{Beside, Report, State, find};

/// What the store calls a no that only somebody's hand can turn into a yes.
const REFUSALS: [&str; 13] = [
    "400",
    "401",
    "403",
    "AccessDenied",
    "AccountProblem",
    "AllAccessDisabled",
    "CannotBeAsked",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "NoKeys",
    "NoSuchBucket",
    "SignatureDoesNotMatch",
];

/// What was seen after everything was done.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// What is wanted.
    pub spec: ValidSpec,
    /// How far it is.
    pub plan: Plan,
    /// What the recorder's pod says of storing.
    pub ship: Option<ShipState>,
    /// What it says of its disk.
    pub capture: Option<CaptureState>,
    /// What keeps a pod from running.
    pub trouble: Option<Report>,
    /// Why a process in it could not go on, in its own words.
    pub failure: Option<String>,
    /// The status until now.
    pub before: RecordingStatus,
}

/// Ready when the final object is verified.
#[must_use]
pub fn report(observed: &Observed) -> Report {
    let plan = &observed.plan;
    if let Some(job) = &plan.strange {
        return Report {
            state: State::Stalled,
            reason: reason::REPORT_UNREADABLE,
            message: format!(
                "Job {job} is complete, and this operator does not understand what it reports: operator and recorder \
                 image must be of one release; delete the Job and it is made again with the image {}",
                observed.spec.image
            ),
        };
    }
    let working = matches!(
        plan.phase,
        Phase::Waiting | Phase::OnAir | Phase::Storing | Phase::Finalizing
    );
    match &observed.trouble {
        Some(trouble) if working => stuck(observed, trouble),
        _ => course(observed),
    }
}

/// The pod's trouble, what it means for the Recording, and what to do.
fn stuck(observed: &Observed, trouble: &Report) -> Report {
    let Report {
        state,
        reason,
        message,
    } = trouble;
    let is_image = *reason == reason::IMAGE_UNAVAILABLE;
    let why = observed.failure.as_ref();
    let why = why.map_or_else(String::new, |words| format!("; it says: {words}"));
    let meanwhile = if observed.plan.phase == Phase::Finalizing {
        "everything is in the bucket, and waits there"
    } else {
        "what is not stored yet stays on the tape"
    };
    let advice = if is_image {
        "; set the operator's RADIO_RECORDER_IMAGE to an image that the nodes can pull, or let them pull this one"
    } else {
        ""
    };
    Report {
        // kubelet tries for ever, and nobody but a person can help it.
        state: if is_image { State::Stalled } else { *state },
        reason,
        message: format!("{message}{why}; {meanwhile}{advice}"),
    }
}

fn course(observed: &Observed) -> Report {
    let status = details(observed);
    let report = |state, reason, message: String| Report {
        state,
        reason,
        message,
    };
    let began = status
        .started_at
        .as_ref()
        .map_or_else(String::new, |began| moment(began.0));
    match observed.plan.phase {
        Phase::Waiting => report(
            State::Reconciling,
            reason::WAITING,
            "nobody is on air yet".to_owned(),
        ),
        Phase::OnAir => report(
            State::Reconciling,
            reason::ON_AIR,
            format!("on air since {began}"),
        ),
        Phase::Storing => report(State::Reconciling, reason::STORING, storing(observed)),
        Phase::Finalizing => report(
            State::Reconciling,
            reason::FINALIZING,
            format!(
                "everything is stored; edition {} of the final object is being made",
                observed.spec.edition.saturating_add(observed.plan.reopened)
            ),
        ),
        Phase::Verified => report(State::Ready, reason::VERIFIED, verified(&status)),
        Phase::Doubtful => report(State::Stalled, reason::DOUBTFUL, doubtful(&status)),
        Phase::Empty => report(
            State::Ready,
            reason::EMPTY,
            "nothing went on air, so nothing is kept".to_owned(),
        ),
    }
}

fn storing(observed: &Observed) -> String {
    if observed.plan.reopened > 0 {
        return "a tape that was given up is back, and what it has more is being stored".to_owned();
    }
    "it is over; what is not in the bucket yet is being stored".to_owned()
}

fn verified(status: &RecordingStatus) -> String {
    let length = status.duration.as_deref().unwrap_or_default();
    let bytes = status.size.as_deref().unwrap_or_default();
    let object = status
        .objects
        .first()
        .map_or_else(String::new, |object| format!(": {}", object.url));
    format!("{length}, {bytes}, read back and found good{object}")
}

fn doubtful(status: &RecordingStatus) -> String {
    let first = status
        .doubts
        .first()
        .map_or("something is missing", String::as_str);
    let more = match status.doubts.len().saturating_sub(1) {
        0 => String::new(),
        more => format!(" (and {more} more in status.doubts)"),
    };
    format!("somebody should listen to it: {first}{more}; the segments stay in the bucket")
}

/// What else is of interest while it records.
#[must_use]
pub fn beside(observed: &Observed) -> Vec<Beside> {
    let records = matches!(
        observed.plan.phase,
        Phase::Waiting | Phase::OnAir | Phase::Storing
    );
    if !records {
        return Vec::new();
    }
    [store(observed), spool(observed)].into_iter().flatten().collect()
}

/// Of a recorder that has not said anything yet, as after a start of the operator, the last that was known is told.
fn store(observed: &Observed) -> Option<Beside> {
    let before = find(&observed.before.conditions, STORE_REACHABLE);
    let Some(ship) = &observed.ship else {
        return before.map(kept);
    };
    match (&ship.trouble, before) {
        (Some(trouble), _) => Some(unreachable(trouble)),
        (None, None) => None,
        (None, Some(_)) => Some(Beside {
            type_: STORE_REACHABLE,
            status: true,
            reason: reason::STORE_REACHABLE,
            message: "the store takes what is recorded".to_owned(),
        }),
    }
}

fn unreachable(trouble: &Trouble) -> Beside {
    let refuses = REFUSALS.contains(&trouble.code.as_str());
    Beside {
        type_: STORE_REACHABLE,
        status: false,
        reason: if refuses {
            reason::STORE_REFUSES
        } else {
            reason::STORE_UNREACHABLE
        },
        message: format!(
            "since {} the store has taken nothing: {}; it is tried until it does, and the recorder's disk and the tape \
             keep everything until then",
            moment(trouble.since),
            one_line(&trouble.message)
        ),
    }
}

fn spool(observed: &Observed) -> Option<Beside> {
    let Some(capture) = &observed.capture else {
        return find(&observed.before.conditions, SPOOL_FILLING).map(kept);
    };
    let (reason, share) = match capture.spool_fill {
        Fill::Low => return None,
        Fill::Half => (reason::HALF_FULL, "half"),
        Fill::High => (reason::NEARLY_FULL, "80 %"),
    };
    Some(Beside {
        type_: SPOOL_FILLING,
        status: true,
        reason,
        message: format!(
            "{share} of the {} that may wait on the recorder's node are taken, because the store takes less than comes; what \
             does not fit stays on the tape",
            size(observed.spec.spool_bytes)
        ),
    })
}

fn kept(condition: &Condition) -> Beside {
    let reasons = [
        reason::STORE_REACHABLE,
        reason::STORE_REFUSES,
        reason::STORE_UNREACHABLE,
        reason::HALF_FULL,
        reason::NEARLY_FULL,
    ];
    let known = reasons.into_iter().find(|reason| *reason == condition.reason);
    Beside {
        type_: if condition.type_ == SPOOL_FILLING {
            SPOOL_FILLING
        } else {
            STORE_REACHABLE
        },
        status: condition.status == "True",
        reason: known.unwrap_or(reason::STORE_UNREACHABLE),
        message: condition.message.clone(),
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;

//! From what is known about an object to its conditions, in kstatus's meaning. No IO, no clock.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use radio_crds::conditions::{READY, RECONCILING, STALLED};

use super::error::{Class, Classify, message, shorten};

/// The types we write; conditions of others are left alone.
pub const OURS: [&str; 3] = [READY, RECONCILING, STALLED];

/// How an object is, in one of three ways: kstatus knows no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It does what its spec asks for.
    Ready,
    /// It does not yet, and work or waiting goes on.
    Reconciling,
    /// It does not, until somebody changes something.
    Stalled,
}

/// How an object is, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How it is.
    pub state: State,
    /// One word, from `radio_crds::conditions::reason`.
    pub reason: &'static str,
    /// A sentence for people.
    pub message: String,
}

impl Report {
    /// What an error means for the object.
    pub fn of_error<E: Classify>(error: &E) -> Self {
        let state = match error.class() {
            Class::Retry | Class::Wait(_) => State::Reconciling,
            Class::Stalled { .. } => State::Stalled,
        };
        Self {
            state,
            reason: error.reason(),
            message: message(error),
        }
    }
}

/// The conditions that say `report`, keeping the transition times of those in `old` whose status stays.
#[must_use]
pub fn conditions(report: &Report, generation: i64, old: &[Condition], now: Timestamp) -> Vec<Condition> {
    let condition = |type_: &str, status: &str| {
        let before = old
            .iter()
            .find(|condition| condition.type_ == type_ && condition.status == status);
        Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            observed_generation: Some(generation),
            reason: report.reason.to_owned(),
            message: shorten(report.message.clone()),
            last_transition_time: before
                .map_or(Time(now), |condition| condition.last_transition_time.clone()),
        }
    };
    match report.state {
        State::Ready => vec![condition(READY, "True")],
        State::Reconciling => vec![condition(READY, "False"), condition(RECONCILING, "True")],
        State::Stalled => vec![condition(READY, "False"), condition(STALLED, "True")],
    }
}

/// Of `conditions`, those we write, in our order.
#[must_use]
pub fn ours(conditions: &[Condition]) -> Vec<Condition> {
    OURS.iter()
        .filter_map(|type_| find(conditions, type_))
        .cloned()
        .collect()
}

/// The condition of a type.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

#[cfg(test)]
mod tests {
    use radio_crds::conditions::reason;

    use super::*;
    use crate::testing::assert_kstatus;

    const EARLIER: Timestamp = Timestamp::constant(1_800_000_000, 0);
    const LATER: Timestamp = Timestamp::constant(1_800_000_600, 0);

    fn report(state: State, reason: &'static str) -> Report {
        Report {
            state,
            reason,
            message: format!("because of {reason}"),
        }
    }

    #[test]
    fn every_state_is_what_kstatus_expects() {
        for state in [State::Ready, State::Reconciling, State::Stalled] {
            let conditions = conditions(&report(state, reason::PROGRESSING), 3, &[], LATER);
            assert_kstatus(&conditions, 3);
            assert!(
                conditions
                    .iter()
                    .all(|condition| condition.last_transition_time.0 == LATER)
            );
        }
    }

    #[test]
    fn the_transition_time_changes_only_with_the_status() {
        let first = conditions(&report(State::Reconciling, reason::PROGRESSING), 1, &[], EARLIER);
        let other_reason = conditions(
            &report(State::Reconciling, reason::IMAGE_UNAVAILABLE),
            2,
            &first,
            LATER,
        );
        assert!(
            other_reason
                .iter()
                .all(|condition| condition.last_transition_time.0 == EARLIER)
        );
        assert!(
            other_reason
                .iter()
                .all(|condition| condition.observed_generation == Some(2))
        );

        let stalled = conditions(&report(State::Stalled, reason::INVALID_SPEC), 2, &first, LATER);
        let times: Vec<_> = stalled
            .iter()
            .map(|c| (c.type_.as_str(), c.last_transition_time.0))
            .collect();
        assert_eq!(times, [(READY, EARLIER), (STALLED, LATER)]);

        let ready = conditions(&report(State::Ready, reason::READY), 2, &first, LATER);
        assert_eq!(ready[0].last_transition_time.0, LATER);
    }

    #[test]
    fn nothing_new_is_equal() {
        let report = report(State::Stalled, reason::NAME_TAKEN);
        let first = conditions(&report, 1, &[], EARLIER);
        assert_eq!(conditions(&report, 1, &first, LATER), first);
    }

    #[test]
    fn conditions_of_others_are_not_ours() {
        let mut all = conditions(&report(State::Stalled, reason::NAME_TAKEN), 1, &[], EARLIER);
        let mine = all.clone();
        all.insert(
            0,
            Condition {
                type_: "Approved".to_owned(),
                ..mine[0].clone()
            },
        );
        assert_eq!(ours(&all), mine);
    }
}

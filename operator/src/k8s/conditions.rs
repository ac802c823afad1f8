//! From what is known about an object to its conditions, in kstatus's meaning. No IO, no clock.

use ingest::api::Fill;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use radio_crds::conditions::{
    MISSED, NOTICES_FAILING, READY, RECONCILING, RETENTION_FAILING, SPOOL_FILLING, STALLED, STORE_REACHABLE,
    TAPE_FILLING, reason,
};

use super::error::{Class, Classify, message, shorten};

/// The types we write; conditions of others are left alone.
pub const OURS: [&str; 9] = [
    READY,
    RECONCILING,
    STALLED,
    STORE_REACHABLE,
    SPOOL_FILLING,
    TAPE_FILLING,
    MISSED,
    NOTICES_FAILING,
    RETENTION_FAILING,
];

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

/// A condition beside the three: it does not decide whether the object is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beside {
    /// What it is about, from `radio_crds::conditions`.
    pub type_: &'static str,
    /// Whether it is so.
    pub status: bool,
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
    let condition = |type_: &'static str, status| {
        let said = Beside {
            type_,
            status,
            reason: report.reason,
            message: report.message.clone(),
        };
        condition(&said, generation, old, now)
    };
    match report.state {
        State::Ready => vec![condition(READY, true)],
        State::Reconciling => vec![condition(READY, false), condition(RECONCILING, true)],
        State::Stalled => vec![condition(READY, false), condition(STALLED, true)],
    }
}

/// The conditions beside the three; where nothing was seen (`None`), those in `old` are still the last that is known.
#[must_use]
pub fn besides(
    seen: Option<&[Beside]>,
    generation: i64,
    old: &[Condition],
    now: Timestamp,
) -> Vec<Condition> {
    let told = |said: &Beside| condition(said, generation, old, now);
    let kept = |condition: &Condition| Condition {
        observed_generation: Some(generation),
        ..condition.clone()
    };
    let beside = |condition: &&Condition| ![READY, RECONCILING, STALLED].contains(&condition.type_.as_str());
    match seen {
        Some(seen) => seen.iter().map(told).collect(),
        None => ours(old).iter().filter(beside).map(kept).collect(),
    }
}

fn condition(said: &Beside, generation: i64, old: &[Condition], now: Timestamp) -> Condition {
    let status = if said.status { "True" } else { "False" };
    let before = find(old, said.type_).filter(|condition| condition.status == status);
    Condition {
        type_: said.type_.to_owned(),
        status: status.to_owned(),
        observed_generation: Some(generation),
        reason: said.reason.to_owned(),
        message: shorten(said.message.clone()),
        last_transition_time: before.map_or(Time(now), |condition| condition.last_transition_time.clone()),
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

/// How full a disk is by a condition such as `TapeFilling`.
#[must_use]
pub fn fill(conditions: &[Condition], type_: &str) -> Fill {
    match find(conditions, type_).map(|filling| filling.reason.as_str()) {
        None => Fill::Low,
        Some(reason::NEARLY_FULL) => Fill::High,
        Some(_) => Fill::Half,
    }
}

#[cfg(test)]
mod tests {
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
    fn conditions_beside_stay_where_nothing_was_seen() {
        let filling = |status, reason| Beside {
            type_: TAPE_FILLING,
            status,
            reason,
            message: "half of the tape is full".to_owned(),
        };
        let first = besides(Some(&[filling(true, reason::HALF_FULL)]), 1, &[], EARLIER);
        let further = besides(Some(&[filling(true, reason::NEARLY_FULL)]), 1, &first, LATER);
        assert_eq!(further[0].last_transition_time.0, EARLIER);
        assert_eq!(further[0].reason, reason::NEARLY_FULL);
        assert_eq!(besides(Some(&[]), 1, &first, LATER), []);

        let mut all = conditions(&report(State::Ready, reason::READY), 1, &[], EARLIER);
        all.extend(first.clone());
        let kept = besides(None, 2, &all, LATER);
        assert_eq!(kept[0].observed_generation, Some(2));
        assert_eq!(
            (kept.len(), &kept[0].last_transition_time, &kept[0].type_),
            (1, &first[0].last_transition_time, &first[0].type_)
        );
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

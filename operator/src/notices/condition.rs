//! The conditions that say what was told: `Missed` of a Show, `NoticesFailing` of a Station. No IO.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use radio_crds::{
    conditions::{MISSED, NOTICES_FAILING, reason},
    show::{Notice, NoticeKind, NoticeState, ShowStatus},
};

use crate::k8s::conditions::{Beside, find};

/// What is wrong with the newest slot of a Show that has begun; `None` if nothing is, any longer.
#[must_use]
pub fn missed(status: &ShowStatus, now: Timestamp) -> Option<Beside> {
    let past = status.slots.iter().map(|slot| slot.start);
    let begun = status.under_way.iter().map(|slot| slot.start).chain(past);
    let newest = begun.filter(|start| *start <= now).max()?;
    let of_newest = status.notices.iter().filter(|notice| notice.slot == newest);
    let lasts = |notice: &&Notice| {
        matches!(
            notice.state,
            NoticeState::Due | NoticeState::Told | NoticeState::Undelivered
        )
    };
    let notice = of_newest.filter(lasts).max_by_key(|notice| notice.at)?;
    Some(Beside {
        type_: MISSED,
        status: true,
        reason: reason_of(notice.kind),
        message: notice.message.clone(),
    })
}

/// The one word for Events and conditions.
#[must_use]
pub fn reason_of(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Missed => reason::MISSED,
        NoticeKind::NotRecorded => reason::NOT_RECORDED,
        NoticeKind::Short => reason::SHORT,
        NoticeKind::Doubtful => reason::DOUBTFUL,
        NoticeKind::NotStored => reason::NOT_STORED,
    }
}

/// Whether what goes wrong at a Station can be told, as far as was tried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// Nobody is to be told.
    #[default]
    None,
    /// Nothing was tried since this process began.
    Untried,
    /// What was tried last arrived.
    Works,
    /// It does not arrive, or never could.
    Fails {
        /// The one word.
        reason: &'static str,
        /// Which way, since when, and why.
        words: String,
    },
}

/// `NoticesFailing` while messages of a Station do not arrive. Before anything was tried, what was known before counts.
#[must_use]
pub fn failing(delivery: &Delivery, before: &[Condition]) -> Option<Beside> {
    let fails = |reason, message: &str| Beside {
        type_: NOTICES_FAILING,
        status: true,
        reason,
        message: message.to_owned(),
    };
    match delivery {
        Delivery::None | Delivery::Works => None,
        Delivery::Fails { reason, words } => Some(fails(reason, words)),
        Delivery::Untried => {
            let known = find(before, NOTICES_FAILING).filter(|known| known.status == "True")?;
            let reasons = [reason::NOT_DELIVERED, reason::DRILL_FAILED];
            let reason = reasons.into_iter().find(|reason| *reason == known.reason)?;
            Some(fails(reason, &known.message))
        }
    }
}

#[cfg(test)]
mod tests {
    use radio_crds::show::{Notice, Outcome, PastSlot, SlotUnderWay};

    use super::*;
    use crate::k8s::conditions::besides;

    fn notice(slot: i64, kind: NoticeKind, state: NoticeState) -> Notice {
        Notice {
            slot: second(slot),
            kind,
            state,
            at: second(slot + 300),
            message: format!("{kind:?} at {slot}"),
            told: Vec::new(),
            over_told: Vec::new(),
        }
    }

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// The slot at 1000 is over, the one at 5000 is under way from its preparation on.
    fn status(notices: Vec<Notice>) -> ShowStatus {
        let past = PastSlot {
            start: second(1000),
            end: second(2000),
            recording: None,
            on_air_since: None,
            outcome: Outcome::Missed,
        };
        let under_way = SlotUnderWay {
            start: second(5000),
            end: second(6000),
            ..SlotUnderWay::default()
        };
        ShowStatus {
            slots: vec![past],
            under_way: vec![under_way],
            notices,
            ..ShowStatus::default()
        }
    }

    #[test]
    fn the_newest_slot_counts_until_it_is_over() {
        let of = |notices: &[Notice], now| {
            missed(&status(notices.to_vec()), second(now)).map(|beside| (beside.reason, beside.message))
        };
        let told = |slot, kind| notice(slot, kind, NoticeState::Told);
        assert_eq!(of(&[], 4999), None);
        let first = told(1000, NoticeKind::Missed);
        assert_eq!(
            of(std::slice::from_ref(&first), 4999),
            Some(("Missed", "Missed at 1000".to_owned()))
        );
        // The next slot has begun: what was wrong with the last one is no longer news.
        assert_eq!(of(std::slice::from_ref(&first), 5000), None);
        let next = told(5000, NoticeKind::NotRecorded);
        assert_eq!(
            of(&[first, next], 5000),
            Some(("NotRecorded", "NotRecorded at 5000".to_owned()))
        );
        for (state, lasts) in [
            (NoticeState::Due, true),
            (NoticeState::Undelivered, true),
            (NoticeState::Over, false),
            (NoticeState::Recovered, false),
        ] {
            assert_eq!(
                of(&[notice(5000, NoticeKind::Missed, state)], 5300).is_some(),
                lasts
            );
        }
    }

    #[test]
    fn what_is_not_known_now_stays_as_it_was() {
        let fails = Delivery::Fails {
            reason: reason::NOT_DELIVERED,
            words: "Telegram does not answer".to_owned(),
        };
        let said = failing(&fails, &[]).unwrap();
        assert_eq!(
            (said.type_, said.reason),
            (NOTICES_FAILING, reason::NOT_DELIVERED)
        );
        let before = besides(Some(std::slice::from_ref(&said)), 1, &[], Timestamp::UNIX_EPOCH);
        assert_eq!(failing(&Delivery::Untried, &before), Some(said));
        assert_eq!(failing(&Delivery::Untried, &[]), None);
        assert_eq!(failing(&Delivery::Works, &before), None);
        assert_eq!(failing(&Delivery::None, &before), None);
    }

    #[test]
    fn a_secret_that_was_missing_is_looked_for_again() {
        let missing = Delivery::Fails {
            reason: reason::NOTIFY_SECRET,
            words: "Secret telegram does not exist".to_owned(),
        };
        let said = failing(&missing, &[]).unwrap();
        let before = besides(Some(&[said]), 1, &[], Timestamp::UNIX_EPOCH);
        assert_eq!(failing(&Delivery::Untried, &before), None);
    }
}

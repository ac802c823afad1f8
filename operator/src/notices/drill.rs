//! Whether messages arrive, found out before a show is missed. No IO, no clock.
//!
//! A drill goes the way of a notice: it is written into the status that it is due, sent, and told to be there.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp, Unit};
use radio_crds::{
    notify::{Drill, DrillState, DrillStatus},
    show::NoticeWay,
};

use super::outbox::FAILING_AFTER;
use crate::show::slots::Times;

/// A drill whose time came while no operator ran is made up for within this time.
const MADE_UP_FOR: SignedDuration = SignedDuration::from_hours(24);
/// One that somebody asked for is for them to watch.
const ASKED_WITHIN: SignedDuration = SignedDuration::from_mins(10);
/// For so long one that did not arrive is tried.
const TRIED_FOR: SignedDuration = SignedDuration::from_hours(24);

/// When a drill is to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The newest time by the schedule that has come.
    pub scheduled: Option<Timestamp>,
    /// When somebody asked for one.
    pub asked: Option<Timestamp>,
}

/// The times of a schedule, gone through as they come.
#[derive(Clone, Debug)]
pub struct Clockwork {
    cron: String,
    zone: Option<String>,
    times: Option<Times>,
    newest: Option<Timestamp>,
    next: Option<Timestamp>,
}

impl Clockwork {
    /// From now on, with what has come within a day.
    #[must_use]
    pub fn new(drill: &Drill, now: Timestamp) -> Self {
        let parsed = Times::parse("spec.notify.drill", &drill.cron, drill.time_zone.as_deref());
        let times = parsed.ok();
        let day_ago = now.checked_sub(MADE_UP_FOR).unwrap_or(Timestamp::MIN);
        let come = times.as_ref().map(|times| times.between(day_ago, now));
        Self {
            cron: drill.cron.clone(),
            zone: drill.time_zone.clone(),
            newest: come.and_then(|come| come.last().copied()),
            next: times.as_ref().and_then(|times| times.next(now)),
            times,
        }
    }

    /// Whether it is of this schedule.
    #[must_use]
    pub fn is_of(&self, drill: &Drill) -> bool {
        self.cron == drill.cron && self.zone == drill.time_zone
    }

    /// The newest time that has come; `None`: none has, or what is written is no schedule.
    pub fn newest(&mut self, now: Timestamp) -> Option<Timestamp> {
        while let (Some(times), Some(next)) = (&self.times, self.next.filter(|next| *next <= now)) {
            self.newest = Some(next);
            let just_after = next.checked_add(SignedDuration::from_secs(1)).ok();
            self.next = just_after.and_then(|from| times.next(from));
        }
        self.newest
    }
}

/// The drill's status now. `ways`: how the Station tells anybody; `delivered`: how the known one arrived.
#[must_use]
pub fn step(
    known: Option<&DrillStatus>,
    wanted: Wanted,
    ways: &BTreeSet<NoticeWay>,
    delivered: &BTreeSet<NoticeWay>,
    now: Timestamp,
) -> Option<DrillStatus> {
    let mut drill = if let Some(due) = due(known, wanted, now) {
        DrillStatus {
            due,
            state: DrillState::Due,
            at: second(now),
            told: Vec::new(),
            delivered_at: None,
        }
    } else {
        let mut drill = known?.clone();
        let told: BTreeSet<NoticeWay> = drill.told.iter().chain(delivered).copied().collect();
        drill.told = told.into_iter().collect();
        drill
    };
    let arrived = !ways.is_empty() && ways.iter().all(|way| drill.told.contains(way));
    let late = now.duration_since(drill.at) >= FAILING_AFTER || ways.is_empty();
    match drill.state {
        DrillState::Due | DrillState::Failed if arrived => {
            drill.state = DrillState::Told;
            drill.at = second(now);
            drill.delivered_at = Some(second(now));
        }
        DrillState::Due if late => {
            drill.state = DrillState::Failed;
            drill.at = second(now);
        }
        _ => {}
    }
    Some(drill)
}

/// When a new drill is due, if one is.
fn due(known: Option<&DrillStatus>, wanted: Wanted, now: Timestamp) -> Option<Timestamp> {
    let fresh = |instant: Option<Timestamp>, within: SignedDuration| {
        let newer = |instant: &Timestamp| known.is_none_or(|known| *instant > known.due);
        let due = |instant: &Timestamp| *instant <= now && now.duration_since(*instant) <= within;
        instant.filter(newer).filter(due)
    };
    fresh(wanted.scheduled, MADE_UP_FOR).max(fresh(wanted.asked, ASKED_WITHIN))
}

/// Whether a way still has to get it.
#[must_use]
pub fn is_wanted(drill: &DrillStatus, way: NoticeWay, now: Timestamp) -> bool {
    let open = matches!(drill.state, DrillState::Due | DrillState::Failed);
    open && !drill.told.contains(&way) && now.duration_since(drill.due) < TRIED_FOR
}

fn second(instant: Timestamp) -> Timestamp {
    instant.round(Unit::Second).unwrap_or(instant)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn scheduled(second: i64) -> Wanted {
        Wanted {
            scheduled: Some(at(second)),
            asked: None,
        }
    }

    fn asked(second: i64) -> Wanted {
        Wanted {
            scheduled: None,
            asked: Some(at(second)),
        }
    }

    fn both() -> BTreeSet<NoticeWay> {
        [NoticeWay::Telegram, NoticeWay::Webhook].into()
    }

    fn told(due: i64) -> DrillStatus {
        DrillStatus {
            due: at(due),
            state: DrillState::Told,
            at: at(due + 3),
            told: vec![NoticeWay::Telegram, NoticeWay::Webhook],
            delivered_at: Some(at(due + 3)),
        }
    }

    #[test]
    fn when_one_is_due() {
        let none = Wanted::default();
        for (known, wanted, now, expected) in [
            (None, none, 0, None),
            (None, scheduled(0), 0, Some(0)),
            (None, scheduled(0), -1, None),
            // Made up for within a day; a week later the next one is due.
            (None, scheduled(0), 86_400, Some(0)),
            (None, scheduled(0), 86_401, None),
            (Some(told(0)), scheduled(0), 60, None),
            (Some(told(-604_800)), scheduled(0), 60, Some(0)),
            (Some(told(100)), scheduled(0), 200, None),
            (None, asked(0), 600, Some(0)),
            (None, asked(0), 601, None),
            (None, asked(30), 0, None),
            (Some(told(-60)), asked(0), 5, Some(0)),
            (Some(told(0)), asked(0), 5, None),
        ] {
            let due = due(known.as_ref(), wanted, at(now));
            assert_eq!(due, expected.map(at), "{known:?} {wanted:?} {now}");
        }
        let either = Wanted {
            scheduled: Some(at(0)),
            asked: Some(at(50)),
        };
        assert_eq!(due(None, either, at(60)), Some(at(50)));
    }

    #[test]
    fn one_that_is_asked_for_with_a_fraction_of_a_second_is_one() {
        let asked = Wanted {
            scheduled: None,
            asked: Some("2027-01-15T08:00:00.4Z".parse().unwrap()),
        };
        let drill = step(None, asked, &both(), &BTreeSet::new(), at(5)).unwrap();
        // Who asked looks for it by the very instant.
        assert_eq!(Some(drill.due), asked.asked);
        assert_eq!(due(Some(&drill), asked, at(6)), None);
    }

    #[test]
    fn it_arrives_everywhere_or_fails_after_ten_minutes() {
        let none = BTreeSet::new();
        let first = step(None, scheduled(0), &both(), &none, at(2)).unwrap();
        assert_eq!(
            (first.state, first.due, first.at),
            (DrillState::Due, at(0), at(2))
        );
        let one = [NoticeWay::Webhook].into();
        let half = step(Some(&first), scheduled(0), &both(), &one, at(4)).unwrap();
        assert_eq!(
            (half.state, half.told.as_slice()),
            (DrillState::Due, &[NoticeWay::Webhook][..])
        );
        assert!(is_wanted(&half, NoticeWay::Telegram, at(4)) && !is_wanted(&half, NoticeWay::Webhook, at(4)));
        let waiting = step(Some(&half), scheduled(0), &both(), &none, at(601)).unwrap();
        assert_eq!(waiting, half);
        let failed = step(Some(&half), scheduled(0), &both(), &none, at(602)).unwrap();
        assert_eq!((failed.state, failed.at), (DrillState::Failed, at(602)));
        assert_eq!(
            step(Some(&failed), scheduled(0), &both(), &none, at(900)),
            Some(failed.clone())
        );
        assert!(is_wanted(&failed, NoticeWay::Telegram, at(86_399)));
        assert!(!is_wanted(&failed, NoticeWay::Telegram, at(86_400)));
        // Late is better than never.
        let other = [NoticeWay::Telegram].into();
        let late = step(Some(&failed), scheduled(0), &both(), &other, at(1000)).unwrap();
        assert_eq!(
            (late.state, late.delivered_at),
            (DrillState::Told, Some(at(1000)))
        );
    }

    #[test]
    fn a_schedule_is_gone_through_as_time_goes_by() {
        let weekly = Drill {
            cron: "0 12 * * MON".to_owned(),
            time_zone: Some("Europe/Berlin".to_owned()),
        };
        let time = |text: &str| -> Timestamp { text.parse().unwrap() };
        let monday = time("2026-11-23T11:00:00Z");
        let mut clockwork = Clockwork::new(&weekly, time("2026-11-22T20:00:00Z"));
        assert!(clockwork.is_of(&weekly) && !clockwork.is_of(&Drill::default()));
        assert_eq!(clockwork.newest(time("2026-11-23T10:59:59Z")), None);
        assert_eq!(clockwork.newest(monday), Some(monday));
        assert_eq!(clockwork.newest(time("2026-11-30T10:59:59Z")), Some(monday));
        assert_eq!(
            clockwork.newest(time("2026-12-08T00:00:00Z")),
            Some(time("2026-12-07T11:00:00Z"))
        );
        // An operator that starts after it knows of it for a day.
        let mut late = Clockwork::new(&weekly, time("2026-11-24T10:00:00Z"));
        assert_eq!(late.newest(time("2026-11-24T10:00:00Z")), Some(monday));
        let mut none = Clockwork::new(&Drill::default(), monday);
        assert_eq!(none.newest(monday), None);
    }

    #[test]
    fn with_nobody_to_tell_it_fails_at_once() {
        let none = BTreeSet::new();
        let drill = step(None, asked(0), &none, &none, at(1)).unwrap();
        assert_eq!(drill.state, DrillState::Failed);
    }
}

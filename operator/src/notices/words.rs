//! What people are told, who may just have been woken by it. No IO, no clock.

use jiff::{Timestamp, tz::TimeZone};
use radio_crds::show::NoticeKind;

use super::{
    judge::{Finding, Hearing, Recorded, Scene, Taping},
    outbox::About,
};

/// What a status takes.
const LONGEST: usize = 500;
/// Of several reasons the first tell what to look at.
const TOLD_REASONS: usize = 2;

/// What of a Show's surroundings is worth telling.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stage {
    /// The pod to look at if the ingest does not answer.
    pub station: String,
    /// Who is connected without being on air.
    pub rehearsing: Vec<String>,
    /// When and why the last source was not let in.
    pub refused: Option<(Timestamp, String)>,
}

/// One sentence on what was found of a slot; times as the clocks of `zone` show them.
#[must_use]
pub fn sentence(finding: Finding, scene: &Scene, stage: &Stage, zone: &TimeZone) -> String {
    let clock = |instant| moment(instant, zone);
    let taping = scene.taping.as_ref();
    let recorded = taping.and_then(|taping| taping.recorded.as_ref());
    let words = match (finding.kind, finding.over) {
        (NoticeKind::Missed, false) => missed(scene, stage, zone),
        (NoticeKind::Missed, true) => {
            let since = scene.air.first.map_or_else(|| "now".to_owned(), clock);
            format!("somebody is on air since {since}")
        }
        (NoticeKind::NotRecorded, false) => not_recorded(scene, taping, zone),
        (NoticeKind::NotRecorded, true) => "it is recorded".to_owned(),
        (NoticeKind::Short, false) => short(recorded),
        (NoticeKind::Doubtful, false) => {
            format!("somebody should listen to its recording{}", reasons(recorded))
        }
        (NoticeKind::Short | NoticeKind::Doubtful, true) => {
            "its recording was made again, and is verified".to_owned()
        }
        (NoticeKind::NotStored, false) => not_stored(scene, recorded, zone),
        (NoticeKind::NotStored, true) => "its recording is in the store".to_owned(),
    };
    cut(&words)
}

fn missed(scene: &Scene, stage: &Stage, zone: &TimeZone) -> String {
    let (start, end) = (moment(scene.start, zone), moment(scene.end, zone));
    let mut words = if scene.outcome.is_some() {
        format!("nobody was on air from {start} to {end}")
    } else {
        format!("nobody has been on air since it began at {start}")
    };
    if scene.hearing == Hearing::Silence {
        let station = &stage.station;
        words = format!(
            "{words}; the ingest of Station {station} does not answer: look at pod {station}-ingest-0"
        );
    }
    if let (Some(who), None) = (stage.rehearsing.first(), scene.outcome) {
        let more = match stage.rehearsing.len() {
            1 => String::new(),
            all => format!(" and {} more", all - 1),
        };
        words = format!("{words}; {who}{more} is connected, in rehearsal");
    }
    if let (Some((at, why)), None) = (&stage.refused, scene.outcome) {
        let at = moment(*at, zone);
        words = format!("{words}; the last source that was not let in, at {at}, was told: {why}");
    }
    words
}

fn not_recorded(scene: &Scene, taping: Option<&Taping>, zone: &TimeZone) -> String {
    let since = scene.air.still.or(scene.air.first).unwrap_or(scene.start);
    let on_air = format!("somebody is on air since {}", moment(since, zone));
    let Some(taping) = taping else {
        return format!("{on_air}, and it is not recorded");
    };
    let name = &taping.name;
    let Some(recorded) = &taping.recorded else {
        return format!("{on_air}, and there is no Recording {name}: look at the conditions of the Show");
    };
    let says = if recorded.says.is_empty() {
        String::new()
    } else {
        format!(" ({})", recorded.says)
    };
    format!(
        "{on_air}, and nothing has been recorded since {}: look at the pods of Recording {name}{says}; the tape keeps what \
         is sent for as long as it has room",
        moment(taping.quiet_since, zone)
    )
}

fn short(recorded: Option<&Recorded>) -> String {
    let part = recorded.and_then(|recorded| recorded.coverage.zip(recorded.min_coverage));
    let (coverage, least) = part.unwrap_or_default();
    format!(
        "{coverage} % of it are recorded, {least} % should be{}",
        reasons(recorded)
    )
}

fn reasons(recorded: Option<&Recorded>) -> String {
    let doubts = recorded.map_or(&[][..], |recorded| recorded.doubts.as_slice());
    let told: Vec<&str> = doubts.iter().take(TOLD_REASONS).map(String::as_str).collect();
    if told.is_empty() {
        return String::new();
    }
    format!(": {}", told.join("; "))
}

fn not_stored(scene: &Scene, recorded: Option<&Recorded>, zone: &TimeZone) -> String {
    let end = moment(scene.closes, zone);
    let Some(since) = recorded.and_then(|recorded| recorded.store_out) else {
        let says = recorded.map_or("", |recorded| recorded.says.as_str());
        return format!("it was over at {end}, and its recording is not finished: {says}");
    };
    format!(
        "it was over at {end}, and its recording is not in the store, which has taken nothing since {}; until it does, the \
         tape and the recorder's disk keep everything they have room for",
        moment(since, zone)
    )
}

/// `2026-11-21 20:00 CET`.
#[must_use]
pub fn moment(instant: Timestamp, zone: &TimeZone) -> String {
    instant
        .to_zoned(zone.clone())
        .strftime("%Y-%m-%d %H:%M %Z")
        .to_string()
}

/// What a notice is called.
#[must_use]
pub fn headline(kind: NoticeKind, over: bool) -> &'static str {
    match (kind, over) {
        (NoticeKind::Missed, false) => "MISSED",
        (NoticeKind::NotRecorded, false) => "NOT RECORDED",
        (NoticeKind::Short, false) => "TOO SHORT",
        (NoticeKind::Doubtful, false) => "DOUBTFUL",
        (NoticeKind::NotStored, false) => "NOT STORED",
        (NoticeKind::Missed, true) => "No longer missed",
        (NoticeKind::NotRecorded, true) => "Recorded again",
        (NoticeKind::Short, true) => "No longer too short",
        (NoticeKind::Doubtful, true) => "No longer doubtful",
        (NoticeKind::NotStored, true) => "Stored",
    }
}

/// A whole message: what, of what, and where to look.
#[must_use]
pub fn letter(about: &About, title: &str, sentence: &str, (namespace, station): (&str, &str)) -> String {
    match about {
        About::Slot { show, entry } => {
            let headline = headline(entry.kind, entry.over);
            format!("{headline}: {title}\n{sentence}\nShow {show}, Station {station}, namespace {namespace}")
        }
        About::Drill(due) => {
            let due = moment(*due, &TimeZone::UTC);
            format!(
                "DRILL: {title}\nThis was to be sent at {due}: nothing is wrong, and messages arrive.\nStation {station}, \
                 namespace {namespace}"
            )
        }
    }
}

fn cut(words: &str) -> String {
    let plain = words.chars().map(|c| if c.is_control() { ' ' } else { c });
    if words.chars().count() <= LONGEST {
        return plain.collect();
    }
    plain.take(LONGEST - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use radio_crds::{recording::Phase, show::Outcome};

    use super::*;
    use crate::notices::{judge::Air, logbook::Entry};

    fn at(minute: i64) -> Timestamp {
        let start: Timestamp = "2026-11-21T19:00:00Z".parse().unwrap();
        start + SignedDuration::from_mins(minute)
    }

    fn scene() -> Scene {
        Scene {
            start: at(0),
            end: at(120),
            closes: at(135),
            missed_after: SignedDuration::from_mins(5),
            outcome: None,
            hearing: Hearing::Now,
            air: Air::default(),
            taping: None,
        }
    }

    fn recorded() -> Recorded {
        Recorded {
            phase: Some(Phase::Doubtful),
            until: at(135),
            coverage: Some(7),
            min_coverage: Some(95),
            doubts: vec!["too short".to_owned(), "silent".to_owned(), "odd".to_owned()],
            store_out: None,
            says: "its pod cannot be scheduled".to_owned(),
        }
    }

    fn taping(recorded: Option<Recorded>) -> Taping {
        Taping {
            name: "live-1".to_owned(),
            quiet_since: at(2),
            moves: true,
            recorded,
        }
    }

    fn say(kind: NoticeKind, over: bool, scene: &Scene, stage: &Stage) -> String {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        sentence(Finding { kind, over }, scene, stage, &zone)
    }

    #[test]
    fn a_missed_slot_says_who_tried() {
        let mut stage = Stage {
            station: "radio".to_owned(),
            ..Stage::default()
        };
        assert_eq!(
            say(NoticeKind::Missed, false, &scene(), &stage),
            "nobody has been on air since it began at 2026-11-21 20:00 CET"
        );
        stage.rehearsing = vec!["anna at studio".to_owned()];
        stage.refused = Some((at(3), "the password is wrong".to_owned()));
        let silent = Scene {
            hearing: Hearing::Silence,
            ..scene()
        };
        assert_eq!(
            say(NoticeKind::Missed, false, &silent, &stage),
            "nobody has been on air since it began at 2026-11-21 20:00 CET; the ingest of Station radio does not answer: \
             look at pod radio-ingest-0; anna at studio is connected, in rehearsal; the last source that was not let in, at \
             2026-11-21 20:03 CET, was told: the password is wrong"
        );
        let past = Scene {
            outcome: Some(Outcome::Missed),
            ..scene()
        };
        assert_eq!(
            say(NoticeKind::Missed, false, &past, &stage),
            "nobody was on air from 2026-11-21 20:00 CET to 2026-11-21 22:00 CET"
        );
        let late = Scene {
            air: Air {
                first: Some(at(12)),
                still: None,
            },
            ..scene()
        };
        assert_eq!(
            say(NoticeKind::Missed, true, &late, &stage),
            "somebody is on air since 2026-11-21 20:12 CET"
        );
    }

    #[test]
    fn what_is_recorded_says_what_to_look_at() {
        let stage = Stage::default();
        let with = |recorded| Scene {
            air: Air {
                first: Some(at(0)),
                still: Some(at(0)),
            },
            taping: Some(taping(recorded)),
            ..scene()
        };
        assert_eq!(
            say(NoticeKind::NotRecorded, false, &with(None), &stage),
            "somebody is on air since 2026-11-21 20:00 CET, and there is no Recording live-1: look at the conditions of \
             the Show"
        );
        assert_eq!(
            say(NoticeKind::NotRecorded, false, &with(Some(recorded())), &stage),
            "somebody is on air since 2026-11-21 20:00 CET, and nothing has been recorded since 2026-11-21 20:02 CET: look \
             at the pods of Recording live-1 (its pod cannot be scheduled); the tape keeps what is sent for as long as it \
             has room"
        );
        assert_eq!(
            say(NoticeKind::Short, false, &with(Some(recorded())), &stage),
            "7 % of it are recorded, 95 % should be: too short; silent"
        );
        assert_eq!(
            say(NoticeKind::Doubtful, false, &with(Some(recorded())), &stage),
            "somebody should listen to its recording: too short; silent"
        );
        let out = Recorded {
            store_out: Some(at(100)),
            ..recorded()
        };
        let words = say(NoticeKind::NotStored, false, &with(Some(out)), &stage);
        assert!(
            words.contains("has taken nothing since 2026-11-21 21:40 CET"),
            "{words}"
        );
        let words = say(NoticeKind::NotStored, false, &with(Some(recorded())), &stage);
        assert!(
            words.ends_with("is not finished: its pod cannot be scheduled"),
            "{words}"
        );
    }

    #[test]
    fn hostile_words_stay_on_one_line_and_within_a_status() {
        let stage = Stage {
            refused: Some((at(3), "\u{1b}[2J\n\"🎙".repeat(400))),
            ..Stage::default()
        };
        let words = say(NoticeKind::Missed, false, &scene(), &stage);
        assert!(
            words.chars().count() == LONGEST && words.ends_with('…') && !words.contains(char::is_control)
        );
    }

    #[test]
    fn a_message_is_short_enough_to_be_read_on_a_telephone() {
        let entry = Entry {
            slot: at(0),
            kind: NoticeKind::Missed,
            over: false,
        };
        let about = About::Slot {
            show: "night-shift".to_owned(),
            entry,
        };
        assert_eq!(
            letter(&about, "Night Shift", "nobody is there", ("city", "radio")),
            "MISSED: Night Shift\nnobody is there\nShow night-shift, Station radio, namespace city"
        );
        let drill = letter(&About::Drill(at(0)), "City Radio", "", ("city", "radio"));
        assert_eq!(
            drill,
            "DRILL: City Radio\nThis was to be sent at 2026-11-21 19:00 UTC: nothing is wrong, and messages arrive.\nStation \
             radio, namespace city"
        );
    }
}

//! When a Recording is over at the latest, by what it says and what people said later. No IO.

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use radio_crds::{Recording, STOP_ANNOTATION};

/// When somebody said that it is over, if that is a time after it began.
#[must_use]
pub fn stopped_at(recording: &Recording) -> Option<Timestamp> {
    let said = recording.annotations().get(STOP_ANNOTATION)?;
    let said = said.parse().ok();
    said.filter(|said| *said > recording.spec.window.from)
}

/// The end of its window; absent: it has none.
#[must_use]
pub fn until(recording: &Recording) -> Option<Timestamp> {
    let ends = [recording.spec.window.until, stopped_at(recording)];
    ends.into_iter().flatten().min()
}

/// Whether a silence ends it before its window does. A slot of a Show is the Show's whoever is silent for how long, and so is
/// a window that names no silence.
#[must_use]
pub fn ends_idle(recording: &Recording) -> bool {
    let spec = &recording.spec;
    let names_a_silence = spec.idle_end.is_some() || spec.window.until.is_none();
    until(recording).is_some() && spec.show.is_none() && names_a_silence
}

/// Until when it goes on, whoever is silent for how long; absent: a silence ends it.
#[must_use]
pub fn held_until(recording: &Recording) -> Option<Timestamp> {
    until(recording).filter(|_| !ends_idle(recording))
}

/// Nothing after it is recorded, whoever is on air; `None` if its length is none.
#[must_use]
pub fn limit(recording: &Recording) -> Option<Timestamp> {
    let spec = &recording.spec;
    let longest = SignedDuration::from_secs(spec.max_length_seconds()?.into());
    let limit = spec.window.from.saturating_add(longest).unwrap_or(Timestamp::MAX);
    Some(until(recording).map_or(limit, |until| until.min(limit)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        recording::sample::{PLAIN, at},
        testing::yaml,
    };

    fn recording(window: &str, idle: &str, stop: Option<Timestamp>) -> Recording {
        let spec = format!("window: {{from: \"2026-11-21T14:00:00Z\"{window}}}\n  {idle}");
        let text = PLAIN.replace("window: {from: \"2026-11-21T14:00:00.25Z\"}", &spec);
        let mut recording: Recording = yaml(&text);
        recording.metadata.annotations =
            stop.map(|stop| [(STOP_ANNOTATION.to_owned(), stop.to_string())].into());
        recording
    }

    const TWO_HOURS: &str = ", until: \"2026-11-21T16:00:00Z\"";

    #[test]
    fn a_window_is_held_unless_it_names_a_silence() {
        let held = |recording: &Recording| held_until(recording).map(|at| at.to_string());
        let end = Some("2026-11-21T16:00:00Z".to_owned());
        assert_eq!(held(&recording("", "", None)), None);
        assert_eq!(held(&recording("", "idleEnd: 2m", None)), None);
        assert_eq!(held(&recording(TWO_HOURS, "", None)), end);
        assert_eq!(held(&recording(TWO_HOURS, "idleEnd: 2m", None)), None);
        let slot = "idleEnd: 2m\n  show: {name: night, slotEnd: \"2026-11-21T15:45:00Z\"}";
        assert_eq!(held(&recording(TWO_HOURS, slot, None)), end);
        for window in ["", TWO_HOURS] {
            let ended = limit(&recording(window, "idleEnd: 2m", None)).unwrap();
            assert_eq!(ended, if window.is_empty() { at(21_600) } else { at(7200) });
        }
    }

    #[test]
    fn somebody_may_end_it_before() {
        let open = recording("", "", Some(at(600)));
        assert_eq!((until(&open), limit(&open)), (Some(at(600)), Some(at(600))));
        // It still ends by a silence, too.
        assert!(ends_idle(&open));
        let slot = recording(TWO_HOURS, "", Some(at(600)));
        assert_eq!(held_until(&slot), Some(at(600)));
        // Never longer, and never before it began.
        assert_eq!(until(&recording(TWO_HOURS, "", Some(at(9000)))), Some(at(7200)));
        assert_eq!(until(&recording("", "", Some(at(0)))), None);
        let mut nonsense = recording("", "", None);
        nonsense.metadata.annotations = Some([(STOP_ANNOTATION.to_owned(), "now".to_owned())].into());
        assert_eq!(until(&nonsense), None);
    }
}

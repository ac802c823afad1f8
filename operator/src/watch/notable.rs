//! What of an object a change has to touch to wake anybody. No IO.

use std::hash::{DefaultHasher, Hash, Hasher};

use kube::{Resource, ResourceExt};
use radio_crds::GROUP;

use super::{GuardedRecording, GuardedShow};

/// Whether an annotation tells the operator something.
pub fn is_ours(annotation: &str) -> bool {
    annotation
        .strip_prefix(GROUP)
        .is_some_and(|rest| rest.starts_with('/'))
}

/// Our own kinds: a status we wrote is no news, and what people ask for by annotations is.
pub fn spec_and_labels<K: Resource>(object: &K) -> u64 {
    let metadata = object.meta();
    digest(&(
        &metadata.uid,
        metadata.generation,
        object.labels(),
        object.annotations(),
    ))
}

/// The slots of a Show that have begun decide who is let in and what is recorded, and a notice makes a condition.
pub fn spec_labels_and_slots(show: &GuardedShow) -> u64 {
    let status = show.0.as_ref().ok().and_then(|show| show.status.as_ref());
    let told = status.map(|status| (&status.under_way, &status.notices, &status.seen_until));
    digest(&(spec_and_labels(show), told))
}

/// How far a Recording is decides what is named on its Mount, and whether the tape is still needed.
pub fn spec_labels_and_phase(recording: &GuardedRecording) -> u64 {
    let recorded = recording.0.as_ref().ok();
    let phase = recorded.and_then(|recording| recording.status.as_ref()?.phase);
    let over = recorded.and_then(|recording| recording.status.as_ref()?.over);
    let ended = recorded.and_then(|recording| recording.status.as_ref()?.ended_at.as_ref());
    digest(&(
        spec_and_labels(recording),
        phase,
        over,
        ended.map(|ended| ended.0),
    ))
}

/// Other kinds: everything is news.
pub fn version<K: Resource>(object: &K) -> u64 {
    digest(&(&object.meta().uid, &object.meta().resource_version))
}

fn digest<T: Hash>(value: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use kube::core::DeserializeGuard;
    use radio_crds::{ON_AIR_ANNOTATION, Show, ShowStatus, show::SlotUnderWay};

    use super::*;
    use crate::{show::sample, testing::yaml};

    #[test]
    fn only_annotations_of_ours_are_kept() {
        assert!(is_ours(ON_AIR_ANNOTATION));
        for others in [
            "kubectl.kubernetes.io/last-applied-configuration",
            "radio.moafunk.de",
            "radio.moafunk.dev/x",
            "x.radio.moafunk.de/x",
        ] {
            assert!(!is_ours(others), "{others}");
        }
    }

    #[test]
    fn what_is_news_of_a_show() {
        let show: Show = yaml(sample::PLAIN);
        let digest = |show: &Show| spec_labels_and_slots(&DeserializeGuard(Ok(show.clone())));
        let with = |change: fn(&mut ShowStatus)| {
            let mut changed = show.clone();
            change(changed.status.get_or_insert_default());
            digest(&changed)
                != digest(&Show {
                    status: Some(ShowStatus::default()),
                    ..show.clone()
                })
        };
        assert!(with(|status| status.under_way.push(SlotUnderWay::default())));
        assert!(with(|status| status.seen_until = Some(sample::at(0))));
        assert!(!with(|status| status.kept = Some(3)));
        assert!(!with(|status| status.observed_generation = Some(1)));
        let mut live = show.clone();
        live.annotations_mut()
            .insert(ON_AIR_ANNOTATION.to_owned(), "now".to_owned());
        assert_ne!(digest(&live), digest(&show));
    }
}

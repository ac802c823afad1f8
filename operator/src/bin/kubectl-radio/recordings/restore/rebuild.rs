//! A Recording out of what the bucket says of it. No IO, no clock.
//!
//! The status is what the operator itself would write: its own plan is asked, with the reports its Jobs would have made.

use jiff::Timestamp;
use kube::ResourceExt;
use radio_crds::{
    MOUNT_LABEL, Recording, RecordingSpec, RecordingStatus, SHOW_LABEL, STATION_LABEL,
    recording::{DEFAULT_IDLE_END, DEFAULT_MAX_LENGTH, FIRST_EDITION, Rendition, SlotOf, Window},
    store::Bucket,
};
use radio_operator::{
    context::Images,
    k8s::meta::{MANAGED_BY, MANAGED_BY_LABEL},
    recording::{
        details::details,
        jobs::{JobId, Said, Work},
        plan::{self, Seen},
        status::Observed,
        validate,
    },
};
use recorder::{
    config,
    manifest::{About, Manifest, Over, OverWhy},
    published::{Final, Interval},
    report::{Heard, Published, Stored},
    ship,
};

use crate::words::api_length;

/// Where something was found.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Where the Recording is to be.
    pub namespace: &'a str,
    /// The Station.
    pub station: &'a str,
    /// The Mount.
    pub mount: &'a str,
    /// The Recording.
    pub name: &'a str,
    /// The bucket.
    pub store: &'a Bucket,
}

/// What the bucket says of one Recording.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// What ship knew.
    pub manifest: Option<Manifest>,
    /// What finalize made.
    pub published: Option<Final>,
}

impl Told {
    fn about(&self) -> Option<&About> {
        let published = self.published.as_ref().map(|published| &published.recording);
        self.manifest
            .as_ref()
            .map(|manifest| &manifest.recording)
            .or(published)
    }
}

/// Why nothing can be made of it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Nobody wrote down what it is.
    #[error("neither manifest.json nor final.json says what it is; its objects stay in the bucket")]
    Untold,
    /// It is not where it says it is.
    #[error("what lies there says that it is {0}; it is left alone")]
    Elsewhere(String),
}

/// The Recording, without a status.
pub fn rebuild(place: &Place<'_>, told: &Told) -> Result<Recording, Unfit> {
    let about = told.about().ok_or(Unfit::Untold)?;
    let own = [&about.namespace, &about.station, &about.mount, &about.name];
    if own.map(String::as_str) != [place.namespace, place.station, place.mount, place.name] {
        return Err(Unfit::Elsewhere(own.map(String::as_str).join("/")));
    }
    let spec = RecordingSpec {
        station: about.station.clone(),
        mount: about.mount.clone(),
        input: about.input.clone(),
        title: about.title.clone(),
        window: Window {
            from: about.window.from,
            until: about.window.until,
        },
        idle_end: idle_end(about),
        max_length: unless_default(longest(about), DEFAULT_MAX_LENGTH),
        store: place.store.clone(),
        spool_size: None,
        renditions: renditions(about, told.published.as_ref()),
        min_coverage: about.min_coverage_percent,
        show: about.show.as_ref().map(|slot| SlotOf {
            name: slot.name.clone(),
            slot_end: slot.slot_end,
        }),
        edition: edition(told.published.as_ref()),
    };
    let mut recording = Recording::new(place.name, spec);
    recording.metadata.namespace = Some(place.namespace.to_owned());
    let spec = &recording.spec;
    let show = spec.show.as_ref().map(|slot| (SHOW_LABEL, slot.name.as_str()));
    let labels = [
        (MANAGED_BY_LABEL, MANAGED_BY),
        (STATION_LABEL, &spec.station),
        (MOUNT_LABEL, &spec.mount),
    ];
    let labels = labels.into_iter().chain(show);
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    recording.metadata.labels = Some(labels.collect());
    Ok(recording)
}

/// How long it could get; of what was written before that was kept, what its window says.
fn longest(about: &About) -> u64 {
    let by_window = || {
        let end = about.window.until.unwrap_or(about.limit).max(about.limit);
        let seconds = end.duration_since(about.window.from).as_secs();
        u64::try_from(seconds).unwrap_or_default().clamp(60, 24 * 3_600)
    };
    about.max_length_seconds.map_or_else(by_window, u64::from)
}

/// Beside an end, only a silence that is named counts: there the default has to be named, too.
fn idle_end(about: &About) -> Option<String> {
    let seconds = about.idle_end_seconds.into();
    if about.ends_idle {
        return Some(api_length(seconds));
    }
    unless_default(seconds, DEFAULT_IDLE_END)
}

fn unless_default(seconds: u64, default: &str) -> Option<String> {
    let length = api_length(seconds);
    (length != default).then_some(length)
}

fn renditions(about: &About, published: Option<&Final>) -> Vec<Rendition> {
    let asked = about
        .renditions
        .iter()
        .map(|config::Rendition::Mp3| Rendition::Mp3);
    let mut renditions: Vec<Rendition> = asked.collect();
    if renditions.is_empty() && published.is_some_and(|published| !published.renditions.is_empty()) {
        renditions.push(Rendition::Mp3);
    }
    renditions
}

/// What is there counts as what is wanted: nothing is made again.
fn edition(published: Option<&Final>) -> Option<u32> {
    let edition = published?.edition;
    (edition > FIRST_EDITION).then_some(edition)
}

/// How far it is. `None` if it was not over: then the operator goes on with it, as if it had only been away.
pub fn status(recording: &Recording, told: &Told, now: Timestamp) -> Option<RecordingStatus> {
    let stored = stored(told)?;
    let spec = validate::spec(recording, &images()).ok()?;
    let job = |name: &str| JobId {
        name: name.to_owned(),
        uid: String::new(),
    };
    let published = told.published.as_ref().map(Published::from);
    let seen = Seen {
        recorder: Work::Complete(job(&recording.name_any()), Said::Report(stored)),
        finalizer: published.map_or(Work::Absent, |published| {
            Work::Complete(job("final"), Said::Report(published))
        }),
        others: Vec::new(),
        misled: Vec::new(),
        ship: None,
        tape: None,
    };
    let plan = plan::plan(&spec, None, &seen, now);
    Some(details(&Observed {
        spec,
        plan,
        ship: None,
        capture: None,
        trouble: None,
        failure: None,
        before: RecordingStatus::default(),
    }))
}

/// What ship reported. Where its manifest is gone, what was made of it tells the most of it.
fn stored(told: &Told) -> Option<Stored> {
    if let Some(manifest) = &told.manifest {
        return manifest.over.map(|over| ship::stored(manifest, over));
    }
    let published = told.published.as_ref()?;
    let why = match published.recording.window.until {
        Some(_) => OverWhy::Until,
        None => OverWhy::Idle,
    };
    let mut sessions: Vec<Heard> = Vec::new();
    for interval in &published.intervals {
        match sessions.iter_mut().find(|heard| heard.id == interval.session) {
            Some(heard) => {
                heard.to = heard.to.max(Some(interval.to));
                heard.bytes += interval.bytes.bytes();
            }
            None => sessions.push(heard(interval)),
        }
    }
    Some(Stored {
        over: Over {
            at: published.to,
            why,
        },
        from: sessions.iter().map(|heard| heard.from).min(),
        to: sessions.iter().filter_map(|heard| heard.to).max(),
        bytes: sessions.iter().map(|heard| heard.bytes).sum(),
        lost_bytes: 0,
        lost: Vec::new(),
        sessions,
        lost_left_out: 0,
        sessions_left_out: 0,
    })
}

fn heard(interval: &Interval) -> Heard {
    Heard {
        id: interval.session.clone(),
        input: interval.input.clone(),
        from: interval.from,
        to: Some(interval.to),
        bytes: interval.bytes.bytes(),
    }
}

/// Nothing is run with them.
fn images() -> Images {
    let none = || "none".to_owned();
    Images {
        icecast: none(),
        liquidsoap: none(),
        ingest: none(),
        recorder: none(),
    }
}

#[cfg(test)]
mod tests {
    use insta::{assert_snapshot, assert_yaml_snapshot};
    use radio_crds::recording::Phase;

    use super::*;
    use crate::recordings::sample;

    fn told() -> Told {
        Told {
            manifest: Some(sample::manifest()),
            published: Some(sample::published()),
        }
    }

    fn rebuilt(told: &Told) -> Result<Recording, Unfit> {
        let there = &sample::recordings()[1];
        let place = Place {
            namespace: "city",
            station: "radio",
            mount: "live",
            name: "live-20261121t200000z",
            store: &there.spec.store,
        };
        rebuild(&place, told)
    }

    fn state(told: &Told) -> Option<RecordingStatus> {
        let mut recording = rebuilt(told).unwrap();
        recording.metadata.uid = Some("new".to_owned());
        status(&recording, told, "2026-12-01T00:00:00Z".parse().unwrap())
    }

    /// What was lost comes back as it was: spec and status.
    #[test]
    fn it_is_what_it_was() {
        let there = &sample::recordings()[1];
        let recording = rebuilt(&told()).unwrap();
        assert_eq!(recording.spec, there.spec);
        assert_yaml_snapshot!(recording);
        let before = there.status.clone().unwrap();
        let after = state(&told()).unwrap();
        assert_eq!(
            RecordingStatus {
                sessions: Vec::new(),
                ..after.clone()
            },
            before
        );
        assert_yaml_snapshot!(after);
    }

    #[test]
    fn without_its_manifest_final_json_has_to_do() {
        let only = Told {
            manifest: None,
            ..told()
        };
        let (with, without) = (state(&told()).unwrap(), state(&only).unwrap());
        assert_eq!(with, without);
    }

    #[test]
    fn what_is_stored_and_not_made_yet_is_made_by_the_operator() {
        let only = Told {
            published: None,
            ..told()
        };
        let status = state(&only).unwrap();
        assert_eq!(status.phase, Some(Phase::Finalizing));
        assert_eq!((status.version, status.edition), (None, None));
    }

    #[test]
    fn what_was_not_over_goes_on() {
        let mut going_on = told();
        going_on.published = None;
        going_on.manifest.as_mut().unwrap().over = None;
        assert!(rebuilt(&going_on).is_ok());
        assert_eq!(state(&going_on), None);
    }

    #[test]
    fn a_later_edition_is_what_is_wanted() {
        let mut told = told();
        told.published.as_mut().unwrap().edition = 3;
        assert_eq!(rebuilt(&told).unwrap().spec.edition, Some(3));
        let status = state(&told).unwrap();
        assert_eq!((status.edition, status.reopened), (Some(3), None));
    }

    #[test]
    fn a_silence_that_counted_counts() {
        let idle_end = |seconds, ends_idle| {
            let mut told = told();
            let about = &mut told.manifest.as_mut().unwrap().recording;
            (about.idle_end_seconds, about.ends_idle) = (seconds, ends_idle);
            rebuilt(&told).unwrap().spec.idle_end
        };
        assert_eq!(idle_end(120, false), None);
        assert_eq!(idle_end(90, false).as_deref(), Some("90s"));
        assert_eq!(idle_end(120, true).as_deref(), Some("2m"));
    }

    /// As manifests were before they kept all of the spec.
    #[test]
    fn an_old_manifest_is_enough() {
        let mut old = told();
        for about in [
            &mut old.manifest.as_mut().unwrap().recording,
            &mut old.published.as_mut().unwrap().recording,
        ] {
            about.max_length_seconds = None;
            about.renditions.clear();
            about.min_coverage_percent = None;
            about.show = None;
        }
        let spec = rebuilt(&old).unwrap().spec;
        assert_eq!(spec.max_length.as_deref(), Some("135m"));
        assert_eq!(spec.renditions, [Rendition::Mp3]);
        assert_eq!((spec.min_coverage, spec.show), (None, None));
    }

    #[test]
    fn what_is_of_another_place_is_left_alone() {
        let mut stray = told();
        stray.manifest.as_mut().unwrap().recording.namespace = "other".to_owned();
        assert_snapshot!(rebuilt(&stray).unwrap_err());
        assert_snapshot!(rebuilt(&Told::default()).unwrap_err());
    }
}

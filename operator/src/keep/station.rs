//! What was left behind in a Station's part of the bucket: looked for once a day by a Job, and counted. IO in [`tend`].

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::{
    Resource, ResourceExt,
    runtime::events::{Event, EventType},
};
use radio_crds::{
    SWEEP_ANNOTATION, Station, StationStatus,
    conditions::event,
    recording::Phase,
    retention::{Lifecycle, Swept as Told},
    store::Bucket,
};
use recorder::errand::{self, Errand, Place, Sweep};

use super::{
    Course, Errands, build::Ordered, failed, more, news as told, plan::Step, retention::is_finished, sum,
};
use crate::{
    context::Context,
    k8s::{conditions::Beside, kind::Kind, meta::Owner},
    recording::{jobs::one_line, validate, words::size},
    text::ImageName,
};

const EACH: SignedDuration = SignedDuration::from_hours(24);
/// A Station that was just made has nothing to sweep.
const FIRST: SignedDuration = SignedDuration::from_mins(15);
/// A Secret has room for more; nothing is left behind in older ones.
const MOST_VERIFIED: usize = 4_000;

/// How a Station's bucket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swept {
    next: Option<Timestamp>,
    course: Course,
    before: Option<Told>,
    now: Timestamp,
}

/// The Job's and its Secret's name.
#[must_use]
pub fn job_name(station: &str) -> String {
    format!("{station}-sweep")
}

/// Sees to it that the bucket is swept once a day. What fails here is in the result: a Station is ready without it.
pub async fn tend(station: &Station, owner: &Owner, context: &Context, now: Timestamp) -> Swept {
    let before = station.status.as_ref().and_then(|status| status.swept.clone());
    let store = station.storage().map(|storage| &storage.s3);
    let next = store.and_then(|_| next(station, before.as_ref()));
    let ordered = store
        .filter(|_| next.is_some_and(|next| next <= now))
        .map(|store| ordered(store, owner, context, now));
    let errands = Errands {
        owner,
        manager: Station::MANAGER,
        name: job_name(&owner.name),
        context,
    };
    let memory = before
        .as_ref()
        .and_then(|swept| swept.deletion.clone())
        .unwrap_or_default();
    let mut course = errands.go_on(&memory, ordered, now).await;
    if let Step::Clear(job, _) = &course.step
        && let Err(failure) = errands.clear(job).await
    {
        course = Course::refused(&failure);
    }
    Swept {
        next,
        course,
        before,
        now,
    }
}

/// When it is due: once a day, the first time soon, and when somebody asks for it.
fn next(station: &Station, before: Option<&Told>) -> Option<Timestamp> {
    let last = before.and_then(|swept| swept.at);
    let asked = station.annotations().get(SWEEP_ANNOTATION);
    let asked: Option<Timestamp> = asked.and_then(|instant| instant.trim().parse().ok());
    if let Some(asked) = asked.filter(|asked| last.is_none_or(|last| last < *asked)) {
        return Some(asked);
    }
    let due = match last {
        Some(last) => last.saturating_add(EACH),
        None => station.creation_timestamp()?.0.saturating_add(FIRST),
    };
    due.ok()
}

fn ordered(store: &Bucket, owner: &Owner, context: &Context, now: Timestamp) -> Result<Ordered, String> {
    let image = ImageName::parse("the operator's recorder image", &context.images.recorder);
    let image = image.map_err(|wrong| wrong.to_string())?;
    let errand = Errand {
        order: String::new(),
        store: validate::bucket(store).map_err(|wrong| wrong.to_string())?,
        namespace: owner.namespace.clone(),
        station: owner.name.clone(),
        recordings: Vec::new(),
        sweep: Some(Sweep {
            verified: verified(store, owner, context, now),
        }),
    };
    let keys = store.secret_ref.name.clone();
    Ok(Ordered::new(job_name(&owner.name), keys, image, errand))
}

/// The newest verified Recordings in this place.
fn verified(store: &Bucket, owner: &Owner, context: &Context, now: Timestamp) -> Vec<Place> {
    let place = |store: &Bucket| (store.endpoint.clone(), store.bucket.clone(), store.prefix.clone());
    let is_here = |recording: &&radio_crds::Recording| {
        let phase = recording.status.as_ref().and_then(|status| status.phase);
        recording.spec.station == owner.name
            && place(&recording.spec.store) == place(store)
            && phase == Some(Phase::Verified)
            && is_finished(recording, now)
    };
    let all = context
        .stores
        .recordings
        .state_filter(|recording| recording.meta().namespace.as_deref() == Some(&owner.namespace));
    let mut here: Vec<_> = all
        .iter()
        .filter_map(|recording| recording.0.as_ref().ok())
        .filter(is_here)
        .collect();
    here.sort_by_key(|recording| std::cmp::Reverse((recording.spec.window.from, recording.name_any())));
    here.truncate(MOST_VERIFIED);
    let places = here.into_iter().map(|recording| Place {
        mount: recording.spec.mount.clone(),
        name: recording.name_any(),
    });
    places.collect()
}

impl Swept {
    /// Writes what was counted into the status, which has what was before.
    pub fn tell(&self, status: &mut StationStatus) {
        status.swept.clone_from(&self.before);
        let Step::Count(count) = &self.course.step else {
            return;
        };
        let mut swept = self.before.clone().unwrap_or_default();
        swept.deletion = Some(count.deletion.clone());
        if let Some(kept) = &count.kept {
            swept.objects = sum(swept.objects, kept.objects);
            swept.bytes = sum(swept.bytes, kept.bytes);
            swept.uploads = sum(swept.uploads, kept.uploads);
            take_lifecycle(&mut swept, kept.lifecycle.as_ref());
        }
        if count.deletion.said.is_none() {
            let asked = self.next.unwrap_or(self.now);
            let second = Timestamp::from_second(self.now.as_second()).unwrap_or(self.now);
            // Not before it was asked for, in whatever fraction of this second.
            swept.at = Some(second.max(asked.min(self.now)));
        }
        status.swept = Some(swept);
    }

    /// Present while something cannot be deleted.
    #[must_use]
    pub fn beside(&self) -> Option<Beside> {
        let deletion = self.before.as_ref().and_then(|swept| swept.deletion.as_ref());
        self.course.beside(deletion)
    }

    /// When to look again although nothing changes.
    #[must_use]
    pub fn look_again(&self, now: Timestamp) -> Option<Duration> {
        let next = self.next.filter(|next| *next > now);
        let next = next.and_then(|next| super::until(next, now));
        [self.course.look_again(now), next].into_iter().flatten().min()
    }
}

fn take_lifecycle(swept: &mut Told, told: Option<&errand::Lifecycle>) {
    match told {
        Some(errand::Lifecycle::Set) => {
            swept.lifecycle = Some(Lifecycle::Set);
            swept.lifecycle_said = None;
        }
        Some(errand::Lifecycle::Unknown(words)) => {
            swept.lifecycle = Some(Lifecycle::Unknown);
            swept.lifecycle_said = Some(one_line(words));
        }
        None => {}
    }
}

/// What is worth Events between two statuses.
#[must_use]
pub fn news(old: &StationStatus, new: &StationStatus) -> Vec<Event> {
    let nothing = Told::default();
    let old = old.swept.as_ref().unwrap_or(&nothing);
    let new = new.swept.as_ref().unwrap_or(&nothing);
    [
        swept(old, new),
        failed(
            old.deletion.as_ref(),
            new.deletion.as_ref(),
            event::DELETING_FAILED,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn swept(old: &Told, new: &Told) -> Option<Event> {
    let (objects, uploads) = (more(old.objects, new.objects), more(old.uploads, new.uploads));
    if objects <= 0 && uploads <= 0 {
        return None;
    }
    let bytes = u64::try_from(more(old.bytes, new.bytes)).unwrap_or(0);
    let note = format!(
        "{objects} objects ({}) that were left behind beside verified recordings are deleted, and {uploads} uploads that \
         nobody completed are given up",
        size(bytes)
    );
    Some(told(EventType::Normal, event::SWEPT, note))
}

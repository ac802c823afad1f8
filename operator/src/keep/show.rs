//! The Recordings of a Show that need not be kept: chosen, deleted by a Job, counted, and gone. IO in [`tend`] and below.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, Preconditions},
    runtime::{
        events::{Event, EventType},
        reflector::ObjectRef,
    },
};
use radio_crds::{Recording, Show, ShowStatus, Station, conditions::event, retention::Deletion};
use recorder::errand::{self, Errand, MOST_RECORDINGS, Place};

use super::{
    Course, Errands,
    build::Ordered,
    failed, more, news as told,
    plan::Step,
    retention::{self, Choice, Rule, is_finished, is_of},
    sum,
};
use crate::{
    context::Context,
    k8s::{apply::ApplyError, conditions::Beside, error::ApiError, kind::Kind, meta::Owner},
    recording::{validate, words::size},
    text::ImageName,
    watch::{GuardedRecording, GuardedStation},
};

/// How the Recordings of a Show are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    finished: usize,
    /// Of these a Job has reported that nothing is left.
    gone: usize,
    next: Option<Timestamp>,
    course: Course,
    before: Option<Deletion>,
}

/// The Job's and its Secret's name.
#[must_use]
pub fn job_name(show: &str) -> String {
    format!("{show}-keep")
}

/// Sees to it that what need not be kept goes. What fails here is in the result: a Show's slots go on whatever it is.
pub async fn tend(show: &Show, owner: &Owner, context: &Context, now: Timestamp) -> Kept {
    let recordings = context.stores.recordings.state_filter(|recording| {
        let is_here = recording.meta().namespace.as_deref() == Some(&owner.namespace);
        is_here
            && recording
                .0
                .as_ref()
                .is_ok_and(|recording| is_of(recording, &owner.name))
    });
    let station = ObjectRef::<GuardedStation>::new(&owner.station).within(&owner.namespace);
    let station = context.stores.stations.get(&station);
    // Without it nobody knows what it would have kept.
    let station: Option<&Station> = station.as_ref().and_then(|station| station.0.as_ref().ok());
    let rule = station.and_then(|station| Rule::of(show, station));
    let choice = retention::retention(&owner.name, rule.as_ref(), &recordings, now);
    let errands = Errands {
        owner,
        manager: Show::MANAGER,
        name: job_name(&owner.name),
        context,
    };
    let before = show.status.as_ref().and_then(|status| status.deletion.clone());
    let memory = before.clone().unwrap_or_default();
    let ordered = ordered(&choice, owner, &context.images.recorder);
    let mut course = errands.go_on(&memory, ordered, now).await;
    if let Step::Clear(job, report) = &course.step
        && let Err(failure) = clear(&errands, job, report.as_ref(), &recordings, now).await
    {
        course = Course::refused(&failure);
    }
    Kept {
        finished: choice.finished,
        gone: gone(&course.step, &recordings, now).count(),
        next: choice.next,
        course,
        before,
    }
}

/// What the next Job is to delete; `None`: nothing. All of it is in one store, and not too much to be reported.
fn ordered(choice: &Choice, owner: &Owner, image: &str) -> Option<Result<Ordered, String>> {
    let (first, store) = choice.go.iter().find_map(|recording| {
        let store = validate::bucket(&recording.spec.store).ok()?;
        Some((recording, store))
    })?;
    let together = |other: &&Arc<Recording>| {
        other.spec.station == first.spec.station && other.spec.store == first.spec.store
    };
    let places = choice.go.iter().filter(together).map(|recording| Place {
        mount: recording.spec.mount.clone(),
        name: recording.name_any(),
    });
    let errand = Errand {
        order: String::new(),
        store,
        namespace: owner.namespace.clone(),
        station: first.spec.station.clone(),
        recordings: places.take(MOST_RECORDINGS).collect(),
        sweep: None,
    };
    let image = ImageName::parse("the operator's recorder image", image).map_err(|wrong| wrong.to_string());
    let keys = first.spec.store.secret_ref.name.clone();
    Some(image.map(|image| Ordered::new(job_name(&owner.name), keys, image, errand)))
}

/// The Recordings that a counted or finished Job reports to be gone from the bucket, as far as they are here. One that goes on
/// by that name is another one.
fn gone<'a>(
    step: &'a Step,
    recordings: &'a [Arc<GuardedRecording>],
    now: Timestamp,
) -> impl Iterator<Item = &'a Recording> {
    let report: Option<&errand::Kept> = match step {
        Step::Count(count) => count.kept.as_ref(),
        Step::Clear(_, report) => report.as_ref(),
        Step::Rest(_) | Step::Make | Step::Wait => None,
    };
    let names: Vec<&str> = report
        .iter()
        .flat_map(|report| &report.recordings)
        .map(|gone| gone.name.as_str())
        .collect();
    let here = recordings
        .iter()
        .filter_map(|recording| recording.0.as_ref().ok());
    here.filter(move |recording| {
        names.contains(&recording.name_any().as_str()) && is_finished(recording, now)
    })
}

async fn clear(
    errands: &Errands<'_>,
    job: &super::JobId,
    report: Option<&errand::Kept>,
    recordings: &[Arc<GuardedRecording>],
    now: Timestamp,
) -> Result<(), ApplyError> {
    let step = Step::Clear(job.clone(), report.cloned());
    let api = Api::<Recording>::namespaced(errands.context.client.clone(), &errands.owner.namespace);
    for recording in gone(&step, recordings, now) {
        delete(&api, recording).await?;
    }
    errands.clear(job).await
}

async fn delete(api: &Api<Recording>, recording: &Recording) -> Result<(), ApplyError> {
    let name = recording.name_any();
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: recording.uid(),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    match api.delete(&name, &params).await {
        Ok(_) => {
            tracing::info!(
                recording = name,
                "deleted, as it need not be kept; nothing of it is in the bucket any longer"
            );
            Ok(())
        }
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
        Err(failure) => Err(ApiError::new("delete", "Recording", &name)(failure).into()),
    }
}

impl Kept {
    /// Writes what was counted into the status, which has what was before.
    pub fn tell(&self, status: &mut ShowStatus) {
        let there = i32::try_from(self.finished.saturating_sub(self.gone)).unwrap_or(i32::MAX);
        status.kept = (there > 0 || status.kept.is_some()).then_some(there);
        status.deletion = self.course.deletion(self.before.as_ref());
        if let Step::Count(count) = &self.course.step
            && let Some(kept) = &count.kept
        {
            let recordings = i32::try_from(kept.recordings.len()).unwrap_or(i32::MAX);
            let deleted = status.deleted.unwrap_or(0).saturating_add(recordings);
            status.deleted = (deleted > 0).then_some(deleted);
            status.deleted_objects = sum(status.deleted_objects, kept.objects);
            status.deleted_bytes = sum(status.deleted_bytes, kept.bytes);
        }
    }

    /// Present while something cannot be deleted.
    #[must_use]
    pub fn beside(&self) -> Option<Beside> {
        self.course.beside(self.before.as_ref())
    }

    /// When to look again although nothing changes.
    #[must_use]
    pub fn look_again(&self, now: Timestamp) -> Option<Duration> {
        let older = self.next.and_then(|next| super::until(next, now));
        [self.course.look_again(now), older].into_iter().flatten().min()
    }
}

/// What is worth Events between two statuses.
#[must_use]
pub fn news(old: &ShowStatus, new: &ShowStatus) -> Vec<Event> {
    [
        deleted(old, new),
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

fn deleted(old: &ShowStatus, new: &ShowStatus) -> Option<Event> {
    let recordings = more(old.deleted.map(i64::from), new.deleted.map(i64::from));
    let objects = more(old.deleted_objects, new.deleted_objects);
    if recordings <= 0 && objects <= 0 {
        return None;
    }
    let bytes = u64::try_from(more(old.deleted_bytes, new.deleted_bytes)).unwrap_or(0);
    let note = format!(
        "{recordings} recordings that need not be kept are deleted, with {objects} objects ({}); {} are kept",
        size(bytes),
        new.kept.unwrap_or(0)
    );
    Some(told(EventType::Normal, event::RECORDINGS_DELETED, note))
}

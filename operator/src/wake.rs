//! Whom a change concerns. No IO.

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, StatefulSet},
        batch::v1::Job,
        core::v1::{ConfigMap, Pod, Secret},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Resource, ResourceExt, core::PartialObjectMeta, runtime::reflector::ObjectRef};
use radio_crds::{GROUP, MOUNT_LABEL, Mount, RECORDING_LABEL, Recording, SHOW_LABEL, STATION_LABEL, Show};

use crate::{
    k8s::meta::{COMPONENT_LABEL, Component, controller_of, names},
    recording::needs_tape,
    watch::{GuardedMount, GuardedRecording, GuardedShow, GuardedStation, Stores},
};

/// An object to be reconciled.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wake {
    /// A Station.
    Station {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// A Mount.
    Mount {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// A Show.
    Show {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// A Recording.
    Recording {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

impl Wake {
    fn station(metadata: &ObjectMeta, name: &str) -> Self {
        station(metadata.namespace.as_deref().unwrap_or_default(), name)
    }

    fn mount(metadata: &ObjectMeta, name: &str) -> Self {
        mount(metadata.namespace.as_deref().unwrap_or_default(), name)
    }

    fn show(metadata: &ObjectMeta, name: &str) -> Self {
        show(metadata.namespace.as_deref().unwrap_or_default(), name)
    }

    fn recording(metadata: &ObjectMeta, name: &str) -> Self {
        recording(metadata.namespace.as_deref().unwrap_or_default(), name)
    }
}

/// A Station, by name.
#[must_use]
pub fn station(namespace: &str, name: &str) -> Wake {
    Wake::Station {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

/// A Mount, by name.
#[must_use]
pub fn mount(namespace: &str, name: &str) -> Wake {
    Wake::Mount {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

/// A Show, by name.
#[must_use]
pub fn show(namespace: &str, name: &str) -> Wake {
    Wake::Show {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

/// A Recording, by name.
#[must_use]
pub fn recording(namespace: &str, name: &str) -> Wake {
    Wake::Recording {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

/// A Station tells its Mounts what listeners read about it, and that it exists, and its Shows where slots are recorded.
#[must_use]
pub fn by_station(station: &GuardedStation, stores: &Stores) -> Vec<Wake> {
    let name = station.name_any();
    let mut wakes = mounts_of(station.meta(), &name, stores);
    wakes.extend(shows_of_station(station.meta(), &name, stores));
    wakes.push(Wake::station(station.meta(), &name));
    wakes
}

/// A Mount changes its Station's Icecast, and whether a sibling's path is free. One we cannot read may be any Station's.
#[must_use]
pub fn by_mount(mount: &GuardedMount, stores: &Stores) -> Vec<Wake> {
    let mut wakes = vec![Wake::mount(mount.meta(), &mount.name_any())];
    let namespace = mount.meta().namespace.as_deref().unwrap_or_default();
    wakes.extend(shows_of(namespace, &mount.name_any(), stores));
    if let Ok(mount) = &mount.0 {
        let station = &mount.spec.station_ref.name;
        wakes.push(Wake::station(&mount.metadata, station));
        wakes.extend(mounts_of(&mount.metadata, station, stores));
    } else {
        let stations = stores
            .stations
            .state_filter(|station| station.meta().namespace == mount.meta().namespace);
        wakes.extend(
            stations
                .iter()
                .map(|station| Wake::station(mount.meta(), &station.name_any())),
        );
    }
    sorted(wakes)
}

fn sorted(mut wakes: Vec<Wake>) -> Vec<Wake> {
    wakes.sort();
    wakes.dedup();
    wakes
}

/// A Show decides who is let in, by its Station's ingest, and what is recorded of its Mount; a slot of one Show ends where
/// that of another one begins.
#[must_use]
pub fn by_show(show: &GuardedShow, stores: &Stores) -> Vec<Wake> {
    let mut wakes = vec![Wake::show(show.meta(), &show.name_any())];
    if let Ok(show) = &show.0 {
        let mount = &show.spec.mount_ref.name;
        let namespace = show.metadata.namespace.as_deref().unwrap_or_default();
        wakes.extend(shows_of(namespace, mount, stores));
        wakes.push(Wake::mount(&show.metadata, mount));
        wakes.extend(station_of(&show.metadata, mount, stores));
    }
    sorted(wakes)
}

/// A Recording is named by its Mount, and its Station's ingest keeps the tape for it; what became of it is what became of the
/// slot it is of.
#[must_use]
pub fn by_recording(recording: &GuardedRecording, stores: &Stores) -> Vec<Wake> {
    let mut wakes = vec![Wake::recording(recording.meta(), &recording.name_any())];
    let show = recording.labels().get(SHOW_LABEL);
    if let Some(show) = show {
        wakes.push(Wake::show(recording.meta(), show));
    }
    if let Ok(recording) = &recording.0 {
        // The slot may be another Show's by now: one that was renamed is deleted and made under another name.
        let namespace = recording.metadata.namespace.as_deref().unwrap_or_default();
        let others = shows_of(namespace, &recording.spec.mount, stores);
        wakes.extend(others.into_iter().filter(|_| show.is_some()));
        wakes.push(Wake::mount(&recording.metadata, &recording.spec.mount));
        wakes.push(Wake::station(&recording.metadata, &recording.spec.station));
    }
    wakes
}

/// A Job concerns whom it works for.
#[must_use]
pub fn by_job(job: &Job, stores: &Stores) -> Vec<Wake> {
    by_child(job, stores)
}

/// An origin matters to the Mounts that play to it.
#[must_use]
pub fn by_deployment(deployment: &Deployment, stores: &Stores) -> Vec<Wake> {
    let mut wakes = by_child(deployment, stores);
    if deployment
        .labels()
        .get(COMPONENT_LABEL)
        .is_some_and(|component| component == Component::Origin.as_str())
        && let Some(station) = deployment.labels().get(STATION_LABEL)
    {
        wakes.extend(mounts_of(&deployment.metadata, station, stores));
    }
    wakes
}

/// Whether an ingest is there decides which Mounts have sources.
#[must_use]
pub fn by_stateful_set(set: &StatefulSet, stores: &Stores) -> Vec<Wake> {
    let mut wakes = by_child(set, stores);
    if let Some(station) = set.labels().get(STATION_LABEL) {
        wakes.extend(mounts_of(&set.metadata, station, stores));
    }
    wakes
}

/// Pods belong to `ReplicaSets` and Jobs; the labels tell whose they are.
#[must_use]
pub fn by_pod(pod: &Pod, _: &Stores) -> Vec<Wake> {
    let label = |key: &str| pod.labels().get(key);
    if let Some(recording) = label(RECORDING_LABEL) {
        return vec![Wake::recording(&pod.metadata, recording)];
    }
    if let Some(show) = label(SHOW_LABEL) {
        return vec![Wake::show(&pod.metadata, show)];
    }
    match (label(MOUNT_LABEL), label(STATION_LABEL)) {
        (Some(mount), _) => vec![Wake::mount(&pod.metadata, mount)],
        (None, Some(station)) => vec![Wake::station(&pod.metadata, station)],
        (None, None) => Vec::new(),
    }
}

/// The Station's passwords are in its Mounts' configuration too, and the passwords of inputs in their Station's.
#[must_use]
pub fn by_secret(secret: &PartialObjectMeta<Secret>, stores: &Stores) -> Vec<Wake> {
    let mut wakes = by_child(secret, stores);
    let name = secret.name_any();
    if let Some(station) = secret.labels().get(STATION_LABEL)
        && name == names::credentials(station)
    {
        wakes.extend(mounts_of(&secret.metadata, station, stores));
        wakes.extend(recordings(&secret.metadata, stores, |recording| {
            recording.spec.station == *station
        }));
    }
    wakes.extend(recordings(&secret.metadata, stores, |recording| {
        recording.spec.store.secret_ref.name == name
    }));
    let named_by = stores.mounts.state_filter(|mount| {
        mount.meta().namespace == secret.metadata.namespace
            && mount
                .0
                .as_ref()
                .is_ok_and(|mount| secrets_of(mount).any(|named| named == name))
    });
    let namespace = secret.metadata.namespace.as_deref().unwrap_or_default();
    for mount in named_by.iter().filter_map(|mount| mount.0.as_ref().ok()) {
        wakes.push(Wake::mount(&mount.metadata, &mount.name_any()));
        wakes.extend(shows_of(namespace, &mount.name_any(), stores));
        wakes.push(Wake::station(&mount.metadata, &mount.spec.station_ref.name));
    }
    let presented = stores.shows.state_filter(|show| {
        let named = |show: &Show| passwords_of(show).any(|named| named == name);
        show.meta().namespace == secret.metadata.namespace && show.0.as_ref().is_ok_and(named)
    });
    for show in presented.iter().filter_map(|show| show.0.as_ref().ok()) {
        wakes.push(Wake::show(&show.metadata, &show.name_any()));
        wakes.extend(station_of(&show.metadata, &show.spec.mount_ref.name, stores));
    }
    sorted(wakes)
}

/// Every Secret with passwords of a Show's presenters.
fn passwords_of(show: &Show) -> impl Iterator<Item = String> {
    let presenters = show.spec.presenters.iter();
    let named = presenters.filter_map(|presenter| Some(presenter.password_secret_ref.as_ref()?.name.clone()));
    named.chain([names::presenters(&show.name_any())])
}

/// Every Secret with passwords of a Mount's inputs.
fn secrets_of(mount: &Mount) -> impl Iterator<Item = String> {
    let inputs = mount.spec.inputs.iter();
    let named = inputs.filter_map(|input| Some(input.password_secret_ref.as_ref()?.name.clone()));
    let passthrough = mount.spec.passthrough.as_ref();
    let keys = passthrough.and_then(|passthrough| Some(passthrough.keys_secret_ref.as_ref()?.name.clone()));
    named.chain(keys).chain([names::inputs(&mount.name_any())])
}

/// Any child concerns the object that owns it.
pub fn by_child<K: Resource>(child: &K, _: &Stores) -> Vec<Wake> {
    let Some(owner) = controller_of(child.meta()) else {
        return Vec::new();
    };
    let ours = owner.api_version.split('/').next() == Some(GROUP);
    match owner.kind.as_str() {
        "Station" if ours => vec![Wake::station(child.meta(), &owner.name)],
        "Mount" if ours => vec![Wake::mount(child.meta(), &owner.name)],
        "Show" if ours => vec![Wake::show(child.meta(), &owner.name)],
        "Recording" if ours => vec![Wake::recording(child.meta(), &owner.name)],
        _ => Vec::new(),
    }
}

/// A `ConfigMap` concerns the Mounts that name it.
#[must_use]
pub fn by_config_map(config_map: &PartialObjectMeta<ConfigMap>, stores: &Stores) -> Vec<Wake> {
    let name = config_map.name_any();
    select_mounts(&config_map.metadata, stores, |mount| {
        config_maps_of(mount).any(|named| named == name)
    })
}

/// Every `ConfigMap` a Mount names.
pub fn config_maps_of(mount: &Mount) -> impl Iterator<Item = &str> {
    let playlists = mount
        .spec
        .playlists
        .iter()
        .filter_map(|playlist| playlist.config_map.as_ref());
    let emergency = mount
        .spec
        .emergency
        .as_ref()
        .map(|emergency| emergency.config_map.name.as_str());
    playlists
        .map(|config_map| config_map.name.as_str())
        .chain(emergency)
}

/// Those that go on and are wanted.
fn recordings(metadata: &ObjectMeta, stores: &Stores, wanted: impl Fn(&Recording) -> bool) -> Vec<Wake> {
    let selected = stores.recordings.state_filter(|recording| {
        recording.meta().namespace == metadata.namespace
            && recording
                .0
                .as_ref()
                .is_ok_and(|recording| needs_tape(recording) && wanted(recording))
    });
    selected
        .iter()
        .map(|recording| Wake::recording(recording.meta(), &recording.name_any()))
        .collect()
}

/// The Recordings of a Mount that still need its tape.
#[must_use]
pub fn recordings_of(namespace: &str, mount: &str, stores: &Stores) -> Vec<Wake> {
    let metadata = ObjectMeta {
        namespace: Some(namespace.to_owned()),
        ..ObjectMeta::default()
    };
    recordings(&metadata, stores, |recording| recording.spec.mount == mount)
}

/// The Station of a Mount, if it is known.
fn station_of(metadata: &ObjectMeta, mount: &str, stores: &Stores) -> Option<Wake> {
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let found = stores.mounts.get(&ObjectRef::new(mount).within(namespace))?;
    let mount = found.0.as_ref().ok()?;
    Some(Wake::station(metadata, &mount.spec.station_ref.name))
}

fn shows_of_station(metadata: &ObjectMeta, station: &str, stores: &Stores) -> Vec<Wake> {
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let mounts = stores.mounts_of(namespace, station);
    mounts
        .iter()
        .flat_map(|mount| shows_of(namespace, &mount.name_any(), stores))
        .collect()
}

/// The Shows of a Mount.
#[must_use]
pub fn shows_of(namespace: &str, mount: &str, stores: &Stores) -> Vec<Wake> {
    let selected = stores.shows.state_filter(|guarded| {
        let at_mount = |show: &Show| show.spec.mount_ref.name == mount;
        guarded.meta().namespace.as_deref() == Some(namespace) && guarded.0.as_ref().is_ok_and(at_mount)
    });
    selected
        .iter()
        .map(|found| show(namespace, &found.name_any()))
        .collect()
}

fn mounts_of(metadata: &ObjectMeta, station: &str, stores: &Stores) -> Vec<Wake> {
    select_mounts(metadata, stores, |mount| mount.spec.station_ref.name == station)
}

fn select_mounts(metadata: &ObjectMeta, stores: &Stores, wanted: impl Fn(&Mount) -> bool) -> Vec<Wake> {
    let selected = stores.mounts.state_filter(|mount| {
        mount.meta().namespace == metadata.namespace && mount.0.as_ref().is_ok_and(&wanted)
    });
    selected
        .iter()
        .map(|mount| Wake::mount(mount.meta(), &mount.name_any()))
        .collect()
}

#[cfg(test)]
mod tests {
    use kube::core::DeserializeGuard;
    use radio_crds::{RecordingStatus, Station, recording::Phase};
    use serde_json::json;

    use super::*;
    use crate::{
        recording::sample,
        show::sample as shows,
        testing::{
            FULL_MOUNT, PLAIN_MOUNT, PLAIN_STATION, WILDCARD_MOUNT, fill, owned_by_station, stores, yaml,
        },
    };

    /// The Mounts `live` and `talk` of Station `radio`, and one of the same Station's name in another namespace.
    fn seen() -> Stores {
        let mut elsewhere: Mount = yaml(PLAIN_MOUNT);
        elsewhere.metadata.namespace = Some("elsewhere".to_owned());
        stores(&[], &[yaml(PLAIN_MOUNT), yaml(FULL_MOUNT), elsewhere]).0
    }

    fn names(mut wakes: Vec<Wake>) -> Vec<String> {
        wakes.sort();
        let name = |wake| match wake {
            Wake::Station { namespace, name } => format!("Station {namespace}/{name}"),
            Wake::Mount { namespace, name } => format!("Mount {namespace}/{name}"),
            Wake::Show { namespace, name } => format!("Show {namespace}/{name}"),
            Wake::Recording { namespace, name } => format!("Recording {namespace}/{name}"),
        };
        wakes.into_iter().map(name).collect()
    }

    const ALL: [&str; 3] = ["Station city/radio", "Mount city/live", "Mount city/talk"];

    #[test]
    fn a_station_and_its_mounts_wake_each_other() {
        let station: Station = yaml(PLAIN_STATION);
        assert_eq!(names(by_station(&DeserializeGuard(Ok(station)), &seen())), ALL);
        assert_eq!(
            names(by_mount(&DeserializeGuard(Ok(yaml(PLAIN_MOUNT))), &seen())),
            ALL
        );
        // A deleted Mount is in the store no more; its siblings and its Station must know.
        let deleted: Mount = yaml(&PLAIN_MOUNT.replace("name: live", "name: gone"));
        let woken = names(by_mount(&DeserializeGuard(Ok(deleted)), &seen()));
        assert_eq!(
            woken,
            [
                "Station city/radio",
                "Mount city/gone",
                "Mount city/live",
                "Mount city/talk"
            ]
        );
    }

    #[test]
    fn passwords_wake_the_mounts_too_and_other_secrets_do_not() {
        let secret = |name: &str| PartialObjectMeta::<Secret> {
            types: None,
            metadata: ObjectMeta {
                labels: Some([(STATION_LABEL.to_owned(), "radio".to_owned())].into()),
                ..owned_by_station(name)
            },
            _phantom: std::marker::PhantomData,
        };
        assert_eq!(names(by_secret(&secret("radio-credentials"), &seen())), ALL);
        assert_eq!(
            names(by_secret(&secret("radio-relay"), &seen())),
            ["Station city/radio"]
        );
    }

    #[test]
    fn a_secret_wakes_the_mounts_that_name_it_and_their_station() {
        let stores = stores(&[], &[yaml(PLAIN_MOUNT), yaml(FULL_MOUNT), yaml(WILDCARD_MOUNT)]).0;
        let secret = |namespace: &str, name: &str| PartialObjectMeta::<Secret> {
            types: None,
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            _phantom: std::marker::PhantomData,
        };
        let woken = |namespace, name| names(by_secret(&secret(namespace, name), &stores));
        assert_eq!(woken("city", "djs"), ["Station city/radio", "Mount city/talk"]);
        assert_eq!(
            woken("city", "talk-inputs"),
            ["Station city/radio", "Mount city/talk"]
        );
        assert_eq!(
            woken("city", "mic-keys"),
            ["Station city/radio", "Mount city/mics"]
        );
        assert_eq!(woken("elsewhere", "djs"), [""; 0]);
        assert_eq!(woken("city", "sh.helm.release.v1.x"), [""; 0]);
    }

    #[test]
    fn a_mount_we_cannot_read_concerns_every_station_of_its_namespace() {
        let odd = json!({
            "apiVersion": "radio.moafunk.de/v1alpha1", "kind": "Mount",
            "metadata": {"name": "odd", "namespace": "city"}, "spec": {"path": 7},
        });
        let odd: GuardedMount = serde_json::from_value(odd).unwrap();
        let stores = stores(&[yaml(PLAIN_STATION)], &[]).0;
        assert_eq!(
            names(by_mount(&odd, &stores)),
            ["Station city/radio", "Mount city/odd"]
        );
    }

    #[test]
    fn pods_are_known_by_their_labels() {
        let pod = |labels: serde_json::Value| -> Pod {
            serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "city", "labels": labels}}))
                .unwrap()
        };
        let station = json!({STATION_LABEL: "radio"});
        let mount = json!({STATION_LABEL: "radio", MOUNT_LABEL: "live"});
        assert_eq!(names(by_pod(&pod(station), &seen())), ["Station city/radio"]);
        assert_eq!(names(by_pod(&pod(mount), &seen())), ["Mount city/live"]);
        assert_eq!(names(by_pod(&pod(json!({})), &seen())), [""; 0]);
    }

    #[test]
    fn a_recording_wakes_whoever_names_it_and_is_woken_by_its_own() {
        let recording: Recording = yaml(sample::PLAIN);
        let name = recording.name_any();
        let guarded = DeserializeGuard(Ok(recording.clone()));
        let its_own = format!("Recording city/{name}");
        assert_eq!(
            names(by_recording(&guarded, &seen())),
            ["Station city/radio", "Mount city/live", &its_own]
        );
        let labels = json!({STATION_LABEL: "radio", RECORDING_LABEL: name});
        let pod =
            serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "city", "labels": labels}}));
        assert_eq!(names(by_pod(&pod.unwrap(), &seen())), [its_own.as_str()]);
        let job = Job {
            metadata: ObjectMeta {
                namespace: Some("city".to_owned()),
                owner_references: recording.controller_owner_ref(&()).map(|owner| vec![owner]),
                ..ObjectMeta::default()
            },
            ..Job::default()
        };
        assert_eq!(names(by_job(&job, &seen())), [its_own.as_str()]);
    }

    #[test]
    fn tokens_and_keys_to_the_store_concern_recordings_that_go_on() {
        let mut done: Recording = yaml(&sample::PLAIN.replace("live-", "done-"));
        done.status = Some(RecordingStatus {
            phase: Some(Phase::Verified),
            ..RecordingStatus::default()
        });
        let (stores, mut writers) = stores(&[], &[]);
        let all = [yaml(sample::PLAIN), yaml(sample::FULL), done];
        fill(
            &mut writers.recordings,
            all.map(|recording| DeserializeGuard(Ok(recording))),
        );
        let secret = |name: &str| PartialObjectMeta::<Secret> {
            types: None,
            metadata: ObjectMeta {
                labels: Some([(STATION_LABEL.to_owned(), "radio".to_owned())].into()),
                ..owned_by_station(name)
            },
            _phantom: std::marker::PhantomData,
        };
        let (live, talk) = (
            "Recording city/live-20261121t140000z",
            "Recording city/talk-van-20261121t140000z",
        );
        assert_eq!(
            names(by_secret(&secret("radio-credentials"), &stores)),
            ["Station city/radio", live, talk]
        );
        assert_eq!(
            names(by_secret(&secret("r2"), &stores)),
            ["Station city/radio", talk]
        );
        assert_eq!(names(recordings_of("city", "live", &stores)), [live]);
        assert_eq!(names(recordings_of("elsewhere", "live", &stores)), [""; 0]);
    }

    /// A Station with three Mounts, with two Shows of `talk` and one in another namespace.
    fn seen_with_shows() -> Stores {
        let (stores, mut writers) = stores(
            &[yaml(PLAIN_STATION)],
            &[yaml(PLAIN_MOUNT), yaml(FULL_MOUNT), yaml(WILDCARD_MOUNT)],
        );
        let mut elsewhere: Show = yaml(shows::PLAIN);
        elsewhere.metadata.namespace = Some("elsewhere".to_owned());
        let all = [yaml(shows::FULL), yaml(shows::PLAIN), elsewhere];
        fill(&mut writers.shows, all.map(|show| DeserializeGuard(Ok(show))));
        stores
    }

    #[test]
    fn a_show_concerns_its_mount_its_station_and_its_rivals() {
        let stores = seen_with_shows();
        let (news, night) = ("Show city/news", "Show city/night-shift");
        let show = DeserializeGuard(Ok(yaml(shows::FULL)));
        let woken = ["Station city/radio", "Mount city/talk", news, night];
        assert_eq!(names(by_show(&show, &stores)), woken);
        // One that was deleted has to leave its slots to the others.
        let gone: Show = yaml(&shows::PLAIN.replace("name: news", "name: gone"));
        let woken = names(by_show(&DeserializeGuard(Ok(gone)), &stores));
        assert_eq!(
            woken,
            [
                "Station city/radio",
                "Mount city/talk",
                "Show city/gone",
                news,
                night
            ]
        );
        let mount = DeserializeGuard(Ok(yaml(FULL_MOUNT)));
        let woken = names(by_mount(&mount, &stores));
        assert!(woken.contains(&news.to_owned()) && woken.contains(&night.to_owned()));
        let station = DeserializeGuard(Ok(yaml(PLAIN_STATION)));
        assert!(names(by_station(&station, &stores)).contains(&news.to_owned()));
        assert_eq!(
            names(shows_of("elsewhere", "talk", &stores)),
            ["Show elsewhere/news"]
        );
        assert_eq!(names(shows_of("city", "live", &stores)), [""; 0]);
    }

    #[test]
    fn passwords_of_presenters_concern_their_show_and_its_ingest() {
        let stores = seen_with_shows();
        let secret = |name: &str| PartialObjectMeta::<Secret> {
            types: None,
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some("city".to_owned()),
                ..ObjectMeta::default()
            },
            _phantom: std::marker::PhantomData,
        };
        let (news, night) = ("Show city/news", "Show city/night-shift");
        let woken = |name: &str| names(by_secret(&secret(name), &stores));
        assert_eq!(woken("night-shift-presenters"), ["Station city/radio", night]);
        assert_eq!(
            woken("djs"),
            ["Station city/radio", "Mount city/talk", news, night]
        );
        // The keys of a Mount are the inputs of its Shows.
        assert_eq!(woken("mic-keys"), ["Station city/radio", "Mount city/mics"]);
    }

    #[test]
    fn what_belongs_to_a_show_wakes_it() {
        let stores = seen_with_shows();
        let mut recording: Recording = yaml(sample::PLAIN);
        recording
            .labels_mut()
            .insert(SHOW_LABEL.to_owned(), "news".to_owned());
        let woken = names(by_recording(&DeserializeGuard(Ok(recording)), &stores));
        assert!(woken.contains(&"Show city/news".to_owned()), "{woken:?}");
        // A Show that was renamed: what is recorded of its slot has the label of the one before.
        let mut renamed: Recording = yaml(sample::PLAIN);
        renamed.spec.mount = "talk".to_owned();
        renamed
            .labels_mut()
            .insert(SHOW_LABEL.to_owned(), "gone".to_owned());
        let woken = names(by_recording(&DeserializeGuard(Ok(renamed)), &stores));
        let own = names(shows_of("city", "talk", &stores));
        assert!(
            !own.is_empty() && own.iter().all(|show| woken.contains(show)),
            "{woken:?}"
        );
        let labels = json!({STATION_LABEL: "radio", SHOW_LABEL: "news"});
        let pod =
            serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "city", "labels": labels}}));
        assert_eq!(names(by_pod(&pod.unwrap(), &stores)), ["Show city/news"]);
        let show: Show = yaml(shows::PLAIN);
        let secret = Secret {
            metadata: ObjectMeta {
                namespace: Some("city".to_owned()),
                owner_references: show.controller_owner_ref(&()).map(|owner| vec![owner]),
                ..ObjectMeta::default()
            },
            ..Secret::default()
        };
        assert_eq!(names(by_child(&secret, &stores)), ["Show city/news"]);
    }

    #[test]
    fn an_origin_wakes_those_who_play_to_it() {
        let deployment = |component: &str| -> Deployment {
            let metadata = ObjectMeta {
                labels: Some(
                    [(STATION_LABEL, "radio"), (COMPONENT_LABEL, component)]
                        .map(|(key, value)| (key.to_owned(), value.to_owned()))
                        .into(),
                ),
                ..owned_by_station("x")
            };
            Deployment {
                metadata,
                ..Deployment::default()
            }
        };
        assert_eq!(names(by_deployment(&deployment("origin"), &seen())), ALL);
        assert_eq!(
            names(by_deployment(&deployment("relay"), &seen())),
            ["Station city/radio"]
        );
    }

    #[test]
    fn a_config_map_wakes_the_mounts_that_name_it_in_its_namespace() {
        let config_map = |namespace: &str| PartialObjectMeta::<ConfigMap> {
            types: None,
            metadata: ObjectMeta {
                name: Some("day-music".to_owned()),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            _phantom: std::marker::PhantomData,
        };
        assert_eq!(
            names(by_config_map(&config_map("city"), &seen())),
            ["Mount city/talk"]
        );
        assert_eq!(names(by_config_map(&config_map("elsewhere"), &seen())), [""; 0]);
    }

    #[test]
    fn children_of_others_wake_nobody() {
        let mut metadata = owned_by_station("x");
        metadata.owner_references.as_mut().unwrap()[0].api_version = "train.example.org/v1".to_owned();
        let secret = Secret {
            metadata,
            ..Secret::default()
        };
        assert_eq!(names(by_child(&secret, &seen())), [""; 0]);
    }
}

//! One watch per kind of object for the whole process: it keeps a copy, and wakes whom a change concerns. IO.

mod notable;

use std::{collections::HashMap, fmt::Debug, sync::Arc};

use futures::{StreamExt, channel::mpsc::UnboundedSender, future::BoxFuture};
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    batch::v1::Job,
    core::v1::{ConfigMap, Pod, Secret, Service, ServiceAccount},
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::{DeserializeGuard, PartialObjectMeta},
    runtime::{
        WatchStreamExt,
        reflector::{ObjectRef, Store, store, store::Writer},
        watcher::{self, Event, watcher},
    },
};
use radio_crds::{Mount, Recording, Show, Station};
use serde::de::DeserializeOwned;

use crate::{
    health::Readiness,
    k8s::meta::{MANAGED_BY, MANAGED_BY_LABEL},
    wake::{self, Wake},
};

use notable::{is_ours, spec_and_labels, spec_labels_and_phase, spec_labels_and_slots, version};

/// A Station, or what is left of one we cannot read.
pub type GuardedStation = DeserializeGuard<Station>;
/// A Mount, or what is left of one we cannot read.
pub type GuardedMount = DeserializeGuard<Mount>;
/// A Show, or what is left of one we cannot read.
pub type GuardedShow = DeserializeGuard<Show>;
/// A Recording, or what is left of one we cannot read.
pub type GuardedRecording = DeserializeGuard<Recording>;

macro_rules! stores {
    ($($(#[$doc:meta])* $name:ident: $kind:ty),* $(,)?) => {
        /// Copies of the objects in the cluster, a moment old. Of Secrets and `ConfigMaps` only the metadata.
        pub struct Stores {
            $($(#[$doc])* pub $name: Store<$kind>,)*
        }

        /// The other ends of the [`Stores`].
        pub struct Writers {
            $(pub(crate) $name: Writer<$kind>,)*
        }

        impl Stores {
            /// Empty stores, to be filled by [`follow`].
            #[must_use]
            pub fn empty() -> (Self, Writers) {
                $(let $name = store();)*
                (Self { $($name: $name.0,)* }, Writers { $($name: $name.1,)* })
            }

            /// Waits until every copy is complete; `false` if one never will be.
            pub async fn filled(&self) -> bool {
                true $(&& self.$name.wait_until_ready().await.is_ok())*
            }
        }
    };
}

stores! {
    /// All Stations.
    stations: GuardedStation,
    /// All Mounts.
    mounts: GuardedMount,
    /// All Shows.
    shows: GuardedShow,
    /// All Recordings.
    recordings: GuardedRecording,
    /// Our Deployments.
    deployments: Deployment,
    /// Our `StatefulSets`.
    stateful_sets: StatefulSet,
    /// Our Jobs.
    jobs: Job,
    /// Our pods.
    pods: Pod,
    /// Everybody's Secrets: Mounts name them.
    secrets: PartialObjectMeta<Secret>,
    /// Our Services.
    services: PartialObjectMeta<Service>,
    /// Our `ServiceAccounts`.
    service_accounts: PartialObjectMeta<ServiceAccount>,
    /// Our Roles.
    roles: PartialObjectMeta<Role>,
    /// Our `RoleBindings`.
    role_bindings: PartialObjectMeta<RoleBinding>,
    /// Everybody's `ConfigMaps`: Mounts name them.
    config_maps: PartialObjectMeta<ConfigMap>,
}

impl Stores {
    /// The Mounts of a Station, those we can read, the oldest first.
    #[must_use]
    pub fn mounts_of(&self, namespace: &str, station: &str) -> Vec<Mount> {
        let mut mounts: Vec<Mount> = self
            .mounts
            .state()
            .iter()
            .filter_map(|mount| mount.0.as_ref().ok())
            .filter(|mount| mount.metadata.namespace.as_deref() == Some(namespace))
            .filter(|mount| mount.spec.station_ref.name == station)
            .filter(|mount| mount.metadata.deletion_timestamp.is_none())
            .cloned()
            .collect();
        mounts.sort_by_cached_key(|mount| (mount.creation_timestamp().map(|time| time.0), mount.name_any()));
        mounts
    }

    /// The Mounts of a namespace that we cannot read; which Station they belong to is not known here.
    #[must_use]
    pub fn unreadable_mounts(&self, namespace: &str) -> Vec<String> {
        let unreadable = self
            .mounts
            .state_filter(|mount| mount.0.is_err() && mount.meta().namespace.as_deref() == Some(namespace));
        unreadable.iter().map(|mount| mount.name_any()).collect()
    }

    /// The Shows of a Mount, those we can read, the oldest first.
    #[must_use]
    pub fn shows_of(&self, namespace: &str, mount: &str) -> Vec<Show> {
        let mut shows: Vec<Show> = self
            .shows
            .state()
            .iter()
            .filter_map(|show| show.0.as_ref().ok())
            .filter(|show| show.metadata.namespace.as_deref() == Some(namespace))
            .filter(|show| show.spec.mount_ref.name == mount)
            .filter(|show| show.metadata.deletion_timestamp.is_none())
            .cloned()
            .collect();
        shows.sort_by_cached_key(|show| (show.creation_timestamp().map(|time| time.0), show.name_any()));
        shows
    }

    /// The Recordings of a Station, those we can read that are wanted, by name.
    #[must_use]
    pub fn recordings_of(
        &self,
        namespace: &str,
        station: &str,
        wanted: impl Fn(&Recording) -> bool,
    ) -> Vec<Recording> {
        let mut recordings: Vec<Recording> = self
            .recordings
            .state()
            .iter()
            .filter_map(|recording| recording.0.as_ref().ok())
            .filter(|recording| recording.metadata.namespace.as_deref() == Some(namespace))
            .filter(|recording| recording.spec.station == station && wanted(recording))
            .cloned()
            .collect();
        recordings.sort_by_cached_key(ResourceExt::name_any);
        recordings
    }

    /// Our pods that carry a label.
    #[must_use]
    pub fn pods_with(&self, namespace: &str, labels: &[(&str, &str)]) -> Vec<Arc<Pod>> {
        self.pods.state_filter(|pod| {
            pod.metadata.namespace.as_deref() == Some(namespace)
                && labels
                    .iter()
                    .all(|(key, value)| pod.labels().get(*key).is_some_and(|found| found == value))
        })
    }
}

/// Where wakes go: one queue per controller.
#[derive(Clone)]
pub struct Queues {
    /// Of the Station controller.
    pub stations: UnboundedSender<ObjectRef<GuardedStation>>,
    /// Of the Mount controller.
    pub mounts: UnboundedSender<ObjectRef<GuardedMount>>,
    /// Of the Show controller.
    pub shows: UnboundedSender<ObjectRef<GuardedShow>>,
    /// Of the Recording controller.
    pub recordings: UnboundedSender<ObjectRef<GuardedRecording>>,
}

impl Queues {
    /// Has an object reconciled soon.
    pub fn send(&self, wake: Wake) {
        // A closed queue means that its controller has ended, and with it soon the process.
        let sent = match wake {
            Wake::Station { namespace, name } => self
                .stations
                .unbounded_send(ObjectRef::new(&name).within(&namespace))
                .map_err(drop),
            Wake::Mount { namespace, name } => self
                .mounts
                .unbounded_send(ObjectRef::new(&name).within(&namespace))
                .map_err(drop),
            Wake::Show { namespace, name } => self
                .shows
                .unbounded_send(ObjectRef::new(&name).within(&namespace))
                .map_err(drop),
            Wake::Recording { namespace, name } => self
                .recordings
                .unbounded_send(ObjectRef::new(&name).within(&namespace))
                .map_err(drop),
        };
        if sent.is_err() {
            tracing::debug!("a controller has ended");
        }
    }
}

struct Follower {
    client: Client,
    stores: Arc<Stores>,
    queues: Queues,
    readiness: Arc<Readiness>,
}

/// Starts all watches; the future ends only when one of them does, which none should.
pub fn follow(
    client: &Client,
    stores: &Arc<Stores>,
    writers: Writers,
    queues: &Queues,
    readiness: &Arc<Readiness>,
) -> BoxFuture<'static, ()> {
    let follower = Arc::new(Follower {
        client: client.clone(),
        stores: stores.clone(),
        queues: queues.clone(),
        readiness: readiness.clone(),
    });
    let ours = watcher::Config::default().labels(&format!("{MANAGED_BY_LABEL}={MANAGED_BY}"));
    let all = watcher::Config::default;
    let watches: Vec<BoxFuture<'static, ()>> = vec![
        follower.watch(writers.stations, all(), spec_and_labels, wake::by_station),
        follower.watch(writers.mounts, all(), spec_and_labels, wake::by_mount),
        follower.watch(writers.shows, all(), spec_labels_and_slots, wake::by_show),
        follower.watch(
            writers.recordings,
            all(),
            spec_labels_and_phase,
            wake::by_recording,
        ),
        follower.watch(writers.deployments, ours.clone(), version, wake::by_deployment),
        follower.watch(
            writers.stateful_sets,
            ours.clone(),
            version,
            wake::by_stateful_set,
        ),
        follower.watch(writers.jobs, ours.clone(), version, wake::by_job),
        follower.watch(writers.pods, ours.clone(), version, wake::by_pod),
        follower.watch(writers.secrets, all(), version, wake::by_secret),
        follower.watch(writers.services, ours.clone(), version, wake::by_child),
        follower.watch(writers.service_accounts, ours.clone(), version, wake::by_child),
        follower.watch(writers.roles, ours.clone(), version, wake::by_child),
        follower.watch(writers.role_bindings, ours, version, wake::by_child),
        follower.watch(writers.config_maps, all(), version, wake::by_config_map),
    ];
    Box::pin(async move {
        let tasks: Vec<_> = watches.into_iter().map(tokio::spawn).collect();
        let (ended, ..) = futures::future::select_all(tasks).await;
        if let Err(error) = ended {
            tracing::error!(%error, "a watch broke off");
        }
    })
}

impl Follower {
    /// `notable` sums up what a change has to touch to wake anybody.
    fn watch<K>(
        self: &Arc<Self>,
        writer: Writer<K>,
        config: watcher::Config,
        notable: fn(&K) -> u64,
        whom: fn(&K, &Stores) -> Vec<Wake>,
    ) -> BoxFuture<'static, ()>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    {
        let follower = self.clone();
        let name = follower.readiness.expect_watch(&K::plural(&()));
        let events = watcher(Api::<K>::all(follower.client.clone()), config)
            .default_backoff()
            // Nothing here reads annotations of others, and `kubectl apply` copies whole Secrets into them.
            .modify(|object| {
                object.managed_fields_mut().clear();
                object.annotations_mut().retain(|key, _| is_ours(key));
            });
        Box::pin(async move {
            let mut copy = Copied {
                reader: writer.as_reader(),
                writer,
                seen: HashMap::new(),
                before: Vec::new(),
            };
            let mut events = std::pin::pin!(events);
            while let Some(event) = events.next().await {
                match event {
                    Ok(event) => {
                        if matches!(event, Event::InitDone) {
                            follower.readiness.synced(&name);
                        }
                        for object in copy.take(event, notable) {
                            for wake in whom(&object, &follower.stores) {
                                follower.queues.send(wake);
                            }
                        }
                    }
                    Err(error) => {
                        if matches!(error, watcher::Error::InitialListFailed(_)) {
                            follower.readiness.failed(&name, &error.to_string());
                        }
                        tracing::warn!(kind = name, %error, "watch failed, it is tried again");
                    }
                }
            }
        })
    }
}

/// The copy of one kind, and what of it was notable.
struct Copied<K: Resource<DynamicType = ()> + Clone + 'static> {
    writer: Writer<K>,
    reader: Store<K>,
    seen: HashMap<ObjectRef<K>, u64>,
    before: Vec<Arc<K>>,
}

impl<K: Resource<DynamicType = ()> + Clone + Debug + 'static> Copied<K> {
    /// Takes in an event; returns the objects whose change is worth waking somebody.
    fn take(&mut self, event: Event<K>, notable: fn(&K) -> u64) -> Vec<Arc<K>> {
        self.writer.apply_watcher_event(&event);
        match event {
            Event::Apply(object) | Event::InitApply(object) => {
                let digest = notable(&object);
                let known = self.seen.insert(ObjectRef::from_obj(&object), digest);
                if known == Some(digest) {
                    Vec::new()
                } else {
                    vec![Arc::new(object)]
                }
            }
            Event::Delete(object) => {
                self.seen.remove(&ObjectRef::from_obj(&object));
                vec![Arc::new(object)]
            }
            Event::Init => {
                self.before = self.reader.state();
                Vec::new()
            }
            // What was deleted while the watch was broken is never told: it is only missing now.
            Event::InitDone => {
                let gone: Vec<_> = std::mem::take(&mut self.before)
                    .into_iter()
                    .filter(|object| self.reader.get(&ObjectRef::from_obj(object)).is_none())
                    .collect();
                for object in &gone {
                    self.seen.remove(&ObjectRef::from_obj(object));
                }
                gone
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::channel::mpsc::unbounded;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;
    use crate::testing::{MockApi, refusal};

    fn copied() -> Copied<ConfigMap> {
        let (reader, writer) = store();
        Copied {
            reader,
            writer,
            seen: HashMap::new(),
            before: Vec::new(),
        }
    }

    fn config_map(name: &str, resource_version: &str) -> ConfigMap {
        let metadata = ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some("radio".to_owned()),
            resource_version: Some(resource_version.to_owned()),
            ..ObjectMeta::default()
        };
        ConfigMap {
            metadata,
            ..ConfigMap::default()
        }
    }

    fn names(objects: &[Arc<ConfigMap>]) -> Vec<String> {
        objects.iter().map(|object| object.name_any()).collect()
    }

    #[test]
    fn only_news_wakes() {
        let mut copy = copied();
        assert_eq!(
            names(&copy.take(Event::Apply(config_map("a", "1")), version)),
            ["a"]
        );
        assert_eq!(
            names(&copy.take(Event::Apply(config_map("a", "1")), version)),
            [""; 0]
        );
        assert_eq!(
            names(&copy.take(Event::Apply(config_map("a", "2")), version)),
            ["a"]
        );
        assert_eq!(
            names(&copy.take(Event::Delete(config_map("a", "2")), version)),
            ["a"]
        );
        assert_eq!(
            names(&copy.take(Event::Apply(config_map("a", "2")), version)),
            ["a"]
        );
    }

    #[tokio::test]
    async fn whole_secrets_are_never_asked_for() {
        let api = MockApi::default();
        let client = api.client(|_| refusal(500, "InternalError"));
        let (stores, writers) = Stores::empty();
        let queues = Queues {
            stations: unbounded().0,
            mounts: unbounded().0,
            shows: unbounded().0,
            recordings: unbounded().0,
        };
        tokio::spawn(follow(
            &client,
            &Arc::new(stores),
            writers,
            &queues,
            &Arc::new(Readiness::new()),
        ));
        let all_asked = async {
            while api.asked().len() < 14 {
                tokio::task::yield_now().await;
            }
        };
        let patience = std::time::Duration::from_secs(10);
        tokio::time::timeout(patience, all_asked).await.unwrap();
        let mut of_metadata = api.asked_with("as=PartialObjectMetadataList");
        of_metadata.sort();
        assert_eq!(
            of_metadata,
            [
                "GET configmaps",
                "GET rolebindings",
                "GET roles",
                "GET secrets",
                "GET serviceaccounts",
                "GET services"
            ]
        );
    }

    #[test]
    fn a_deletion_missed_by_the_watch_wakes_too() {
        let mut copy = copied();
        copy.take(Event::Init, version);
        copy.take(Event::InitApply(config_map("a", "1")), version);
        copy.take(Event::InitApply(config_map("b", "2")), version);
        assert_eq!(names(&copy.take(Event::InitDone, version)), [""; 0]);

        copy.take(Event::Init, version);
        assert_eq!(
            names(&copy.take(Event::InitApply(config_map("b", "2")), version)),
            [""; 0]
        );
        assert_eq!(names(&copy.take(Event::InitDone, version)), ["a"]);
    }
}

//! What the operator counts, under the names controller-runtime gave these things. No IO.

use std::{fmt, sync::Arc, time::Duration};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{ResourceExt, core::DeserializeGuard};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, MetricEncoder},
    metrics::{
        MetricType, counter::Counter, family::Family, gauge::ConstGauge, gauge::Gauge, histogram::Histogram,
    },
    registry::Registry,
};

use radio_crds::{conditions::READY, show::Outcome};

use crate::{k8s::conditions::find, watch::Stores};

/// Labels of a controller's series.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByController {
    controller: &'static str,
}

/// Labels of a controller's outcomes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByResult {
    controller: &'static str,
    result: &'static str,
}

/// Labels of a controller's failures: the reason is the one in the condition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByReason {
    controller: &'static str,
    reason: &'static str,
}

/// Labels of series that call a controller or a lease `name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByName {
    name: &'static str,
}

/// Labels of what became of a Show's slots.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByOutcome {
    namespace: String,
    show: String,
    outcome: String,
}

/// What can become of a slot, for good.
const OUTCOMES: [Outcome; 7] = [
    Outcome::Recorded,
    Outcome::Short,
    Outcome::Doubtful,
    Outcome::Missed,
    Outcome::NotRecorded,
    Outcome::Aired,
    Outcome::Taken,
];

/// The operator's own series.
#[derive(Debug)]
pub struct Metrics {
    reconciles: Family<ByResult, Counter>,
    errors: Family<ByController, Counter>,
    failures: Family<ByReason, Counter>,
    seconds: Family<ByController, Histogram>,
    active: Family<ByController, Gauge>,
    most_active: Family<ByController, Gauge>,
    added: Family<ByName, Counter>,
    retried: Family<ByName, Counter>,
    worked: Family<ByName, Histogram>,
    leading: Family<ByName, Gauge>,
    slots: Family<ByOutcome, Counter>,
}

/// How a reconcile ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing more to do until something changes.
    Success,
    /// It waits for something else.
    RequeueAfter,
    /// It failed.
    Error,
}

impl Ended {
    fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::RequeueAfter => "requeue_after",
            Self::Error => "error",
        }
    }
}

fn reconcile_seconds() -> Histogram {
    Histogram::new([
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    ])
}

impl Metrics {
    /// All series, registered.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            reconciles: Family::default(),
            errors: Family::default(),
            failures: Family::default(),
            seconds: Family::new_with_constructor(reconcile_seconds),
            active: Family::default(),
            most_active: Family::default(),
            added: Family::default(),
            retried: Family::default(),
            worked: Family::new_with_constructor(reconcile_seconds),
            leading: Family::default(),
            slots: Family::default(),
        };
        metrics.register_controllers(registry);
        registry.register(
            "workqueue_adds",
            "Wakes, before repeated ones are merged",
            metrics.added.clone(),
        );
        registry.register(
            "workqueue_retries",
            "Retries after failures",
            metrics.retried.clone(),
        );
        registry.register(
            "workqueue_work_duration_seconds",
            "Time an item took",
            metrics.worked.clone(),
        );
        registry.register(
            "leader_election_master_status",
            "1 if this replica is the one that works",
            metrics.leading.clone(),
        );
        registry.register(
            "radio_show_slots",
            "Slots of Shows that are over, by what became of them",
            metrics.slots.clone(),
        );
        metrics
    }

    fn register_controllers(&self, registry: &mut Registry) {
        registry.register(
            "controller_runtime_reconcile",
            "Reconciles by result",
            self.reconciles.clone(),
        );
        registry.register(
            "controller_runtime_reconcile_errors",
            "Reconciles that failed",
            self.errors.clone(),
        );
        registry.register(
            "radio_reconcile_unsuccessful",
            "Reconciles without success, by reason",
            self.failures.clone(),
        );
        registry.register(
            "controller_runtime_reconcile_time_seconds",
            "Time a reconcile took",
            self.seconds.clone(),
        );
        registry.register(
            "controller_runtime_active_workers",
            "Reconciles going on",
            self.active.clone(),
        );
        registry.register(
            "controller_runtime_max_concurrent_reconciles",
            "Most reconciles at the same time",
            self.most_active.clone(),
        );
    }

    /// A controller is there; its series start at 0.
    pub fn controller(&self, controller: &'static str, concurrency: u16) {
        let labels = ByController { controller };
        self.most_active
            .get_or_create(&labels)
            .set(i64::from(concurrency));
        self.active.get_or_create(&labels).set(0);
        // inc_by(0) so that a series is there before anything happened: rates need a first value.
        self.errors.get_or_create(&labels).inc_by(0);
        for ended in [Ended::Success, Ended::RequeueAfter, Ended::Error] {
            self.reconciles
                .get_or_create(&ByResult {
                    controller,
                    result: ended.as_str(),
                })
                .inc_by(0);
        }
        self.added.get_or_create(&ByName { name: controller }).inc_by(0);
        self.retried.get_or_create(&ByName { name: controller }).inc_by(0);
    }

    /// An object was put into a controller's queue.
    pub fn woken(&self, controller: &'static str) {
        self.added.get_or_create(&ByName { name: controller }).inc();
    }

    /// A reconcile begins.
    pub fn began(&self, controller: &'static str) {
        self.active.get_or_create(&ByController { controller }).inc();
    }

    /// A reconcile ended, for a reason if it failed.
    pub fn ended(
        &self,
        controller: &'static str,
        took: Duration,
        ended: Ended,
        reason: Option<&'static str>,
    ) {
        let labels = ByController { controller };
        self.active.get_or_create(&labels).dec();
        self.seconds.get_or_create(&labels).observe(took.as_secs_f64());
        self.worked
            .get_or_create(&ByName { name: controller })
            .observe(took.as_secs_f64());
        self.reconciles
            .get_or_create(&ByResult {
                controller,
                result: ended.as_str(),
            })
            .inc();
        if ended == Ended::Error {
            self.errors.get_or_create(&labels).inc();
            self.retried.get_or_create(&ByName { name: controller }).inc();
        }
        if let Some(reason) = reason {
            self.failures
                .get_or_create(&ByReason { controller, reason })
                .inc();
        }
    }

    /// A Show is there; its series start at 0.
    pub fn show(&self, namespace: &str, show: &str) {
        for outcome in OUTCOMES {
            self.slots
                .get_or_create(&by_outcome(namespace, show, outcome))
                .inc_by(0);
        }
    }

    /// A Show is gone, and its series go with it.
    pub fn show_gone(&self, namespace: &str, show: &str) {
        for outcome in OUTCOMES {
            self.slots.remove(&by_outcome(namespace, show, outcome));
        }
    }

    /// It is known what became of a slot.
    pub fn slot_over(&self, namespace: &str, show: &str, outcome: Outcome) {
        self.slots
            .get_or_create(&by_outcome(namespace, show, outcome))
            .inc();
    }

    /// Whether this replica works.
    pub fn leading(&self, lease: &'static str, leading: bool) {
        self.leading
            .get_or_create(&ByName { name: lease })
            .set(i64::from(leading));
    }
}

fn by_outcome(namespace: &str, show: &str, outcome: Outcome) -> ByOutcome {
    ByOutcome {
        namespace: namespace.to_owned(),
        show: show.to_owned(),
        outcome: format!("{outcome:?}"),
    }
}

/// Labels of a condition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCondition {
    kind: &'static str,
    namespace: String,
    name: String,
    condition: String,
    status: String,
    reason: String,
}

/// The conditions of all our objects, read from our copy at each scrape: a series cannot outlive its object.
pub struct Conditions(Arc<Stores>);

impl Conditions {
    /// Registers `radio_resource_status_condition`.
    pub fn register(registry: &mut Registry, stores: Arc<Stores>) {
        registry.register_collector(Box::new(Self(stores)));
    }
}

impl fmt::Debug for Conditions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Conditions")
    }
}

impl Collector for Conditions {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut metric = encoder.encode_descriptor(
            "radio_resource_status_condition",
            "Conditions of Stations, Mounts, Shows and Recordings that are not verified; the value is always 1",
            None,
            MetricType::Gauge,
        )?;
        for station in self.0.stations.state() {
            if let DeserializeGuard(Ok(station)) = &*station {
                let conditions = station.status.iter().flat_map(|status| &status.conditions);
                write_conditions(&mut metric, "Station", station, conditions)?;
            }
        }
        for mount in self.0.mounts.state() {
            if let DeserializeGuard(Ok(mount)) = &*mount {
                let conditions = mount.status.iter().flat_map(|status| &status.conditions);
                write_conditions(&mut metric, "Mount", mount, conditions)?;
            }
        }
        for show in self.0.shows.state() {
            if let DeserializeGuard(Ok(show)) = &*show {
                let conditions = show.status.iter().flat_map(|status| &status.conditions);
                write_conditions(&mut metric, "Show", show, conditions)?;
            }
        }
        for recording in self.0.recordings.state() {
            if let DeserializeGuard(Ok(recording)) = &*recording {
                let conditions = recording
                    .status
                    .as_ref()
                    .map_or(&[][..], |status| &status.conditions);
                // There are more of them every day, and those that are done stay as they are.
                if find(conditions, READY).is_none_or(|ready| ready.status != "True") {
                    write_conditions(&mut metric, "Recording", recording, conditions.iter())?;
                }
            }
        }
        Ok(())
    }
}

fn write_conditions<'a, K: ResourceExt>(
    metric: &mut MetricEncoder<'_>,
    kind: &'static str,
    object: &K,
    conditions: impl Iterator<Item = &'a Condition>,
) -> Result<(), fmt::Error> {
    for condition in conditions {
        let labels = OfCondition {
            kind,
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            condition: condition.type_.clone(),
            status: condition.status.clone(),
            reason: condition.reason.clone(),
        };
        ConstGauge::new(1_i64).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

//! One test's own namespace: made before, dumped on failure, gone after.

use std::env;
use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, ResourceExt};
use serde_json::json;

use super::floor::Floor;
use super::{api, dump, until};

/// Set to keep the namespace of a failed test for a look at it.
const KEEP: &str = "RADIO_KEEP";

/// A namespace for one test and the client to it.
#[derive(Clone)]
pub struct Stage {
    /// With cluster-admin rights.
    pub client: Client,
    /// Unique to this test run.
    pub namespace: String,
}

/// Tests run side by side as long as they leave each other the operator.
static OPERATOR: Floor = Floor::new();

/// Runs a test in a namespace of its own that enforces restricted Pod Security.
///
/// # Panics
/// When the test fails, after everything about its namespace is printed.
pub async fn play<F, Fut>(name: &str, test: F)
where
    F: FnOnce(Stage) -> Fut,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    let _shared = OPERATOR.share().await;
    perform(name, test).await;
}

/// As [`play`], but while no other test of this process runs: for one that takes the operator away.
///
/// # Panics
/// As [`play`].
pub async fn play_alone<F, Fut>(name: &str, test: F)
where
    F: FnOnce(Stage) -> Fut,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    let _alone = OPERATOR.alone().await;
    perform(name, test).await;
}

/// As [`play`], and then as [`play_alone`]: what the first part made is given to the second one.
///
/// # Panics
/// As [`play`].
pub async fn play_then_alone<T, First, Made, Second, Done>(name: &str, first: First, second: Second)
where
    T: Send + 'static,
    First: FnOnce(Stage) -> Made + Send + 'static,
    Made: Future<Output = Result<T>> + Send + 'static,
    Second: FnOnce(Stage, T) -> Done + Send + 'static,
    Done: Future<Output = Result<()>> + Send + 'static,
{
    perform(name, |stage| async move {
        let shared = OPERATOR.share().await;
        let made = first(stage.clone()).await?;
        drop(shared);
        let _alone = OPERATOR.alone().await;
        second(stage, made).await
    })
    .await;
}

async fn perform<F, Fut>(name: &str, test: F)
where
    F: FnOnce(Stage) -> Fut,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    let stage = match Stage::open(name).await {
        Ok(stage) => stage,
        Err(error) => fail(name, &error),
    };
    let begin = Instant::now();
    let ended = tokio::spawn(test(stage.clone())).await;
    let outcome = ended
        .map_err(|e| anyhow!("panicked: {e}"))
        .and_then(|result| result);
    println!("{name}: {:.1} s", begin.elapsed().as_secs_f32());
    if outcome.is_err() {
        eprintln!("{}", dump::namespace(&stage.client, &stage.namespace).await);
    }
    if outcome.is_ok() || env::var_os(KEEP).is_none() {
        stage.close().await;
    } else {
        eprintln!("{KEEP} is set: the namespace {} stays", stage.namespace);
    }
    if let Err(error) = outcome {
        fail(name, &error);
    }
}

#[expect(clippy::panic, reason = "a failed test is a panic")]
fn fail(name: &str, error: &anyhow::Error) -> ! {
    panic!("{name}: {error:#}")
}

/// The cluster under test: `KUBECONFIG`, else the local one.
pub async fn client() -> Result<Client> {
    let path = env::var_os("KUBECONFIG").map_or_else(local_kubeconfig, PathBuf::from);
    let file = Kubeconfig::read_from(&path)
        .with_context(|| format!("no cluster at {}: run `make up` first", path.display()))?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

fn local_kubeconfig() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../.cluster/kubeconfig")
}

impl Stage {
    /// Makes the namespace.
    pub async fn open(name: &str) -> Result<Self> {
        let client = client().await?;
        let namespace = format!("t-{name}-{:05x}", rand::random::<u32>() & 0xf_ffff);
        let object: Namespace = serde_json::from_value(json!({
            "metadata": {"name": namespace, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
        }))?;
        Api::all(client.clone())
            .create(&PostParams::default(), &object)
            .await?;
        Ok(Self { client, namespace })
    }

    async fn close(&self) {
        let api: Api<Namespace> = Api::all(self.client.clone());
        if let Err(error) = api.delete(&self.namespace, &DeleteParams::default()).await {
            eprintln!("the namespace {} is left over: {error}", self.namespace);
        }
    }

    /// Applies YAML documents server-side in this namespace.
    pub async fn apply(&self, yaml: &str) -> Result<Vec<DynamicObject>> {
        api::apply(&self.client, &self.namespace, yaml).await
    }

    /// One kind in this namespace.
    #[must_use]
    pub fn kind(&self, kind: &str) -> Api<DynamicObject> {
        let (group, version, kind) =
            api::KINDS
                .into_iter()
                .find(|(_, _, k)| *k == kind)
                .unwrap_or(("", "v1", "ConfigMap"));
        api::dynamic(&self.client, &self.namespace, group, version, kind)
    }

    /// Waits until a condition has that status for the object's present generation.
    pub async fn await_condition(
        &self,
        (kind, name): (&str, &str),
        (condition, status): (&str, &str),
        within: Duration,
    ) -> Result<(api::Condition, Duration)> {
        let objects = self.kind(kind);
        until(
            &format!("{kind} {name} to be {condition}={status}"),
            within,
            || async {
                let object = objects.get(name).await.map_err(|e| e.to_string())?;
                match api::condition(&object, condition) {
                    Some(found) if found.status == status => Ok(found),
                    Some(other) => Err(format!(
                        "{}={} {}: {}",
                        other.kind, other.status, other.reason, other.message
                    )),
                    None => Err(format!(
                        "no {condition} for generation {:?}",
                        object.metadata.generation
                    )),
                }
            },
        )
        .await
    }

    /// `Ready=True` for the present generation.
    pub async fn await_ready(&self, kind: &str, name: &str, within: Duration) -> Result<Duration> {
        Ok(self
            .await_condition((kind, name), ("Ready", "True"), within)
            .await?
            .1)
    }

    /// `Ready=False` with this reason; returns the sentence a person reads.
    pub async fn await_not_ready(
        &self,
        kind: &str,
        name: &str,
        reason: &str,
        within: Duration,
    ) -> Result<String> {
        let objects = self.kind(kind);
        let (message, _) = until(
            &format!("{kind} {name} to be Ready=False {reason}"),
            within,
            || async {
                let object = objects.get(name).await.map_err(|e| e.to_string())?;
                let found = api::condition(&object, "Ready").ok_or("no Ready condition yet")?;
                if found.status == "False" && found.reason == reason {
                    Ok(found.message)
                } else {
                    Err(format!(
                        "Ready={} {}: {}",
                        found.status, found.reason, found.message
                    ))
                }
            },
        )
        .await?;
        Ok(message)
    }

    /// Deletes one object; that it is already gone is fine.
    pub async fn delete(&self, kind: &str, name: &str) -> Result<()> {
        match self.kind(kind).delete(name, &DeleteParams::default()).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// `Kind/name -> resourceVersion` of everything in the namespace, without what Kubernetes itself puts there.
    pub async fn versions(&self) -> Result<Vec<(String, String)>> {
        let mut versions = Vec::new();
        for (group, version, kind) in api::KINDS {
            let api = api::dynamic(&self.client, &self.namespace, group, version, kind);
            for object in api.list(&ListParams::default()).await? {
                let name = object.name_any();
                if name != "default" && name != "kube-root-ca.crt" {
                    versions.push((
                        format!("{kind}/{name}"),
                        object.resource_version().unwrap_or_default(),
                    ));
                }
            }
        }
        versions.sort();
        Ok(versions)
    }

    /// The name of the one running pod of a component (`origin`, `relay`, `playout`, `ingest`).
    pub async fn pod(&self, labels: &str) -> Result<String> {
        let running = ListParams::default()
            .labels(labels)
            .fields("status.phase=Running");
        let (name, _) = until(
            &format!("one running pod of {labels}"),
            Duration::from_secs(20),
            || async {
                let pods = self.kind("Pod").list(&running).await.map_err(|e| e.to_string())?;
                let living: Vec<_> = pods
                    .iter()
                    .filter(|p| p.metadata.deletion_timestamp.is_none())
                    .collect();
                match living.as_slice() {
                    [pod] => Ok(pod.name_any()),
                    pods => Err(format!("{} pods", pods.len())),
                }
            },
        )
        .await?;
        Ok(name)
    }
}

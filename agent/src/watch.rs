//! Following one Secret or `ConfigMap` through the API, and reading its mounted copy. IO: API reads, file reads.
//!
//! A process starts from the mounted copy and then runs from the API: kubelet projects a change up to 90 s late.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::fs;
use std::future::ready;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
pub use kube::Client;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watching};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

/// How long one watch request lives. A connection that a lost node or a partition took away silently is noticed
/// this much later (plus kube's margin of 5 s), so it bounds how stale a process can be after a partition.
const WATCH_SECONDS: u32 = 30;

/// The keys of a Secret or `ConfigMap` and their content.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Files(pub BTreeMap<String, Vec<u8>>);

impl Debug for Files {
    // Content is passwords: a stray `?files` in a log line must not print it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.0.iter().map(|(key, content)| (key, content.len())))
            .finish()
    }
}

/// What is followed, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// A Secret.
    Secret(String),
    /// A `ConfigMap`; `data` and `binaryData` both.
    ConfigMap(String),
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(name) => write!(f, "Secret {name}"),
            Self::ConfigMap(name) => write!(f, "ConfigMap {name}"),
        }
    }
}

/// A client for the cluster this pod runs in (or of `KUBECONFIG`), with time limits that a follower can live with:
/// kube itself waits for ever for an answer on a connection whose other end is gone.
pub async fn connect() -> Result<Client, ConnectError> {
    let mut config = kube::Config::infer().await?;
    config.connect_timeout = Some(Duration::from_secs(5));
    config.read_timeout = Some(Duration::from_secs(u64::from(WATCH_SECONDS) + 10));
    config.reset_reader_on_write = true;
    Ok(Client::try_from(config)?)
}

/// The API cannot even be asked.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Neither a service account nor a kubeconfig.
    #[error("no way to the Kubernetes API: {0}; mount a service account token or set KUBECONFIG")]
    Config(#[from] kube::config::InferConfigError),
    /// The configuration cannot be used.
    #[error("the Kubernetes client cannot be built: {0}; check the service account's CA and token files")]
    Client(#[from] kube::Error),
}

/// The content of `object` now and whenever it changes; `None` while it does not exist. Never ends. While the API
/// is away or forbids reading, nothing is emitted: whoever follows goes on with what it has.
pub fn follow(
    client: Client,
    namespace: &str,
    object: Object,
) -> impl Stream<Item = Option<Files>> + Send + 'static + use<> {
    let contents = match &object {
        Object::Secret(name) => {
            contents(Api::namespaced(client, namespace), name, secret_files).left_stream()
        }
        Object::ConfigMap(name) => {
            contents(Api::namespaced(client, namespace), name, config_map_files).right_stream()
        }
    };
    let mut away = false;
    let mut last: Option<Option<Files>> = None;
    contents.filter_map(move |seen| {
        ready(match seen {
            Err(failure) => {
                if !away {
                    tracing::warn!(%object, %failure, "cannot be read from the API; going on with the last version");
                }
                away = true;
                None
            }
            Ok(current) => {
                if away {
                    tracing::info!(%object, "is read from the API again");
                }
                away = false;
                (last.as_ref() != Some(&current)).then(|| {
                    last = Some(current.clone());
                    current
                })
            }
        })
    })
}

fn contents<K>(
    api: Api<K>,
    name: &str,
    files: fn(K) -> Files,
) -> impl Stream<Item = Result<Option<Files>, watcher::Error>> + Send + 'static + use<K>
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let one = watcher::Config::default()
        .fields(&format!("metadata.name={name}"))
        .timeout(WATCH_SECONDS);
    let mut listed = false;
    watching(api, one)
        // Each try to list begins with an Init, which would count as a success and reset the back-off.
        .try_filter(|event| ready(!matches!(event, Event::Init)))
        .backoff(Retry::default())
        .try_filter_map(move |event| {
            ready(Ok(match event {
                Event::InitApply(object) => {
                    listed = true;
                    Some(Some(files(object)))
                }
                Event::Apply(object) => Some(Some(files(object))),
                Event::Delete(_) => Some(None),
                Event::InitDone => (!std::mem::take(&mut listed)).then_some(None),
                Event::Init => None,
            }))
        })
}

fn secret_files(secret: Secret) -> Files {
    Files(
        secret
            .data
            .unwrap_or_default()
            .into_iter()
            .map(|(key, content)| (key, content.0))
            .collect(),
    )
}

fn config_map_files(config_map: ConfigMap) -> Files {
    let text = config_map
        .data
        .unwrap_or_default()
        .into_iter()
        .map(|(key, text)| (key, text.into_bytes()));
    let binary = config_map
        .binary_data
        .unwrap_or_default()
        .into_iter()
        .map(|(key, content)| (key, content.0));
    Files(text.chain(binary).collect())
}

/// 250 ms, doubling to 8 s, each shortened at random by up to half so that a hundred pods do not come at once.
/// Kinder ones (client-go goes to 60 s) would leave a station on old passwords long after the API is back.
#[derive(Default)]
struct Retry {
    failures: u32,
}

impl Iterator for Retry {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let longest = 250_u64 << self.failures.min(5);
        self.failures = self.failures.saturating_add(1);
        let shorter = RandomState::new().hash_one(self.failures) % (longest / 2 + 1);
        Some(Duration::from_millis(longest - shorter))
    }
}

impl Backoff for Retry {
    fn reset(&mut self) {
        self.failures = 0;
    }
}

/// The files of a mounted Secret or `ConfigMap`, all of one version: kubelet swaps the symlink `..data` to change
/// them together. A plain directory is read as it is.
pub fn read_mounted(dir: &Path) -> io::Result<Files> {
    const TRIES: usize = 10;
    for _ in 0..TRIES {
        let before = version(dir)?;
        let files = read_dir(before.as_deref().unwrap_or(dir));
        // A version that is replaced is removed file by file: what was read then is worth nothing, error or not.
        if version(dir)? == before {
            return files;
        }
    }
    Err(io::Error::other(format!(
        "{} changed each time it was read",
        dir.display()
    )))
}

fn version(dir: &Path) -> io::Result<Option<PathBuf>> {
    match fs::read_link(dir.join("..data")) {
        Ok(version) => Ok(Some(dir.join(version))),
        Err(plain) if plain.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn read_dir(dir: &Path) -> io::Result<Files> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let Some(key) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if !key.starts_with("..") && fs::metadata(&path)?.is_file() {
            files.insert(key.to_owned(), fs::read(&path)?);
        }
    }
    Ok(Files(files))
}

#[cfg(test)]
mod tests;

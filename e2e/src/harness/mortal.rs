//! An operator of a test's own, as a process of this machine, that is killed (-9) in each of its writes to the API: the write is
//! carried out, and nobody hears the answer. Starts processes.
//!
//! Between it and the API server stands a gate (`gate`) that passes everything on, under the rights of the operator's account.

mod gate;

use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Client;
use kube::api::Api;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;
use tokio::process::{Child, Command};
use tokio_util::task::AbortOnDropHandle;

use super::Stage;
use super::programs::{kubeconfig_of, program};
use crate::cluster::{self, Places};

const SYSTEM: &str = "radio-system";
const OPERATOR: &str = "radio-operator";
/// One that ends by itself is not started as fast as it can end.
const BREATH: Duration = Duration::from_millis(200);
/// As in the operator's pod.
const RESOLV: &str = "nameserver 10.96.0.10\nsearch radio-system.svc.cluster.local svc.cluster.local cluster.local\n\
                      options ndots:5\n";

/// An operator that is killed whenever it has changed something in the test's namespace, and started again. There must be no
/// other one meanwhile. Its words are in `.cluster/logs`.
pub struct Mortal {
    fate: Arc<Fate>,
    _keeping: AbortOnDropHandle<()>,
    _gate: AbortOnDropHandle<()>,
}

/// What gate and keeper share.
struct Fate {
    client: Client,
    namespace: String,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    /// The process that lives.
    pid: Option<Pid>,
    /// In which writes it was killed.
    deaths: Vec<String>,
    /// How lives ended that nobody ended.
    wrongs: Vec<String>,
}

impl Mortal {
    /// Starts it.
    pub async fn start(stage: &Stage) -> Result<Self> {
        let fate = Arc::new(Fate {
            client: stage.client.clone(),
            namespace: stage.namespace.clone(),
            told: Mutex::default(),
        });
        let (address, gate) = gate::open(Arc::clone(&fate))?;
        let birth = Birth::prepare(stage, &format!("http://{address}")).await?;
        let keeping = tokio::spawn(keep(birth, Arc::clone(&fate)));
        Ok(Self {
            fate,
            _keeping: AbortOnDropHandle::new(keeping),
            _gate: gate,
        })
    }

    /// In which writes it was killed so far.
    #[must_use]
    pub fn deaths(&self) -> Vec<String> {
        self.fate.told().deaths.clone()
    }

    /// Ends it for good; fails if a life ended by itself.
    pub fn end(self) -> Result<Vec<String>> {
        let told = self.fate.told();
        ensure!(
            told.wrongs.is_empty(),
            "an operator ended by itself: {:?}",
            told.wrongs
        );
        Ok(told.deaths.clone())
    }
}

impl Fate {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills who lives now.
    fn strike(&self, write: String) {
        let mut told = self.told();
        if let Some(pid) = told.pid.take() {
            // It may be dead by another write of the same moment.
            let _ = kill_process(pid, Signal::KILL);
            told.deaths.push(write);
        }
    }
}

/// How the process is started.
struct Birth {
    program: PathBuf,
    kubeconfig: NamedTempFile,
    resolv: NamedTempFile,
    environment: Vec<(String, String)>,
    log: File,
}

impl Birth {
    /// As its Deployment says.
    async fn prepare(stage: &Stage, server: &str) -> Result<Self> {
        let deployments = Api::<Deployment>::namespaced(stage.client.clone(), SYSTEM);
        let spec = deployments.get(OPERATOR).await?.spec.unwrap_or_default();
        let containers = spec.template.spec.unwrap_or_default().containers;
        let variables = containers
            .into_iter()
            .flat_map(|container| container.env.unwrap_or_default());
        let environment = variables.filter_map(|variable| Some((variable.name, variable.value?)));
        let resolv = NamedTempFile::new()?;
        std::fs::write(resolv.path(), RESOLV)?;
        let log = Places::find()?.log(&format!("operator-{}", stage.namespace));
        Ok(Self {
            program: program(OPERATOR)?,
            kubeconfig: kubeconfig_of(server)?,
            resolv,
            environment: environment.collect(),
            log: OpenOptions::new().create(true).append(true).open(log)?,
        })
    }

    fn bear(&self) -> Result<Child> {
        let mut life = Command::new("unshare");
        let script = "mount --bind \"$1\" /etc/resolv.conf && exec \"$2\"";
        life.args(["--mount", "sh", "-c", script, "sh"]);
        life.arg(self.resolv.path()).arg(&self.program);
        life.envs(self.environment.iter().map(|(name, value)| (name, value)));
        life.env("KUBECONFIG", self.kubeconfig.path())
            .env("POD_NAMESPACE", SYSTEM)
            .env("RADIO_LEASE", "off")
            .env("RADIO_HTTP", "127.0.0.1:0");
        life.stdin(Stdio::null())
            .stdout(self.log.try_clone()?)
            .stderr(self.log.try_clone()?)
            .kill_on_drop(true);
        cluster::spawn(&mut life).context("an operator")
    }
}

/// One life after the other, until this is dropped.
async fn keep(birth: Birth, fate: Arc<Fate>) {
    loop {
        let ended = match birth.bear() {
            Ok(mut life) => {
                let pid = life.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
                fate.told().pid = pid;
                life.wait().await.map_err(anyhow::Error::from)
            }
            Err(error) => Err(error),
        };
        // Who was struck is no longer named.
        let struck = fate.told().pid.take().is_none();
        if !struck {
            fate.told().wrongs.push(format!("{ended:?}"));
            tokio::time::sleep(BREATH).await;
        }
    }
}

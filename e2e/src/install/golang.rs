//! The programs that come as Go modules: Kubernetes, CoreDNS, the S3 server, pause. Does IO.
//!
//! Each is built once per source and Go version and kept in the cache.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio::process::Command;

use super::cache::{self, Fingerprint};
use super::command;
use crate::steps::Progress;

/// CoreDNS, as Go names it.
const COREDNS: &str = "github.com/coredns/coredns@v1.15.0";
/// The S3 server, as Go names it.
const VERSITYGW: &str = "github.com/versity/versitygw/cmd/versitygw@v1.8.0";
/// Smaller programs; nobody debugs these here.
const LINKER: &str = "-ldflags=-s -w";
/// Kubernetes as it calls itself: built as a module it would not know its version.
const KUBERNETES: &str = "-ldflags=-s -w -X k8s.io/component-base/version.gitVersion=v1.35.4 \
     -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=35";

/// The Kubernetes components whose names the one program answers to.
const COMPONENTS: [&str; 6] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
];

/// Where the built programs are.
#[derive(Debug, Clone)]
pub struct Programs {
    /// A folder with one name per Kubernetes component.
    pub kubernetes: PathBuf,
    /// The DNS server of the cluster.
    pub coredns: PathBuf,
    /// The S3 server.
    pub versitygw: PathBuf,
    /// The program of pod sandboxes.
    pub pause: PathBuf,
}

impl Programs {
    /// The path of a Kubernetes component.
    #[must_use]
    pub fn component(&self, name: &str) -> PathBuf {
        self.kubernetes.join(name)
    }
}

/// Builds what is not in the cache yet.
pub async fn ensure(sources: &Path, progress: &Progress) -> Result<Programs> {
    let version = version().await?;
    Ok(Programs {
        kubernetes: kubernetes(&sources.join("kube"), &version, progress).await?,
        coredns: install("coredns", COREDNS, &version, progress).await?,
        versitygw: install("versitygw", VERSITYGW, &version, progress).await?,
        pause: build("pause", &sources.join("pause"), LINKER, &version, progress).await?,
    })
}

/// Builds only what `kubectl` needs.
pub async fn kubectl(sources: &Path, progress: &Progress) -> Result<PathBuf> {
    Ok(kubernetes(&sources.join("kube"), &version().await?, progress)
        .await?
        .join("kubectl"))
}

async fn version() -> Result<String> {
    command::output(Command::new("go").args(["env", "GOVERSION", "GOARCH"]))
        .await
        .context(
            "Go is needed to build Kubernetes: install Go 1.21 or newer (it fetches the version it needs)",
        )
}

async fn kubernetes(source: &Path, version: &str, progress: &Progress) -> Result<PathBuf> {
    let program = build("kube", source, KUBERNETES, version, progress).await?;
    let folder = program.with_file_name("components");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for component in COMPONENTS {
        let link = folder.join(component);
        if !link.is_symlink() {
            std::os::unix::fs::symlink(&program, &link)
                .with_context(|| format!("cannot make {}", link.display()))?;
        }
    }
    Ok(folder)
}

/// Builds one of our own Go programs.
async fn build(
    name: &str,
    source: &Path,
    linker: &str,
    version: &str,
    progress: &Progress,
) -> Result<PathBuf> {
    let hash = Fingerprint::default()
        .add(version.as_bytes())
        .add(linker.as_bytes())
        .add_path(source)?
        .finish();
    cached(name, &hash, async |folder| {
        progress.say(format!("building {name}"));
        let target = folder.join(name);
        let mut go = go();
        // Which commit it is changes nothing, and a checkout of another user has no answer.
        go.args(["build", "-v", "-buildvcs=false", linker, "-o"])
            .arg(target)
            .arg(".")
            .current_dir(source);
        command::run(&mut go, progress).await
    })
    .await
}

/// Builds a published Go program.
async fn install(name: &str, package: &str, version: &str, progress: &Progress) -> Result<PathBuf> {
    let hash = Fingerprint::default()
        .add(version.as_bytes())
        .add(package.as_bytes())
        .finish();
    cached(name, &hash, async |folder| {
        progress.say(format!("building {package}"));
        command::run(
            go().args(["install", "-v", LINKER, package]).env("GOBIN", folder),
            progress,
        )
        .await
    })
    .await
}

fn go() -> Command {
    let mut go = Command::new("go");
    go.env("CGO_ENABLED", "0");
    go
}

/// The program in the cache's folder for this hash, which `make` fills if it is not there yet.
async fn cached(name: &str, hash: &str, make: impl AsyncFnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let folder = cache::folder()?.join("programs").join(format!("{name}-{hash}"));
    if !folder.exists() {
        let partial = cache::fresh_partial(&folder)?;
        fs::create_dir_all(&partial).with_context(|| format!("cannot make {}", partial.display()))?;
        make(&partial).await?;
        fs::rename(&partial, &folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    Ok(folder.join(name))
}

//! `cluster up`: every step from a bare machine to a station on the air. Does IO.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result};

use super::{
    CONTROL_PLANE, NODES, Places, cgroups, control_plane, deploy, dns, doors, kubeconfig, network, node,
    objects, pki, preflight, processes, s3, serve, studio, volumes,
};
use crate::install::golang::{self, Programs};
use crate::install::images::{Image, Workshop};
use crate::install::rooms::{self, Images, Room};
use crate::install::{apt, cache};
use crate::steps::{Progress, Steps};

/// How far `up` goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The cluster only.
    Bare,
    /// The cluster, the operator, and the example station on the air.
    OnAir,
}

/// Brings the cluster up, or repairs what is missing of it.
pub async fn up(places: &Places, steps: &Steps, extent: Extent) -> Result<()> {
    preflight::check(places)?;
    if extent == Extent::OnAir {
        rooms::check(&places.repository, &rooms::named(&[])?)?;
    }
    steps.run("Debian packages", apt::ensure).await?;
    let (programs, pause) = steps
        .run("Kubernetes, CoreDNS, S3", async |p| programs(places, p).await)
        .await?;
    let images = match extent {
        Extent::Bare => Images::new(),
        Extent::OnAir => build_images(places, steps, &rooms::named(&[])?).await?,
    };
    steps
        .run("folders and network", async |_| prepare(places, &programs).await)
        .await?;
    steps
        .run("control plane", async |p| control(places, &programs, p).await)
        .await?;
    steps
        .run("nodes", async |p| nodes(places, &programs, &pause, p).await)
        .await?;
    steps.run("nodes ready", async |_| ready(places).await).await?;
    if extent == Extent::Bare {
        println!("\nexport KUBECONFIG={}", places.kubeconfig().display());
        return Ok(());
    }
    load_images(places, steps, &images).await?;
    for node in NODES {
        node::forget_others(places, node, &images).await?;
    }
    let names = images
        .iter()
        .map(|(room, image)| (*room, image.name.clone()))
        .collect();
    let target = deploy::Target::local(places);
    deploy::operator(&target, steps, &places.repository, &names).await?;
    let sample = places.repository.join("manifests/samples/recorded");
    deploy::example(&target, steps, &sample, vec![s3::example_secret(places)?]).await?;
    steps.run("audio at 127.0.0.1:8000", deploy::hear).await?;
    let logins = studio::logins(&target, steps).await?;
    deploy::print_local(places, steps, &logins);
    Ok(())
}

/// Installs and builds what does not depend on the project's own sources.
pub async fn install(places: &Places, steps: &Steps) -> Result<()> {
    preflight::check(places)?;
    steps.run("Debian packages", apt::ensure).await?;
    steps
        .run("Kubernetes, CoreDNS, S3", async |p| programs(places, p).await)
        .await?;
    steps
        .run("Debian base image", async |p| Workshop::open()?.base(p).await)
        .await?;
    Ok(())
}

/// The Go programs and the image of pod sandboxes, built or from the cache.
pub async fn programs(places: &Places, progress: &Progress) -> Result<(Programs, Image)> {
    let sources = places.repository.join("e2e/go");
    let programs = golang::ensure(&sources, progress).await?;
    let pause = Workshop::open()?
        .build("pause", &sources.join("pause"), &[&programs.pause], progress)
        .await?;
    progress.say("built");
    Ok((programs, pause))
}

/// Builds the images of these rooms, and the base they begin with.
pub async fn build_images(places: &Places, steps: &Steps, rooms: &[&'static Room]) -> Result<Images> {
    let workshop = Workshop::open()?;
    let base = steps
        .run("Debian base image", async |p| workshop.base(p).await)
        .await?;
    let build = async |p: &Progress| rooms::build(&places.repository, &workshop, rooms, p).await;
    let mut images = steps.run("images", build).await?;
    images.insert("debian", base);
    Ok(images)
}

/// Loads the images into every node that runs.
pub async fn load_images(places: &Places, steps: &Steps, images: &Images) -> Result<()> {
    steps
        .run("images into the nodes", async |progress| {
            let mut loaded = 0_u32;
            for image in images.values() {
                progress.say(&image.name);
                let [a, b, c] = NODES.map(|node| node::load_if_running(places, node, image));
                let (a, b, c) = tokio::try_join!(a, b, c)?;
                loaded += [a, b, c].map(u32::from).iter().sum::<u32>();
            }
            progress.say(format!("{loaded} loaded"));
            Ok(())
        })
        .await
}

async fn prepare(places: &Places, programs: &Programs) -> Result<()> {
    if processes::recorded(&places.records()).is_empty() {
        // The logs of the last cluster were kept for a look; now they would only be in the way.
        cache::remove(&places.visible.join("logs"))?;
    }
    places.make()?;
    let bin = places.visible.join("bin");
    fs::create_dir_all(&bin).with_context(|| format!("cannot make {}", bin.display()))?;
    link(&bin, "kubectl", &programs.component("kubectl"))?;
    // cargo puts all programs side by side; a bare cluster is there without ours.
    let plugin = std::env::current_exe()?.with_file_name("kubectl-radio");
    if plugin.exists() {
        link(&bin, "kubectl-radio", &plugin)?;
    }
    cgroups::make(CONTROL_PLANE)?;
    pki::ensure(places)?;
    network::ensure(places).await
}

fn link(bin: &Path, name: &str, program: &Path) -> Result<()> {
    let made = cache::fresh_partial(&bin.join(name))?;
    symlink(program, &made)
        .and_then(|()| fs::rename(&made, bin.join(name)))
        .with_context(|| format!("cannot link {name} into {}", bin.display()))
}

async fn control(places: &Places, programs: &Programs, progress: &Progress) -> Result<()> {
    control_plane::api(places, programs, progress).await?;
    progress.say("doors");
    let port = serve::ensure(places).await?;
    kubeconfig::for_host(places, port)?;
    s3::ensure(places, programs).await?;
    control_plane::controllers(places, programs, progress).await?;
    dns::ensure(places, programs).await?;
    let objects = [
        dns::objects(),
        s3::objects(places)?,
        volumes::objects(),
        doors::objects(),
    ]
    .concat();
    objects::apply(places, &objects).await
}

async fn nodes(places: &Places, programs: &Programs, pause: &Image, progress: &Progress) -> Result<()> {
    progress.say("containerd, kubelet and kube-proxy on three nodes");
    let [a, b, c] = NODES.map(|node| async move {
        node::repair(places, programs, node, pause)
            .await
            .with_context(|| node.name())
    });
    tokio::try_join!(a, b, c).map(drop)
}

async fn ready(places: &Places) -> Result<()> {
    for node in NODES {
        objects::wait(places, &format!("node/{}", node.name()), "condition=Ready", 60).await?;
    }
    Ok(())
}

//! The one background process of our own: the doors from the host, and the provisioner of volumes. Does IO.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::Result;

use super::doors::{self, Door};
use super::processes::{self, Service};
use super::{CONTROL_PLANE, Places, s3, volumes};
use crate::install::cache;

/// The name of its record.
pub const NAME: &str = "serve";

/// Starts it, if it does not run yet, and gives back the API server's port on the host.
pub async fn ensure(places: &Places) -> Result<u16> {
    let port = choose_port(places)?;
    let program = program(places)?;
    let service = Service {
        name: NAME.into(),
        arguments: vec!["serve".into(), "--api-port".into(), port.to_string()],
        environment: vec![],
        namespace: None,
        cgroup: CONTROL_PLANE.into(),
        reads: vec![program.clone()],
        program,
        log: places.log(NAME),
    };
    processes::ensure(&places.records(), &service).await?;
    Ok(port)
}

/// This program, copied: cargo replaces its own file whenever it builds, also in the middle of `cluster up`.
fn program(places: &Places) -> Result<PathBuf> {
    let this = fs::read("/proc/self/exe")?;
    let copy = places.state.join("bin/cluster");
    if fs::read(&copy).ok().as_ref() != Some(&this) {
        fs::create_dir_all(places.state.join("bin"))?;
        cache::write(&copy, this)?;
        fs::set_permissions(&copy, Permissions::from_mode(0o755))?;
    }
    Ok(copy)
}

/// Keeps the doors and the volumes, until it is ended.
pub async fn serve(places: &Places, api_port: u16) -> Result<()> {
    let listeners = Door::open(doors::LISTENERS, &format!("{}:8000", doors::LISTENERS_SERVICE)).await?;
    let sources = Door::open(doors::SOURCES, &format!("{}:8005", doors::SOURCES_SERVICE)).await?;
    let storage = Door::open(doors::S3, s3::ADDRESS).await?;
    let api = Door::open(api_port, "127.0.0.1:6443").await?;
    tokio::join!(
        listeners.keep(),
        sources.keep(),
        storage.keep(),
        api.keep(),
        volumes::provision(places)
    );
    Ok(())
}

/// The port this cluster has, or the usual one, or any that is free.
fn choose_port(places: &Places) -> Result<u16> {
    let file = places.run.join("api-port");
    let kept = fs::read_to_string(&file)
        .ok()
        .and_then(|text| text.trim().parse().ok());
    let ours = processes::is_running(&places.records(), NAME);
    let port = match kept {
        Some(port) if ours || doors::is_free(port) => port,
        _ if doors::is_free(doors::API) => doors::API,
        _ => std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port(),
    };
    cache::write(&file, port.to_string())?;
    Ok(port)
}

//! `cluster`: a real Kubernetes on this machine, for trying radio-operator and for its tests.

mod arguments;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use e2e::cluster::{self, Extent, Places, verbs};
use e2e::steps::Steps;
use rustix::process::Signal;

use arguments::{Arguments, NodeVerb, Verb};

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    match run(Arguments::parse().verb).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cluster: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(verb: Verb) -> Result<()> {
    cluster::require_root()?;
    let (places, steps) = (Places::find()?, Steps::default());
    match verb {
        Verb::Serve { api_port } => return cluster::serve(&places, api_port).await,
        Verb::Status => {
            return if cluster::status(&places)? {
                Ok(())
            } else {
                bail!("not all of it runs")
            };
        }
        _ => {}
    }
    let _lock = places.lock()?;
    match verb {
        Verb::Up { bare: true } => cluster::up(&places, &steps, Extent::Bare).await,
        Verb::Up { bare: false } => match std::env::var_os("KUBECONFIG").map(std::path::PathBuf::from) {
            Some(given) if given != places.kubeconfig() => cluster::up_on_given(&places, &steps, given).await,
            _ => cluster::up(&places, &steps, Extent::OnAir).await,
        },
        Verb::Install => cluster::install(&places, &steps).await,
        Verb::Down => cluster::down(&places, &steps).await,
        Verb::Images { rooms } => verbs::images(&steps, &rooms).await.map(drop),
        Verb::Node { verb } => match verb {
            NodeVerb::Kill { name } => verbs::kill_node(&name).await,
            NodeVerb::Stop { name } => verbs::stop_node(&name).await,
            NodeVerb::Partition { name } => verbs::partition_node(&name).await,
            NodeVerb::Return { name } => verbs::return_node(&name).await,
        },
        Verb::KillProcess {
            pod,
            container,
            comm,
            namespace,
            signal,
        } => {
            let signal =
                Signal::from_named_raw(signal).with_context(|| format!("there is no signal {signal}"))?;
            match verbs::signal_process(&namespace, &pod, &container, &comm, signal).await? {
                0 => bail!("no process {comm} runs in the container {container} of {pod}"),
                hit => println!("{hit} process{}", if hit == 1 { "" } else { "es" }),
            }
            Ok(())
        }
        Verb::Block { a, b, namespace } => verbs::block(&namespace, &a, &b).await,
        Verb::Unblock { a, b, namespace } => verbs::unblock(&namespace, &a, &b).await,
        Verb::Serve { .. } | Verb::Status => Ok(()),
    }
}

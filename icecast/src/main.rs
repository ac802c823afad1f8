//! What runs in an Icecast pod beside Icecast: `watch` writes its configuration, feeds it and tells how it does, `run`
//! keeps it alive.

mod ask;
mod config;
mod feed;
mod flow;
mod mark;
mod metrics;
mod pages;
mod poll;
mod queues;
mod scrape;
mod settings;
mod stats;
mod status;
mod view;
mod watch;
mod xml;

use std::path::PathBuf;
use std::process::ExitCode;

use agent::supervise::{Child, keep_alive};
use clap::{Parser, Subcommand};

/// Runs Icecast in a pod and keeps its configuration current.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Write the configuration from its Secret, and again whenever the Secret changes; tell how Icecast does.
    Watch(watch::Arguments),
    /// Run Icecast; restart it when it dies, reload it when its configuration changed.
    Run(RunArguments),
}

#[derive(clap::Args)]
struct RunArguments {
    /// The configuration file `watch` writes.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Icecast's program; Debian calls it icecast2, Icecast-KH calls it icecast.
    #[arg(long, value_name = "PROGRAM", default_value = "icecast2")]
    icecast: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    agent::telemetry::init("icecast-agent");
    match arguments.task {
        Task::Watch(arguments) => match watch::watch(arguments).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                tracing::error!("{failure}");
                ExitCode::FAILURE
            }
        },
        Task::Run(arguments) => {
            let args = vec!["-c".into(), arguments.config.clone().into()];
            keep_alive(Child {
                program: arguments.icecast,
                args,
                reload_on: Some(arguments.config),
            })
            .await
        }
    }
}

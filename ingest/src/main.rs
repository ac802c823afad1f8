//! The process that takes sources and keeps tapes. IO: everything, in the library.

use std::ffi::OsString;
use std::process::ExitCode;

use agent::supervise::{Child, keep_alive};
use clap::{Parser, Subcommand};
use ingest::serve::Serve;

/// What runs in the pod that sources connect to.
#[derive(Parser)]
#[command(version)]
struct Command {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Takes sources, keeps tapes, and lets readers have them.
    Serve(Serve),
    /// Keeps `serve` running, as a container's first process: kubelet would start it again after 10, 20, 40 s.
    Keep {
        /// The arguments of `serve`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        serve: Vec<OsString>,
    },
}

// 50 sources take 2 % of a core. They have a thread of their own, readers and probes this one.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    agent::telemetry::init("ingest");
    let serve = match Command::parse().role {
        Role::Serve(serve) => serve,
        Role::Keep { serve } => return keep(serve).await,
    };
    match serve.run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!(%failure, "the ingest cannot go on");
            ExitCode::FAILURE
        }
    }
}

async fn keep(serve: Vec<OsString>) -> ExitCode {
    // So that `top`, and whoever kills by name, can tell the two apart.
    if let Err(failure) = rustix::thread::set_name(c"ingest-keep") {
        tracing::debug!(%failure, "the process keeps its name");
    }
    let Ok(program) = std::env::current_exe() else {
        tracing::error!("the ingest's own program cannot be found; check the image");
        return ExitCode::FAILURE;
    };
    let mut args = vec!["serve".into()];
    args.extend(serve);
    keep_alive(Child {
        program,
        args,
        reload_on: None,
    })
    .await
}

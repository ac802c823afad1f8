//! The process of both containers in a Mount's pod. IO: everything, in the library.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use playout_agent::engine::Engine;
use playout_agent::serve::Serve;

/// What runs in the pod of a Mount.
#[derive(Parser)]
#[command(version)]
struct Command {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Beside Liquidsoap: takes its audio to the origins and tells it what to play.
    Serve(Box<Serve>),
    /// Keeps Liquidsoap running.
    Liquidsoap(Engine),
}

#[tokio::main]
async fn main() -> ExitCode {
    agent::telemetry::init("playout-agent");
    match Command::parse().role {
        Role::Serve(serve) => match serve.run().await {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                tracing::error!(%failure, "the agent cannot go on");
                ExitCode::FAILURE
            }
        },
        Role::Liquidsoap(engine) => engine.run().await,
    }
}

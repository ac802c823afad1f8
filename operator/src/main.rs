//! The operator's process.

use std::process::ExitCode;

use clap::Parser;
use radio_operator::{args::Args, run, telemetry};

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    telemetry::init();
    match Box::pin(run::run(args)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(
                error = radio_operator::k8s::error::message(&error),
                "the operator ends"
            );
            ExitCode::FAILURE
        }
    }
}

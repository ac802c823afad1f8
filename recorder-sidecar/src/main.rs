//! The process of the containers of a Recording. IO: everything, in the library.

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use recorder::capture::Capture;
use recorder::finalize::{Finalize, Verify};
use recorder::keep::Keep;
use recorder::ship::Ship;

/// What runs in the pods of a Recording.
#[derive(Parser)]
#[command(version)]
struct Command {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Copies what belongs to the Recording from the tapes to the spool.
    Capture(Capture),
    /// Stores what is in the spool; ends when the Recording is over and stored.
    Ship(Ship),
    /// Makes what was on air out of what is stored, verifies and publishes it.
    Finalize(Finalize),
    /// Reads the published version back and checks it.
    Verify(Verify),
    /// Deletes what need not be kept.
    Keep(Keep),
}

/// One thread is enough for a few streams, and each costs memory.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    agent::telemetry::init("recorder");
    match Command::parse().role {
        Role::Capture(capture) => ended("capture", capture.run().await),
        Role::Ship(ship) => ended("ship", ship.run().await),
        Role::Finalize(finalize) => ended("finalize", finalize.run().await),
        Role::Verify(verify) => ended("verify", verify.run().await),
        Role::Keep(keep) => ended("keep", keep.run().await),
    }
}

fn ended(role: &str, outcome: Result<(), impl Error>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!(%failure, "{role} cannot go on");
            ExitCode::FAILURE
        }
    }
}

//! `kubectl radio`: what was on air, and whether it is kept, for whoever sits at a terminal.
//!
//! Each command has a file. What is shown is made by pure functions; IO is in `cluster`, `bucket`, `out` and each command's `run`.

mod args;
mod bucket;
mod cluster;
mod drill;
mod error;
mod live;
mod mark;
mod out;
mod record;
mod recordings;
mod words;

use std::process::ExitCode;

use clap::Parser;
use radio_operator::k8s::error::message;

use args::{Args, Command};
use cluster::Cluster;
use error::Error;
use out::Outcome;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(Outcome::Good) => ExitCode::SUCCESS,
        Ok(Outcome::Bad) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("error: {}", words::plain(&message(&failure)));
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<Outcome, Error> {
    let cluster = Cluster::connect(&args.way).await?;
    let output = args.output;
    match args.command {
        Command::Recordings(command) => recordings::run(&command, &cluster, output).await,
        Command::Record(command) => record::run(&command, &cluster, output).await,
        Command::Mark(command) => mark::run(&command, &cluster, output).await,
        Command::Live(command) => live::run(&command, &cluster, output).await,
        Command::Drill(command) => drill::run(&command, &cluster, output).await,
    }
}

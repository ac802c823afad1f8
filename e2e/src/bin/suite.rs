//! `make test`, `make e2e`, `make e2e-full`, `make bench`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use e2e::suite::{run, table::Table};

#[derive(Parser)]
#[command(about = "radio-operator's test suite")]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Everything, from format to a cluster of its own.
    Test,
    /// End-to-end tests whose name begins with NAME, on the running cluster.
    E2e {
        #[arg(default_value = "")]
        name: String,
    },
    /// The same with all matrices and soaks.
    E2eFull {
        #[arg(default_value = "")]
        name: String,
    },
    /// Figures beside their peers, on the running cluster.
    Bench,
}

fn main() -> ExitCode {
    let mut table = Table::begin();
    match Args::parse().verb {
        Verb::Test => run::everything(&mut table),
        Verb::E2e { name } => run::promises(&mut table, &name, run::Extent::Representative),
        Verb::E2eFull { name } => run::promises(&mut table, &name, run::Extent::Full),
        Verb::Bench => run::bench(&mut table),
    }
    match table.end() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

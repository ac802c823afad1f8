//! How it is called. No IO.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::{drill, live, mark, record, recordings};

/// Internet radio on Kubernetes: what was on air, and whether it is kept.
#[derive(Clone, Debug, Parser)]
#[command(name = "kubectl-radio", bin_name = "kubectl radio", version, about)]
pub struct Args {
    /// Which cluster, and where in it.
    #[command(flatten)]
    pub way: Way,

    /// For programs. Without it: for people.
    #[arg(short, long, global = true)]
    pub output: Option<Output>,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The flags that kubectl has too.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Way {
    /// The kubeconfig file. Default: as kubectl finds it
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// The context in it. Default: the current one
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,

    /// The cluster in it. Default: the context's
    #[arg(long, global = true, value_name = "NAME")]
    pub cluster: Option<String>,

    /// The user in it. Default: the context's
    #[arg(long, global = true, value_name = "NAME")]
    pub user: Option<String>,

    /// The namespace. Default: the context's
    #[arg(short, long, global = true, value_name = "NAME")]
    pub namespace: Option<String>,
}

/// In which form it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// One JSON document on standard output.
    Json,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// What was recorded: a log, links to listen to, a look at the bytes, and all of it rebuilt from the bucket
    #[command(subcommand, visible_alias = "rec")]
    Recordings(recordings::Command),

    /// Record a Mount now, whatever is scheduled
    #[command(subcommand)]
    Record(record::Command),

    /// Set a mark in what is on air: a chapter of the recording begins there
    Mark(mark::Mark),

    /// Put the presenters of a Show on air whose goLive is Manual
    Live(live::Live),

    /// Send a drill the way that notices of missed shows go, and see whether it arrives
    Drill(drill::Drill),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn kubectls_flags_may_stand_anywhere() {
        let args = |line: &str| Args::try_parse_from(line.split(' ')).unwrap();
        for line in [
            "kubectl-radio -n fm --context there recordings ls -o json",
            "kubectl-radio recordings -n fm ls --context there -o json",
            "kubectl-radio rec ls --namespace fm --output json --context=there",
        ] {
            let args = args(line);
            assert_eq!(args.way.namespace.as_deref(), Some("fm"), "{line}");
            assert_eq!(args.way.context.as_deref(), Some("there"), "{line}");
            assert_eq!(args.output, Some(Output::Json), "{line}");
        }
    }
}

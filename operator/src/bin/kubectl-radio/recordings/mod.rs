//! `kubectl radio recordings`.

mod ls;
mod restore;
#[cfg(test)]
mod sample;
mod url;
mod verify;

use clap::Subcommand;
use kube::ResourceExt;
use radio_crds::{Recording, store};
use radio_operator::recording::validate;
use recorder::config;

use crate::{args::Output, bucket::Bucket, cluster::Cluster, error::Error, out::Outcome};

/// How a Recording is found by somebody who mistyped it.
pub const ADVICE: &str = "`kubectl radio recordings ls` lists them";

/// What to do with recordings.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// A log of what was on air, the oldest first
    Ls(ls::Ls),
    /// Links to the audio, for anybody who has them
    Url(url::Url),
    /// Read the audio back from the bucket and compare it with what was stored
    Verify(verify::Verify),
    /// Make Recordings of what is in a bucket, where the cluster was lost
    Restore(restore::Restore),
}

/// Does it.
pub async fn run(command: &Command, cluster: &Cluster, output: Option<Output>) -> Result<Outcome, Error> {
    match command {
        Command::Ls(command) => ls::run(command, cluster, output).await,
        Command::Url(command) => url::run(command, cluster, output).await,
        Command::Verify(command) => verify::run(command, cluster, output).await,
        Command::Restore(command) => restore::run(command, cluster, output).await,
    }
}

/// Where a Recording is kept.
struct Place {
    bucket: Bucket,
    /// Everything of it is below; ends with `/`.
    prefix: String,
}

impl Place {
    async fn of(recording: &Recording, cluster: &Cluster) -> Result<Self, Error> {
        let store = &recording.spec.store;
        let namespace = recording.namespace().unwrap_or_else(|| cluster.namespace.clone());
        let keys = cluster.keys(&store.secret_ref.name, &namespace).await?;
        let told = told(&format!("Recording {}", recording.name_any()), store)?;
        Ok(Self {
            bucket: Bucket::open(&told, &keys),
            prefix: prefix(recording, &told),
        })
    }
}

fn told(object: &str, store: &store::Bucket) -> Result<config::Bucket, Error> {
    validate::bucket(store).map_err(|wrong| Error::Unusable {
        object: object.to_owned(),
        wrong,
    })
}

fn prefix(recording: &Recording, store: &config::Bucket) -> String {
    let namespace = recording.namespace().unwrap_or_default();
    let spec = &recording.spec;
    let station = store.station_prefix(&namespace, &spec.station);
    format!("{station}{}/{}/", spec.mount, recording.name_any())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lies_where_its_recorder_puts_it() {
        for mut recording in sample::recordings() {
            // One has a title that no recorder is told.
            recording.spec.title = "Title".to_owned();
            let spec = validate::spec(&recording, &sample::images()).unwrap();
            let told = told("it", &recording.spec.store).unwrap();
            assert_eq!(prefix(&recording, &told), spec.told.prefix());
        }
    }
}

//! `kubectl radio record stop`: a Recording is over now.

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use radio_crds::{Mount, Recording, STOP_ANNOTATION, recorded::RecordingMode};
use radio_operator::{k8s::error::ApiError, recording::words::moment};
use serde::Serialize;

use super::recording_now;
use crate::{
    args::Output,
    cluster::Cluster,
    error::Error,
    out::{Outcome, print, print_json},
    words::plain,
};

/// Ends recordings now. What was on air until then is stored and made final as always.
#[derive(Clone, Debug, clap::Args)]
pub struct Stop {
    /// A Mount, or one of its Recordings
    #[arg(value_name = "MOUNT|RECORDING")]
    name: String,
}

/// Finds it, and says when it is over.
pub async fn run(stop: &Stop, cluster: &Cluster, output: Option<Output>) -> Result<Outcome, Error> {
    let recordings = cluster.list::<Recording>(false).await?;
    let now = cluster.now().await?;
    let found = chosen(&stop.name, &recordings, now)?;
    let at = end(&found, now);
    for recording in &found {
        let name = recording.name_any();
        cluster
            .annotate::<Recording>(&name, STOP_ANNOTATION, &at.to_string())
            .await?;
    }
    let mount = found.first().map(|recording| recording.spec.mount.clone());
    let mount = mount.unwrap_or_default();
    let there = cluster.api::<Mount>().get_opt(&mount).await;
    let there = there.map_err(ApiError::new("read", "Mount", &mount))?;
    let stopped = Stopped {
        recordings: found.iter().map(|recording| recording.name_any()).collect(),
        at,
        goes_on: there.is_some_and(|mount| mount.recording_mode() == RecordingMode::Always),
        mount,
    };
    match output {
        Some(Output::Json) => print_json(&stopped)?,
        None => print(&stopped.text())?,
    }
    Ok(Outcome::Good)
}

/// The Recording of this name, or what records the Mount of this name.
fn chosen<'a>(name: &str, recordings: &'a [Recording], now: Timestamp) -> Result<Vec<&'a Recording>, Error> {
    let named = recordings.iter().find(|recording| recording.name_any() == name);
    let mount = named.map_or(name, |recording| &recording.spec.mount);
    let mut found = recording_now(mount, None, recordings, now);
    if named.is_some() {
        found.retain(|recording| recording.name_any() == name);
    }
    if !found.is_empty() {
        return Ok(found);
    }
    Err(Error::NotNow(match named {
        Some(_) => format!("Recording {name} is not under way: there is nothing to stop"),
        None => format!(
            "nothing records a Mount {name} now, and no Recording has this name; `kubectl radio recordings ls` lists them"
        ),
    }))
}

/// Now; but the API server's clock tells whole seconds, and an end that is not after the beginning is none.
fn end(found: &[&Recording], now: Timestamp) -> Timestamp {
    let begins = found.iter().map(|recording| recording.spec.window.from).max();
    let first = begins.and_then(|from| from.saturating_add(SignedDuration::from_secs(1)).ok());
    first.map_or(now, |first| first.max(now))
}

/// What was stopped.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Stopped {
    recordings: Vec<String>,
    mount: String,
    at: Timestamp,
    /// Who stays on air is in the next Recording.
    goes_on: bool,
}

impl Stopped {
    fn text(&self) -> String {
        let are = if self.recordings.len() == 1 { "is" } else { "are" };
        let next = if self.goes_on {
            let mount = &self.mount;
            format!(" Mount {mount} is recorded always: who stays on air is in the next Recording.")
        } else {
            String::new()
        };
        let text = format!(
            "{} {are} over at {}; what was on air until then is stored and made final.{next}",
            self.recordings.join(", "),
            moment(self.at)
        );
        plain(&text) + "\n"
    }
}

#[cfg(test)]
mod tests {
    use insta::{assert_json_snapshot, assert_snapshot};

    use super::*;
    use crate::record::sample::recording;

    fn at() -> Timestamp {
        "2026-11-21T20:13:05Z".parse().unwrap()
    }

    fn recordings() -> [Recording; 4] {
        [
            recording("live-1", "live", "2026-11-21T20:00:00Z", None, "OnAir"),
            recording("live-0", "live", "2026-11-21T18:00:00Z", None, "Verified"),
            recording("mics-1", "mics", "2026-11-21T20:00:00Z", None, "OnAir"),
            recording("mics-2", "mics", "2026-11-21T20:00:00Z", None, "OnAir"),
        ]
    }

    #[test]
    fn a_mount_or_one_recording() {
        let names = |name: &str| -> Vec<String> {
            let recordings = recordings();
            let found = chosen(name, &recordings, at()).unwrap();
            found.into_iter().map(ResourceExt::name_any).collect()
        };
        assert_eq!(names("live"), ["live-1"]);
        assert_eq!(names("live-1"), ["live-1"]);
        assert_eq!(names("mics"), ["mics-1", "mics-2"]);
        assert_eq!(names("mics-2"), ["mics-2"]);
    }

    #[test]
    fn it_ends_after_it_began() {
        let recordings = recordings();
        let end = |now: &str| end(&[&recordings[0]], now.parse().unwrap()).to_string();
        assert_eq!(end("2026-11-21T20:13:05Z"), "2026-11-21T20:13:05Z");
        assert_eq!(end("2026-11-21T20:00:00Z"), "2026-11-21T20:00:01Z");
    }

    #[test]
    fn nothing_to_stop_is_said() {
        let why = |name: &str| chosen(name, &recordings(), at()).unwrap_err().to_string();
        assert_snapshot!(why("live-0"));
        assert_snapshot!(why("talk"));
    }

    #[test]
    fn what_it_says() {
        let stopped = |names: &[&str], goes_on| Stopped {
            recordings: names.iter().map(|name| (*name).to_owned()).collect(),
            mount: "live".to_owned(),
            at: at(),
            goes_on,
        };
        assert_snapshot!(stopped(&["live-1"], true).text());
        assert_snapshot!(stopped(&["mics-1", "mics-2"], false).text());
        assert_json_snapshot!(stopped(&["live-1"], true));
    }
}

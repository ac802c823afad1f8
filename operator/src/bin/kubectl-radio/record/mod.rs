//! `kubectl radio record`.

mod now;
mod stop;

use clap::Subcommand;
use jiff::Timestamp;
use kube::ResourceExt;
use radio_crds::Recording;
use radio_operator::{mount::appoint, recording::ends};

use crate::{args::Output, cluster::Cluster, error::Error, out::Outcome};

/// How a Mount is found by somebody who mistyped it.
pub const MOUNT_ADVICE: &str = "`kubectl get mounts` lists them";

/// Whether a Mount is to be recorded.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Record what is on air at a Mount from now on
    Now(now::Now),
    /// End a recording now; what is on air after it is in the next one, if the Mount is recorded always
    Stop(stop::Stop),
}

/// Does it.
pub async fn run(command: &Command, cluster: &Cluster, output: Option<Output>) -> Result<Outcome, Error> {
    match command {
        Command::Now(command) => now::run(command, cluster, output).await,
        Command::Stop(command) => stop::run(command, cluster, output).await,
    }
}

/// The Recordings of a Mount, or of one input of it, whose window is now and that are not over.
fn recording_now<'a>(
    mount: &str,
    input: Option<&str>,
    recordings: &'a [Recording],
    now: Timestamp,
) -> Vec<&'a Recording> {
    let under_way = appoint::under_way(mount, recordings);
    let is_of = |recording: &&Recording| {
        let spec = &recording.spec;
        under_way.contains(&recording.name_any())
            && spec.window.from <= now
            && ends::until(recording).is_none_or(|until| now < until)
            && (input.is_none() || spec.input.is_none() || spec.input.as_deref() == input)
    };
    recordings.iter().filter(is_of).collect()
}

#[cfg(test)]
mod sample {
    //! Recordings under way. No IO.

    use radio_crds::Recording;
    use serde_json::json;

    pub fn recording(name: &str, mount: &str, from: &str, until: Option<&str>, phase: &str) -> Recording {
        let mut window = json!({"from": from});
        if let Some(until) = until {
            window["until"] = until.into();
        }
        let recording = json!({
            "apiVersion": "radio.moafunk.de/v1alpha1", "kind": "Recording",
            "metadata": {"name": name, "namespace": "city", "uid": "u"},
            "spec": {
                "station": "radio", "mount": mount, "title": "Live", "window": window,
                "store": {"endpoint": "https://s3.example.org", "bucket": "shows", "secretRef": {"name": "s3"}},
            },
            "status": {"phase": phase},
        });
        serde_json::from_value(recording).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use radio_crds::STOP_ANNOTATION;

    use super::{sample::recording, *};

    #[test]
    fn what_records_now() {
        let stop = |mut recording: Recording, at: &str| {
            let annotations = [(STOP_ANNOTATION.to_owned(), at.to_owned())];
            recording.metadata.annotations = Some(annotations.into());
            recording
        };
        let mut seven = recording("seven", "live", "2026-11-21T20:00:00Z", None, "OnAir");
        seven.spec.input = Some("7".to_owned());
        let recordings = [
            recording("on-air", "live", "2026-11-21T20:00:00Z", None, "OnAir"),
            recording("placed", "live", "2026-11-21T21:00:00Z", None, "Waiting"),
            recording(
                "slot",
                "live",
                "2026-11-21T20:00:00Z",
                Some("2026-11-21T20:40:00Z"),
                "Waiting",
            ),
            recording(
                "over",
                "live",
                "2026-11-21T20:00:00Z",
                Some("2026-11-21T20:30:00Z"),
                "OnAir",
            ),
            recording("stored", "live", "2026-11-21T20:00:00Z", None, "Storing"),
            recording("other", "talk", "2026-11-21T20:00:00Z", None, "OnAir"),
            stop(
                recording("stopped", "live", "2026-11-21T20:00:00Z", None, "OnAir"),
                "2026-11-21T20:29:00Z",
            ),
            seven,
        ];
        let now: Timestamp = "2026-11-21T20:30:00Z".parse().unwrap();
        let names = |input: Option<&str>| -> Vec<String> {
            let found = recording_now("live", input, &recordings, now);
            found.into_iter().map(ResourceExt::name_any).collect()
        };
        assert_eq!(names(None), ["on-air", "slot", "seven"]);
        assert_eq!(names(Some("7")), ["on-air", "slot", "seven"]);
        assert_eq!(names(Some("8")), ["on-air", "slot"]);
    }
}

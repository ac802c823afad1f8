//! `kubectl radio record now`: a Recording by hand.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::{ResourceExt, api::PostParams};
use radio_crds::{Mount, Recording, Show, Station, recording::Window};
use radio_operator::{
    k8s::error::ApiError,
    mount::appoint,
    recording::{
        ends,
        words::{duration, moment},
    },
    text::Line,
};
use serde::Serialize;

use super::{MOUNT_ADVICE, recording_now};
use crate::{
    args::Output,
    cluster::Cluster,
    error::Error,
    out::{Outcome, print, print_json},
    words::{api_length, length, plain},
};

/// As the API has it.
const SHORTEST: Duration = Duration::from_mins(1);
/// See [`SHORTEST`].
const LONGEST: Duration = Duration::from_hours(24);

/// Records what is on air at a Mount from now on, until nobody was on air for a while (as the Mount says, or 2m), or for as
/// long as is asked.
#[derive(Clone, Debug, clap::Args)]
pub struct Now {
    /// Which Mount
    #[arg(value_name = "MOUNT")]
    mount: String,

    /// For how long, 1m to 24h, whoever is on air or not
    #[arg(long = "for", value_name = "TIME", value_parser = how_long)]
    lasts: Option<Duration>,

    /// Of a Mount whose path has a '*': the key that stands for it
    #[arg(long, value_name = "KEY")]
    input: Option<String>,

    /// What it is of. Default: what the Mount is called
    #[arg(long, value_name = "TEXT", value_parser = title)]
    title: Option<String>,

    /// Also if something records the Mount already: then it is recorded twice
    #[arg(long)]
    anyway: bool,
}

/// For clap.
fn how_long(text: &str) -> Result<Duration, String> {
    let asked = length(text)?;
    if (SHORTEST..=LONGEST).contains(&asked) {
        Ok(asked)
    } else {
        Err("must be 1m to 24h".to_owned())
    }
}

/// For clap.
fn title(text: &str) -> Result<String, String> {
    let line = Line::parse("the title", text, 200);
    line.map(|line| line.to_string())
        .map_err(|wrong| wrong.to_string())
}

/// Looks whether it makes sense, and makes it.
pub async fn run(now: &Now, cluster: &Cluster, output: Option<Output>) -> Result<Outcome, Error> {
    let mount: Mount = cluster.get(&now.mount, MOUNT_ADVICE).await?;
    let advice = "the Mount belongs to it; make it first";
    let station: Station = cluster.get(&mount.spec.station_ref.name, advice).await?;
    let recordings = cluster.list::<Recording>(false).await?;
    let shows = cluster.list::<Show>(false).await?;
    let wanted = wanted(now, &mount, &station, &recordings, &shows, cluster.now().await?)?;
    let name = wanted.name_any();
    let api = cluster.api::<Recording>();
    let made = api.create(&PostParams::default(), &wanted).await;
    let made = made.map_err(ApiError::new("create", "Recording", &name))?;
    let made = Made::of(&made);
    match output {
        Some(Output::Json) => print_json(&made)?,
        None => print(&made.text())?,
    }
    Ok(Outcome::Good)
}

/// The Recording; or why there is none to be made.
fn wanted(
    now: &Now,
    mount: &Mount,
    station: &Station,
    recordings: &[Recording],
    shows: &[Show],
    from: Timestamp,
) -> Result<Recording, Error> {
    let name = mount.name_any();
    let not_now = |why: String| Err(Error::NotNow(why));
    let Some(storage) = station.storage() else {
        return not_now(format!(
            "Station {} has no spec.storage: there is no bucket to record into",
            station.name_any()
        ));
    };
    let has_star = mount.spec.path.contains('*');
    if has_star != now.input.is_some() {
        return not_now(if has_star {
            format!(
                "Mount {name} has a '*' in its path: say with --input which of its sources is to be recorded"
            )
        } else {
            format!(
                "Mount {name} has no '*' in its path: all its inputs are one recording, leave --input out"
            )
        });
    }
    let there = recording_now(&name, now.input.as_deref(), recordings, from);
    if let Some(there) = there.first().filter(|_| !now.anyway) {
        return not_now(format!(
            "Mount {name} is being recorded already, by {}; `kubectl radio record stop {name}` ends that one, --anyway makes a \
             second one",
            plain(&there.name_any())
        ));
    }
    let input = now.input.as_deref();
    let next = next_slot(&name, input, shows, from).filter(|_| !now.anyway);
    let asked = |lasts| from.saturating_add(SignedDuration::try_from(lasts).ok()?).ok();
    let until = now.lasts.map_or(next, asked);
    let mut wanted = appoint::recording(mount, station, storage, input, Window { from, until });
    if let Some(title) = &now.title {
        wanted.spec.title.clone_from(title);
    }
    if let Some(lasts) = now.lasts {
        // Whoever is silent for how long.
        wanted.spec.idle_end = None;
        wanted.spec.max_length = Some(api_length(lasts.as_secs()));
    }
    Ok(wanted)
}

/// The next slot has a Recording of its own, which begins with it.
fn next_slot(mount: &str, input: Option<&str>, shows: &[Show], now: Timestamp) -> Option<Timestamp> {
    let here = shows
        .iter()
        .filter(|show| show.spec.mount_ref.name == mount && show.spec.input.as_deref() == input);
    let starts = here.filter_map(|show| show.status.as_ref()).flat_map(|status| {
        let next = status.next_slot.iter().map(|slot| slot.start);
        next.chain(status.under_way.iter().map(|slot| slot.start))
    });
    starts.filter(|start| *start > now).min()
}

/// What was made.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    name: String,
    mount: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<String>,
    title: String,
    from: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    /// Absent: however long a silence is.
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_end_seconds: Option<u32>,
}

impl Made {
    fn of(recording: &Recording) -> Self {
        let spec = &recording.spec;
        Self {
            name: recording.name_any(),
            mount: spec.mount.clone(),
            input: spec.input.clone(),
            title: spec.title.clone(),
            from: spec.window.from,
            until: spec.window.until,
            idle_end_seconds: spec
                .idle_end_seconds()
                .filter(|_| ends::held_until(recording).is_none()),
        }
    }

    fn text(&self) -> String {
        let of = match &self.input {
            Some(input) => format!("{}/{input}", self.mount),
            None => self.mount.clone(),
        };
        let idle = self.idle_end_seconds.map(|idle| {
            let idle = duration(SignedDuration::from_secs(i64::from(idle)));
            format!("until nobody is on air for {idle}")
        });
        let end = self.until.map(moment);
        let end = match (idle, end) {
            (Some(idle), Some(end)) => format!("{idle}, until {end} at the latest"),
            (None, Some(end)) => format!("until {end}"),
            (idle, None) => idle.unwrap_or_default(),
        };
        plain(&format!(
            "{} records {of} from {} {end}.",
            self.name,
            moment(self.from)
        )) + "\n"
    }
}

#[cfg(test)]
mod tests {
    use insta::{assert_json_snapshot, assert_snapshot, assert_yaml_snapshot};
    use serde_json::json;

    use super::*;
    use crate::record::sample::recording;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-21T{text}Z").parse().unwrap()
    }

    fn now() -> Now {
        Now {
            mount: "live".to_owned(),
            lasts: None,
            input: None,
            title: None,
            anyway: false,
        }
    }

    fn mount(path: &str) -> Mount {
        let mount = json!({
            "apiVersion": "radio.moafunk.de/v1alpha1", "kind": "Mount",
            "metadata": {"name": "live", "namespace": "city"},
            "spec": {"stationRef": {"name": "radio"}, "path": path, "recording": {"mode": "Never", "idleEnd": "90s"}},
        });
        serde_json::from_value(mount).unwrap()
    }

    fn station(has_storage: bool) -> Station {
        let mut station = json!({
            "apiVersion": "radio.moafunk.de/v1alpha1", "kind": "Station",
            "metadata": {"name": "radio", "namespace": "city"}, "spec": {"title": "Radio"},
        });
        if has_storage {
            station["spec"]["storage"] = json!({"s3": {
                "endpoint": "https://s3.example.org", "bucket": "shows", "secretRef": {"name": "s3"},
            }});
        }
        serde_json::from_value(station).unwrap()
    }

    fn show(mount: &str, next: &str) -> Show {
        let show = json!({
            "apiVersion": "radio.moafunk.de/v1alpha1", "kind": "Show", "metadata": {"name": mount, "namespace": "city"},
            "spec": {
                "mountRef": {"name": mount}, "title": "S",
                "schedule": {"start": format!("2026-11-21T{next}Z"), "duration": "1h"},
            },
            "status": {"nextSlot": {"start": format!("2026-11-21T{next}Z"), "end": "2026-11-22T00:00:00Z"}},
        });
        serde_json::from_value(show).unwrap()
    }

    fn plainly(now: &Now) -> Recording {
        wanted(now, &mount("/live"), &station(true), &[], &[], at("20:13:05")).unwrap()
    }

    #[test]
    fn from_now_on() {
        let made = plainly(&now());
        assert_yaml_snapshot!(made);
        assert_snapshot!(Made::of(&made).text());
        assert_json_snapshot!(Made::of(&made));
    }

    #[test]
    fn for_as_long_as_was_asked() {
        let made = plainly(&Now {
            lasts: Some(Duration::from_hours(8)),
            title: Some("Election night".to_owned()),
            ..now()
        });
        assert_eq!(
            made.spec.window.until,
            Some("2026-11-22T04:13:05Z".parse().unwrap())
        );
        assert_eq!(made.spec.max_length.as_deref(), Some("8h"));
        assert_snapshot!(Made::of(&made).text());
        assert!(how_long("59s").is_err() && how_long("25h").is_err() && how_long("1d").is_ok());
        assert!(title("a\nb").is_err() && title("").is_err());
    }

    /// A slot is recorded by itself, and nothing of it twice.
    #[test]
    fn until_the_next_slot() {
        let shows = [
            show("live", "22:00:00"),
            show("live", "21:00:00"),
            show("talk", "20:30:00"),
        ];
        let wanted = |now: &Now| {
            let made = wanted(now, &mount("/live"), &station(true), &[], &shows, at("20:13:05"));
            made.unwrap().spec.window.until
        };
        assert_eq!(wanted(&now()), Some(at("21:00:00")));
        let anyway = Now {
            anyway: true,
            ..now()
        };
        assert_eq!(wanted(&anyway), None);
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        let there = [recording("live-x", "live", "2026-11-21T20:00:00Z", None, "OnAir")];
        let why = |now: &Now, path: &str, has_storage, there: &[Recording]| {
            let made = wanted(
                now,
                &mount(path),
                &station(has_storage),
                there,
                &[],
                at("20:13:05"),
            );
            made.map(drop).unwrap_err().to_string()
        };
        assert_snapshot!(why(&now(), "/live", true, &there));
        assert_snapshot!(why(&now(), "/live", false, &[]));
        assert_snapshot!(why(&now(), "/mic-*.opus", true, &[]));
        let of_input = Now {
            input: Some("7".to_owned()),
            ..now()
        };
        assert_snapshot!(why(&of_input, "/live", true, &[]));
        let anyway = Now {
            anyway: true,
            ..now()
        };
        assert!(
            wanted(
                &anyway,
                &mount("/live"),
                &station(true),
                &there,
                &[],
                at("20:13:05")
            )
            .is_ok()
        );
    }
}

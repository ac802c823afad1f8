//! `kubectl radio recordings ls`: a log of what was on air.

use jiff::{Timestamp, tz::TimeZone};
use kube::ResourceExt;
use radio_crds::{
    Recording, RecordingStatus,
    recording::{Gap, GapKind, Object, Phase},
};
use radio_operator::recording::words::size;
use serde::Serialize;

use crate::{
    args::Output,
    cluster::Cluster,
    error::Error,
    out::{Outcome, print, print_json},
    words::{columns, count, day, plain, short, time, zone},
};

/// The longest title in a log; JSON has all of it.
const TITLE: usize = 40;

/// A log of what was on air.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Ls {
    /// Of all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,

    /// Only of this Mount
    #[arg(long, value_name = "NAME")]
    mount: Option<String>,

    /// Only of this Show
    #[arg(long, value_name = "NAME")]
    show: Option<String>,

    /// Only those that are so, e.g. Doubtful
    #[arg(long, value_name = "STATE", ignore_case = true)]
    state: Option<String>,

    /// In which time zone days and times are told, e.g. Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = zone)]
    zone: Option<TimeZone>,
}

/// Asks, and shows.
pub async fn run(ls: &Ls, cluster: &Cluster, output: Option<Output>) -> Result<Outcome, Error> {
    let listed = cluster.list::<Recording>(ls.all_namespaces).await?;
    let log = Log::of(&listed, ls);
    match output {
        Some(Output::Json) => print_json(&log)?,
        None => print(&log.text(&ls.zone.clone().unwrap_or(TimeZone::UTC), ls.all_namespaces))?,
    }
    Ok(Outcome::Good)
}

/// What is listed: for programs as it is.
#[derive(Debug, PartialEq, Serialize)]
struct Log {
    recordings: Vec<Entry>,
}

/// One Recording.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    namespace: String,
    name: String,
    station: String,
    mount: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    show: Option<String>,
    title: String,
    from: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    state: Phase,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    coverage: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified_at: Option<Timestamp>,
    gaps: i32,
    gap_list: Vec<Gap>,
    doubts: Vec<String>,
    objects: Vec<Object>,
}

impl Entry {
    fn of(recording: &Recording) -> Self {
        let spec = &recording.spec;
        let none = RecordingStatus::default();
        let status = recording.status.as_ref().unwrap_or(&none);
        Self {
            namespace: recording.namespace().unwrap_or_default(),
            name: recording.name_any(),
            station: spec.station.clone(),
            mount: spec.mount.clone(),
            input: spec.input.clone(),
            show: spec.show.as_ref().map(|slot| slot.name.clone()),
            title: spec.title.clone(),
            from: spec.window.from,
            until: spec.window.until,
            state: status.phase.unwrap_or(Phase::Waiting),
            started_at: status.started_at.as_ref().map(|at| at.0),
            ended_at: status.ended_at.as_ref().map(|at| at.0),
            duration: status.duration.clone(),
            bytes: status.bytes,
            coverage: status.coverage,
            verified_at: status.verified_at.as_ref().map(|at| at.0),
            gaps: status.gaps.unwrap_or(0),
            gap_list: status.gap_list.clone(),
            doubts: status.doubts.clone(),
            objects: status.objects.clone(),
        }
    }

    /// When it began, or is to.
    fn begins(&self) -> Timestamp {
        self.started_at.unwrap_or(self.from)
    }

    fn row(&self, zone: &TimeZone, everywhere: bool) -> [String; 8] {
        let place = match &self.input {
            Some(input) => format!("{}/{input}", self.mount),
            None => self.mount.clone(),
        };
        let length = match (self.state, &self.duration) {
            (Phase::Waiting, _) => "to come".to_owned(),
            (Phase::OnAir, _) => "on air".to_owned(),
            (_, Some(duration)) => duration.clone(),
            (_, None) => String::new(),
        };
        let bytes = self.bytes.and_then(|bytes| u64::try_from(bytes).ok());
        let name = if everywhere {
            format!("{}/{}", self.namespace, self.name)
        } else {
            self.name.clone()
        };
        let gaps = usize::try_from(self.gaps).ok().filter(|gaps| *gaps > 0);
        [
            format!("  {}", time(self.begins(), zone)),
            plain(&place),
            plain(&length),
            bytes.map(size).unwrap_or_default(),
            format!("{:?}", self.state),
            gaps.map(|gaps| count(gaps, "gap")).unwrap_or_default(),
            short(&self.title, TITLE),
            plain(&name),
        ]
    }

    /// What somebody should know before he takes it for whole.
    fn remarks<'a>(&'a self, zone: &'a TimeZone) -> impl Iterator<Item = String> + 'a {
        let lost = self.gap_list.iter().filter(|gap| gap.kind == GapKind::Lost);
        let lost = lost.map(|gap| format!("lost from {} to {}", time(gap.from, zone), time(gap.to, zone)));
        let doubts = self.doubts.iter().map(|doubt| plain(doubt));
        doubts.chain(lost).map(|remark| format!("            ! {remark}"))
    }
}

impl Log {
    fn of(recordings: &[Recording], ls: &Ls) -> Self {
        let fits = |entry: &Entry| {
            let is = |wanted: &Option<String>, found: Option<&str>| {
                wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
            };
            let state = format!("{:?}", entry.state);
            is(&ls.mount, Some(&entry.mount))
                && is(&ls.show, entry.show.as_deref())
                && ls
                    .state
                    .as_ref()
                    .is_none_or(|wanted| wanted.eq_ignore_ascii_case(&state))
        };
        let mut recordings: Vec<Entry> = recordings.iter().map(Entry::of).filter(fits).collect();
        recordings.sort_by(|a, b| (a.begins(), &a.name).cmp(&(b.begins(), &b.name)));
        Self { recordings }
    }

    fn text(&self, zone: &TimeZone, everywhere: bool) -> String {
        if self.recordings.is_empty() {
            return "There are no such recordings.\n".to_owned();
        }
        let rows: Vec<_> = self
            .recordings
            .iter()
            .map(|entry| entry.row(zone, everywhere))
            .collect();
        let mut lines = Vec::new();
        let mut today = String::new();
        for (entry, line) in self.recordings.iter().zip(columns(&rows)) {
            let day = day(entry.begins(), zone);
            if day != today {
                lines.push(day.clone());
                today = day;
            }
            lines.push(line);
            lines.extend(entry.remarks(zone));
        }
        lines.push(String::new());
        lines.push(self.sum());
        lines.push(String::new());
        lines.join("\n")
    }

    fn sum(&self) -> String {
        let bytes = self.recordings.iter().filter_map(|entry| entry.bytes);
        let bytes: u64 = bytes.filter_map(|bytes| u64::try_from(bytes).ok()).sum();
        let of = |state| {
            let number = self
                .recordings
                .iter()
                .filter(|entry| entry.state == state)
                .count();
            (number > 0).then(|| format!("{number} {state:?}"))
        };
        let states = [Phase::OnAir, Phase::Doubtful].into_iter().filter_map(of);
        let all = [count(self.recordings.len(), "recording"), size(bytes)];
        let all: Vec<String> = all.into_iter().chain(states).collect();
        format!("{}.", all.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use insta::{assert_json_snapshot, assert_snapshot};

    use super::*;
    use crate::recordings::sample;

    fn log(ls: &Ls) -> Log {
        Log::of(&sample::recordings(), ls)
    }

    #[test]
    fn a_log() {
        assert_snapshot!(log(&Ls::default()).text(&TimeZone::UTC, false));
    }

    #[test]
    fn the_same_for_somebody_in_berlin_who_looks_everywhere() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        assert_snapshot!(log(&Ls::default()).text(&berlin, true));
    }

    #[test]
    fn the_same_for_programs() {
        assert_json_snapshot!(log(&Ls::default()));
    }

    #[test]
    fn only_what_was_asked_for() {
        let names = |ls: &Ls| -> Vec<String> {
            let entries = log(ls).recordings.into_iter();
            entries.map(|entry| entry.name).collect()
        };
        let by = |mount: Option<&str>, show: Option<&str>, state: Option<&str>| {
            let text = |text: Option<&str>| text.map(str::to_owned);
            names(&Ls {
                mount: text(mount),
                show: text(show),
                state: text(state),
                ..Ls::default()
            })
        };
        assert_eq!(by(Some("mics"), None, None), ["mics-7-1a2b3c-20261121t213000z"]);
        assert_eq!(by(None, Some("night-shift"), None), ["live-20261121t200000z"]);
        assert_eq!(by(None, None, Some("doubtful")), ["live-20261121t200000z"]);
        assert_eq!(by(None, Some("nobody"), None), <[&str; 0]>::default());
        let nothing = Log {
            recordings: Vec::new(),
        };
        assert_eq!(
            nothing.text(&TimeZone::UTC, false),
            "There are no such recordings.\n"
        );
    }
}

//! What `kubectl radio recordings restore` says. No IO.

use radio_crds::{Recording, recording::Phase};
use serde::Serialize;

use crate::words::{columns, count, plain, short};

const TITLE: usize = 40;

/// How far it is, as far as the operator has looked at it.
pub fn phase(recording: &Recording) -> Option<Phase> {
    recording.status.as_ref()?.phase
}

/// What was done with a Recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Deed {
    /// It is in the cluster again.
    Made,
    /// It was in the cluster.
    There,
    /// Nothing could be made of it.
    Failed,
}

/// What was done, and all that was done.
#[derive(Debug, Default, Serialize)]
pub struct Restored {
    /// In the order of their names.
    pub recordings: Vec<Line>,
}

/// What was done with one Recording.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    name: String,
    did: Deed,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    /// Absent: the operator goes on with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Phase>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl Line {
    /// With what is known of it.
    pub fn of(name: &str, did: Deed, recording: Option<&Recording>) -> Self {
        let status = recording.and_then(|recording| recording.status.as_ref());
        Self {
            name: name.to_owned(),
            did,
            title: recording.map(|recording| recording.spec.title.clone()),
            state: recording.and_then(phase),
            duration: status.and_then(|status| status.duration.clone()),
            size: status.and_then(|status| status.size.clone()),
            why: None,
        }
    }

    /// With the reason.
    pub fn failed(name: &str, why: String) -> Self {
        Self {
            why: Some(why),
            ..Self::of(name, Deed::Failed, None)
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let did = match self.did {
            Deed::Made => "made",
            Deed::There => "there",
            Deed::Failed => "FAILED",
        };
        let name = plain(&self.name);
        if let Some(why) = &self.why {
            return format!("{did:6}  {name}  {}", plain(why));
        }
        let state = match (self.did, self.state) {
            (_, Some(state)) => format!("{state:?}"),
            (Deed::Made, None) => "not over: the operator goes on with it".to_owned(),
            (_, None) => String::new(),
        };
        let cell = |text: &Option<String>| plain(text.as_deref().unwrap_or_default());
        let title = short(self.title.as_deref().unwrap_or_default(), TITLE);
        let row = [
            format!("{did:6}"),
            name,
            state,
            cell(&self.duration),
            cell(&self.size),
            title,
        ];
        columns(&[row]).concat()
    }
}

impl Restored {
    /// How often it was done.
    pub fn count(&self, deed: Deed) -> usize {
        self.recordings.iter().filter(|line| line.did == deed).count()
    }

    /// The last line.
    pub fn sum(&self, dry_run: bool) -> String {
        let made = count(self.count(Deed::Made), "Recording");
        let made = if dry_run {
            format!("{made} would be made")
        } else {
            format!("{made} made")
        };
        let failed = match self.count(Deed::Failed) {
            0 => String::new(),
            failed => format!(", {failed} FAILED"),
        };
        format!("{made}, {} there already{failed}.\n", self.count(Deed::There))
    }
}

#[cfg(test)]
mod tests {
    use insta::{assert_json_snapshot, assert_snapshot};
    use kube::ResourceExt;

    use super::*;
    use crate::recordings::{restore::rebuild::Unfit, sample};

    fn restored() -> Restored {
        let recordings = sample::recordings();
        let unfinished = Recording {
            status: None,
            ..recordings[3].clone()
        };
        let name = |recording: &Recording| recording.name_any();
        Restored {
            recordings: vec![
                Line::of(&name(&recordings[1]), Deed::Made, Some(&recordings[1])),
                Line::of(&name(&recordings[0]), Deed::There, Some(&recordings[0])),
                Line::of(&name(&unfinished), Deed::Made, Some(&unfinished)),
                Line::failed("live-x", Unfit::Untold.to_string()),
            ],
        }
    }

    #[test]
    fn what_it_says() {
        let restored = restored();
        let lines: Vec<String> = restored.recordings.iter().map(Line::text).collect();
        assert_snapshot!(lines.join("\n"));
        assert_snapshot!(restored.sum(false));
        assert_snapshot!(Restored::default().sum(true));
        assert_json_snapshot!(restored);
    }
}

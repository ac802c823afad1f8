//! `kubectl radio live`: presenters who waited in rehearsal are on air.

use jiff::Timestamp;
use kube::ResourceExt;
use radio_crds::{ON_AIR_ANNOTATION, Show, show::GoLive};
use radio_operator::{
    recording::words::moment,
    show::{programme::Programme, slots::Slot},
};
use serde::Serialize;

use crate::{
    args::Output,
    cluster::Cluster,
    error::Error,
    out::{Outcome, print, print_json},
    words::plain,
};

/// Puts the presenters of a Show on air, in the slot that is on or about to begin. Only Shows whose goLive is Manual wait for
/// it.
#[derive(Clone, Debug, clap::Args)]
pub struct Live {
    /// Which Show
    #[arg(value_name = "SHOW")]
    show: String,
}

/// Looks whether it is time, and says it.
pub async fn run(live: &Live, cluster: &Cluster, output: Option<Output>) -> Result<Outcome, Error> {
    let show: Show = cluster.get(&live.show, "`kubectl get shows` lists them").await?;
    let now = cluster.now().await?;
    let turn = turn(&show, now)?;
    cluster
        .annotate::<Show>(&live.show, ON_AIR_ANNOTATION, &now.to_string())
        .await?;
    let on_air = OnAir {
        show: live.show.clone(),
        from: now,
        until: turn.closes,
    };
    match output {
        Some(Output::Json) => print_json(&on_air)?,
        None => print(&on_air.text())?,
    }
    Ok(Outcome::Good)
}

/// When presenters may be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Turn {
    opens: Timestamp,
    closes: Timestamp,
    live_from: Option<Timestamp>,
}

/// The turn that is open now; or why nobody can be put on air.
fn turn(show: &Show, now: Timestamp) -> Result<Turn, Error> {
    let name = show.name_any();
    if show.spec.go_live() != GoLive::Manual {
        return Err(Error::NotNow(format!(
            "Show {name} needs no hand: its goLive is {:?}",
            show.spec.go_live()
        )));
    }
    let all = turns(show);
    let mut open = all.iter().filter(|turn| turn.opens <= now && now < turn.closes);
    let Some(turn) = open.next_back() else {
        let next = all
            .iter()
            .filter(|turn| turn.opens > now)
            .map(|turn| turn.opens)
            .min();
        return Err(Error::NotNow(match next {
            Some(opens) => format!(
                "Show {name} has no slot now: presenters may connect from {} on",
                moment(opens)
            ),
            None => format!("Show {name} has no slot now, and none is to come that is known of"),
        }));
    };
    if let Some(since) = turn.live_from.filter(|since| *since <= now) {
        return Err(Error::NotNow(format!(
            "the presenters of Show {name} are on air already, since {}",
            moment(since)
        )));
    }
    Ok(*turn)
}

/// Those that the operator has prepared, and the next one: presenters may be early for it.
fn turns(show: &Show) -> Vec<Turn> {
    let Some(status) = &show.status else {
        return Vec::new();
    };
    let mut turns: Vec<Turn> = status
        .under_way
        .iter()
        .filter(|slot| slot.taken_by.is_none())
        .map(|slot| Turn {
            opens: slot.opens,
            closes: slot.closes,
            live_from: slot.live_from,
        })
        .collect();
    let is_prepared = |start| status.under_way.iter().any(|slot| slot.start == start);
    if let Some(next) = status.next_slot.as_ref().filter(|next| !is_prepared(next.start)) {
        let opened = Programme::of(show).opened(Slot {
            start: next.start,
            end: next.end,
        });
        turns.push(Turn {
            opens: opened.opens,
            closes: opened.closes,
            live_from: None,
        });
    }
    turns
}

/// What was said.
#[derive(Debug, Serialize)]
struct OnAir {
    show: String,
    from: Timestamp,
    until: Timestamp,
}

impl OnAir {
    fn text(&self) -> String {
        let text = format!(
            "The presenters of {} are on air from {} on, until {} at most.",
            self.show,
            moment(self.from),
            moment(self.until)
        );
        plain(&text) + "\n"
    }
}

#[cfg(test)]
mod tests {
    use insta::{assert_json_snapshot, assert_snapshot};
    use serde_json::{Value, json};

    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-21T{text}Z").parse().unwrap()
    }

    fn show(go_live: &str, status: &Value) -> Show {
        let show = json!({
            "apiVersion": "radio.moafunk.de/v1alpha1", "kind": "Show",
            "metadata": {"name": "night-shift", "namespace": "city"},
            "spec": {
                "mountRef": {"name": "live"}, "title": "Night Shift", "goLive": go_live, "earlyConnect": "1h",
                "schedule": {"cron": "0 20 * * *", "duration": "2h"},
            },
            "status": status,
        });
        serde_json::from_value(show).unwrap()
    }

    fn prepared(live_from: Option<&str>) -> Value {
        let mut slot = json!({
            "start": "2026-11-21T20:00:00Z", "end": "2026-11-21T22:00:00Z", "opens": "2026-11-21T19:00:00Z",
            "closes": "2026-11-21T22:15:00Z", "hardEnd": false,
        });
        if let Some(live_from) = live_from {
            slot["liveFrom"] = live_from.into();
        }
        json!({
            "underWay": [slot],
            "nextSlot": {"start": "2026-11-22T20:00:00Z", "end": "2026-11-22T22:00:00Z"},
        })
    }

    #[test]
    fn in_its_turn_and_not_outside() {
        let closes = |status: &Value, now: &str| {
            turn(&show("Manual", status), at(now))
                .map(|turn| turn.closes)
                .ok()
        };
        let prepared = prepared(None);
        assert_eq!(closes(&prepared, "18:59:59"), None);
        assert_eq!(closes(&prepared, "19:00:00"), Some(at("22:15:00")));
        assert_eq!(closes(&prepared, "22:14:59"), Some(at("22:15:00")));
        assert_eq!(closes(&prepared, "22:15:00"), None);
        // Early, before the operator has prepared the slot.
        let next = json!({"nextSlot": {"start": "2026-11-21T20:00:00Z", "end": "2026-11-21T22:00:00Z"}});
        assert_eq!(closes(&next, "19:10:00"), Some(at("22:15:00")));
        assert_eq!(closes(&next, "18:50:00"), None);
    }

    #[test]
    fn why_not_is_said() {
        let why = |show: &Show, now: &str| turn(show, at(now)).unwrap_err().to_string();
        assert_snapshot!(why(&show("AtStart", &prepared(None)), "20:00:00"));
        assert_snapshot!(why(&show("Manual", &prepared(None)), "23:00:00"));
        assert_snapshot!(why(&show("Manual", &json!({})), "20:00:00"));
        assert_snapshot!(why(
            &show("Manual", &prepared(Some("2026-11-21T20:01:00Z"))),
            "20:05:00"
        ));
    }

    #[test]
    fn what_it_says() {
        let on_air = OnAir {
            show: "night-shift".to_owned(),
            from: at("20:00:05"),
            until: at("22:15:00"),
        };
        assert_snapshot!(on_air.text());
        assert_json_snapshot!(on_air);
    }
}

//! `kubectl radio drill`: a message that says it is a drill, on the way that notices go.

use std::time::Duration;

use jiff::Timestamp;
use kube::{ResourceExt, runtime::wait::await_condition};
use radio_crds::{
    DRILL_ANNOTATION, Station,
    notify::{DrillState, DrillStatus},
};
use radio_operator::recording::words::moment;
use serde::Serialize;
use tokio::time::timeout;

use crate::{
    args::Output,
    cluster::Cluster,
    error::Error,
    out::{Outcome, print, print_json, remark},
    words::{length, plain},
};

/// Sends a drill to whom a Station tells of missed shows, and waits until it has arrived everywhere.
#[derive(Clone, Debug, clap::Args)]
pub struct Drill {
    /// Which Station
    #[arg(value_name = "STATION")]
    station: String,

    /// How long it is waited for
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = length)]
    wait: Duration,
}

/// Asks for it, and watches what becomes of it.
pub async fn run(drill: &Drill, cluster: &Cluster, output: Option<Output>) -> Result<Outcome, Error> {
    let advice = "`kubectl get stations` lists them";
    let station: Station = cluster.get(&drill.station, advice).await?;
    let ways = ways(&station)?;
    let asked = cluster.now().await?;
    cluster
        .annotate::<Station>(&drill.station, DRILL_ANNOTATION, &asked.to_string())
        .await?;
    remark(&format!(
        "A drill was asked for, by {}; waiting until it has arrived ...",
        ways.join(" and ")
    ));
    let answered = |station: Option<&Station>| outcome(station, asked).is_some();
    let watched = await_condition(cluster.api::<Station>(), &drill.station, answered);
    // A connection that breaks, and a time that is up, are one to whom waits: nothing is known.
    let seen = timeout(drill.wait, watched)
        .await
        .ok()
        .and_then(Result::ok)
        .flatten();
    let told = Told::of(&drill.station, asked, outcome(seen.as_ref(), asked));
    match output {
        Some(Output::Json) => print_json(&told)?,
        None => print(&told.text())?,
    }
    Ok(Outcome::of(told.has_arrived()))
}

/// Whom the Station tells.
fn ways(station: &Station) -> Result<Vec<&'static str>, Error> {
    let notify = station.spec.notify.as_ref();
    let telegram = notify.is_some_and(|notify| notify.telegram.is_some());
    let webhook = notify.is_some_and(|notify| notify.webhook.is_some());
    let ways = [(telegram, "Telegram"), (webhook, "webhook")];
    let ways: Vec<_> = ways
        .into_iter()
        .filter(|(is_there, _)| *is_there)
        .map(|(_, way)| way)
        .collect();
    if ways.is_empty() {
        return Err(Error::NotNow(format!(
            "Station {} has nobody to tell: give it spec.notify.telegram or spec.notify.webhook",
            station.name_any()
        )));
    }
    Ok(ways)
}

/// What became of a drill, once that is known.
fn outcome(station: Option<&Station>, asked: Timestamp) -> Option<DrillStatus> {
    let drill = station?.status.as_ref()?.drill.clone()?;
    (drill.due >= asked && drill.state != DrillState::Due).then_some(drill)
}

/// What became of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    station: String,
    asked: Timestamp,
    /// Absent: nothing was heard of it in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    drill: Option<DrillStatus>,
}

impl Told {
    fn of(station: &str, asked: Timestamp, drill: Option<DrillStatus>) -> Self {
        Self {
            station: station.to_owned(),
            asked,
            drill,
        }
    }

    fn has_arrived(&self) -> bool {
        let drill = self.drill.as_ref();
        drill.is_some_and(|drill| drill.state == DrillState::Told)
    }

    fn text(&self) -> String {
        let station = &self.station;
        let text = match &self.drill {
            Some(drill) if self.has_arrived() => format!(
                "The drill of {station} has arrived everywhere, at {}.",
                moment(drill.delivered_at.unwrap_or(drill.at))
            ),
            Some(_) => format!(
                "The drill of {station} did NOT arrive everywhere within 10 minutes; `kubectl describe station {station}` says why."
            ),
            None => format!(
                "The drill of {station} has not arrived yet. It is tried further; `kubectl describe station {station}` says how \
                 it is, and if nothing at all is said there, the operator does not run."
            ),
        };
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

    fn station(notify: &Value, drill: &Value) -> Station {
        let station = json!({
            "apiVersion": "radio.moafunk.de/v1alpha1", "kind": "Station",
            "metadata": {"name": "radio", "namespace": "city"}, "spec": {"title": "Radio", "notify": notify},
            "status": {"drill": drill},
        });
        serde_json::from_value(station).unwrap()
    }

    fn drill(due: &str, state: &str) -> Value {
        json!({
            "due": at(due), "state": state, "at": at("20:00:09"), "told": ["Telegram"], "deliveredAt": at("20:00:08"),
        })
    }

    #[test]
    fn only_its_own_outcome_counts() {
        let outcome = |drill: &Value| {
            let station = station(&json!({}), drill);
            outcome(Some(&station), at("20:00:00")).map(|drill| drill.state)
        };
        assert_eq!(outcome(&Value::Null), None);
        assert_eq!(outcome(&drill("19:00:00", "Told")), None, "an earlier one");
        assert_eq!(outcome(&drill("20:00:00", "Due")), None);
        assert_eq!(outcome(&drill("20:00:00", "Told")), Some(DrillState::Told));
        assert_eq!(outcome(&drill("20:00:01", "Failed")), Some(DrillState::Failed));
        assert_eq!(super::outcome(None, at("20:00:00")), None);
    }

    #[test]
    fn somebody_has_to_be_told() {
        let telegram = json!({"chatId": "@us", "secretRef": {"name": "bot"}});
        let webhook = json!({"secretRef": {"name": "hook"}});
        let both = station(&json!({"telegram": telegram, "webhook": webhook}), &Value::Null);
        assert_eq!(ways(&both).unwrap(), ["Telegram", "webhook"]);
        let nobody = station(&json!({"drill": {"cron": "0 12 * * MON"}}), &Value::Null);
        assert_snapshot!(ways(&nobody).unwrap_err());
    }

    #[test]
    fn what_it_says() {
        let told = |state: Option<&str>| {
            let station = station(
                &json!({}),
                &state.map_or(Value::Null, |state| drill("20:00:00", state)),
            );
            Told::of("radio", at("20:00:00"), outcome(Some(&station), at("20:00:00")))
        };
        assert!(told(Some("Told")).has_arrived());
        assert!(!told(Some("Failed")).has_arrived() && !told(None).has_arrived());
        assert_snapshot!(told(Some("Told")).text());
        assert_snapshot!(told(Some("Failed")).text());
        assert_snapshot!(told(None).text());
        assert_json_snapshot!(told(Some("Told")));
    }
}

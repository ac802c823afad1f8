//! Promise: whatever is changed of a Show while it is on air, its slot goes on as it began, and nothing of it is lost.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::harness::recording::VERIFIED;
use e2e::harness::show::{self, near, show, sleep_until, stage_for_shows};
use e2e::harness::{Recording, Stage, Store, play};
use e2e::sound::Dj;
use jiff::{SignedDuration, Timestamp};
use radio_crds::show::Outcome;
use serde_json::json;

const ON_AIR: Duration = Duration::from_secs(30);
const RULES: &str = "earlyConnect: 10s, overrun: 5s";
const OVERRUN: SignedDuration = SignedDuration::from_secs(5);
/// After the start of the slot.
const CHANGED: SignedDuration = SignedDuration::from_secs(15);

/// What happens to a Show, and so its and its Mount's name.
#[derive(Clone, Copy, Debug)]
enum Change {
    Edited,
    Renamed,
    Deleted,
    Suspended,
}

const CHANGES: [Change; 4] = [
    Change::Edited,
    Change::Renamed,
    Change::Deleted,
    Change::Suspended,
];

impl Change {
    fn name(self) -> &'static str {
        match self {
            Self::Edited => "edited",
            Self::Renamed => "renamed",
            Self::Deleted => "deleted",
            Self::Suspended => "suspended",
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shows_changed_on_air_go_on_as_they_began() {
    play("show-changed", |stage| async move {
        let store = Store::open().await?;
        let others = CHANGES
            .map(|change| stage_for_shows(change.name(), "opus"))
            .concat();
        stage
            .recording(&store, &(others + &stage_for_shows("live", "opus")))
            .await?;
        for change in CHANGES {
            stage.await_ready("Mount", change.name(), ON_AIR).await?;
        }
        let start = show::in_seconds(25);
        let shows = CHANGES
            .map(|change| show(change.name(), change.name(), start, RULES))
            .concat();
        stage.apply(&shows).await?;
        let mut slots = Vec::new();
        for change in CHANGES {
            let name = change.name();
            let (_, recording) = stage.prepared(name, start).await?;
            let login = stage.presenter(name, (name, "source")).await?;
            slots.push((change, recording, login.on_air(ON_AIR).await?));
        }
        sleep_until(start + CHANGED).await;
        for (change, ..) in &slots {
            happens(&stage, *change, start)
                .await
                .with_context(|| format!("{change:?}"))?;
        }
        sleep_until(start + show::SLOT + OVERRUN + 2 * show::EDGE).await;
        for (change, recording, dj) in slots {
            let name = change.name();
            went_on(&stage, &store, &recording, dj, start)
                .await
                .with_context(|| format!("a Show that was {name}"))?;
            println!("shows: {name} while on air: as it began");
        }
        afterwards(&stage, start).await
    })
    .await;
}

async fn happens(stage: &Stage, change: Change, start: Timestamp) -> Result<()> {
    let name = change.name();
    match change {
        Change::Edited => {
            let later = (start + SignedDuration::from_hours(2)).to_string();
            let spec = json!({
                "title": "Day Shift", "overrun": "1h", "hardEnd": true, "goLive": "Manual",
                "schedule": {"start": later, "duration": "3h"}, "recording": {"minCoverage": 100},
            });
            stage.merge("Show", name, json!({"spec": spec})).await
        }
        Change::Renamed => {
            stage.delete("Show", name).await?;
            stage.apply(&show("other", name, start, RULES)).await.map(drop)
        }
        Change::Deleted => stage.delete("Show", name).await,
        Change::Suspended => {
            stage
                .merge("Show", name, json!({"spec": {"suspend": true}}))
                .await
        }
    }
}

/// The presenter was heard to the end of the overrun, and stayed; the one Recording has all of it.
async fn went_on(
    stage: &Stage,
    store: &Store,
    recording: &Recording,
    dj: Dj,
    start: Timestamp,
) -> Result<()> {
    ensure!(dj.is_on_air(), "the presenter was disturbed: {}", dj.report());
    let mount = stage.kind("Recording").get(&recording.name).await?.data["spec"]["mount"].clone();
    let mount = mount.as_str().context("a Recording of no Mount")?;
    let sent = [dj.finish().await?.log.read()?];
    let (told, _) = recording.verified(2 * VERIFIED).await?;
    let tally = recording.compare_on_air(store, 1, &sent).await?;
    println!("shows: {mount}: {tally}");
    tally.is_exact()?;
    ensure!(told.gap_list.is_empty(), "{:?}", told.gap_list);
    let (from, to) = recording.heard(store, 1)?;
    near("its beginning", from, start)?;
    near("its end", to, start + show::SLOT + OVERRUN)?;
    let all = stage.recordings(mount).await?;
    let of_slot: Vec<_> = all.iter().map(|recording| &recording.name).collect();
    ensure!(of_slot == [&recording.name], "one slot, and {of_slot:?}");
    Ok(())
}

/// What the Shows say when it is over.
async fn afterwards(stage: &Stage, start: Timestamp) -> Result<()> {
    for name in ["edited", "suspended", "other"] {
        stage
            .await_outcome(name, start, Outcome::Recorded, ON_AIR)
            .await?;
    }
    let edited = stage.show("edited").await?.status.context("no status")?;
    let next = edited.next_slot.context("the edited Show has no slot to come")?;
    ensure!(next.start == start + SignedDuration::from_hours(2), "{next:?}");
    let (ready, _) = stage
        .await_condition(("Show", "suspended"), ("Ready", "True"), ON_AIR)
        .await?;
    ensure!(ready.reason == "Suspended", "{ready:?}");
    Ok(())
}

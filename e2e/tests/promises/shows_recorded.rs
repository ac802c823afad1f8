//! Promise: a show of the schedule is recorded in its slot, whoever was on air before and after it; nobody is woken by it; and
//! `kubectl radio` finds it, checks it, and brings it back where its objects were lost.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::harness::phone::Way;
use e2e::harness::radio::ON_AIR;
use e2e::harness::recording::{VERIFIED, microphone};
use e2e::harness::show::{self, near, show, sleep_until};
use e2e::harness::{Phone, Recording, Stage, Store, play};
use jiff::{SignedDuration, Timestamp};
use radio_crds::show::{Outcome, SlotUnderWay};

/// Of a slot of a minute.
const RULES: &str = "earlyConnect: 15s, overrun: 5s, missedAfter: 10s, recording: {minCoverage: 95}";
const OVERRUN: SignedDuration = SignedDuration::from_secs(5);
const TOLD: Duration = Duration::from_secs(30);
/// What somebody marks.
const MARK: &str = "Interview with Anna";

#[tokio::test(flavor = "multi_thread")]
async fn shows_recorded_in_their_slots_wake_nobody() {
    play("show-good", |stage| async move {
        let (store, phone) = (Store::open().await?, Phone::open()?);
        stage.apply(&phone.secrets()).await?;
        let notify = format!(", {}", phone.notify());
        stage.recording_with(&store, &notify, &microphone("opus")).await?;
        let start = show::in_seconds(30);
        stage.apply(&show("night", "live", start, RULES)).await?;
        let (slot, recording) = stage.prepared("night", start).await?;
        let ahead = start.duration_since(Timestamp::now());
        println!("shows: {} is there {ahead:#} before its slot", recording.name);
        ensure!(
            (slot.end, slot.closes) == (start + show::SLOT, start + show::SLOT + OVERRUN),
            "{slot:?}"
        );
        recording.pod().await?;
        ensure!(Timestamp::now() < start, "its recorder came after its start");
        on_air(&stage, &store, &recording, &slot).await?;
        stage
            .await_outcome("night", start, Outcome::Recorded, TOLD)
            .await?;
        nobody_is_woken(&stage, &phone).await?;
        on_the_command_line(&stage, &store, &recording).await
    })
    .await;
}

/// A presenter comes as early as may be and stays longer than may be: each second is in one recording, or in none that should
/// have it.
async fn on_air(stage: &Stage, store: &Store, recording: &Recording, slot: &SlotUnderWay) -> Result<()> {
    let login = stage.presenter("night", ("live", "source")).await?;
    let (dj, came) = login.let_in(Duration::from_secs(30)).await?;
    let after = came.duration_since(slot.opens);
    println!("shows: the presenter was let in {after:#} after the window opened");
    recording.await_phase("OnAir", TOLD + ON_AIR).await?;
    reads_well(stage, slot).await?;
    stage.plugin_says(&["mark", "live", MARK]).await?;
    sleep_until(slot.closes + 2 * show::EDGE).await;
    ensure!(
        dj.is_on_air(),
        "without a hard end nobody is cut off: {}",
        dj.report()
    );
    let sent = [dj.finish().await?.log.read()?];

    let (told, after) = recording.verified(VERIFIED).await?;
    let tally = recording.compare_on_air(store, 1, &sent).await?;
    println!(
        "shows: the slot, verified after {:.1} s: {tally}",
        after.as_secs_f32()
    );
    tally.is_exact()?;
    ensure!(told.gap_list.is_empty(), "{:?}", told.gap_list);
    let (from, to) = recording.heard(store, 1)?;
    let (begun, over) = (
        near("its recording", from, slot.start)?,
        near("the end of the overrun", to, slot.closes)?,
    );
    println!("shows: it begins {begun:#} beside the slot, and ends {over:#} beside its overrun");
    ensure!(has_chapter(store, recording)?, "the mark is no chapter");

    let all = stage.recordings("live").await?;
    let [lead_in, of_slot] = all.as_slice() else {
        anyhow::bail!("{} Recordings", all.len());
    };
    ensure!(of_slot.name == recording.name, "{} is of the slot", of_slot.name);
    lead_in.verified(VERIFIED).await?;
    let tally = lead_in.compare_on_air(store, 1, &sent).await?;
    println!("shows: what was on air before the slot: {tally}");
    tally.is_exact()?;
    let last = lead_in.published(store, 1)?.intervals.pop().context("nothing")?;
    let first = recording.published(store, 1)?.intervals.remove(0);
    ensure!(
        last.bytes.to == first.bytes.from,
        "between the two is a seam: {last:?}, {first:?}"
    );
    Ok(())
}

/// What a person reads in the middle of it.
async fn reads_well(stage: &Stage, slot: &SlotUnderWay) -> Result<()> {
    let is_on = |status: &radio_crds::ShowStatus| {
        status
            .slot
            .as_ref()
            .is_some_and(|now| now.start == slot.start && now.on_air_since.is_some())
    };
    stage.await_show("night", "on air", TOLD, is_on).await?;
    let table = stage.kubectl(&["get", "shows"]).await?;
    println!("{table}");
    let (head, row) = table.trim_end().split_once('\n').context("no table")?;
    let head: Vec<&str> = head
        .split("   ")
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .collect();
    ensure!(
        head == ["NAME", "MOUNT", "NEXT", "ON AIR", "LAST", "READY", "AGE"],
        "{head:?}"
    );
    ensure!(
        row.contains(&slot.start.to_string()) && row.contains("True"),
        "{row}"
    );
    stage.await_ready("Show", "night", TOLD).await?;
    Ok(())
}

fn has_chapter(store: &Store, recording: &Recording) -> Result<bool> {
    let published = recording.published(store, 1)?;
    let object = published.objects.first().context("no object")?;
    let bytes = store.read(&format!("{}{}", recording.prefix, object.key))?;
    let wanted = format!("NAME={MARK}");
    Ok(bytes
        .windows(wanted.len())
        .any(|piece| piece == wanted.as_bytes()))
}

async fn nobody_is_woken(stage: &Stage, phone: &Phone) -> Result<()> {
    for way in [Way::Telegram, Way::Webhook] {
        phone.has_heard(way, &[])?;
    }
    let beats = phone.heard(Way::Heartbeat).len();
    println!("shows: a good show: no message, {beats} heartbeats");
    ensure!(beats > 5, "all was well, and {beats} heartbeats came");
    let told = stage.show("night").await?.status.context("no status")?;
    ensure!(told.notices.is_empty(), "{:?}", told.notices);
    let missed = told
        .conditions
        .iter()
        .find(|condition| condition.type_ == "Missed");
    ensure!(missed.is_none_or(|missed| missed.status != "True"), "{missed:?}");
    Ok(())
}

/// It is found, checked, and brought back into a namespace that has lost it.
async fn on_the_command_line(stage: &Stage, store: &Store, recording: &Recording) -> Result<()> {
    let name = recording.name.as_str();
    let listed = stage
        .plugin_json(&["recordings", "ls", "--show", "night"])
        .await?;
    let [entry] = listed["recordings"].as_array().map_or(&[][..], Vec::as_slice) else {
        anyhow::bail!("one slot, and {listed}");
    };
    ensure!(entry["name"] == name && entry["state"] == "Verified", "{entry}");
    stage.plugin_says(&["recordings", "ls"]).await?;
    let links = stage.plugin_says(&["recordings", "url", name]).await?;
    let key = &recording.published(store, 1)?.objects[0].key;
    ensure!(
        links.lines().count() == 1 && links.contains(&format!("{}{key}?", recording.prefix)),
        "{links}"
    );
    println!(
        "not run here: getting it by its link (the twin of R2 takes no signed links); e2e/tests/plugin does"
    );
    stage.plugin_says(&["recordings", "verify", name]).await?;

    let before = recording.told().await?;
    // Its tape still has all of it, and would be recorded again.
    let never = serde_json::json!({"spec": {"recording": {"mode": "Never"}}});
    stage.merge("Mount", "live", never).await?;
    stage.await_ready("Mount", "live", TOLD).await?;
    stage.delete("Show", "night").await?;
    for lost in stage.recordings("live").await? {
        stage.delete("Recording", &lost.name).await?;
    }
    let gone = e2e::harness::until("the Recordings to be gone", TOLD, || async {
        match stage.recordings("live").await {
            Ok(left) if left.is_empty() => Ok(()),
            Ok(left) => Err(format!("{} are there", left.len())),
            Err(error) => Err(format!("{error:#}")),
        }
    });
    gone.await?;
    let restored = stage.plugin_json(&["recordings", "restore", "fm"]).await?;
    let after = recording.told().await.with_context(|| restored.to_string())?;
    ensure!(
        (&after.phase, &after.duration, after.bytes) == (&before.phase, &before.duration, before.bytes),
        "it was {before:?}, and came back as {after:?}"
    );
    let object = stage.kind("Recording").get(name).await?.data;
    ensure!(object["spec"]["show"]["name"] == "night", "{}", object["spec"]);
    stage.plugin_says(&["recordings", "verify", "--all"]).await?;
    Ok(())
}

//! Shows as a test says them and sees them: slots, presenters, and what became of each. Does IO.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use kube::api::Api;
use radio_crds::show::{Outcome, PastSlot, SlotUnderWay};
use radio_crds::{Show, ShowStatus};

use super::inputs::take;
use super::radio::ON_AIR;
use super::recording::{Recording, microphone};
use super::{Login, Stage, Store, until};
use crate::sound::{Codec, Dj, Refused, Script, Tone};

/// The shortest slot there is, and that of every test.
pub const SLOT: SignedDuration = SignedDuration::from_mins(1);
/// Who presents them.
pub const PRESENTER: &str = "anna";
/// What they are called.
pub const TITLE: &str = "Night Shift";
/// How precise windows are.
pub const EDGE: SignedDuration = SignedDuration::from_secs(1);
/// From a Show's being there to its presenters' being let in.
pub const TOLD: Duration = Duration::from_secs(15);

/// A Show on a Mount, once, of one slot of [`SLOT`], whose presenter is [`PRESENTER`]; `more` is further YAML of its `spec`.
#[must_use]
pub fn show(name: &str, mount: &str, start: Timestamp, more: &str) -> String {
    let more = if more.is_empty() {
        String::new()
    } else {
        format!(", {more}")
    };
    format!(
        "{{apiVersion: radio.moafunk.de/v1alpha1, kind: Show, metadata: {{name: {name}}}, spec: {{mountRef: {{name: {mount}}}, \
         title: {TITLE}, schedule: {{start: \"{start}\", duration: {}s}}, presenters: [{{username: {PRESENTER}}}]{more}}}}}\n---\n",
        SLOT.as_secs()
    )
}

/// A passthrough Mount at `/<name>.<ending>` whose only input is called `source`; only slots of Shows are recorded.
#[must_use]
pub fn stage_for_shows(name: &str, ending: &str) -> String {
    microphone(ending)
        .replace("name: live", &format!("name: {name}"))
        .replace("/live.", &format!("/{name}."))
        .replace("recording: {", "recording: {mode: Shows, ")
}

/// So many seconds from now, to the second.
#[must_use]
pub fn in_seconds(seconds: i64) -> Timestamp {
    let now = Timestamp::now().as_second();
    Timestamp::from_second(now + seconds).unwrap_or(Timestamp::MAX)
}

/// Fails unless it was when it should have been, to [`EDGE`]; tells how far beside it was.
pub fn near(what: &str, was: Timestamp, should: Timestamp) -> Result<SignedDuration> {
    let beside = was.duration_since(should);
    ensure!(
        beside.abs() <= EDGE,
        "{what} should have been at {should} and was at {was}"
    );
    Ok(beside)
}

/// Waits until then. There is nothing to wait for but the clock.
pub async fn sleep_until(instant: Timestamp) {
    let left = instant.duration_since(Timestamp::now());
    tokio::time::sleep(left.try_into().unwrap_or_default()).await;
}

impl Stage {
    /// A Show as it is now.
    pub async fn show(&self, name: &str) -> Result<Show> {
        let shows = Api::<Show>::namespaced(self.client.clone(), &self.namespace);
        shows.get(name).await.with_context(|| format!("the Show {name}"))
    }

    /// Waits until the status of a Show is what it should be.
    pub async fn await_show(
        &self,
        name: &str,
        what: &str,
        within: Duration,
        is_so: impl Fn(&ShowStatus) -> bool,
    ) -> Result<(ShowStatus, Duration)> {
        until(&format!("the Show {name} to be {what}"), within, || async {
            let show = self.show(name).await.map_err(|e| format!("{e:#}"))?;
            match show.status {
                Some(status) if is_so(&status) => Ok(status),
                Some(other) => Err(serde_json::to_string(&other).unwrap_or_default()),
                None => Err("it has no status".to_owned()),
            }
        })
        .await
    }

    /// Waits until a slot is prepared: it is under way, and its Recording is there.
    pub async fn prepared(&self, show: &str, start: Timestamp) -> Result<(SlotUnderWay, Recording)> {
        let of = |status: &ShowStatus| status.under_way.iter().find(|slot| slot.start == start).cloned();
        let is_prepared = |status: &ShowStatus| of(status).is_some_and(|slot| slot.recording.is_some());
        let (status, _) = self.await_show(show, "prepared", TOLD, is_prepared).await?;
        let slot = of(&status).context("it was there")?;
        let name = slot.recording.clone().context("it was there")?;
        Ok((slot, self.recording_named(&name).await?))
    }

    /// Waits until it is known what became of a slot; fails if it is something else than it should.
    pub async fn await_outcome(
        &self,
        show: &str,
        start: Timestamp,
        outcome: Outcome,
        within: Duration,
    ) -> Result<PastSlot> {
        let of = |status: &ShowStatus| status.slots.iter().find(|slot| slot.start == start).cloned();
        let is_over = |status: &ShowStatus| of(status).is_some_and(|slot| slot.outcome != Outcome::Storing);
        let (status, _) = self.await_show(show, "over", within, is_over).await?;
        let slot = of(&status).context("it was there")?;
        ensure!(slot.outcome == outcome, "{slot:?} should be {outcome:?}");
        Ok(slot)
    }

    /// How its presenter connects to an input; as soon as the ingest knows of it.
    pub async fn presenter(&self, show: &str, (mount, input): (&str, &str)) -> Result<Login> {
        let anybody = self.login(mount, input).await?;
        let secret = format!("{show}-presenters");
        let (password, _) = until(&format!("the Secret {secret}"), TOLD, || async {
            let password = self.secret(&secret, PRESENTER).await;
            password.map_err(|e| format!("{e:#}"))
        })
        .await?;
        let login = Login {
            user: PRESENTER.to_owned(),
            password,
            ..anybody
        };
        until(
            &format!("the ingest to know {PRESENTER} of {show}"),
            TOLD,
            || async {
                match login.is_known().await {
                    Ok(true) => Ok(()),
                    Ok(false) => Err("it does not".to_owned()),
                    Err(error) => Err(format!("{error:#}")),
                }
            },
        )
        .await?;
        Ok(login)
    }
}

impl Login {
    /// Connects as soon as it is let in, and plays something that is no silence.
    pub async fn on_air(&self, within: Duration) -> Result<Dj> {
        Ok(self.let_in(within).await?.0)
    }

    /// The same, and when it was let in.
    pub async fn let_in(&self, within: Duration) -> Result<(Dj, Timestamp)> {
        let script = Script::flips(&[Tone::Hz(440), Tone::Hz(660)], Duration::from_secs(1), 10_000);
        let sender = || self.sender().codec(Codec::Opus).play(script.clone());
        let (dj, _) = take(within, sender).await?;
        let let_in = Timestamp::now();
        // Its encoder may take a while before there is anything to be heard.
        dj.await_sent(1, ON_AIR).await?;
        Ok((dj, let_in))
    }

    /// What somebody is told who is not let in; an error if he is.
    pub async fn refusal(&self) -> Result<Refused> {
        self.sender().codec(Codec::Opus).refused().await
    }
}

impl Recording {
    /// From when to when somebody was on air, by its final object of that version.
    pub fn heard(&self, store: &Store, version: u32) -> Result<(Timestamp, Timestamp)> {
        let on = self.published(store, version)?.intervals;
        let (first, last) = on.first().zip(on.last()).context("nobody was on air")?;
        Ok((first.from, last.to))
    }
}

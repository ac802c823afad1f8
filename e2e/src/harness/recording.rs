//! Recordings as a test sees them: appointed, on air, verified; their pods; and whether what is stored is what was sent. Does IO.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, DynamicObject, ListParams};
use kube::runtime::wait::await_condition;

use super::oracle::{self, Tally};
use super::radio::{ON_AIR, PLAYLIST, mount, with_inputs};
use super::store::{PREFIX, Store};
pub use super::told::{Final, FinalObject, Gap, Interval, Made, Range, Session, Told};
use super::{Stage, until};
use crate::cluster::verbs;

/// For a recorder's pod to run, on a busy machine.
pub const PLACED: Duration = Duration::from_mins(1);
/// From the end of a short show to its verified object, the Job's pod included.
pub const VERIFIED: Duration = Duration::from_mins(2);
/// How long nobody must be on air for a test's Recording to be over.
pub const IDLE_END: Duration = Duration::from_secs(5);

/// A Station `fm` that records into that store; `more` is further YAML of its `spec`, such as `, ingest: {...}`.
#[must_use]
pub fn recording_station(store: &Store, more: &str) -> String {
    format!(
        "{}{{apiVersion: radio.moafunk.de/v1alpha1, kind: Station, metadata: {{name: fm}}, \
         spec: {{title: Radio fm, storage: {{s3: {}}}{more}}}}}\n---\n",
        store.secret(),
        store.s3()
    )
}

/// A passthrough Mount `live` at `/live.<ending>` whose only input is called `source`.
#[must_use]
pub fn microphone(ending: &str) -> String {
    format!(
        "{{apiVersion: radio.moafunk.de/v1alpha1, kind: Mount, metadata: {{name: live}}, \
         spec: {{stationRef: {{name: fm}}, path: /live.{ending}, passthrough: {{}}, {}}}}}\n---\n",
        recording()
    )
}

/// `spec.recording` of a Mount whose shows are over [`IDLE_END`] after the last source left.
#[must_use]
pub fn recording() -> String {
    format!("recording: {{idleEnd: {}s}}", IDLE_END.as_secs())
}

/// A Mount `live` with playlist, the inputs `studio` and `mobile`, and such shows.
#[must_use]
pub fn full_mount() -> String {
    let mount = with_inputs(&mount("live", "fm"), "[{name: studio}, {name: mobile}]");
    mount.replace("playlists:", &format!("{}, playlists:", recording()))
}

/// One Recording of one Mount.
#[derive(Clone)]
pub struct Recording {
    stage: Stage,
    /// Its name.
    pub name: String,
    /// What its objects lie below, with a `/` at the end.
    pub prefix: String,
}

impl Stage {
    /// A Station `fm` that records, with this Mount `live`, ready.
    pub async fn recording(&self, store: &Store, live: &str) -> Result<()> {
        self.recording_with(store, "", live).await
    }

    /// The same, with more in the Station's `spec`.
    pub async fn recording_with(&self, store: &Store, more: &str, live: &str) -> Result<()> {
        if live.contains("playlists:") {
            self.music("music", PLAYLIST).await?;
        }
        self.apply(&(recording_station(store, more) + live)).await?;
        self.await_ready("Station", "fm", 4 * ON_AIR).await?;
        self.await_ready("Mount", "live", 4 * ON_AIR).await?;
        Ok(())
    }

    /// Every Recording of a Mount, the oldest first.
    pub async fn recordings(&self, mount: &str) -> Result<Vec<Recording>> {
        let all = self.kind("Recording").list(&ListParams::default()).await?;
        let mut found = Vec::new();
        for object in all {
            if object.data["spec"]["mount"] == mount {
                found.push(self.recording_of(&object)?);
            }
        }
        // The time is in the name.
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// A Recording that is there.
    pub async fn recording_named(&self, name: &str) -> Result<Recording> {
        let object = self.kind("Recording").get(name).await?;
        self.recording_of(&object)
    }

    fn recording_of(&self, object: &DynamicObject) -> Result<Recording> {
        let name = object.name_any();
        let text = |field: &str| object.data["spec"][field].as_str().map(str::to_owned);
        let (station, mount) = text("station")
            .zip(text("mount"))
            .context("a Recording of no Mount")?;
        Ok(Recording {
            stage: self.clone(),
            prefix: format!("{PREFIX}/{}/{station}/{mount}/{name}/", self.namespace),
            name,
        })
    }

    /// Waits for the newest Recording of a Mount that is none of those.
    pub async fn await_recording(
        &self,
        mount: &str,
        known: &[Recording],
        within: Duration,
    ) -> Result<(Recording, Duration)> {
        until(&format!("a new Recording of {mount}"), within, || async {
            let mut all = self.recordings(mount).await.map_err(|e| format!("{e:#}"))?;
            match all.pop() {
                Some(newest) if known.iter().all(|old| old.name != newest.name) => Ok(newest),
                Some(old) => Err(format!("the newest is {}", old.name)),
                None => Err("there is none".to_owned()),
            }
        })
        .await
    }
}

impl Recording {
    /// Its status now.
    pub async fn told(&self) -> Result<Told> {
        told(&self.stage.kind("Recording").get(&self.name).await?)
    }

    /// Watches until its status is what it should be; gives it, and how long that took.
    pub async fn until(
        &self,
        what: &str,
        within: Duration,
        is_so: impl Fn(&Told) -> bool,
    ) -> Result<(Told, Duration)> {
        let begun = Instant::now();
        let last = Mutex::new(String::from("it is not there"));
        let found = Mutex::new(None);
        let look = |object: Option<&DynamicObject>| {
            let seen = match object.map(told) {
                Some(Ok(told)) if is_so(&told) => {
                    *found.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
                    return true;
                }
                Some(Ok(told)) => format!("{told:?}"),
                Some(Err(error)) => format!("{error:#}"),
                None => "it is gone".to_owned(),
            };
            *last.lock().unwrap_or_else(PoisonError::into_inner) = seen;
            false
        };
        let watched = await_condition(self.stage.kind("Recording"), &self.name, look);
        if let Ok(ended) = tokio::time::timeout(within, watched).await {
            ended.with_context(|| format!("the Recording {} cannot be watched", self.name))?;
        }
        let Some(told) = found.into_inner().unwrap_or_else(PoisonError::into_inner) else {
            let last = last.into_inner().unwrap_or_else(PoisonError::into_inner);
            bail!(
                "waited {:.1} s for the Recording {} to be {what}; at last: {last}",
                within.as_secs_f32(),
                self.name
            );
        };
        Ok((told, begun.elapsed()))
    }

    /// Watches until it is in that phase.
    pub async fn await_phase(&self, phase: &str, within: Duration) -> Result<(Told, Duration)> {
        self.until(phase, within, |told| told.phase == phase).await
    }

    /// Watches until its final object is verified; an error as soon as it ends in any other way.
    pub async fn verified(&self, within: Duration) -> Result<(Told, Duration)> {
        let ends = ["Verified", "Doubtful", "Empty"];
        let (told, took) = self
            .until("verified", within, |told| ends.contains(&told.phase.as_str()))
            .await?;
        ensure!(
            told.phase == "Verified",
            "the Recording {} is {}: {}; {:?}",
            self.name,
            told.phase,
            told.doubts.join("; "),
            told.gap_list
        );
        Ok((told, took))
    }

    /// The running pod of its recorder, with its node.
    pub async fn pod(&self) -> Result<(String, String)> {
        self.pod_of(&self.name).await
    }

    /// The running pod that makes the final object of that edition.
    pub async fn final_pod(&self, edition: u32) -> Result<(String, String)> {
        self.pod_of(&format!("{}-final-{edition}", self.name)).await
    }

    async fn pod_of(&self, job: &str) -> Result<(String, String)> {
        let pods: Api<Pod> = Api::namespaced(self.stage.client.clone(), &self.stage.namespace);
        let of_job = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={job}"));
        let (found, _) = until(&format!("a running pod of the Job {job}"), PLACED, || async {
            let pods = pods.list(&of_job).await.map_err(|e| e.to_string())?;
            let mut seen = Vec::new();
            for pod in pods {
                let phase = pod.status.as_ref().and_then(|status| status.phase.clone());
                let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
                if phase.as_deref() == Some("Running") && pod.metadata.deletion_timestamp.is_none() {
                    return Ok((pod.name_any(), node.unwrap_or_default()));
                }
                seen.push(format!("{} {phase:?} on {node:?}", pod.name_any()));
            }
            Err(seen.join(", "))
        })
        .await?;
        Ok(found)
    }

    /// Kills (-9) the recorder in a container of its pod: `capture` or `ship`.
    pub async fn kill(&self, container: &str) -> Result<()> {
        let (pod, _) = self.pod().await?;
        self.kill_in(&pod, container).await
    }

    /// Kills (-9) the recorder in a container of that pod.
    pub async fn kill_in(&self, pod: &str, container: &str) -> Result<()> {
        let namespace = &self.stage.namespace;
        until(&format!("a recorder in {container} of {pod}"), PLACED, || async {
            match verbs::kill_command(namespace, pod, &["recorder", container]).await {
                Ok(0) => Err("none runs".to_owned()),
                Ok(_) => Ok(()),
                Err(error) => Err(format!("{error:#}")),
            }
        })
        .await
        .map(drop)
    }

    /// How many segments were ever stored of it.
    pub fn stored(&self, store: &Store) -> Result<usize> {
        let sessions = store.segments(&self.prefix)?;
        Ok(sessions.values().map(Vec::len).sum())
    }

    /// Waits until more segments are stored than that many; gives how many there are.
    pub async fn await_stored(&self, store: &Store, more_than: usize, within: Duration) -> Result<usize> {
        let (stored, _) = until("another segment to be stored", within, || async {
            let stored = self.stored(store).map_err(|e| format!("{e:#}"))?;
            (stored > more_than)
                .then_some(stored)
                .ok_or_else(|| format!("{stored}"))
        })
        .await?;
        Ok(stored)
    }

    /// `final.json` of a version.
    pub fn published(&self, store: &Store, version: u32) -> Result<Final> {
        store.json(&format!("{}final-{version}/final.json", self.prefix))
    }

    /// Compares what was on air, as its final object tells, with what the sources sent, one entry for each connection that was,
    /// in their order: that is there, once, and nothing else of them is.
    pub async fn compare_on_air(&self, store: &Store, version: u32, sent: &[Vec<u8>]) -> Result<Tally> {
        let published = self.published(store, version)?;
        let segments = store.segments(&self.prefix)?;
        let sessions: BTreeSet<&str> = published.intervals.iter().map(|on| on.session.as_str()).collect();
        ensure!(
            sessions.len() == sent.len(),
            "{} connections were on air, but it has {sessions:?}",
            sent.len()
        );
        let (mut tally, mut live) = (Tally::default(), Vec::new());
        for (session, sent) in sessions.iter().zip(sent) {
            let on: Vec<Range> = published.of(session).collect();
            let (first, last) = on.first().zip(on.last()).context("nothing was live")?;
            let whole = usize::try_from(first.from)?..usize::try_from(last.to)?;
            let stored = segments.get(*session).map_or(&[][..], Vec::as_slice);
            tally.add(&oracle::bytes(sent, stored, whole)?);
            let is_live = |at: u64| on.iter().any(|bytes| (bytes.from..bytes.to).contains(&at));
            for packet in oracle::packets(sent).await.context("what was sent")? {
                if is_live(packet.at) {
                    live.push(packet);
                } else {
                    tally.edges += 1;
                }
            }
        }
        let made = self.made(store, &published).await?;
        tally.add(&oracle::same_packets(&live, &made).context("the final object")?);
        Ok(tally)
    }

    /// All packets of the final objects.
    async fn made(&self, store: &Store, published: &Final) -> Result<Vec<oracle::Packet>> {
        let mut made = Vec::new();
        for object in &published.objects {
            let bytes = store.read(&format!("{}{}", self.prefix, object.key))?;
            let packets = oracle::packets(&bytes).await;
            made.extend(packets.with_context(|| object.key.clone())?);
        }
        Ok(made)
    }

    /// Compares everything that was stored with what the sources sent, one entry for each connection, in their order: the
    /// segments byte by byte, the final object of that version packet by packet. All of it was on air.
    pub async fn compare(&self, store: &Store, version: u32, sent: &[Vec<u8>]) -> Result<Tally> {
        let segments = store.segments(&self.prefix)?;
        ensure!(
            segments.len() == sent.len(),
            "{} connections, but segments of {:?}",
            sent.len(),
            segments.keys().collect::<Vec<_>>()
        );
        let mut tally = Tally::default();
        let published = self.published(store, version)?;
        let mut expected = Vec::new();
        for ((session, segments), sent) in segments.iter().zip(sent) {
            let bytes = oracle::bytes(sent, segments, 0..sent.len());
            tally.add(&bytes.with_context(|| format!("the segments of {session}"))?);
            let packets = oracle::packets(sent).await.context("what was sent")?;
            let on_air = published.intervals.iter().filter(|on| on.session == *session);
            for Interval { bytes, .. } in on_air {
                tally.edges += oracle::outside(&packets, bytes.from, bytes.to);
                expected.extend(
                    packets
                        .iter()
                        .filter(|p| (bytes.from..bytes.to).contains(&p.at))
                        .cloned(),
                );
            }
        }
        let made = self.made(store, &published).await?;
        tally.add(&oracle::same_packets(&expected, &made).context("the final object")?);
        Ok(tally)
    }
}

fn told(object: &DynamicObject) -> Result<Told> {
    let status = object.data.get("status").cloned().unwrap_or_default();
    if status.is_null() {
        return Ok(Told::default());
    }
    serde_json::from_value(status).context("a status that says something else than it should")
}

//! Leader election on a coordination Lease, with client-go's rules: a lease is over when *we* have seen no renewal for
//! its duration, so clocks of replicas need not agree. The decision is pure; [`Lease::acquire`] and [`Held::until_lost`]
//! do IO.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease as LeaseObject, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, api::PostParams};
use thiserror::Error;
use tokio::time::{sleep, timeout};

/// Name of the Lease object.
pub const NAME: &str = "radio-operator";

const DURATION: Duration = Duration::from_secs(15);
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_secs(2);

/// The lease is no longer ours: another replica may be at work.
#[derive(Debug, Error)]
pub enum Lost {
    /// It could not be renewed in time.
    #[error("the Lease {NAME} could not be renewed for {} s: {trouble}", RENEW_DEADLINE.as_secs())]
    Expired {
        /// The last thing that went wrong.
        trouble: String,
    },
    /// Somebody took it.
    #[error("the Lease {NAME} was taken by {holder}")]
    Taken {
        /// Who.
        holder: String,
    },
}

/// What to do about the Lease as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Create,
    Take,
    Renew,
    StandBy,
}

/// What one replica knows.
#[derive(Debug)]
struct Election {
    me: String,
    /// What the identities of all lives of our pod's container begin with.
    pod: Option<String>,
    seen: Option<(Option<MicroTime>, String, Instant)>,
}

impl Election {
    /// `now` is our own monotonic clock; times in the Lease are only compared for being different.
    fn step(&mut self, lease: Option<&LeaseObject>, now: Instant) -> Step {
        let Some(spec) = lease.map(|lease| lease.spec.clone().unwrap_or_default()) else {
            return Step::Create;
        };
        let holder = spec.holder_identity.unwrap_or_default();
        if holder == self.me {
            return Step::Renew;
        }
        // Two pods of one name never live at once, nor do two lives of one container: that holder is dead.
        let former_life = self.pod.as_ref().is_some_and(|pod| holder.starts_with(pod));
        if holder.is_empty() || former_life {
            return Step::Take;
        }
        let changed = self
            .seen
            .as_ref()
            .is_none_or(|(renewed, by, _)| *renewed != spec.renew_time || *by != holder);
        if changed {
            self.seen = Some((spec.renew_time, holder, now));
            return Step::StandBy;
        }
        let since = self.seen.as_ref().map_or(now, |(_, _, since)| *since);
        let seconds = spec
            .lease_duration_seconds
            .and_then(|seconds| u64::try_from(seconds).ok());
        let duration = seconds.map_or(DURATION, Duration::from_secs);
        if now.duration_since(since) >= duration {
            Step::Take
        } else {
            Step::StandBy
        }
    }

    /// The Lease as it would be, ours. Its resourceVersion stays, so that only one replica's write succeeds.
    fn claim(&self, lease: Option<LeaseObject>, now: Timestamp) -> LeaseObject {
        let mut lease = lease.unwrap_or_else(|| LeaseObject {
            metadata: ObjectMeta {
                name: Some(NAME.to_owned()),
                ..ObjectMeta::default()
            },
            spec: None,
        });
        let before = lease.spec.take().unwrap_or_default();
        let ours = before.holder_identity.as_ref() == Some(&self.me);
        let transitions = before.lease_transitions.unwrap_or(0);
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.me.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            renew_time: Some(MicroTime(now)),
            acquire_time: if ours {
                before.acquire_time.clone()
            } else {
                Some(MicroTime(now))
            },
            lease_transitions: Some(if ours || before.holder_identity.is_none() {
                transitions
            } else {
                transitions + 1
            }),
            ..before
        });
        lease
    }
}

/// A replica that wants to lead.
pub struct Lease {
    api: Api<LeaseObject>,
    election: Election,
}

/// A replica that leads.
pub struct Held {
    lease: Lease,
    current: LeaseObject,
    renewed: Instant,
}

impl Lease {
    /// Each life of a pod's container has an identity of its own, so that a late write of the last one shows.
    #[must_use]
    pub fn new(client: Client, namespace: &str, pod: Option<&str>) -> Self {
        let pod = pod.map(|pod| format!("{pod}_"));
        let me = format!(
            "{}{:016x}",
            pod.as_deref().unwrap_or("replica_"),
            rand::random::<u64>()
        );
        Self {
            api: Api::namespaced(client, namespace),
            election: Election { me, pod, seen: None },
        }
    }

    /// Waits until this replica leads.
    pub async fn acquire(mut self) -> Held {
        loop {
            match timeout(RENEW_DEADLINE, self.attempt()).await {
                Ok(Ok(Some(current))) => {
                    tracing::info!(lease = NAME, me = self.election.me, "this replica leads");
                    return Held {
                        lease: self,
                        current,
                        renewed: Instant::now(),
                    };
                }
                Ok(Ok(None)) => {}
                Ok(Err(error)) => {
                    tracing::warn!(lease = NAME, %error, "failed to acquire the Lease, trying again");
                }
                Err(_) => tracing::warn!(lease = NAME, "the API server does not answer, trying again"),
            }
            sleep(RETRY).await;
        }
    }

    async fn attempt(&mut self) -> Result<Option<LeaseObject>, kube::Error> {
        let live = self.api.get_opt(NAME).await?;
        let step = self.election.step(live.as_ref(), Instant::now());
        if step == Step::StandBy {
            return Ok(None);
        }
        let claim = self.election.claim(live, Timestamp::now());
        let written = match step {
            Step::Create => self.api.create(&PostParams::default(), &claim).await,
            Step::Take | Step::Renew | Step::StandBy => {
                self.api.replace(NAME, &PostParams::default(), &claim).await
            }
        };
        match written {
            Ok(lease) => Ok(Some(lease)),
            // Another replica was faster.
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Held {
    /// Renews the Lease for as long as that works; returns why it does not any more.
    pub async fn until_lost(&mut self) -> Lost {
        let mut trouble = "no answer".to_owned();
        loop {
            sleep(RETRY).await;
            let left = RENEW_DEADLINE.saturating_sub(self.renewed.elapsed());
            match timeout(left, self.renew()).await {
                Ok(Ok(())) => continue,
                Ok(Err(Renewal::Lost(lost))) => return lost,
                Ok(Err(Renewal::Failed(error))) => {
                    tracing::warn!(lease = NAME, %error, "failed to renew the Lease, trying again");
                    trouble = error.to_string();
                }
                Err(_) => {}
            }
            if self.renewed.elapsed() >= RENEW_DEADLINE {
                return Lost::Expired { trouble };
            }
        }
    }

    /// Gives the Lease up, so that another replica need not wait.
    pub async fn release(self) {
        let mut lease = self.current;
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            spec.renew_time = Some(MicroTime(Timestamp::now()));
        }
        let params = PostParams::default();
        let released = self.lease.api.replace(NAME, &params, &lease);
        if !matches!(timeout(RETRY, released).await, Ok(Ok(_))) {
            tracing::warn!(
                lease = NAME,
                "failed to give up the Lease; the next replica has to wait for its end"
            );
        }
    }

    async fn renew(&mut self) -> Result<(), Renewal> {
        let began = Instant::now();
        let claim = self
            .lease
            .election
            .claim(Some(self.current.clone()), Timestamp::now());
        match self.lease.api.replace(NAME, &PostParams::default(), &claim).await {
            Ok(lease) => {
                self.current = lease;
                self.renewed = began;
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => {
                self.look_again().await
            }
            Err(error) => Err(Renewal::Failed(error)),
        }
    }

    /// Somebody wrote to the Lease, or deleted it: still ours?
    async fn look_again(&mut self) -> Result<(), Renewal> {
        let live = self.lease.api.get_opt(NAME).await.map_err(Renewal::Failed)?;
        let holder = live
            .as_ref()
            .and_then(|lease| lease.spec.as_ref()?.holder_identity.clone())
            .unwrap_or_default();
        match live {
            Some(live) if holder == self.lease.election.me => {
                self.current = live;
                Ok(())
            }
            _ => Err(Renewal::Lost(Lost::Taken {
                holder: if holder.is_empty() {
                    "nobody".to_owned()
                } else {
                    holder
                },
            })),
        }
    }
}

enum Renewal {
    Failed(kube::Error),
    Lost(Lost),
}

#[cfg(test)]
mod tests;

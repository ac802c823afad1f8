//! Faults on demand: what goes wrong, for which requests, how often. Does no IO.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::operation::{Asked, Operation};

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The request waits this many milliseconds before anything is done with it.
    Delay(u64),
    /// It is answered with an error and not carried out.
    Answer {
        /// The status: 5xx, 429, 401, 403.
        status: u16,
        /// R2's code, such as `InternalError`.
        code: String,
        /// The header `Retry-After`, in seconds.
        #[serde(default)]
        retry_after: Option<u32>,
    },
    /// It is answered with 200 and an error as the body, and not carried out.
    ErrorIn200,
    /// The connection is reset before anything is carried out.
    ResetBefore,
    /// The connection is reset when this many bytes of the upload have arrived. The store behind keeps none of them.
    ResetUpload(u64),
    /// It is carried out, and the answer is lost with the connection.
    LoseAnswer,
    /// A bit of the byte at this offset of an upload is turned before it is stored, behind the checks of what was sent. The
    /// `ETag` tells.
    FlipUpload(u64),
    /// A bit of the byte at this offset of what is read is turned. Nothing tells.
    FlipDownload(u64),
    /// What is read ends early after this many bytes, with the connection.
    TruncateDownload(u64),
    /// What is read stalls for ever after this many bytes.
    StallDownload(u64),
    /// Bodies go this fast, both ways, in bytes per second.
    Slow(u64),
}

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Each time, until it is cleared.
    Always,
    /// The next so many times.
    Next(u32),
    /// Only the request of this number, counted from 1.
    Nth(u32),
    /// With this probability.
    Chance(f64),
}

/// One fault: what, for which requests, how often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// For these operations; none named means all.
    #[serde(default)]
    pub on: Vec<Operation>,
    /// Only for keys in which this occurs.
    #[serde(default)]
    pub key: String,
    /// How often.
    pub when: When,
    /// What.
    pub effect: Effect,
}

impl Fault {
    /// A fault of one operation, whatever the key.
    #[must_use]
    pub fn on(operation: Operation, when: When, effect: Effect) -> Self {
        Self {
            on: vec![operation],
            key: String::new(),
            when,
            effect,
        }
    }

    /// A fault of every request.
    #[must_use]
    pub fn anywhere(when: When, effect: Effect) -> Self {
        Self {
            on: vec![],
            key: String::new(),
            when,
            effect,
        }
    }

    fn concerns(&self, asked: &Asked) -> bool {
        (self.on.is_empty() || self.on.contains(&asked.operation)) && asked.key.contains(&self.key)
    }
}

/// The faults that are set.
#[derive(Default)]
pub struct Faults(Mutex<Vec<Set>>);

struct Set {
    fault: Fault,
    /// How many requests it concerned.
    seen: u32,
}

impl Faults {
    /// Adds one.
    pub fn add(&self, fault: Fault) {
        self.set().push(Set { fault, seen: 0 });
    }

    /// From now on nothing goes wrong.
    pub fn clear(&self) {
        self.set().clear();
    }

    /// The faults that are set.
    #[must_use]
    pub fn list(&self) -> Vec<Fault> {
        self.set().iter().map(|set| set.fault.clone()).collect()
    }

    /// What goes wrong with this request. `dice` gives numbers from 0 to 1.
    pub fn draw(&self, asked: &Asked, mut dice: impl FnMut() -> f64) -> Vec<Effect> {
        let mut effects = vec![];
        for set in self.set().iter_mut().filter(|set| set.fault.concerns(asked)) {
            set.seen = set.seen.saturating_add(1);
            let strikes = match set.fault.when {
                When::Always => true,
                When::Next(times) => set.seen <= times,
                When::Nth(number) => set.seen == number,
                When::Chance(chance) => dice() < chance,
            };
            if strikes {
                effects.push(set.fault.effect.clone());
            }
        }
        effects
    }

    fn set(&self) -> std::sync::MutexGuard<'_, Vec<Set>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    fn put(key: &str) -> Asked {
        Asked::of(&Method::PUT, &format!("/b/{key}").parse().unwrap(), false)
    }

    fn strikes(when: When, dice: f64) -> Vec<bool> {
        let faults = Faults::default();
        faults.add(Fault {
            key: "seg/".into(),
            ..Fault::on(Operation::PutObject, when, Effect::LoseAnswer)
        });
        ["seg/1", "final", "seg/2", "seg/3"]
            .map(|key| !faults.draw(&put(key), || dice).is_empty())
            .to_vec()
    }

    #[test]
    fn a_fault_strikes_as_often_as_it_should() {
        assert_eq!(strikes(When::Always, 0.9), [true, false, true, true]);
        assert_eq!(strikes(When::Next(2), 0.9), [true, false, true, false]);
        assert_eq!(strikes(When::Nth(2), 0.9), [false, false, true, false]);
        assert_eq!(strikes(When::Chance(0.5), 0.4), [true, false, true, true]);
        assert_eq!(strikes(When::Chance(0.5), 0.6), [false; 4]);
    }

    #[test]
    fn a_fault_can_be_told_in_json() {
        let fault: Fault = serde_json::from_str(
            r#"{"on":["PutObject"],"when":{"next":3},"effect":{"answer":{"status":503,"code":"ServiceUnavailable"}}}"#,
        )
        .unwrap();
        let effect = Effect::Answer {
            status: 503,
            code: "ServiceUnavailable".into(),
            retry_after: None,
        };
        assert_eq!(fault, Fault::on(Operation::PutObject, When::Next(3), effect));
    }
}

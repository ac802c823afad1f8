//! Whether the ingest may be replaced by a new version now: not while a source is connected. No IO.

/// Who is connected, as last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connected {
    /// The ingest has not said yet.
    Unknown,
    /// The ingest does not answer.
    Silent,
    /// Nobody.
    Nobody,
    /// At least this input of this Mount.
    Somebody {
        /// The Mount.
        mount: String,
        /// Its input.
        input: String,
    },
}

/// What happens to the pod of an older version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roll {
    /// There is none.
    Idle,
    /// It is replaced.
    Now,
    /// It stays, and why.
    Held(Connected),
}

/// `pending`: the pod is of an older version; `ready`: as its probe says. A probe can fail for a moment under a source
/// that is fine: only a pod that does not answer us either has nobody to lose.
#[must_use]
pub fn decide(pending: bool, ready: bool, connected: &Connected) -> Roll {
    match (pending, ready, connected) {
        (false, ..) => Roll::Idle,
        (true, _, Connected::Nobody) | (true, false, Connected::Silent) => Roll::Now,
        (true, _, connected) => Roll::Held(connected.clone()),
    }
}

impl Roll {
    /// For the `StatefulSet`: pods with lower numbers keep their version. It is only let down to replace a pod, so that a
    /// new version never comes with the very write that brings it.
    #[must_use]
    pub fn partition(&self) -> i32 {
        match self {
            Self::Now => 0,
            Self::Idle | Self::Held(_) => 1,
        }
    }

    /// What to tell about a version that waits.
    #[must_use]
    pub fn why(&self) -> Option<String> {
        match self {
            Self::Idle | Self::Now => None,
            Self::Held(Connected::Somebody { mount, input }) => Some(format!(
                "the new version of the ingest waits until no source is connected: input {input} of Mount {mount} has one"
            )),
            Self::Held(_) => Some(
                "the new version of the ingest waits until the old one says whether a source is connected"
                    .to_owned(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_version_waits_for_sources_only() {
        let dj = || Connected::Somebody {
            mount: "live".to_owned(),
            input: "studio".to_owned(),
        };
        let (unknown, nobody, silent) = (|| Connected::Unknown, || Connected::Nobody, || Connected::Silent);
        for (pending, ready, connected, partition, held) in [
            (false, true, nobody(), 1, false),
            (false, true, dj(), 1, false),
            (false, false, nobody(), 1, false),
            (true, true, nobody(), 0, false),
            (true, true, dj(), 1, true),
            // After a start of the operator, until the first answer.
            (true, true, unknown(), 1, true),
            (true, false, unknown(), 1, true),
            // A probe that fails while we hear that somebody is connected.
            (true, false, dj(), 1, true),
            (true, false, nobody(), 0, false),
            (true, true, silent(), 1, true),
            // A version that does not work can always be replaced.
            (true, false, silent(), 0, false),
        ] {
            let roll = decide(pending, ready, &connected);
            assert_eq!(
                (roll.partition(), roll.why().is_some()),
                (partition, held),
                "{pending} {ready} {connected:?}"
            );
        }
        let why = decide(true, true, &dj()).why().unwrap();
        assert!(why.contains("input studio of Mount live"), "{why}");
    }
}

//! What the pods of a Recording are told: the operator writes it into the Secret `<recording>`. No IO.

use std::fmt;

use ingest::config::TapeAccess;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The key of [`Recording`] in its Secret.
pub const RECORDING_KEY: &str = "recording.json";
/// The keys of the Station's Secret that open the store.
pub const ACCESS_KEY_ID: &str = "access-key-id";
/// See [`ACCESS_KEY_ID`].
pub const SECRET_ACCESS_KEY: &str = "secret-access-key";

/// One archive of what went on air at a Mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recording {
    /// Its name, and the name its acks carry.
    pub name: String,
    /// Where the Recording lives.
    pub namespace: String,
    /// The Station.
    pub station: String,
    /// The Mount.
    pub mount: String,
    /// Only this input of it; absent: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// What it is of, for people and players.
    pub title: String,
    /// From when to when.
    pub window: Window,
    /// Without an end in `window` it is over when no source was live for this long.
    #[serde(default = "idle_end")]
    pub idle_end_seconds: u32,
    /// That counts beside an end in `window`, too: then nothing is awaited until there.
    #[serde(default, skip_serializing_if = "is_not")]
    pub ends_idle: bool,
    /// The longest one Recording gets; it ends at the next cut, and the next Recording goes on from there.
    pub max_length_seconds: u32,
    /// The way to the tapes, as reader `recording/<name>`.
    pub tape: TapeAccess,
    /// The way to the bucket.
    pub store: Bucket,
    /// What is made besides the final object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub renditions: Vec<Rendition>,
    /// Less of the window on air than this, in percent, is a show too short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_coverage_percent: Option<u8>,
    /// The slot of a Show that it is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub show: Option<SlotOf>,
    /// The segments go once the final object is verified.
    #[serde(default = "yes")]
    pub delete_segments_after_verify: bool,
}

/// A slot of a Show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotOf {
    /// The Show.
    pub name: String,
    /// When the slot ends. From the window's beginning to here somebody should be on air; behind it somebody may be.
    pub slot_end: Timestamp,
}

/// From when to when, both as the API server's clock shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// Nothing before it belongs to the Recording.
    pub from: Timestamp,
    /// Nothing after it does; absent: idleness ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What is made besides the final object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Rendition {
    /// An MP3, for players that know nothing else.
    Mp3,
}

/// Where a bucket is, and whose rules it keeps. The keys to it are elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bucket {
    /// URL of the S3 API.
    pub endpoint: String,
    /// What requests are signed for.
    #[serde(default = "auto")]
    pub region: String,
    /// Its name.
    pub bucket: String,
    /// Everything is below it; may be empty.
    #[serde(default)]
    pub prefix: String,
    /// Whose rules it keeps.
    #[serde(default)]
    pub profile: Profile,
    /// The bucket's name is in the path, not in the host's name.
    #[serde(default = "yes")]
    pub force_path_style: bool,
    /// Most bytes a second that uploads may take, over some seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth_cap: Option<u64>,
}

impl Bucket {
    /// Refuses what leads to no server, or out of its own place.
    pub(crate) fn check(&self) -> Result<(), Unusable> {
        let prefix = self.prefix.trim_matches('/');
        if prefix.split('/').any(|piece| matches!(piece, "." | "..")) || prefix.chars().any(char::is_control)
        {
            return Err(Unusable::Name {
                field: "store.prefix",
            });
        }
        let host = self.endpoint.strip_prefix("https://");
        let host = host.or_else(|| self.endpoint.strip_prefix("http://"));
        if host.is_none_or(|host| host.is_empty() || host.contains(['@', '?', '#', ' '])) {
            return Err(Unusable::Endpoint);
        }
        Ok(())
    }

    /// Where everything of a Station lies; ends with `/`.
    #[must_use]
    pub fn station_prefix(&self, namespace: &str, station: &str) -> String {
        match self.prefix.trim_matches('/') {
            "" => format!("{namespace}/{station}/"),
            prefix => format!("{prefix}/{namespace}/{station}/"),
        }
    }
}

/// Whose rules a store keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Profile {
    /// Cloudflare R2.
    R2,
    /// Amazon S3.
    Aws,
    /// Anything else; the least is taken for granted.
    #[default]
    Generic,
}

impl Profile {
    /// The `ETag` of an object is the MD5 of what was sent, so each answer proves what was stored.
    #[must_use]
    pub fn etag_is_md5(self) -> bool {
        // On S3 encryption by KMS makes it something else.
        self == Self::R2
    }

    /// SHA-256 may be sent beside the signature, and is kept with the object.
    #[must_use]
    pub fn keeps_sha256(self) -> bool {
        self != Self::Generic
    }

    /// `If-None-Match: *` is known to be honoured.
    #[must_use]
    pub fn has_conditional_put(self) -> bool {
        self != Self::Generic
    }

    /// How many parts of one upload may be under way.
    #[must_use]
    pub fn part_concurrency(self) -> usize {
        match self {
            Self::R2 => 2,
            Self::Aws | Self::Generic => 4,
        }
    }
}

impl Recording {
    /// Reads what the Secret says, and refuses what would lead anywhere else than to its own place.
    pub fn parse(text: &[u8]) -> Result<Self, Unusable> {
        // serde's message may quote a value, and one of them is a token.
        let recording: Self = serde_json::from_slice(text).map_err(|failure| Unusable::Malformed {
            line: failure.line(),
            column: failure.column(),
        })?;
        let names = [
            ("name", &recording.name),
            ("namespace", &recording.namespace),
            ("station", &recording.station),
            ("mount", &recording.mount),
        ];
        for (field, name) in names {
            if !is_object_name(name) {
                return Err(Unusable::Name { field });
            }
        }
        if recording
            .show
            .as_ref()
            .is_some_and(|show| !is_object_name(&show.name))
        {
            return Err(Unusable::Name { field: "show.name" });
        }
        recording.store.check()?;
        Ok(recording)
    }

    /// Where everything of it lies in the bucket; ends with `/`.
    #[must_use]
    pub fn prefix(&self) -> String {
        let station = self.store.station_prefix(&self.namespace, &self.station);
        format!("{station}{}/{}/", self.mount, self.name)
    }

    /// Until when it goes on, whoever is silent for how long; `None`: idleness ends it.
    #[must_use]
    pub fn held_until(&self) -> Option<Timestamp> {
        self.window.until.filter(|_| !self.ends_idle)
    }

    /// Nothing after it is recorded, whoever is still on air.
    #[must_use]
    pub fn limit(&self) -> Timestamp {
        let longest = SignedDuration::from_secs(i64::from(self.max_length_seconds));
        let longest = self.window.from.saturating_add(longest).unwrap_or(Timestamp::MAX);
        self.window.until.map_or(longest, |until| until.min(longest))
    }
}

/// As Kubernetes names objects; also fit for keys.
pub(crate) fn is_object_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    !name.is_empty()
        && name.len() <= 253
        && name.chars().all(fits)
        && !name.starts_with('.')
        && !name.contains("..")
}

/// What is wrong with a Secret. Never quotes it.
#[derive(Debug, PartialEq, Eq)]
pub enum Unusable {
    /// The key is missing.
    Missing,
    /// The position, without the text there.
    Malformed {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// A name that is none.
    Name {
        /// Where.
        field: &'static str,
    },
    /// Not the URL of a server.
    Endpoint,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(f, "the key {RECORDING_KEY} is missing"),
            Self::Malformed { line, column } => {
                write!(
                    f,
                    "what is mounted is not the JSON this version knows, at line {line} column {column}"
                )
            }
            Self::Name { field } => write!(f, "{field} in what is mounted is no name"),
            Self::Endpoint => write!(
                f,
                "store.endpoint in what is mounted is not the URL of a server (http:// or https://)"
            ),
        }
    }
}

impl std::error::Error for Unusable {}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
pub(crate) fn is_not(it: &bool) -> bool {
    !*it
}

pub(crate) fn idle_end() -> u32 {
    120
}

fn auto() -> String {
    "auto".to_owned()
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(change: impl FnOnce(&mut serde_json::Value)) -> Result<Recording, Unusable> {
        let mut json = serde_json::json!({
            "name": "main-20261121t1400", "namespace": "radio", "station": "rfx", "mount": "main", "title": "Main",
            "window": { "from": "2026-11-21T14:00:00Z" }, "maxLengthSeconds": 21600,
            "tape": { "addresses": ["i:8006"], "token": "a secret" },
            "store": { "endpoint": "https://a.r2.cloudflarestorage.com", "bucket": "shows", "prefix": "/archive/", "profile": "r2" },
        });
        change(&mut json);
        Recording::parse(json.to_string().as_bytes())
    }

    #[test]
    fn a_recording_has_its_own_place() {
        let recording = told(|_| {}).unwrap();
        assert_eq!(recording.prefix(), "archive/radio/rfx/main/main-20261121t1400/");
        assert_eq!(
            told(|json| json["store"]["prefix"] = "".into()).unwrap().prefix(),
            "radio/rfx/main/main-20261121t1400/"
        );
        assert!(!format!("{recording:?}").contains("a secret"));
        for name in ["", "..", "../x", "a/b", "A", "a b"] {
            assert_eq!(
                told(|json| json["mount"] = name.into()),
                Err(Unusable::Name { field: "mount" }),
                "{name}"
            );
        }
        assert!(told(|json| json["store"]["prefix"] = "a/../..".into()).is_err());
        for endpoint in ["", "ftp://x", "http://", "http://user:password@x", "x.com"] {
            assert_eq!(
                told(|json| json["store"]["endpoint"] = endpoint.into()),
                Err(Unusable::Endpoint),
                "{endpoint}"
            );
        }
        let Err(malformed) = told(|json| json["idleEndSeconds"] = "a secret".into()) else {
            panic!()
        };
        assert!(!malformed.to_string().contains("a secret"), "{malformed}");
    }

    #[test]
    fn the_nearer_of_two_ends_counts() {
        let limit = |until: Option<&str>| {
            told(|json| json["window"]["until"] = until.into())
                .unwrap()
                .limit()
                .to_string()
        };
        assert_eq!(limit(None), "2026-11-21T20:00:00Z");
        assert_eq!(limit(Some("2026-11-21T16:00:00Z")), "2026-11-21T16:00:00Z");
        assert_eq!(limit(Some("2026-11-22T16:00:00Z")), "2026-11-21T20:00:00Z");
    }
    #[test]
    fn an_end_is_waited_for_unless_idleness_ends_it_before() {
        let held = |idle: bool| {
            let recording = told(|json| {
                json["window"]["until"] = "2026-11-21T16:00:00Z".into();
                json["endsIdle"] = idle.into();
            })
            .unwrap();
            (recording.limit().to_string(), recording.held_until().is_some())
        };
        assert_eq!(held(false), ("2026-11-21T16:00:00Z".to_owned(), true));
        assert_eq!(held(true), ("2026-11-21T16:00:00Z".to_owned(), false));
        assert_eq!(told(|_| {}).unwrap().held_until(), None);
    }

    #[test]
    fn a_slot_has_its_shows_name() {
        let of = |name: &str| {
            told(|json| json["show"] = serde_json::json!({"name": name, "slotEnd": "2026-11-21T16:00:00Z"}))
        };
        assert_eq!(of("night-shift").unwrap().show.unwrap().name, "night-shift");
        assert_eq!(of("../x"), Err(Unusable::Name { field: "show.name" }));
    }
}

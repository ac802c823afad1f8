//! Whom a Station tells when a show is not what it should be. No IO.

use jiff::Timestamp;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{conditions, quantity, refs::SecretRef, show::NoticeWay, text};

/// Where Telegram's bots are reached.
pub const DEFAULT_TELEGRAM: &str = "https://api.telegram.org";
/// The key of the Secret with the token of a bot.
pub const TOKEN_KEY: &str = "token";
/// The key of a Secret with a whole address.
pub const URL_KEY: &str = "url";
/// How often a heartbeat goes out that names no time.
pub const DEFAULT_HEARTBEAT: &str = "1m";

/// Whom to tell when a show is missed, short, or not recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Notify {
    /// A chat of Telegram. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telegram: Option<Telegram>,

    /// An address that takes messages as JSON, by POST. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,

    /// An address that is asked, by GET, as long as all is well: whoever is behind it says so when nobody asks any more.
    /// Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<Heartbeat>,

    /// A message that says it is a drill, so that it is known before a show is missed whether messages arrive.
    /// Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<Drill>,
}

/// A chat of Telegram.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Telegram {
    /// The chat, e.g. `-1001234567890` or `@my_station`.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = text::chat())]
    pub chat_id: String,

    /// A Secret with the token of the bot at its key `token`.
    pub secret_ref: SecretRef,

    /// Where the bot is reached. Default: `https://api.telegram.org`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 200))]
    #[x_kube(validation = text::server_address())]
    pub api_url: Option<String>,
}

/// An address that takes messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// A Secret with the address at its key `url`.
    pub secret_ref: SecretRef,
}

/// An address that is asked as long as all is well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeat {
    /// A Secret with the address at its key `url`.
    pub secret_ref: SecretRef,

    /// How often, `5s` to `1h`. Default: `1m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(validation = text::duration(), validation = text::silence())]
    pub every: Option<String>,
}

/// When a drill is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Drill {
    /// Minute, hour, day of the month, month and day of the week, e.g. `0 12 * * MON`.
    #[schemars(length(min = 9, max = 100))]
    #[x_kube(validation = text::cron())]
    pub cron: String,

    /// The zone of `cron`, e.g. `Europe/Berlin`. Default: `UTC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = text::time_zone())]
    pub time_zone: Option<String>,
}

/// The newest drill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrillStatus {
    /// When it was to be.
    #[schemars(schema_with = "conditions::time")]
    pub due: Timestamp,

    /// Whether it arrived.
    pub state: DrillState,

    /// Since when.
    #[schemars(schema_with = "conditions::time")]
    pub at: Timestamp,

    /// Which of the Station's ways have it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub told: Vec<NoticeWay>,

    /// When its message had arrived everywhere; absent: it has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "conditions::time")]
    pub delivered_at: Option<Timestamp>,
}

/// Whether a drill arrived: `Due`, `Told` or `Failed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DrillState {
    /// It is on its way.
    Due,
    /// It arrived everywhere.
    Told,
    /// It did not arrive everywhere in time; that is tried further.
    Failed,
}

impl Telegram {
    /// Where the bot is reached.
    #[must_use]
    pub fn api_url(&self) -> &str {
        self.api_url.as_deref().unwrap_or(DEFAULT_TELEGRAM)
    }
}

impl Heartbeat {
    /// After how many seconds the next one goes out; `None` if what is written is no time.
    #[must_use]
    pub fn every_seconds(&self) -> Option<u32> {
        quantity::seconds(self.every.as_deref().unwrap_or(DEFAULT_HEARTBEAT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults() {
        assert_eq!(Telegram::default().api_url(), "https://api.telegram.org");
        assert_eq!(Heartbeat::default().every_seconds(), Some(60));
        let often = Heartbeat {
            every: Some("5s".to_owned()),
            ..Heartbeat::default()
        };
        assert_eq!(often.every_seconds(), Some(5));
    }
}

//! Who is told and how: from what a Station says and its Secrets hold to a request, and from an answer to what it means.
//! No IO, no clock.

use std::{collections::BTreeMap, time::Duration};

use axum::http::{HeaderMap, StatusCode, Uri, header::RETRY_AFTER};
use jiff::{Timestamp, fmt::rfc2822};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use radio_crds::notify::{TOKEN_KEY, Telegram, URL_KEY};
use serde_json::{Value, json};

use super::outbox::Letter;
use crate::{k8s::error::shorten, recording::jobs::one_line, text::Password};

/// The longest somebody may have us wait.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// Where a message goes to. What is secret in it shows nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A chat of Telegram.
    Telegram {
        /// Where the bot is reached.
        api: String,
        /// The bot's token.
        token: Password,
        /// The chat.
        chat: String,
    },
    /// An address that takes JSON.
    Webhook {
        /// All of it is as secret as a token: many have one in their path.
        url: Password,
    },
}

/// What came of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is there.
    Delivered,
    /// Nothing goes this way for now.
    Later {
        /// Why.
        words: String,
        /// How long we were asked to wait.
        wait: Option<Duration>,
    },
    /// This message is not taken; another one may be.
    Refused {
        /// Why, and what to do.
        words: String,
    },
}

/// A request to be made.
pub struct Errand {
    /// Where to.
    pub uri: Uri,
    /// What is sent.
    pub body: Value,
}

impl Target {
    /// A bot, with the token that its Secret holds.
    pub fn telegram(telegram: &Telegram, secret: Option<&Secret>) -> Result<Self, String> {
        let name = &telegram.secret_ref.name;
        let token = read(secret, name, TOKEN_KEY)?;
        let fits = |part: &str| {
            part.chars()
                .all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
        };
        let parts = token.reveal().split_once(':');
        if !parts.is_some_and(|(bot, key)| !bot.is_empty() && fits(bot) && !key.is_empty() && fits(key)) {
            return Err(format!(
                "key {TOKEN_KEY} of Secret {name} is not the token of a bot as BotFather gives it, such as 123456:ABC-DEF"
            ));
        }
        Ok(Self::Telegram {
            api: telegram.api_url().trim_end_matches('/').to_owned(),
            token,
            chat: telegram.chat_id.clone(),
        })
    }

    /// An address that its Secret holds.
    pub fn webhook(name: &str, secret: Option<&Secret>) -> Result<Self, String> {
        Ok(Self::Webhook {
            url: address(name, secret)?,
        })
    }

    /// How it is called in messages.
    #[must_use]
    pub fn called(&self) -> &'static str {
        match self {
            Self::Telegram { .. } => "Telegram",
            Self::Webhook { .. } => "the webhook",
        }
    }

    /// The request that tells it; the error never has what is secret.
    pub fn errand(&self, letter: &Letter) -> Result<Errand, String> {
        let (uri, body) = match self {
            Self::Telegram { api, token, chat } => (
                format!("{api}/bot{}/sendMessage", token.reveal()),
                json!({"chat_id": chat, "text": letter.text, "disable_web_page_preview": true}),
            ),
            Self::Webhook { url } => (url.reveal().to_owned(), letter.json()),
        };
        let uri = uri.parse().map_err(|_| "its address is not one".to_owned())?;
        Ok(Errand { uri, body })
    }

    /// What an answer means.
    #[must_use]
    pub fn understand(&self, status: StatusCode, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Answer {
        let answer = match self {
            Self::Telegram { .. } => by_telegram(status, headers, body, now),
            Self::Webhook { .. } => by_webhook(status, headers, now),
        };
        match answer {
            Answer::Delivered => Answer::Delivered,
            Answer::Later { words, wait } => Answer::Later {
                words: self.hide(&words),
                wait,
            },
            Answer::Refused { words } => Answer::Refused {
                words: self.hide(&words),
            },
        }
    }

    /// Words of others, without what is secret, should they repeat it.
    #[must_use]
    pub fn hide(&self, words: &str) -> String {
        let secret = match self {
            Self::Telegram { token, .. } => token,
            Self::Webhook { url } => url,
        };
        shorten(words.replace(secret.reveal(), "…"))
    }
}

/// An address in a Secret, `http://` or `https://`, without a user in it.
pub fn address(name: &str, secret: Option<&Secret>) -> Result<Password, String> {
    let url = read(secret, name, URL_KEY)?;
    let uri: Option<Uri> = url.reveal().parse().ok();
    let fits = uri.is_some_and(|uri| {
        let plain = uri
            .authority()
            .is_some_and(|authority| !authority.as_str().contains('@'));
        plain && matches!(uri.scheme_str(), Some("http" | "https"))
    });
    if fits {
        Ok(url)
    } else {
        Err(format!(
            "key {URL_KEY} of Secret {name} is not an http:// or https:// address, or has a user in it"
        ))
    }
}

/// What a file was made from mostly ends in a line feed, and a Secret then does, too.
fn read(secret: Option<&Secret>, name: &str, key: &str) -> Result<Password, String> {
    let secret = secret.ok_or_else(|| format!("Secret {name} does not exist"))?;
    let data: Option<&BTreeMap<String, ByteString>> = secret.data.as_ref();
    let bytes = data.and_then(|data| data.get(key));
    let bytes = bytes.ok_or_else(|| format!("Secret {name} has no key {key}"))?;
    Password::parse(bytes.0.trim_ascii())
        .ok_or_else(|| format!("key {key} of Secret {name} is empty or is no text on one line"))
}

/// <https://core.telegram.org/bots/api#making-requests>
fn by_telegram(status: StatusCode, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Answer {
    let said: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    if status.is_success() && said["ok"] == true {
        return Answer::Delivered;
    }
    let description = said["description"].as_str().map(one_line);
    let why = description.unwrap_or_else(|| "not as Telegram does".to_owned());
    let words = format!("Telegram answers {}: {why}", status.as_u16());
    let asked = said["parameters"]["retry_after"].as_u64();
    let asked = asked.map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT));
    // Somebody between us and Telegram may answer without knowing what this is.
    if said.is_null() || is_passing(status) {
        let wait = asked.or_else(|| retry_after(headers, now));
        return Answer::Later { words, wait };
    }
    let advice = match (status.as_u16(), said["parameters"]["migrate_to_chat_id"].as_i64()) {
        (_, Some(chat)) => format!("; the group has another number now, set chatId to \"{chat}\""),
        (401 | 404, _) => "; the Secret's token is not, or no longer, that of a bot".to_owned(),
        (403, _) => "; let the bot into the chat again".to_owned(),
        (400, _) => "; is chatId right, and is the bot in the chat?".to_owned(),
        _ => String::new(),
    };
    Answer::Refused {
        words: format!("{words}{advice}"),
    }
}

fn by_webhook(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Answer {
    if status.is_success() {
        return Answer::Delivered;
    }
    let words = format!("the webhook answers {}", status.as_u16());
    if is_passing(status) {
        let wait = retry_after(headers, now);
        return Answer::Later { words, wait };
    }
    let advice = if status.is_redirection() {
        "; it points elsewhere, and that address has to be in the Secret itself"
    } else {
        "; is the address in its Secret right?"
    };
    Answer::Refused {
        words: format!("{words}{advice}"),
    }
}

/// What goes away by itself.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY
        )
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let asked = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = asked.parse().map(Duration::from_secs).ok().or_else(|| {
        let date = rfc2822::DateTimeParser::new().parse_timestamp(asked).ok()?;
        Duration::try_from(date.duration_since(now)).ok()
    })?;
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;

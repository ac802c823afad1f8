//! What is told about sources: from what changed between two statuses, and from refusals, to Events. No IO.

use ingest::api::Refusal;
use jiff::Timestamp;
use kube::runtime::events::{Event, EventType};
use radio_crds::{
    conditions::event,
    input::{InputStatus, LastRefusal},
};

use super::seen::Seen;
use crate::k8s::error::shorten;

/// Something that happened to the sources of a Mount.
pub struct News {
    /// As it is told.
    pub event: Event,
    /// The input.
    pub input: String,
    /// When, and for which reason, if a source was refused.
    pub refused: Option<(String, Timestamp)>,
}

impl News {
    /// The Event, when the same happened `untold` times since it was last told.
    #[must_use]
    pub fn after(mut self, untold: u32) -> Event {
        if let Some(note) = self.event.note.as_mut()
            && untold > 0
        {
            *note = shorten(format!(
                "{note} (and {untold} times before, since this was last told)"
            ));
        }
        self.event
    }
}

/// What changed between two statuses of a Mount.
#[must_use]
pub fn of_mount(mount: &str, old: &[InputStatus], new: &[InputStatus], seen: Option<&Seen>) -> Vec<News> {
    let mut news = Vec::new();
    for input in new {
        let before = old.iter().find(|before| before.name == input.name);
        let connected_since = |input: &InputStatus| input.connected.then(|| input.since.clone());
        let was = before.and_then(connected_since);
        if input.connected && was != connected_since(input) {
            news.push(connected(input));
        }
        if !input.connected && was.is_some() {
            news.push(disconnected(mount, input, seen));
        }
        if let Some(refusal) = &input.last_refusal
            && before.and_then(|before| before.last_refusal.as_ref()) != Some(refusal)
        {
            news.push(refused(input, refusal));
        }
    }
    let gone = |before: &&InputStatus| before.connected && !new.iter().any(|input| input.name == before.name);
    news.extend(
        old.iter()
            .filter(gone)
            .map(|input| disconnected(mount, input, seen)),
    );
    news
}

fn normal(input: &InputStatus, reason: &str, note: String) -> News {
    News {
        input: input.name.clone(),
        event: Event {
            type_: EventType::Normal,
            reason: reason.to_owned(),
            note: Some(shorten(note)),
            action: "Connect".to_owned(),
            secondary: None,
        },
        refused: None,
    }
}

fn connected(input: &InputStatus) -> News {
    let since = input.since.as_ref().map_or_else(String::new, |since| {
        format!(", since {}", since.0.strftime("%H:%M:%S UTC"))
    });
    let codec = input
        .codec
        .as_ref()
        .map_or_else(String::new, |codec| format!(", sending {codec}"));
    normal(
        input,
        event::SOURCE_CONNECTED,
        format!(
            "a source is connected to input {} at {}{since}{codec}",
            input.name, input.path
        ),
    )
}

fn disconnected(mount: &str, input: &InputStatus, seen: Option<&Seen>) -> News {
    let why = seen
        .and_then(|seen| seen.line(mount, &input.name)?.ended.as_ref())
        .map_or_else(String::new, |ended| format!(": {}", one_line(&ended.why)));
    normal(
        input,
        event::SOURCE_DISCONNECTED,
        format!(
            "the source of input {} at {} is gone{why}",
            input.name, input.path
        ),
    )
}

fn refused(input: &InputStatus, refusal: &LastRefusal) -> News {
    let advice = advice(&refusal.reason, input);
    let told = told(refusal.time.0, &refusal.from, &input.path, &refusal.message);
    News {
        event: warning(format!("{told}. {advice}")),
        input: input.name.clone(),
        refused: Some((refusal.reason.clone(), refusal.time.0)),
    }
}

/// Somebody who wanted to a path that is no Mount's, or said nothing that could be understood.
#[must_use]
pub fn stranger(refusal: &Refusal) -> Event {
    let told = told(refusal.at, &refusal.from, &refusal.path, &refusal.message);
    warning(format!(
        "{told}. Each Mount's status.inputs says where its sources connect"
    ))
}

fn warning(note: String) -> Event {
    Event {
        type_: EventType::Warning,
        reason: event::SOURCE_REFUSED.to_owned(),
        note: Some(shorten(note)),
        action: "Refuse".to_owned(),
        secondary: None,
    }
}

fn told(at: Timestamp, from: &str, path: &str, message: &str) -> String {
    let at = at.strftime("%Y-%m-%d %H:%M:%S UTC");
    let message = one_line(message);
    format!(
        "{at}: a source from {} was not let in at {}: {}",
        one_line(from),
        one_line(path),
        message.trim_end_matches('.')
    )
}

/// What to do about it, by the ingest's reasons.
fn advice(reason: &str, input: &InputStatus) -> String {
    let (user, place) = (&input.username, &input.secret_ref);
    match reason {
        "Unauthorized" => format!(
            "The user is {user}, the password is what key {} of Secret {} holds",
            place.key, place.name
        ),
        "OutsideWindow" => {
            "Whoever is to be heard at any time needs a password of the Mount's own inputs, not of a Show".to_owned()
        }
        "Taken" => "One source at a time: end the other one, or use another input".to_owned(),
        "UnsupportedFormat" => {
            "Set the encoder to Ogg (Opus, Vorbis, FLAC), MP3, AAC or WebM with Opus, and to what the path's ending \
             says if it has one"
                .to_owned()
        }
        "BadRequest" => "Set the encoder to an Icecast 2 server".to_owned(),
        "TimedOut" => "It was connected but sent no audio: look at what the encoder records from".to_owned(),
        _ => "It may try again".to_owned(),
    }
}

/// A text from outside, fit for a status and an Event.
#[must_use]
pub fn one_line(text: &str) -> String {
    const LONGEST: usize = 300;
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(LONGEST).map(clean).collect()
}

#[cfg(test)]
mod tests {
    use ingest::api::{RefusalReason, Sessions};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use radio_crds::input::PasswordPlace;

    use super::*;
    use crate::testing::{refused as refusal, session};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn free() -> InputStatus {
        InputStatus {
            name: "studio".to_owned(),
            path: "/live/studio".to_owned(),
            username: "source".to_owned(),
            secret_ref: PasswordPlace {
                name: "live-inputs".to_owned(),
                key: "studio".to_owned(),
            },
            ..InputStatus::default()
        }
    }

    fn on(seconds: i64) -> InputStatus {
        InputStatus {
            connected: true,
            since: Some(Time(at(seconds))),
            ..free()
        }
    }

    fn refused_at(seconds: i64, reason: &str) -> InputStatus {
        InputStatus {
            last_refusal: Some(LastRefusal {
                time: Time(at(seconds)),
                reason: reason.to_owned(),
                message: "wrong user\nor password.".to_owned(),
                from: "10.1.2.3".to_owned(),
            }),
            ..free()
        }
    }

    fn reasons(old: &[InputStatus], new: &[InputStatus]) -> Vec<String> {
        of_mount("live", old, new, None)
            .into_iter()
            .map(|news| news.event.reason)
            .collect()
    }

    #[test]
    fn only_changes_are_told() {
        let known = InputStatus {
            codec: Some("opus".to_owned()),
            ..on(1)
        };
        for (old, new, told) in [
            (vec![], vec![free()], vec![]),
            (vec![], vec![on(1)], vec!["SourceConnected"]),
            (vec![free()], vec![on(1)], vec!["SourceConnected"]),
            (vec![on(1)], vec![on(1)], vec![]),
            (vec![on(1)], vec![known], vec![]),
            (vec![on(1)], vec![on(2)], vec!["SourceConnected"]),
            (vec![on(1)], vec![free()], vec!["SourceDisconnected"]),
            (vec![on(1)], vec![], vec!["SourceDisconnected"]),
            (vec![free()], vec![], vec![]),
            (
                vec![free()],
                vec![refused_at(1, "Unauthorized")],
                vec!["SourceRefused"],
            ),
            (
                vec![refused_at(1, "Unauthorized")],
                vec![refused_at(1, "Unauthorized")],
                vec![],
            ),
            (
                vec![refused_at(1, "Unauthorized")],
                vec![refused_at(90, "Unauthorized")],
                vec!["SourceRefused"],
            ),
        ] {
            assert_eq!(reasons(&old, &new), told, "{old:?} {new:?}");
        }
    }

    #[test]
    fn what_was_not_told_is_counted() {
        let told = |untold| {
            let news = of_mount("live", &[on(1)], &[free()], None).remove(0);
            news.after(untold).note.unwrap()
        };
        assert_eq!(told(0), "the source of input studio at /live/studio is gone");
        assert_eq!(
            told(4),
            "the source of input studio at /live/studio is gone (and 4 times before, since this was last told)"
        );
    }

    #[test]
    fn a_wrong_password_reads_like_this() {
        let news = of_mount("live", &[], &[refused_at(5, "Unauthorized")], None);
        assert_eq!(
            news[0].event.note.as_deref(),
            Some(
                "2027-01-15 08:00:05 UTC: a source from 10.1.2.3 was not let in at /live/studio: wrong user or \
                 password. The user is source, the password is what key studio of Secret live-inputs holds"
            )
        );
        assert_eq!(news[0].refused, Some(("Unauthorized".to_owned(), at(5))));
    }

    #[test]
    fn every_reason_has_an_advice_of_its_own() {
        use RefusalReason::{BadRequest, Taken, TimedOut, TooMany, Unauthorized, UnsupportedFormat};
        let all = [
            BadRequest,
            Taken,
            TimedOut,
            TooMany,
            Unauthorized,
            UnsupportedFormat,
        ];
        let advices: std::collections::BTreeSet<_> = all
            .iter()
            .map(|reason| advice(reason.as_str(), &free()))
            .collect();
        assert_eq!(advices.len(), all.len());
    }

    #[test]
    fn a_source_that_is_gone_is_told_with_the_reason() {
        let mut gone = session("live", "studio", at(1));
        gone.ended = Some(ingest::api::Ended {
            at: at(9),
            why: "it sent nothing for 15 s".to_owned(),
        });
        let mut seen = Seen::new(at(0));
        seen.take(&Sessions {
            version: "1".to_owned(),
            sessions: vec![gone],
            refusals: Vec::new(),
            fill: ingest::api::Fill::default(),
        });
        let news = of_mount("live", &[on(1)], &[free()], Some(&seen));
        assert_eq!(
            news[0].event.note.as_deref(),
            Some("the source of input studio at /live/studio is gone: it sent nothing for 15 s")
        );
    }

    #[test]
    fn hostile_text_stays_in_its_line() {
        let mut hostile = refusal(None, RefusalReason::UnknownPath, at(1));
        hostile.path = format!("/x\r\n{}", "y".repeat(5000));
        hostile.message = "\u{1b}[2J".repeat(500);
        let note = stranger(&hostile).note.unwrap();
        assert!(
            note.len() <= 1000 && !note.contains(char::is_control),
            "{} {note}",
            note.len()
        );
    }
}

//! What somebody who is not let in is told. No IO.

use jiff::Timestamp;

use super::turns::Closed;
use super::{body, head};
use crate::api::RefusalReason;

/// Most characters of a path or a user that are repeated to whoever sent them.
const LONGEST_QUOTE: usize = 100;

/// An answer that is no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// For metrics and Events.
    pub reason: RefusalReason,
    /// Of HTTP.
    pub status: u16,
    /// One sentence without a full stop.
    pub message: String,
    /// False if this is how some software always begins, or nothing that keeps a source out: nobody needs to hear of it.
    pub told: bool,
}

impl Refused {
    fn new(reason: RefusalReason, status: u16, message: String) -> Self {
        Self {
            reason,
            status,
            message,
            told: true,
        }
    }

    /// It is answered and counted, and that is all.
    #[must_use]
    pub fn quietly(self) -> Self {
        Self { told: false, ..self }
    }

    /// No input has this path.
    #[must_use]
    pub fn unknown_path(path: &str) -> Self {
        let message = format!("No input of this station has the path {}", quoted(path));
        Self::new(RefusalReason::UnknownPath, 404, message)
    }

    /// Nobody logged in.
    #[must_use]
    pub fn no_login(path: &str) -> Self {
        let message = format!("{} needs a user and a password", quoted(path));
        Self::new(RefusalReason::Unauthorized, 401, message)
    }

    /// The login opens nothing.
    #[must_use]
    pub fn wrong_login(path: &str) -> Self {
        let message = format!("The user or the password for {} is wrong", quoted(path));
        Self::new(RefusalReason::Unauthorized, 401, message)
    }

    /// The login is right, and the time is not.
    #[must_use]
    pub fn outside(closed: &Closed, now: Timestamp) -> Self {
        let called = |show: &Option<String>| show.as_deref().map_or_else(|| "Your show".to_owned(), quoted);
        let message = match closed {
            Closed::Next {
                show,
                start,
                end,
                opens,
            } => format!(
                "{} is from {} to {} UTC, you can connect from {} UTC",
                called(show),
                instant(*start, now),
                // A slot is shorter than a day.
                of_day(*end),
                instant(*opens, now)
            ),
            Closed::Past { show, end } => {
                let (show, end) = (called(show), instant(*end, now));
                format!("{show} was until {end} UTC, and no later time of it is known")
            }
            Closed::Never { show } => format!("{} has no slot in the next 7 days", called(show)),
        };
        Self::new(RefusalReason::OutsideWindow, 403, message)
    }

    /// Somebody is there. Begins as Icecast's own answer does: source clients look for these words. `free`: when that
    /// will be over for whoever is told.
    #[must_use]
    pub fn taken(path: &str, user: &str, since: Timestamp, free: Option<Timestamp>) -> Self {
        let (user, path, begun) = (quoted(user), quoted(path), since.strftime("%F %T"));
        let free = free.map(|free| format!("; it is free for you from {} UTC", instant(free, since)));
        let message = format!(
            "Mountpoint in use: {user} has sent to {path} since {begun} UTC{}",
            free.unwrap_or_default()
        );
        Self::new(RefusalReason::Taken, 403, message)
    }

    /// Nothing we can put on air.
    #[must_use]
    pub fn unsupported(what: &str) -> Self {
        let message = format!("This stream cannot be taken: {what}");
        Self::new(RefusalReason::UnsupportedFormat, 415, message)
    }

    /// It ended before it could be told what it is.
    #[must_use]
    pub fn too_short(bytes: usize) -> Self {
        if bytes == 0 {
            return Self::bad(400, "The stream ended before any audio came").quietly();
        }
        Self::unsupported(&format!(
            "it ended after {bytes} bytes, too early to tell what it is"
        ))
    }

    /// A source that was let in has to go.
    #[must_use]
    pub fn sent_away(why: &str) -> Self {
        Self::bad(503, sentence(why)).quietly()
    }

    /// A head that is none.
    #[must_use]
    pub fn head(malformed: head::Malformed) -> Self {
        Self::bad(400, sentence(&malformed.to_string()))
    }

    /// Chunks that are none, before there was anything to put on tape.
    #[must_use]
    pub fn body(malformed: body::Malformed) -> Self {
        Self::bad(400, sentence(&malformed.to_string()))
    }

    /// Not what a source does.
    #[must_use]
    pub fn bad(status: u16, message: impl Into<String>) -> Self {
        Self::new(RefusalReason::BadRequest, status, message.into())
    }

    /// Waited for long enough.
    #[must_use]
    pub fn late(message: impl Into<String>) -> Self {
        Self::new(RefusalReason::TimedOut, 408, message.into())
    }

    /// No room.
    #[must_use]
    pub fn too_many() -> Self {
        let message = "Too many connections at once; try again in a moment";
        Self::new(RefusalReason::TooMany, 503, message.to_owned())
    }

    /// The whole answer. The sentence is in the status line too: ffmpeg and libshout show that and no body.
    #[must_use]
    pub fn answer(&self, http_1_1: bool) -> String {
        let Self { status, message, .. } = self;
        let version = if http_1_1 { "HTTP/1.1" } else { "HTTP/1.0" };
        let phrase: String = message
            .chars()
            .map(|c| if matches!(c, ' '..='~') { c } else { '?' })
            .collect();
        let extra = match status {
            401 => "WWW-Authenticate: Basic realm=\"radio\", charset=\"UTF-8\"\r\n",
            405 => "Allow: PUT, SOURCE, GET, OPTIONS\r\n",
            503 => "Retry-After: 5\r\n",
            _ => "",
        };
        let length = message.len() + 1;
        format!(
            "{version} {status} {phrase}\r\n{extra}Content-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{message}\n"
        )
    }
}

/// A time of day, with the date if that is not the one of `known`.
fn instant(at: Timestamp, known: Timestamp) -> String {
    let date = at.strftime("%F").to_string();
    if date == known.strftime("%F").to_string() {
        of_day(at)
    } else {
        format!("{date} {}", of_day(at))
    }
}

fn of_day(at: Timestamp) -> String {
    let seconds = at.as_second() % 60 != 0;
    at.strftime(if seconds { "%T" } else { "%R" }).to_string()
}

fn sentence(clause: &str) -> String {
    let mut rest = clause.chars();
    rest.next()
        .map(|first| first.to_uppercase().chain(rest).collect())
        .unwrap_or_default()
}

/// What came from outside, on one line and not too long.
fn quoted(text: &str) -> String {
    let harmless = |c: char| if c.is_control() { '?' } else { c };
    text.chars().take(LONGEST_QUOTE).map(harmless).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_head_and_one_sentence() {
        let refused = Refused::unknown_path("/live\r\nSet-Cookie: a\u{85}\u{1f3b5}");
        let answer = refused.answer(true);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let lines: Vec<&str> = head.lines().collect();
        assert_eq!(
            lines[0],
            "HTTP/1.1 404 No input of this station has the path /live??Set-Cookie: a??"
        );
        assert!(lines[1..].iter().all(|line| !line.starts_with("Set-Cookie")));
        assert_eq!(
            body,
            "No input of this station has the path /live??Set-Cookie: a?\u{1f3b5}\n"
        );
        assert!(head.contains(&format!("Content-Length: {}\r\nConnection: close", body.len())));
        let long = Refused::wrong_login(&"/a".repeat(4000));
        assert!(long.answer(false).len() < 600, "{long:?}");
    }

    #[test]
    fn a_taken_input_is_said_as_icecast_says_it() {
        let since = at("2026-11-21T20:15:03.9Z");
        let refused = Refused::taken("/live/studio", "anna", since, None);
        assert_eq!(
            refused.answer(false).lines().next().unwrap(),
            "HTTP/1.0 403 Mountpoint in use: anna has sent to /live/studio since 2026-11-21 20:15:03 UTC"
        );
        let refused = Refused::taken("/live/studio", "anna", since, Some(at("2026-11-21T22:00:00Z")));
        assert!(
            refused
                .message
                .ends_with(" 20:15:03 UTC; it is free for you from 22:00 UTC"),
            "{refused:?}"
        );
    }
    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn outside(closed: &Closed) -> Refused {
        Refused::outside(closed, at("2026-11-21T12:00:00Z"))
    }

    fn next(start: &str, end: &str, opens: &str) -> Closed {
        Closed::Next {
            show: Some("Night Shift".to_owned()),
            start: at(start),
            end: at(end),
            opens: at(opens),
        }
    }

    #[test]
    fn who_comes_at_the_wrong_time_is_told_the_right_one() {
        let show = Some("Night Shift".to_owned());
        let (today, tomorrow) = ("2026-11-21T20:00:00Z", "2026-11-22T00:00:00Z");
        let table = [
            (
                next(today, "2026-11-21T22:00:00Z", "2026-11-21T19:45:00Z"),
                "is from 20:00 to 22:00 UTC, you can connect from 19:45 UTC",
            ),
            (
                next(tomorrow, "2026-11-22T02:00:30Z", "2026-11-21T23:45:00Z"),
                "is from 2026-11-22 00:00 to 02:00:30 UTC, you can connect from 23:45 UTC",
            ),
            (
                next(
                    "2026-11-23T23:00:00Z",
                    "2026-11-24T01:00:00Z",
                    "2026-11-23T22:59:30Z",
                ),
                "is from 2026-11-23 23:00 to 01:00 UTC, you can connect from 2026-11-23 22:59:30 UTC",
            ),
            (
                Closed::Past {
                    show: show.clone(),
                    end: at("2026-11-21T10:00:00Z"),
                },
                "was until 10:00 UTC, and no later time of it is known",
            ),
            (Closed::Never { show }, "has no slot in the next 7 days"),
        ];
        for (closed, expected) in table {
            let refused = outside(&closed);
            assert_eq!(refused.message, format!("Night Shift {expected}"));
            let (reason, status) = (refused.reason, refused.status);
            assert_eq!((reason, status), (RefusalReason::OutsideWindow, 403));
        }
    }

    #[test]
    fn a_shows_name_is_from_outside() {
        let show = Some("A\r\nB".to_owned() + &"c".repeat(500));
        let answer = outside(&Closed::Never { show }).answer(true);
        assert!(answer.starts_with("HTTP/1.1 403 A??Bccc"), "{answer}");
        assert!(answer.len() < 600, "{answer}");
        let answer = outside(&Closed::Never { show: None }).answer(true);
        assert!(
            answer.starts_with("HTTP/1.1 403 Your show has no slot"),
            "{answer}"
        );
    }
}

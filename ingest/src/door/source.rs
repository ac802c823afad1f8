//! A source, from its login to its last byte: everything it sends goes on tape as it comes. IO: TCP, the tape.

use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use super::Door;
use super::body::{Body, Malformed, Piece};
use super::caller::Caller;
use super::head::{Head, Method};
use super::refusal::Refused;
use super::seats::Seat;
use crate::api::Container;
use crate::config::{Credential, Input};
use crate::framing::{Sniffed, fits, sniff};
use crate::tape::Writer;

/// How long a source may take to send what can be told to be audio, and how long it may then be silent. A connection
/// whose other end is gone without a word shows in nothing else.
const AUDIO_WITHIN: Duration = Duration::from_secs(15);

/// How long an instant is waited for without looking at the clock, which may be set right meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A source whose login was right.
struct Source<'a> {
    door: &'a Door,
    caller: &'a mut Caller,
    input: &'a Input,
    /// Its user's, without when it holds.
    credential: Credential,
    seat: Seat,
    body: Body,
    answered: bool,
}

/// Lets a source in and stays with it to its end; what is returned is what it is still to be told. Its input is free
/// by then: an encoder that connects again at once must not find itself there.
pub(super) async fn receive(door: &Door, caller: &mut Caller, head: Head) -> Result<Option<String>, Refused> {
    let (input, credentials) = door.admit(&head.path, &head)?;
    let Some(credential) = credentials.first().cloned() else {
        return Err(Refused::wrong_login(&head.path));
    };
    if head.body == Body::Length(0) {
        let message = "The request says Content-Length: 0, so there is no audio in it";
        return Err(Refused::bad(400, message));
    }
    let seat = door.seats.take(&input, credentials, door.shelf.clock().now())?;
    let mut source = Source {
        door,
        caller,
        input: &input,
        credential,
        seat,
        body: head.body,
        answered: false,
    };
    match source.welcome(head.method, head.expects_continue).await {
        Ok(()) => source.perform().await,
        Err(_) => Ok(None),
    }
}

impl Source<'_> {
    /// Icecast answers before the stream, and encoders wait for that. What HTTP libraries send (a length or chunks)
    /// gets its answer afterwards: they would stop at an early one.
    async fn welcome(&mut self, method: Method, expects_continue: bool) -> io::Result<()> {
        if expects_continue {
            return self.caller.say("HTTP/1.1 100 Continue\r\n\r\n").await;
        }
        if method == Method::Source || self.body == Body::Endless {
            self.answered = true;
            let version = if self.caller.http_1_1 {
                "HTTP/1.1"
            } else {
                "HTTP/1.0"
            };
            return self.caller.say(&format!("{version} 200 OK\r\n\r\n")).await;
        }
        Ok(())
    }

    async fn perform(mut self) -> Result<Option<String>, Refused> {
        let (first, container) = match self.sit_down().await {
            Err(refused) if self.answered => {
                // Its 200 is out: this can only be that answer's body.
                self.door.note(self.caller.from, &self.input.path, &refused);
                return Ok(Some(format!("{}\n", refused.message)));
            }
            outcome => outcome?,
        };
        let end = self.play(first, container).await;
        Ok((!self.answered).then(|| end.answer(self.caller.http_1_1)))
    }

    /// Waits until it has sent what can be put on air, and then until its input is its own. Nothing is on tape yet.
    async fn sit_down(&mut self) -> Result<(Vec<u8>, Container), Refused> {
        let heard = self.first_audio().await?;
        self.seat.sends(heard.1);
        if self.seat.sit(self.now()).await? {
            self.door.metrics.handed_over(self.input);
            let (input, user) = (&self.input.path, &self.credential.user);
            tracing::info!(input, user, "the source of the show before was replaced");
        }
        // A hard end may have come meanwhile.
        match self.seat.leave(self.now()) {
            Some(why) => Err(Refused::sent_away(why)),
            None => Ok(heard),
        }
    }

    fn now(&self) -> Timestamp {
        self.door.shelf.clock().now()
    }

    /// Reads until it shows what the stream is.
    async fn first_audio(&mut self) -> Result<(Vec<u8>, Container), Refused> {
        let deadline = Instant::now() + AUDIO_WITHIN;
        let mut heard = Vec::new();
        loop {
            let passed = self.pass(|media| heard.extend_from_slice(media));
            match sniff(&heard) {
                Sniffed::Is(container, codec) => {
                    let takes = self
                        .input
                        .accepts
                        .map_or(Ok(()), |format| fits(format, container, codec));
                    return takes
                        .map(|()| (heard, container))
                        .map_err(|why| Refused::unsupported(&why));
                }
                Sniffed::Unknown(what) => return Err(Refused::unsupported(&format!("this is {what}"))),
                Sniffed::NotYet => {}
            }
            if passed.map_err(Refused::body)? {
                return Err(Refused::too_short(heard.len()));
            }
            tokio::select! {
                biased;
                Ok(()) = self.seat.calls.changed() => {
                    if let Some(why) = self.seat.leave(self.now()) {
                        return Err(Refused::sent_away(why));
                    }
                }
                read = timeout_at(deadline, self.caller.more()) => match read {
                    Ok(Ok(count)) if count > 0 => {}
                    Ok(_) => return Err(Refused::too_short(heard.len())),
                    Err(_) => return Err(Refused::late("No audio came within 15 seconds")),
                }
            }
        }
    }

    /// Passes on what has arrived; true if the stream is over.
    fn pass(&mut self, mut take: impl FnMut(&[u8])) -> Result<bool, Malformed> {
        let mut arrived = self.caller.arrived.as_slice();
        let passed = loop {
            match self.body.next(&mut arrived) {
                Ok(Piece::Media(media)) => take(media),
                Ok(Piece::Hungry) => break Ok(false),
                Ok(Piece::Over) => break Ok(true),
                Err(broken) => break Err(broken),
            }
        };
        self.caller.arrived.clear();
        passed
    }

    async fn play(&mut self, first: Vec<u8>, container: Container) -> End {
        let Input { mount, name, .. } = self.input;
        let asked = self.seat.asked(self.now());
        self.credential.routing = asked.routing;
        let mut writer = self.door.shelf.begin(self.input, &self.credential, container);
        let session = writer.session().id().to_owned();
        let (user, from) = (&self.credential.user, self.caller.from);
        tracing::info!(mount, input = name, user, %from, session, ?container, "a source is connected");
        let bytes = self.door.metrics.session_begins(self.input);
        bytes.inc_by(first.len() as u64);
        writer.append(&first);
        drop(first);
        if let Some(title) = &asked.title {
            writer.title(title);
        }
        let end = self.tape(&mut writer, &bytes, asked.again).await;
        let why = end.to_string();
        writer.end(&why);
        tracing::info!(mount, input = name, session, why, "a source is gone");
        end
    }

    async fn tape(&mut self, writer: &mut Writer, bytes: &Counter, mut again: Option<Timestamp>) -> End {
        let mut heard_at = Instant::now();
        let mut look = pin!(sleep_until(self.look_at(again)));
        let mut silence = pin!(sleep_until(heard_at + AUDIO_WITHIN));
        loop {
            let passed = self.pass(|media| {
                writer.append(media);
                bytes.inc_by(media.len() as u64);
                heard_at = Instant::now();
            });
            match passed {
                Ok(false) => {}
                Ok(true) => return End::Finished,
                Err(Malformed) => return End::BadChunks,
            }
            tokio::select! {
                biased;
                () = called(&mut self.seat.calls, look.as_mut(), again.is_some()) => {
                    again = match self.attend(writer) {
                        Ok(again) => again,
                        Err(end) => return end,
                    };
                    look.as_mut().reset(self.look_at(again));
                }
                read = self.caller.more() => match read {
                    Ok(count) if count > 0 => {}
                    Ok(_) if self.body == Body::Endless => return End::Left,
                    Ok(_) => return End::CutShort,
                    Err(failure) => return End::Broken(failure),
                },
                // Behind the read: after the disk held everybody up, what came meanwhile counts.
                () = &mut silence => {
                    // Looked at only when it is due: resetting a timer with each read costs more than the read.
                    if heard_at.elapsed() >= AUDIO_WITHIN {
                        return End::Silent;
                    }
                    silence.as_mut().reset(heard_at + AUDIO_WITHIN);
                }
            }
        }
    }

    /// Does what is asked of it. What is returned is when to ask again.
    fn attend(&mut self, writer: &mut Writer) -> Result<Option<Timestamp>, End> {
        let asked = self.seat.asked(self.now());
        if let Some(why) = asked.leave {
            return Err(End::SentAway(why));
        }
        writer.route(asked.routing);
        if let Some(title) = asked.title {
            writer.title(&title);
        }
        Ok(asked.again)
    }

    fn look_at(&self, again: Option<Timestamp>) -> Instant {
        let until = |at: Timestamp| Duration::try_from(at.duration_since(self.now())).unwrap_or_default();
        Instant::now() + again.map_or(LOOK_EVERY, |at| until(at).min(LOOK_EVERY))
    }
}

/// Comes back when there is something to ask, or when it is time to.
async fn called(calls: &mut watch::Receiver<()>, look: Pin<&mut Sleep>, is_awaited: bool) {
    tokio::select! {
        _ = calls.changed() => {}
        () = look, if is_awaited => {}
    }
}

/// How a stream ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the source closed the connection")]
    Left,
    #[error("the source said that it was finished")]
    Finished,
    #[error("the connection was closed in the middle of the stream")]
    CutShort,
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    #[error("its chunks were broken")]
    BadChunks,
    #[error("nothing came for 15 seconds")]
    Silent,
    #[error("{0}")]
    SentAway(&'static str),
}

impl End {
    fn answer(&self, http_1_1: bool) -> String {
        let refused = match self {
            Self::Left | Self::Finished => {
                let version = if http_1_1 { "HTTP/1.1" } else { "HTTP/1.0" };
                return format!("{version} 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
            Self::Silent => Refused::late("No audio came for 15 seconds"),
            Self::SentAway(why) => Refused::sent_away(why),
            Self::CutShort | Self::Broken(_) | Self::BadChunks => Refused::body(Malformed),
        };
        refused.answer(http_1_1)
    }
}

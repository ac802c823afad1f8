//! What time it is, by the API server: the clock of a node may be minutes off, and slots and notices go by one clock, the one
//! that ingests go by, too. IO in [`ask`] and [`follow`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::http::{Request, header::DATE};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822::DateTimeParser};
use kube::{Client, ResourceExt, client::Body};
use thiserror::Error;
use tokio::time::sleep;

use crate::{context::Context, k8s::backoff::spread, wake, watch::Queues};

/// Clocks do not jump often.
const EVERY: Duration = Duration::from_mins(1);
const RETRY: Duration = Duration::from_secs(5);
/// A clock that is as right as one can tell is left alone.
const RIGHT: i64 = 1;

/// How far this node's clock is behind that of the API server, in seconds.
#[derive(Debug, Default)]
pub struct Clock(AtomicI64);

impl Clock {
    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let behind = SignedDuration::from_secs(self.0.load(Ordering::Relaxed));
        let now = Timestamp::now();
        now.saturating_add(behind).unwrap_or(now)
    }

    /// Takes in an answer; returns whether the time is another one now.
    fn told(&self, answer: &Answer) -> bool {
        let behind = answer.behind();
        let known = self.0.load(Ordering::Relaxed);
        let is_news = behind != known && (behind == 0 || (behind - known).abs() > RIGHT);
        if is_news {
            self.0.store(behind, Ordering::Relaxed);
            tracing::warn!(
                behind,
                "this node's clock is so many seconds behind the API server's; slots go by the API server's"
            );
        }
        is_news
    }
}

/// When the API server was asked, what time it had then, and when it had answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Answer {
    asked: Timestamp,
    date: Timestamp,
    answered: Timestamp,
}

impl Answer {
    /// How many seconds our clock is behind; 0 if it may be right. A date has no fractions of its second.
    fn behind(&self) -> i64 {
        let least = self.date.as_second() - self.answered.as_second() - 1;
        let most = self.date.as_second() + 1 - self.asked.as_second();
        if least <= RIGHT && most >= -RIGHT {
            0
        } else {
            i64::midpoint(least, most)
        }
    }
}

/// Why the time is not known.
#[derive(Debug, Error)]
enum Unknown {
    #[error("the API server does not answer: {0}")]
    Silent(Box<dyn std::error::Error + Send + Sync>),
    #[error("its answer has no date")]
    NoDate,
}

/// Whatever it answers, and be it that this is none of our business, has a date.
async fn ask(client: &Client) -> Result<Answer, Unknown> {
    let silent = |error: Box<dyn std::error::Error + Send + Sync>| Unknown::Silent(error);
    let request = Request::get("/version").body(Body::empty());
    let request = request.map_err(|error| silent(error.into()))?;
    let asked = Timestamp::now();
    let answer = client.send(request).await.map_err(|error| silent(error.into()))?;
    let answered = Timestamp::now();
    let date = answer
        .headers()
        .get(DATE)
        .and_then(|date| date.to_str().ok())
        .map(str::to_owned);
    // Read to its end, so that the connection can be used again.
    answer
        .into_body()
        .collect_bytes()
        .await
        .map_err(|error| silent(error.into()))?;
    let date = date.and_then(|date| DateTimeParser::new().parse_zoned(date).ok());
    Ok(Answer {
        asked,
        date: date.ok_or(Unknown::NoDate)?.timestamp(),
        answered,
    })
}

/// Sets the clock once; without an answer it stays as it is. Returns whether the time is another one now.
async fn set(context: &Context) -> bool {
    match ask(&context.client).await {
        Ok(answer) => context.clock.told(&answer),
        Err(error) => {
            tracing::debug!(%error, "the time is known no better than before");
            false
        }
    }
}

/// Sets it again and again; ends never.
pub async fn follow(context: Arc<Context>, queues: Queues) {
    loop {
        sleep(spread(EVERY)).await;
        // What waits for its time waits by the old one.
        if set(&context).await {
            for show in context.stores.shows.state() {
                queues.send(wake::show(
                    &show.namespace().unwrap_or_default(),
                    &show.name_any(),
                ));
            }
        }
    }
}

/// Sets it for the first time: nothing that has its time begins before the API server has told it, if it ever does.
pub async fn first(context: &Context) {
    loop {
        match ask(&context.client).await {
            Ok(answer) => {
                context.clock.told(&answer);
                return;
            }
            Err(Unknown::NoDate) => {
                tracing::warn!("the API server does not tell the time; slots go by this node's clock");
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "waiting for the time");
                sleep(RETRY).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Response;

    use super::*;
    use crate::testing;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_806_000 + second).unwrap()
    }

    #[test]
    fn a_clock_that_may_be_right_is_left_alone() {
        for (asked, date, answered, behind) in [
            (0, 0, 0, 0),
            (0, 1, 0, 0),
            (0, -2, 0, 0),
            (0, 2, 3, 0),
            // A slow answer says little.
            (0, 20, 30, 0),
            (0, 300, 0, 300),
            (0, -300, 0, -300),
            (0, 301, 2, 300),
            (0, 4, 0, 4),
        ] {
            let answer = Answer {
                asked: at(asked),
                date: at(date),
                answered: at(answered),
            };
            assert_eq!(answer.behind(), behind, "{answer:?}");
        }
    }

    #[test]
    fn fractions_of_a_second_are_no_news_again_and_again() {
        let clock = Clock::default();
        let tell = |date: i64| {
            let answer = Answer {
                asked: at(0),
                date: at(date),
                answered: at(0),
            };
            clock.told(&answer)
        };
        let told = [0, 40, 41, 39, 42, 0, 1].map(tell);
        assert_eq!(told, [false, true, false, false, true, true, false]);
    }

    /// An API server whose clock is so many seconds ahead of ours, or that tells no time.
    fn context(ahead: Option<i64>) -> Context {
        let service = tower::service_fn(move |_: Request<Body>| async move {
            let date =
                ahead.map(|ahead| Timestamp::from_second(Timestamp::now().as_second() + ahead).unwrap());
            let mut response = Response::builder().status(403);
            if let Some(date) = date {
                let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
                response = response.header(DATE, date);
            }
            Ok::<_, tower::BoxError>(response.body(Body::empty()).unwrap())
        });
        testing::context(Client::new(service, "city"), testing::stores(&[], &[]).0)
    }

    #[tokio::test]
    async fn the_time_is_the_api_servers() {
        for ahead in [300, -300] {
            let context = context(Some(ahead));
            assert!(set(&context).await);
            let off = context.clock.now().duration_since(Timestamp::now()).as_secs();
            assert!((off - ahead).abs() <= 1, "{off}");
            // Told once more it is no news.
            assert!(!set(&context).await);
            first(&context).await;
        }
        assert!(!set(&context(Some(0))).await);
    }

    #[tokio::test]
    async fn without_an_answer_it_stays() {
        let context = context(None);
        context.clock.0.store(7, Ordering::Relaxed);
        assert!(!set(&context).await);
        assert_eq!(context.clock.0.load(Ordering::Relaxed), 7);
        // Nobody waits for one that never comes.
        first(&context).await;
    }
}

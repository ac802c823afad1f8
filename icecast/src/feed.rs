//! Passthrough: brings sources from the tapes to this pod's own Icecast, byte for byte. IO: in the ingest's reader.
//!
//! What is fed stands in the same Secret as Icecast's configuration, so both change together.

use agent::watch::Files;
use ingest::config::{FEEDS_KEY, Feeds};
use ingest::reader::feed::{Feed, Wanted, feed_all};
use ingest::source_client::{Credentials, Target};
use tokio::sync::watch;

use crate::metrics::{FeedPath, Metrics};

/// Turns versions of the Secret into what is fed.
pub struct Offers {
    icecast: String,
    wanted: watch::Sender<Wanted>,
    password: Option<String>,
    previous_password: Option<String>,
}

impl Offers {
    /// Nothing is fed yet. `icecast` is `host:port`.
    pub fn to(icecast: String) -> Self {
        Self {
            icecast,
            wanted: watch::Sender::default(),
            password: None,
            previous_password: None,
        }
    }

    /// Feeds whatever is offered. Never ends.
    pub fn keep_fed(&self, metrics: &Metrics) -> impl Future<Output = ()> + Send + 'static + use<> {
        let (wanted, feeds) = (self.wanted.subscribe(), metrics.feeds.clone());
        let configured = wanted.clone();
        feed_all(wanted, move |feed, is_fed| {
            let path = FeedPath {
                path: feed.path.clone(),
            };
            if configured
                .borrow()
                .feeds
                .iter()
                .any(|other| other.path == feed.path)
            {
                feeds.get_or_create(&path).set(is_fed.into());
            } else {
                feeds.remove(&path);
            }
        })
    }

    /// Takes a version. One that is of no use, or that there is none, changes nothing.
    pub fn offer(&mut self, version: Option<&Files>) {
        let Some(files) = version else { return };
        let feeds = match files.0.get(FEEDS_KEY).map(|text| serde_json::from_slice(text)) {
            None => Wanted::default(),
            Some(Ok(feeds)) => self.wanted(feeds),
            Some(Err(failure)) => {
                // serde's words may quote a password.
                let (line, column) = (failure.line(), failure.column());
                tracing::error!(
                    line,
                    column,
                    "{FEEDS_KEY} is not what this version knows; feeding goes on as before"
                );
                return;
            }
        };
        self.wanted.send_if_modified(|wanted| {
            let changed = *wanted != feeds;
            if changed {
                tracing::info!(feeds = feeds.feeds.len(), "feeds changed");
            }
            *wanted = feeds;
            changed
        });
    }

    fn wanted(&mut self, feeds: Feeds) -> Wanted {
        if self.password.as_ref() != Some(&feeds.source_password) {
            self.previous_password = self.password.replace(feeds.source_password);
        }
        let login = |password: &String| Credentials {
            user: "source".to_owned(),
            password: password.clone(),
        };
        // Icecast reads a new password some seconds after us.
        let credentials: Vec<Credentials> = self
            .password
            .iter()
            .chain(&self.previous_password)
            .map(login)
            .collect();
        let feed = |feed: ingest::config::Feed| Feed {
            target: Target {
                address: self.icecast.clone(),
                mount: feed.path.clone(),
            },
            path: feed.path,
            headers: vec![("ice-name", feed.title), ("ice-public", "0".to_owned())],
            credentials: credentials.clone(),
            cushion: None,
        };
        Wanted {
            tape: Some(feeds.tape),
            feeds: feeds.feeds.into_iter().map(feed).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Files {
        Files([(FEEDS_KEY.to_owned(), text.as_bytes().to_vec())].into())
    }

    fn feeds(password: &str, paths: &[&str]) -> Files {
        let feeds: Vec<_> = paths
            .iter()
            .map(|path| serde_json::json!({"path": path, "title": "T"}))
            .collect();
        let all = serde_json::json!({
            "tape": {"addresses": ["i:8006"], "token": "t"}, "sourcePassword": password, "feeds": feeds
        });
        version(&all.to_string())
    }

    fn now(offers: &Offers) -> Vec<(String, Vec<String>)> {
        let wanted = offers.wanted.borrow();
        let passwords = |feed: &Feed| feed.credentials.iter().map(|who| who.password.clone()).collect();
        wanted
            .feeds
            .iter()
            .map(|feed| (feed.target.mount.clone(), passwords(feed)))
            .collect()
    }

    fn line(mount: &str, passwords: &[&str]) -> (String, Vec<String>) {
        (
            mount.to_owned(),
            passwords.iter().map(|&password| password.to_owned()).collect(),
        )
    }

    #[test]
    fn follows_the_secret_and_outlives_a_bad_one() {
        let mut offers = Offers::to("127.0.0.1:8000".to_owned());
        offers.offer(Some(&feeds("a", &["/mic-1.opus", "/mic-2.opus"])));
        assert_eq!(
            now(&offers),
            [line("/mic-1.opus", &["a"]), line("/mic-2.opus", &["a"])]
        );
        offers.offer(Some(&version("{")));
        offers.offer(None);
        assert_eq!(now(&offers).len(), 2);
        offers.offer(Some(&feeds("b", &["/mic-1.opus"])));
        assert_eq!(now(&offers), [line("/mic-1.opus", &["b", "a"])]);
        offers.offer(Some(&feeds("b", &["/mic-1.opus"])));
        assert_eq!(now(&offers), [line("/mic-1.opus", &["b", "a"])]);
        offers.offer(Some(&Files::default()));
        assert_eq!(*offers.wanted.borrow(), Wanted::default());
    }
}

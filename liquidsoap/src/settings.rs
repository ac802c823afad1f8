//! What the Mount's Secret says, now and whenever it changes. IO: the mounted Secret, then the Kubernetes API.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use agent::watch::{Files, Object, follow, read_mounted};
use futures::StreamExt;
use kube::Client;
use tokio::sync::watch;

use crate::config::{PLAYOUT_KEY, Playout};

/// How often the mounted Secret is read where there is no API to follow.
const REREAD: Duration = Duration::from_secs(1);

/// What holds now.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// The Secret's content.
    pub playout: Playout,
    /// The password before this one: an origin may not have read the new one yet.
    pub previous_password: Option<String>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("playout", &self.playout)
            .finish_non_exhaustive()
    }
}

/// Where the namespace's API is.
#[derive(Clone)]
pub struct Cluster {
    /// The way to it.
    pub client: Client,
    /// The pod's own namespace.
    pub namespace: String,
}

/// Why there is nothing to start with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory of `--mounted`.
    #[error("the mounted Secret at {} cannot be read: {cause}", at.display())]
    Unreadable {
        /// The directory.
        at: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Its content.
    #[error("the Secret has no usable {PLAYOUT_KEY}: {0}")]
    Unusable(#[from] Unusable),
}

/// What is wrong with a Secret. Never quotes it.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The key.
    #[error("the key is missing")]
    Missing,
    /// The position, without the text there.
    #[error("not the JSON this version knows, at line {line} column {column}")]
    Malformed {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
}

/// Reads the mounted Secret, and from then on follows it.
pub fn start(
    cluster: Option<Cluster>,
    secret: &str,
    mounted: &Path,
) -> Result<watch::Receiver<Arc<Settings>>, Error> {
    let unreadable = |cause| Error::Unreadable {
        at: mounted.to_owned(),
        cause,
    };
    let playout = parse(&read_mounted(mounted).map_err(unreadable)?)?;
    let (sender, receiver) = watch::channel(Arc::new(Settings {
        playout,
        previous_password: None,
    }));
    match cluster {
        Some(Cluster { client, namespace }) => {
            let versions = follow(client, &namespace, Object::Secret(secret.to_owned()));
            tokio::spawn(async move {
                let mut versions = std::pin::pin!(versions);
                while let Some(version) = versions.next().await {
                    if let Some(files) = version {
                        take(&sender, &files);
                    } else {
                        tracing::warn!("the Secret is gone; going on with its last content");
                    }
                }
            });
        }
        None => {
            tokio::spawn(reread(sender, mounted.to_owned()));
        }
    }
    Ok(receiver)
}

async fn reread(sender: watch::Sender<Arc<Settings>>, mounted: PathBuf) {
    let mut last = None;
    let mut ticks = tokio::time::interval(REREAD);
    loop {
        ticks.tick().await;
        if let Ok(files) = read_mounted(&mounted)
            && last.as_ref() != Some(&files)
        {
            take(&sender, &files);
            last = Some(files);
        }
    }
}

fn take(sender: &watch::Sender<Arc<Settings>>, files: &Files) {
    match parse(files) {
        Ok(playout) => {
            let changed = sender.send_if_modified(|settings| {
                let next = settings.followed_by(playout);
                let changed = **settings != next;
                *settings = Arc::new(next);
                changed
            });
            if changed {
                tracing::info!("settings changed");
            }
        }
        Err(failure) => tracing::error!(%failure, "the Secret is of no use; going on with its last content"),
    }
}

impl Settings {
    fn followed_by(&self, playout: Playout) -> Self {
        let previous_password = if playout.source_password == self.playout.source_password {
            self.previous_password.clone()
        } else {
            Some(self.playout.source_password.clone())
        };
        Self {
            playout,
            previous_password,
        }
    }
}

fn parse(files: &Files) -> Result<Playout, Unusable> {
    let text = files.0.get(PLAYOUT_KEY).ok_or(Unusable::Missing)?;
    // serde's message may quote a value, and one of them is a password.
    serde_json::from_slice(text).map_err(|failure| Unusable::Malformed {
        line: failure.line(),
        column: failure.column(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn playout(password: &str) -> Playout {
        serde_json::from_value(serde_json::json!({
            "about": {"title": "T"}, "origins": [], "sourcePassword": password, "outputs": [], "playlists": []
        }))
        .unwrap()
    }

    #[test]
    fn remembers_one_password_back() {
        let first = Settings {
            playout: playout("a"),
            previous_password: None,
        };
        assert_eq!(first.followed_by(playout("a")), first);
        let second = first.followed_by(playout("b"));
        assert_eq!(second.previous_password.as_deref(), Some("a"));
        let same_again = second.followed_by(playout("b"));
        assert_eq!(same_again.previous_password.as_deref(), Some("a"));
        assert_eq!(
            same_again.followed_by(playout("c")).previous_password.as_deref(),
            Some("b")
        );
    }

    #[test]
    fn an_unusable_secret_is_not_quoted() {
        let files = Files(
            [(
                PLAYOUT_KEY.to_owned(),
                br#"{"sourcePassword": "hush", "origins": "hush"}"#.to_vec(),
            )]
            .into(),
        );
        let said = parse(&files).unwrap_err().to_string();
        assert!(!said.contains("hush") && said.contains("line 1"), "{said}");
        assert!(parse(&Files(std::collections::BTreeMap::new())).is_err());
    }
}

//! The keys to the store, which may be rotated at any time. IO: reads their files.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use agent::watch::{Files, read_mounted};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder, Credentials};

use super::Error;
use crate::config::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};

#[derive(Debug)]
pub(super) struct Keys {
    config: Builder,
    dir: PathBuf,
    current: Mutex<Option<(Files, Client)>>,
}

impl Keys {
    pub fn new(config: Builder, dir: &Path) -> Self {
        Self {
            config,
            dir: dir.to_owned(),
            current: Mutex::default(),
        }
    }

    /// A client with the keys as they are now. Connections outlive a change.
    pub fn client(&self) -> Result<Client, Error> {
        let unreadable = |words: String| Error::NoKeys { words };
        let files = read_mounted(&self.dir)
            .map_err(|failure| unreadable(format!("{}: {failure}", self.dir.display())))?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = current.as_ref().filter(|(known, _)| *known == files) {
            return Ok(client.clone());
        }
        let key = |name: &str| {
            let content = files
                .0
                .get(name)
                .and_then(|content| std::str::from_utf8(content).ok());
            let content = content.map(str::trim).filter(|content| !content.is_empty());
            content.ok_or_else(|| unreadable(format!("the key {name} is missing")))
        };
        let credentials =
            Credentials::new(key(ACCESS_KEY_ID)?, key(SECRET_ACCESS_KEY)?, None, None, "secret");
        if current.is_some() {
            tracing::info!("the store's keys have changed");
        }
        let config = self.config.clone().credentials_provider(credentials).build();
        let client = Client::from_conf(config);
        *current = Some((files, client.clone()));
        Ok(client)
    }
}

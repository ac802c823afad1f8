//! A versitygw with a bucket, and a twin in front of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::config::retry::RetryConfig;
use e2e::install::golang;
use e2e::steps::Progress;
use e2e::twin::{Key, Rules, Twin, VersityGw};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

use crate::client::configured;

pub const BUCKET: &str = "shows";

pub struct Stage {
    pub versity: VersityGw,
    pub twin: Twin,
    key: Key,
}

impl Stage {
    pub async fn with(rules: Rules) -> Self {
        let versity = VersityGw::start(program().await).await.unwrap();
        let any: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
        let twin = Twin::start(any, versity.backend().unwrap(), rules).unwrap();
        let key = Key::new("dj", "a secret of forty characters, more or less");
        twin.keys().put(key.clone());
        let stage = Self { versity, twin, key };
        stage
            .versity()
            .create_bucket()
            .bucket(BUCKET)
            .send()
            .await
            .unwrap();
        stage
    }

    pub async fn r2() -> Self {
        Self::with(Rules::R2).await
    }

    /// A client of the twin that tries once: what the twin says is what the test sees.
    pub fn client(&self) -> Client {
        self.client_with(|config| config.retry_config(RetryConfig::disabled()))
    }

    /// A client of the twin that tries again as recorders do, changed as the test wants.
    pub fn client_with(&self, change: impl FnOnce(Builder) -> Builder) -> Client {
        let config = configured(&self.twin.endpoint(), &self.key.access_key, &self.key.secret_key);
        Client::from_conf(change(config).build())
    }

    /// The key pair of the clients.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Until a key that was just written may be written again. It is R2's clock that decides; there is nothing to await.
    pub async fn pause_for_key(&self) {
        tokio::time::sleep(Duration::from_millis(1050)).await;
    }

    /// Waits until connections are refused.
    pub async fn is_closed(&self) {
        while TcpStream::connect(self.twin.address()).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until connections are taken.
    pub async fn is_open(&self) {
        while TcpStream::connect(self.twin.address()).await.is_err() {
            tokio::task::yield_now().await;
        }
    }

    /// A client of the store behind.
    pub fn versity(&self) -> Client {
        versity_client(&self.versity)
    }
}

/// A client of a versitygw, with its root key.
pub fn versity_client(versity: &VersityGw) -> Client {
    let key = versity.key();
    let config = configured(&versity.endpoint(), &key.access_key, &key.secret_key);
    let region = aws_sdk_s3::config::Region::new("us-east-1");
    Client::from_conf(config.region(region).build())
}

/// versitygw as the local cluster has it, built if need be.
pub async fn program() -> &'static Path {
    static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();
    PROGRAM
        .get_or_init(|| async {
            let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("go");
            golang::ensure(&sources, &Progress::default())
                .await
                .unwrap()
                .versitygw
        })
        .await
}

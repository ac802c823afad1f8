//! Where the DJs of a test connect, and as whom: read from a Mount's status and its Secrets, as a person would.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use radio_crds::input::InputStatus;
use serde_json::{Value, json};

use super::radio::{ON_AIR, dial};
use super::{Stage, request, until};
use crate::sound::{Dj, Sender};

/// Where a source connects, and as whom. It holds a password, so it has no `Debug`.
#[derive(Clone)]
pub struct Login {
    /// The ingest Service of the Station.
    pub address: SocketAddr,
    /// The input's path.
    pub path: String,
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
}

impl Login {
    /// A sender that connects there from inside the cluster's network.
    #[must_use]
    pub fn sender(&self) -> Sender {
        Sender::to(&format!("http://{}{}", self.address, self.path))
            .login(&self.user, &self.password)
            .dial(dial)
    }

    /// The same with another password.
    #[must_use]
    pub fn with_password(&self, password: &str) -> Self {
        Self {
            password: password.to_owned(),
            ..self.clone()
        }
    }

    /// As ffmpeg wants it.
    #[must_use]
    pub fn icecast_url(&self) -> String {
        format!(
            "icecast://{}:{}@{}{}",
            self.user, self.password, self.address, self.path
        )
    }

    /// Tells a title beside the stream, as programs do that send MP3 or AAC.
    pub async fn title(&self, title: &str) -> Result<()> {
        let status = self.told(title).await?;
        ensure!(status.is_success(), "the title was answered with {status}");
        Ok(())
    }

    /// Whether the ingest knows the password, whatever the time is. Nobody is sent away for being asked this.
    pub async fn is_known(&self) -> Result<bool> {
        Ok(self.told("").await? != StatusCode::UNAUTHORIZED)
    }

    async fn told(&self, title: &str) -> Result<StatusCode> {
        let escaped: Vec<String> = title.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let path = format!(
            "/admin/metadata?mode=updinfo&mount={}&charset=UTF-8&song={}",
            self.path,
            escaped.concat()
        );
        let login = STANDARD.encode(format!("{}:{}", self.user, self.password));
        let answer = request::get(self.address, &path, &format!("Basic {login}")).await?;
        Ok(answer.status)
    }
}

impl Stage {
    /// The inputs of a Mount, as its status tells them.
    pub async fn inputs(&self, mount: &str) -> Result<Vec<InputStatus>> {
        let mount = self.kind("Mount").get(mount).await?;
        let inputs = mount.data.pointer("/status/inputs").cloned();
        Ok(serde_json::from_value(inputs.unwrap_or_else(|| json!([])))?)
    }

    /// Waits until the status of a Mount tells of an input what it should.
    pub async fn await_input(
        &self,
        (mount, input): (&str, &str),
        what: &str,
        within: Duration,
        is_so: impl Fn(&InputStatus) -> bool,
    ) -> Result<(InputStatus, Duration)> {
        until(
            &format!("the input {input} of {mount} to be {what}"),
            within,
            || async {
                let inputs = self.inputs(mount).await.map_err(|e| format!("{e:#}"))?;
                match inputs.into_iter().find(|found| found.name == input) {
                    Some(found) if is_so(&found) => Ok(found),
                    Some(other) => Err(format!("{other:?}")),
                    None => Err("the status does not tell of it".to_owned()),
                }
            },
        )
        .await
    }

    /// How to connect to an input, as soon as the status of its Mount tells.
    pub async fn login(&self, mount: &str, input: &str) -> Result<Login> {
        let (input, _) = self
            .await_input((mount, input), "there", ON_AIR, |_| true)
            .await?;
        let mount = self.kind("Mount").get(mount).await?;
        let station = mount
            .data
            .pointer("/spec/stationRef/name")
            .and_then(Value::as_str)
            .context("a Mount without a Station")?;
        Ok(Login {
            address: self.service(&format!("{station}-ingest"), ON_AIR).await?,
            path: input.path,
            user: input.username,
            password: self.secret(&input.secret_ref.name, &input.secret_ref.key).await?,
        })
    }

    /// The text of one key of a Secret.
    pub async fn secret(&self, name: &str, key: &str) -> Result<String> {
        let secret = self.kind("Secret").get(name).await?;
        let value = secret
            .data
            .get("data")
            .and_then(|data| data.get(key)?.as_str())
            .with_context(|| format!("the Secret {name} has no key {key}"))?;
        Ok(String::from_utf8(STANDARD.decode(value)?)?)
    }
}

/// Connects a sender, again and again until the ingest takes it; tells how long that took.
pub async fn take(within: Duration, sender: impl Fn() -> Sender) -> Result<(Dj, Duration)> {
    until("a DJ to be taken", within, || async {
        sender().start().await.map_err(|error| format!("{error:#}"))
    })
    .await
}

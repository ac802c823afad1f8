//! Promise: a password is rotated by taking it out of the Secret; the new one stays, and so do the others.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::harness::radio::{ON_AIR, station};
use e2e::harness::{Stage, play, until};
use serde_json::{Value, json};

const KEYS: [&str; 3] = ["admin-password", "source-password", "relay-password"];
/// An operator that rotates in circles does so several times a second.
const CALM: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn ground_passwords_taken_out_one_by_one_are_made_anew_once() {
    play("passwords", |stage| async move {
        stage.apply(&station("fm")).await?;
        let mut before = passwords(&stage).await?;
        for key in KEYS {
            stage
                .merge("Secret", "fm-credentials", json!({"data": {key: null}}))
                .await?;
            let after = passwords(&stage).await?;
            tokio::time::sleep(CALM).await;
            ensure!(
                passwords(&stage).await? == after,
                "passwords go on changing after {key} was taken out"
            );
            for other in KEYS {
                ensure!(
                    (before[other] == after[other]) == (other != key),
                    "{key} was taken out, {other} is wrong"
                );
            }
            before = after;
        }
        Ok(())
    })
    .await;
}

/// The Secret's content, as soon as all three are in it.
async fn passwords(stage: &Stage) -> Result<Value> {
    let (passwords, _) = until("three passwords", ON_AIR, || async {
        let secret = stage
            .kind("Secret")
            .get("fm-credentials")
            .await
            .map_err(|e| e.to_string())?;
        let passwords = secret.data.get("data").cloned().unwrap_or_default();
        if KEYS.iter().all(|key| passwords.get(key).is_some()) {
            Ok(passwords)
        } else {
            Err("some are missing".to_owned())
        }
    })
    .await?;
    Ok(passwords)
}

//! How to be the DJ of the example station: read from the cluster, said to a person. Does IO.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::deploy::Target;
use super::doors;
use crate::steps::Steps;

/// For the operator to have written where DJs may connect.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a DJ's program is told. It holds a password, so it has no `Debug`.
#[derive(Clone)]
pub struct Login {
    path: String,
    user: String,
    password: String,
}

/// Every input of the example's Mount, the first heard first.
pub async fn logins(target: &Target, steps: &Steps) -> Result<Vec<Login>> {
    steps
        .run("where DJs connect", async |progress| {
            let begun = Instant::now();
            loop {
                match read(target).await {
                    Ok(logins) => {
                        progress.say(format!("{} inputs", logins.len()));
                        return Ok(logins);
                    }
                    Err(error) if begun.elapsed() > PATIENCE => return Err(error),
                    Err(error) => progress.say(format!("{error:#}")),
                }
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        })
        .await
}

async fn read(target: &Target) -> Result<Vec<Login>> {
    let object = async |kind: &str, name: &str| -> Result<Value> {
        let words = ["get", kind, name, "--namespace", "radio", "--output", "json"];
        Ok(serde_json::from_str(&target.run(&words, "").await?)?)
    };
    let mount = object("mounts.radio.moafunk.de", "live").await?;
    let inputs = mount.pointer("/status/inputs").and_then(Value::as_array);
    let mut logins = vec![];
    for input in inputs.context("the Mount live does not tell its inputs")? {
        let secret = input.pointer("/secretRef/name").and_then(Value::as_str);
        let secret = object("secret", secret.context("an input without a Secret")?).await?;
        logins.push(login(input, &secret)?);
    }
    Ok(logins)
}

fn login(input: &Value, secret: &Value) -> Result<Login> {
    let text = |pointer: &str| {
        let found = input.pointer(pointer).and_then(Value::as_str);
        found.with_context(|| format!("an input without {pointer}"))
    };
    let key = text("/secretRef/key")?;
    let password = secret["data"][key].as_str();
    let password = STANDARD.decode(password.with_context(|| format!("no key {key} in its Secret"))?)?;
    Ok(Login {
        path: text("/path")?.to_owned(),
        user: text("/username")?.to_owned(),
        password: String::from_utf8(password)?,
    })
}

/// Where to connect, and a first sound with one command.
pub fn invitation(logins: &[Login]) -> String {
    let port = doors::SOURCES;
    let mut lines = vec![format!(
        "Be the DJ (Icecast at 127.0.0.1, port {port}; MP3, AAC, Opus, Vorbis or FLAC):"
    )];
    for Login { path, user, password } in logins {
        lines.push(format!("  {path:<14} user {user}, password {password}"));
    }
    if let Some(Login { path, user, password }) = logins.first() {
        lines.push(format!(
            "  ffmpeg -re -f lavfi -i sine -c:a libmp3lame -b:a 128k -content_type audio/mpeg -f mp3 \
             icecast://{user}:{password}@127.0.0.1:{port}{path}"
        ));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_input_and_its_secret_make_an_invitation() {
        let input = json!({
            "name": "studio", "path": "/live/studio", "username": "source",
            "secretRef": { "name": "live-inputs", "key": "studio" },
        });
        let secret = json!({ "data": { "studio": "aGFja21l" } });
        let text = invitation(&[login(&input, &secret).unwrap()]);
        assert!(
            text.contains("/live/studio   user source, password hackme\n"),
            "{text}"
        );
        assert!(
            text.ends_with("icecast://source:hackme@127.0.0.1:8005/live/studio"),
            "{text}"
        );
        assert!(login(&input, &json!({ "data": {} })).is_err());
    }
}

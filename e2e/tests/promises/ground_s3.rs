//! Promise: the local cluster has a real S3 server, for recordings to come.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use e2e::cluster::Places;
use e2e::cluster::s3::Credentials;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

const S3: &str = "http://127.0.0.1:9000";

#[tokio::test(flavor = "multi_thread")]
async fn ground_s3_keeps_what_it_is_given_and_nothing_without_a_key() {
    let key = Credentials::read(&Places::find().unwrap()).unwrap();
    let login = format!(
        "user = \"{}:{}\"\naws-sigv4 = \"aws:amz:us-east-1:s3\"\n",
        key.access_key, key.secret_key
    );
    let bucket = format!("{S3}/ground-{:08x}", rand::random::<u32>());
    let show = format!("{bucket}/show");
    curl(&login, &["-X", "PUT", &bucket]).await.unwrap();
    curl(&login, &["-X", "PUT", "--data", "on air", &show])
        .await
        .unwrap();
    assert_eq!(curl(&login, &[&show]).await.unwrap(), "on air");
    let refused = curl("", &[&show]).await.unwrap_err();
    assert!(refused.to_string().contains("403"), "without a key: {refused}");
    curl(&login, &["-X", "DELETE", &show]).await.unwrap();
    curl(&login, &["-X", "DELETE", &bucket]).await.unwrap();
}

/// The key goes in by stdin: arguments can be read by every process.
async fn curl(config: &str, arguments: &[&str]) -> Result<String> {
    let mut child = Command::new("curl")
        .args(["--silent", "--show-error", "--fail", "--config", "-"])
        .args(["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("curl did not start")?;
    let mut stdin = child.stdin.take().context("curl without a stdin")?;
    stdin.write_all(config.as_bytes()).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

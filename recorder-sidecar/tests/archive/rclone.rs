//! A program that knows nothing of ours, and S3.

use std::process::Stdio;

use tokio::process::Command;

use crate::stage::{BUCKET, Stage};

/// rclone with the stage's store as `store:`, through the same door as the recorder.
pub fn rclone(stage: &Stage, arguments: &[&str]) -> Command {
    let mut command = Command::new("rclone");
    for (name, value) in [
        ("TYPE", "s3"),
        ("PROVIDER", "Other"),
        ("REGION", "us-east-1"),
        ("ENDPOINT", stage.bucket["endpoint"].as_str().unwrap()),
        ("ACCESS_KEY_ID", &stage.key.access_key),
        ("SECRET_ACCESS_KEY", &stage.key.secret_key),
        ("NO_CHECK_BUCKET", "true"),
    ] {
        command.env(format!("RCLONE_CONFIG_STORE_{name}"), value);
    }
    command
        .env("RCLONE_CONFIG", "/dev/null")
        // It takes this for a reason to give up.
        .env_remove("AWS_CA_BUNDLE")
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

pub fn at(key: &str) -> String {
    format!("store:{BUCKET}/{key}")
}

/// What it prints.
pub async fn ask(stage: &Stage, arguments: &[&str]) -> Vec<u8> {
    let output = rclone(stage, arguments).output().await;
    let output = output.expect("rclone, which Debian has as a package");
    assert!(
        output.status.success(),
        "rclone {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

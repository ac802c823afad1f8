//! Runs other programs to their end, showing what they say. Does IO.

use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::Command;

use crate::steps::Progress;

/// cargo as from a shell. Started by `cargo run`, we have the variables of our own crate in the environment, and ring's build
/// script is run again, with all that depends on it, whenever `CARGO_MANIFEST_DIR` differs.
#[must_use]
pub fn cargo() -> std::process::Command {
    let mut cargo = std::process::Command::new("cargo");
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// How much of a failed program's words goes into the error.
const LINES_KEPT: usize = 20;

/// Runs the program; what it says is shown as progress, and its last lines are the error when it fails.
pub async fn run(command: &mut Command, progress: &Progress) -> Result<()> {
    watch(command, progress, true).await.map(drop)
}

/// As [`run`], but what it writes to stdout is not for people: it is given back, line by line.
pub async fn capture(command: &mut Command, progress: &Progress) -> Result<Vec<String>> {
    watch(command, progress, false).await
}

async fn watch(command: &mut Command, progress: &Progress, show_stdout: bool) -> Result<Vec<String>> {
    let named = name(command);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().with_context(|| format!("cannot start {named}"))?;
    let out = listen(child.stdout.take(), show_stdout.then_some(progress));
    let err = listen(child.stderr.take(), Some(progress));
    let (said, complained) = tokio::try_join!(out, err).with_context(|| format!("cannot read {named}"))?;
    let status = child.wait().await?;
    if !status.success() {
        let words = if show_stdout {
            [said, complained].concat()
        } else {
            complained
        };
        bail!(
            "{named}: {status}:\n{}",
            words[words.len().saturating_sub(LINES_KEPT)..].join("\n")
        );
    }
    Ok(said)
}

/// Runs the program and gives back what it wrote to stdout.
pub async fn output(command: &mut Command) -> Result<String> {
    feed(command, "").await
}

/// Runs the program with `input` on its stdin and gives back what it wrote to stdout.
pub async fn feed(command: &mut Command, input: &str) -> Result<String> {
    let named = name(command);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().with_context(|| format!("cannot start {named}"))?;
    let mut stdin = child.stdin.take();
    let write = async {
        if let Some(stdin) = &mut stdin {
            // It may end without having read everything: then its status tells.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        drop(stdin);
    };
    let ((), output) = tokio::join!(write, child.wait_with_output());
    let output = output?;
    if !output.status.success() {
        bail!(
            "{named}: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The program and its first words: enough to know it by.
fn name(command: &Command) -> String {
    let command = command.as_std();
    let words = command.get_args().take(3).map(std::ffi::OsStr::to_string_lossy);
    let words: Vec<_> = std::iter::once(command.get_program().to_string_lossy())
        .chain(words)
        .collect();
    format!("`{}`", words.join(" "))
}

async fn listen(source: Option<impl AsyncRead + Unpin>, progress: Option<&Progress>) -> Result<Vec<String>> {
    let mut said = vec![];
    let Some(source) = source else { return Ok(said) };
    let mut lines = BufReader::new(source).split(b'\n');
    while let Some(line) = lines.next_segment().await? {
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        if line.is_empty() {
            continue;
        }
        if let Some(progress) = progress {
            progress.say(&line);
        }
        said.push(line);
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn output_and_input_pass_through() {
        assert_eq!(feed(&mut Command::new("cat"), "on air").await.unwrap(), "on air");
    }

    #[tokio::test]
    async fn a_failure_says_what_the_program_said() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such suite >&2; exit 3"]);
        let error = run(&mut command, &Progress::default())
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("exit status: 3") && error.ends_with("no such suite"),
            "{error}"
        );
    }
}

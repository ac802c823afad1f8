//! `keep-alive PROGRAM [ARG...]`: keeps a program running, to try `agent::supervise` by hand and in its tests.
//! With `RELOAD_ON=FILE` in the environment the program gets SIGHUP when the file's content changed.

use std::path::PathBuf;
use std::process::ExitCode;

use agent::supervise::{Child, keep_alive};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    agent::telemetry::init("keep-alive");
    let mut words = std::env::args_os().skip(1);
    let Some(program) = words.next() else {
        tracing::error!("nothing to run: keep-alive PROGRAM [ARG...]");
        return ExitCode::FAILURE;
    };
    let reload_on = std::env::var_os("RELOAD_ON").map(PathBuf::from);
    keep_alive(Child {
        program: program.into(),
        args: words.collect(),
        reload_on,
    })
    .await
}

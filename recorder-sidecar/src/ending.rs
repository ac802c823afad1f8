//! Being asked to end, and what is left behind then. IO: signals, one file.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::report::{Failed, Report};

/// Where kubelet looks for a container's message.
pub const MESSAGE: &str = "/dev/termination-log";

/// Leaves a report where somebody waits for one: a file that is not there is not made.
pub fn report<E: std::error::Error>(file: &Path, outcome: &Result<Report, E>) {
    let failed = |failure: &E| {
        Report::Failed(Failed {
            words: failure.to_string(),
        })
    };
    let report = outcome.as_ref().map_or_else(failed, Clone::clone);
    let message = report.message();
    let written = File::options()
        .write(true)
        .truncate(true)
        .open(file)
        .and_then(|mut file| file.write_all(message.as_bytes()));
    match written {
        Err(failure) if failure.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(file = %file.display(), %failure, "the report could not be left");
        }
        _ => {}
    }
}

/// SIGTERM and SIGINT. The first process of a container ignores signals it does not handle.
#[derive(Debug)]
pub struct Ending {
    terminate: Signal,
    interrupt: Signal,
}

impl Ending {
    /// From now on signals do not kill.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for one.
    pub async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

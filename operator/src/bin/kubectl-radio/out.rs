//! Standard output. IO.

use std::io::{self, ErrorKind, Write};

use serde::Serialize;

use crate::error::Error;

/// What the exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is as it should be: 0.
    Good,
    /// It was looked at, and something is not as it should be: 1.
    Bad,
}

impl Outcome {
    /// Good if nothing is wrong.
    pub fn of(is_good: bool) -> Self {
        if is_good { Self::Good } else { Self::Bad }
    }
}

/// Text as it is. Whoever reads it may have seen enough.
pub fn print(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match printed {
        Err(failure) if failure.kind() != ErrorKind::BrokenPipe => Err(Error::Output(failure)),
        _ => Ok(()),
    }
}

/// One document for programs.
pub fn print_json(document: &impl Serialize) -> Result<(), Error> {
    let text =
        serde_json::to_string_pretty(document).map_err(|failure| Error::Output(io::Error::other(failure)))?;
    print(&format!("{text}\n"))
}

/// A remark beside what is printed: standard output stays fit for a pipe.
pub fn remark(text: &str) {
    // Who closed it does not want to hear it.
    let _ = writeln!(io::stderr(), "{text}");
}

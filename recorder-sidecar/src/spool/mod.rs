//! The spool: a second copy of the tape, on another node, until the bucket has it. IO: files.
//!
//! ```text
//! <spool>/<session>/meta.json  About: what of the session is wanted
//!                   tape       its bytes, each at its own offset
//!                   index      the lines of its index, each with `next`: where the one behind it begins in the ingest's index
//!                   synced     Synced: what is on this disk for good            (written by capture, waited for by ship)
//!                   freed      everything below is in the bucket, and gone here (written by ship, read by capture)
//! <spool>/remembered           when sessions that the bucket has were on air    (written by ship, read by capture)
//! ```
//!
//! Capture writes, ship reads and frees; each may be killed at any time, and neither waits for the other.

mod copy;
mod local;
mod notice;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;

use ingest::api::{Ended, Line, Session};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::course::{Span, spans_told};
use crate::manifest::Range;

pub use copy::Copy;
pub use local::{Local, hash};
pub use notice::Notices;

const META: &str = "meta.json";
const TAPE: &str = "tape";
const INDEX: &str = "index";
const SYNCED: &str = "synced";
const FREED: &str = "freed";
const REMEMBERED: &str = "remembered";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What of a session is wanted. Never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// As it was when it was first seen.
    pub session: Session,
    /// Nothing before it is wanted.
    pub start: u64,
    /// But for the headers that decode what is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<Range>,
}

/// What is on the spool's disk for good.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Synced {
    /// Bytes of the tape, counted from the session's first.
    pub tape: u64,
    /// Bytes of the index file.
    pub index: u64,
    /// Nothing more will come.
    pub whole: bool,
    /// The boot in which this was written. In any other, what is behind these offsets is worth nothing.
    pub boot_id: String,
}

/// A line of an index, and where the next one begins in the ingest's own index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Copied {
    next: u64,
    #[serde(flatten)]
    line: Line,
}

/// Makes the spool's directory if need be, and holds it: one process of each kind has it, until it ends in whatever way.
pub fn hold(spool: &Path, role: &str) -> io::Result<File> {
    fs::create_dir_all(spool)?;
    let lock = File::create(spool.join(format!(".{role}")))?;
    lock.try_lock().map_err(|_| {
        io::Error::new(
            io::ErrorKind::ResourceBusy,
            format!("another {role} is at work there"),
        )
    })?;
    Ok(lock)
}

/// Whether a spool has this session.
#[must_use]
pub fn has(spool: &Path, session: &str) -> bool {
    spool.join(session).join(META).exists()
}

/// The sessions a spool has.
pub fn sessions(spool: &Path) -> io::Result<Vec<String>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(spool)? {
        if let Ok(name) = entry?.file_name().into_string()
            && !name.starts_with('.')
            && has(spool, &name)
        {
            all.push(name);
        }
    }
    all.sort();
    Ok(all)
}

/// Tells capture what the bucket has, which the tape may have forgotten.
pub fn remember(spool: &Path, spans: &[Span]) -> io::Result<()> {
    replace(spool, REMEMBERED, &spans)
}

/// What the bucket has; `None` as long as nobody could look.
#[must_use]
pub fn remembered(spool: &Path) -> Option<Vec<Span>> {
    // A torn one is one of a crash, and is written again.
    read_json(&spool.join(REMEMBERED)).ok().flatten()
}

/// When the sessions in a spool were on air, as far as their indexes tell.
pub fn on_air(spool: &Path) -> io::Result<BTreeMap<String, Vec<Span>>> {
    let mut all = BTreeMap::new();
    for id in sessions(spool)? {
        let dir = spool.join(&id);
        let Some(mut about) = read_json::<About>(&dir.join(META))? else {
            continue;
        };
        let mut routings = Vec::new();
        for text in BufReader::new(File::open(dir.join(INDEX))?).lines() {
            // The last line may be torn.
            let Ok(copied) = serde_json::from_str::<Copied>(&text?) else {
                continue;
            };
            match copied.line {
                Line::Routing { .. } => routings.push(copied.line),
                Line::End { at, t, why } => {
                    about.session.bytes = at;
                    about.session.ended = Some(Ended { at: t, why });
                }
                _ => {}
            }
        }
        all.insert(id, spans_told(&about.session, &routings));
    }
    Ok(all)
}

/// Everything below is in the bucket; 0 as long as nobody says more.
fn freed(dir: &Path) -> u64 {
    read_json(&dir.join(FREED)).ok().flatten().unwrap_or(0)
}

/// `None` if there is no such file.
fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(absent) if absent.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Whoever reads sees the old one or the new one.
fn replace(dir: &Path, name: &str, content: &impl Serialize) -> io::Result<()> {
    let beside = dir.join(format!(".{name}"));
    let mut file = File::create(&beside)?;
    file.write_all(&serde_json::to_vec(content)?)?;
    fs::rename(beside, dir.join(name))
}

fn boot_id() -> String {
    // Without one, every start looks like one after a crash: that only costs reading again.
    fs::read_to_string(BOOT_ID).map_or_else(|_| String::new(), |id| id.trim().to_owned())
}

#[cfg(test)]
mod tests;

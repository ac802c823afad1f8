//! What is known of a session when it begins, and what is written beside its tape. IO: small files.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api::Container;
use crate::config::Routing;

/// Who connected, where, and when. Never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    /// The Mount.
    pub mount: String,
    /// The Mount's input.
    pub input: String,
    /// The input's path.
    pub path: String,
    /// 0 is heard before 1.
    pub priority: u16,
    /// Where it was heard at first.
    pub routing: Routing,
    /// Who logged in.
    pub user: String,
    /// What the bytes are.
    pub container: Container,
    /// When it connected.
    pub started: Timestamp,
    /// The boot of the node it was taped on: tells a killed process from a crashed node.
    pub boot_id: String,
}

/// What changes beside the tape: `acks.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Kept {
    /// Bytes below this were given up.
    pub from: u64,
    /// By Recording: everything below is stored for good.
    pub acks: BTreeMap<String, u64>,
}

pub(super) const META: &str = "meta.json";
pub(super) const KEPT: &str = "acks.json";
pub(super) const TAPE: &str = "tape";
pub(super) const INDEX: &str = "index";

/// Puts a whole file in the place of another; a crash leaves one of the two.
pub(crate) fn replace(dir: &Path, name: &str, contents: &[u8]) -> io::Result<()> {
    let beside = dir.join(format!(".{name}"));
    let mut file = File::create(&beside)?;
    file.write_all(contents)?;
    file.sync_all()?;
    fs::rename(&beside, dir.join(name))?;
    sync_dir(dir)
}

/// Makes the names in a directory survive a crash.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

pub(super) fn read_meta(dir: &Path) -> io::Result<Meta> {
    Ok(serde_json::from_slice(&fs::read(dir.join(META))?)?)
}

/// Absent is as good as empty.
pub(super) fn read_kept(dir: &Path) -> io::Result<Kept> {
    match fs::read(dir.join(KEPT)) {
        Ok(text) => Ok(serde_json::from_slice(&text)?),
        Err(absent) if absent.kind() == io::ErrorKind::NotFound => Ok(Kept::default()),
        Err(failure) => Err(failure),
    }
}

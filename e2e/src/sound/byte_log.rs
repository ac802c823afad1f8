//! The raw bytes a socket accepted, in a file: what a tape, a relay or an archive is compared with.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::NamedTempFile;

/// Grows while its DJ sends; read it when the DJ is gone.
#[derive(Debug)]
pub struct ByteLog {
    path: PathBuf,
    file: File,
    // Removes itself; a path that was asked for stays.
    _temporary: Option<NamedTempFile>,
}

impl ByteLog {
    pub(super) fn create(path: Option<&Path>) -> Result<Self> {
        let temporary = match path {
            Some(_) => None,
            None => Some(NamedTempFile::new().context("no temporary file for the sender's byte log")?),
        };
        let path = path
            .or_else(|| temporary.as_ref().map(NamedTempFile::path))
            .context("the byte log has no path")?;
        let path = path.to_owned();
        let file = File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(Self {
            path,
            file,
            _temporary: temporary,
        })
    }

    pub(super) fn writer(&self) -> Result<File> {
        self.file
            .try_clone()
            .context("the sender's byte log cannot be shared")
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All of it.
    pub fn read(&self) -> Result<Vec<u8>> {
        std::fs::read(&self.path).with_context(|| format!("{} cannot be read", self.path.display()))
    }
}

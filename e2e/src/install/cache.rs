//! The cache outside the checkout, addressed by content, and files that are never seen half-written. Does IO.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// A hash over parts whose borders count: `ab, c` is not `a, bc`.
#[derive(Default)]
pub struct Fingerprint(Sha256);

impl Fingerprint {
    /// Adds one part.
    pub fn add(&mut self, part: &[u8]) -> &mut Self {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
        self
    }

    /// Adds a file or a folder: names, contents and whether a file may be executed.
    pub fn add_path(&mut self, path: &Path) -> Result<&mut Self> {
        let seen = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
        if seen.is_dir() {
            let entries = fs::read_dir(path).with_context(|| format!("cannot list {}", path.display()))?;
            let mut names = entries
                .map(|entry| Ok(entry?.file_name()))
                .collect::<Result<Vec<_>>>()?;
            names.sort();
            self.add(&(names.len() as u64).to_le_bytes());
            for name in names {
                self.add(name.as_encoded_bytes()).add_path(&path.join(&name))?;
            }
            return Ok(self);
        }
        let executable = std::os::unix::fs::PermissionsExt::mode(&seen.permissions()) & 0o111 != 0;
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(self.add(&[u8::from(executable)]).add(&bytes))
    }

    /// The hash, short enough for names and tags.
    #[must_use]
    pub fn finish(&self) -> String {
        let hash: [u8; 32] = self.0.clone().finalize().into();
        let [first, ..] = *hash.as_chunks::<8>().0 else {
            return String::new();
        };
        format!("{:016x}", u64::from_be_bytes(first))
    }
}

/// The folder that outlives checkouts and clusters: `RADIO_CACHE`, or `~/.cache/radio-operator`.
pub fn folder() -> Result<PathBuf> {
    let folder = match std::env::var_os("RADIO_CACHE") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::home_dir()
            .context("no home folder; set RADIO_CACHE")?
            .join(".cache/radio-operator"),
    };
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// Writes a file under another name first, then renames it: whoever is interrupted leaves no half of it.
pub fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    let partial = partial(path);
    fs::write(&partial, bytes)
        .and_then(|()| fs::rename(&partial, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// As [`write`], and readable by the owner only.
pub fn write_secret(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let partial = partial(path);
    let _ = fs::remove_file(&partial);
    fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&partial)
        .and_then(|mut file| file.write_all(bytes.as_ref()))
        .and_then(|()| fs::rename(&partial, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The name something has while it is being made; what an interrupted run left there is removed.
pub fn fresh_partial(path: &Path) -> Result<PathBuf> {
    let partial = partial(path);
    remove(&partial)?;
    Ok(partial)
}

/// Removes a file or a folder, if it is there.
pub fn remove(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(seen) if seen.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => return Ok(()),
    };
    removed.with_context(|| format!("cannot remove {}", path.display()))
}

fn partial(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_between_parts_count() {
        let print = |parts: &[&str]| {
            let mut print = Fingerprint::default();
            for part in parts {
                print.add(part.as_bytes());
            }
            print.finish()
        };
        assert_eq!(print(&["ab", "c"]), print(&["ab", "c"]));
        assert_ne!(print(&["ab", "c"]), print(&["a", "bc"]));
        assert_ne!(print(&["ab"]), print(&["ab", ""]));
        assert_eq!(print(&[]).len(), 16);
    }

    #[test]
    fn a_folders_fingerprint_follows_names_contents_and_modes() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let print = || Fingerprint::default().add_path(folder.path()).unwrap().finish();
        let mut seen = vec![print()];
        fs::write(folder.path().join("a"), "1").unwrap();
        seen.push(print());
        fs::write(folder.path().join("a"), "2").unwrap();
        seen.push(print());
        fs::set_permissions(folder.path().join("a"), fs::Permissions::from_mode(0o755)).unwrap();
        seen.push(print());
        fs::rename(folder.path().join("a"), folder.path().join("b")).unwrap();
        seen.push(print());
        let mut unique = seen.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), seen.len(), "{seen:?}");
    }

    #[test]
    fn writing_replaces_whole_files_and_leaves_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kubeconfig");
        write(&file, "old").unwrap();
        write_secret(&file, "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

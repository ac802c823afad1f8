//! Keeps a directory as a `ConfigMap` is: each key a file, replaced whole. IO: that directory only.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use agent::watch::Files;

/// A `ConfigMap` holds one MiB at most; more than this did not come from one.
const MOST: usize = 2 << 20;
const UNFINISHED: &str = ".unfinished";

/// Makes `directory` hold just `files`. What cannot be a file name is left out, with a line in the log.
pub fn playlist(directory: &Path, files: &Files) -> io::Result<()> {
    let mut room = MOST;
    let mut kept = BTreeSet::new();
    fs::create_dir_all(directory)?;
    for (key, content) in &files.0 {
        if !is_file_name(key) {
            tracing::warn!(key = ?key, "this key cannot be a file name; it is not played");
            continue;
        }
        let Some(left) = room.checked_sub(content.len()) else {
            tracing::warn!(key, "no room left for this track; it is not played");
            continue;
        };
        room = left;
        write_whole(&directory.join(key), content)?;
        kept.insert(key.as_str());
    }
    remove_others(directory, |name| kept.contains(name))
}

/// Makes `directory` hold just this audio. Its content is part of the name, so that a change is a change of tracks.
pub fn single(directory: &Path, content: Option<&[u8]>) -> io::Result<Option<PathBuf>> {
    fs::create_dir_all(directory)?;
    let Some(content) = content.filter(|content| content.len() <= MOST) else {
        remove_others(directory, |_| false)?;
        return Ok(None);
    };
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    let name = format!("{:016x}", hasher.finish());
    let path = directory.join(&name);
    write_whole(&path, content)?;
    remove_others(directory, |other| other == name)?;
    Ok(Some(path))
}

fn is_file_name(key: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=253).contains(&key.len()) && !key.starts_with('.') && key.chars().all(plain)
}

fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    let unfinished = path.with_file_name(UNFINISHED);
    fs::write(&unfinished, content)?;
    fs::rename(unfinished, path)
}

fn remove_others(directory: &Path, keep: impl Fn(&str) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if !entry.file_name().to_str().is_some_and(&keep) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> Files {
        Files(
            list.iter()
                .map(|(key, content)| ((*key).to_owned(), content.as_bytes().to_vec()))
                .collect(),
        )
    }

    fn listed(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn follows_the_config_map() {
        let run = tempfile::tempdir().unwrap();
        let at = run.path().join("playlists/day");
        playlist(&at, &files(&[("a.ogg", "1"), ("b.mp3", "2")])).unwrap();
        assert_eq!(listed(&at), ["a.ogg", "b.mp3"]);
        playlist(&at, &files(&[("b.mp3", "3"), ("c.ogg", "4")])).unwrap();
        assert_eq!(listed(&at), ["b.mp3", "c.ogg"]);
        assert_eq!(fs::read_to_string(at.join("b.mp3")).unwrap(), "3");
        playlist(&at, &files(&[])).unwrap();
        assert!(listed(&at).is_empty());
    }

    #[test]
    fn a_reader_of_a_replaced_file_keeps_what_it_opened() {
        use std::io::Read;
        let run = tempfile::tempdir().unwrap();
        playlist(run.path(), &files(&[("a", "old")])).unwrap();
        let mut open = fs::File::open(run.path().join("a")).unwrap();
        playlist(run.path(), &files(&[("a", "brand new")])).unwrap();
        let mut read = String::new();
        open.read_to_string(&mut read).unwrap();
        assert_eq!(read, "old");
    }

    #[test]
    fn hostile_keys_stay_outside() {
        let run = tempfile::tempdir().unwrap();
        let at = run.path().join("playlists/day");
        let long = "x".repeat(254);
        let hostile = [
            "",
            ".",
            "..",
            "../up",
            "../../etc/passwd",
            "/etc/passwd",
            "a/b",
            "a\0b",
            ".hidden",
            "a\nb",
            "ä",
            &long,
        ];
        let mut list: Vec<(&str, &str)> = hostile.iter().map(|&key| (key, "x")).collect();
        list.push(("good-1_2.ogg", "x"));
        playlist(&at, &files(&list)).unwrap();
        assert_eq!(listed(&at), ["good-1_2.ogg"]);
        assert_eq!(listed(run.path()), ["playlists"]);
        assert_eq!(listed(&run.path().join("playlists")), ["day"]);
    }

    #[test]
    fn is_bounded() {
        let run = tempfile::tempdir().unwrap();
        let big = "x".repeat(MOST - 10);
        playlist(
            run.path(),
            &files(&[("a", &big), ("b", "more than ten bytes"), ("c", "ten bytes.")]),
        )
        .unwrap();
        assert_eq!(listed(run.path()), ["a", "c"]);
    }

    #[test]
    fn emergency_audio_changes_its_name_with_its_content() {
        let run = tempfile::tempdir().unwrap();
        let first = single(run.path(), Some(b"one")).unwrap().unwrap();
        assert_eq!(single(run.path(), Some(b"one")).unwrap().as_ref(), Some(&first));
        let second = single(run.path(), Some(b"two")).unwrap().unwrap();
        assert_ne!(first, second);
        assert!(!first.exists() && second.exists());
        assert_eq!(single(run.path(), None).unwrap(), None);
        assert!(listed(run.path()).is_empty());
    }
}

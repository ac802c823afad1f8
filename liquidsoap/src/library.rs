//! Which audio files there are: follows `ConfigMap`s into the run directory, scans directories. IO: API, file system.
//!
//! Directories are scanned, not watched: inotify sees nothing of what happens on a network file system.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agent::watch::{Files as Content, Object, follow};
use futures::StreamExt;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::config::{Emergency, Files, Playlist, Playout};
use crate::mirror;
use crate::programme::Listing;
use crate::settings::{Cluster, Settings};

const DEEPEST: usize = 8;
const MOST_TRACKS: usize = 50_000;

/// Where audio files are.
#[derive(Clone, Debug)]
pub struct Places {
    /// Mirrors of `ConfigMap`s are kept below it.
    pub run_dir: PathBuf,
    /// Volumes are mounted below it; no playlist may be read from elsewhere.
    pub playlists_dir: PathBuf,
}

impl Places {
    fn mirror_of(&self, playlist: &str) -> PathBuf {
        self.run_dir.join("playlists").join(playlist)
    }

    fn emergency(&self) -> PathBuf {
        self.run_dir.join("emergency")
    }

    fn directory_of(&self, playlist: &Playlist) -> Option<PathBuf> {
        match &playlist.from {
            Files::ConfigMap(_) => Some(self.mirror_of(&playlist.name)),
            Files::Directory(path) => {
                let path = Path::new(path);
                let inside = path.starts_with(&self.playlists_dir)
                    && !path
                        .components()
                        .any(|part| part == std::path::Component::ParentDir);
                inside.then(|| path.to_owned())
            }
        }
    }
}

/// What is there, last time it was looked at.
#[derive(Debug, Default)]
pub struct Library {
    seen: BTreeMap<String, BTreeSet<String>>,
}

impl Library {
    /// Looks again at the playlists of `playout`. A directory that cannot be read at the moment is as it was.
    pub fn look(&mut self, places: &Places, playout: &Playout) -> (Vec<Listing>, Option<String>) {
        let mut seen = BTreeMap::new();
        let listings = playout.playlists.iter().map(|playlist| {
            let tracks = self.tracks(places, playlist);
            seen.insert(playlist.name.clone(), tracks.clone());
            Listing {
                name: playlist.name.clone(),
                order: playlist.mode,
                tracks,
            }
        });
        let listings = listings.collect();
        self.seen = seen;
        let emergency = playout
            .emergency
            .as_ref()
            .and_then(|_| scan(&places.emergency()).ok()?.pop_first());
        (listings, emergency)
    }

    fn tracks(&self, places: &Places, playlist: &Playlist) -> BTreeSet<String> {
        let Some(directory) = places.directory_of(playlist) else {
            tracing::error!(
                playlist = playlist.name,
                "its directory is not below the playlists' directory; not played"
            );
            return BTreeSet::new();
        };
        match scan(&directory) {
            Ok(tracks) => tracks,
            Err(failure) if failure.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
            Err(failure) => {
                tracing::warn!(playlist = playlist.name, %failure, "its directory cannot be read at the moment");
                self.seen.get(&playlist.name).cloned().unwrap_or_default()
            }
        }
    }
}

/// Every file below `directory` whose name and path are not hidden.
fn scan(directory: &Path) -> io::Result<BTreeSet<String>> {
    let mut tracks = BTreeSet::new();
    scan_into(directory, DEEPEST, &mut tracks)?;
    Ok(tracks)
}

fn scan_into(directory: &Path, depth: usize, tracks: &mut BTreeSet<String>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let (kind, path) = (entry.file_type()?, entry.path());
        // A name that is no UTF-8 cannot be told to Liquidsoap, one with a line break would be two.
        let Some(name) = path.to_str().filter(|name| !name.contains(['\n', '\r'])) else {
            continue;
        };
        if entry.file_name().as_encoded_bytes().starts_with(b".") || tracks.len() >= MOST_TRACKS {
            continue;
        }
        if kind.is_dir() {
            if depth > 0 {
                scan_into(&path, depth - 1, tracks)?;
            }
        } else if kind.is_file()
            || (kind.is_symlink() && fs::metadata(&path).is_ok_and(|target| target.is_file()))
        {
            tracks.insert(name.to_owned());
        }
    }
    Ok(())
}

/// A `ConfigMap` that is mirrored, and what for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Followed {
    Playlist { name: String, config_map: String },
    Emergency { config_map: String, key: String },
}

/// Keeps the mirrors of `ConfigMap`s as `settings` name them. `changed` is notified after each change. Never ends.
pub async fn keep_mirrors(
    cluster: Cluster,
    places: Places,
    mut settings: watch::Receiver<Arc<Settings>>,
    changed: Arc<Notify>,
) {
    let mut followers: BTreeMap<Followed, JoinHandle<()>> = BTreeMap::new();
    loop {
        let wanted = followed(&settings.borrow_and_update().playout);
        followers.retain(|followed, task| {
            let stays = wanted.contains(followed);
            if !stays {
                task.abort();
            }
            stays
        });
        remove_unnamed(&places, &wanted);
        for followed in wanted {
            followers.entry(followed.clone()).or_insert_with(|| {
                tokio::spawn(keep_mirror(
                    cluster.clone(),
                    places.clone(),
                    followed,
                    Arc::clone(&changed),
                ))
            });
        }
        changed.notify_one();
        if settings.changed().await.is_err() {
            return;
        }
    }
}

fn followed(playout: &Playout) -> BTreeSet<Followed> {
    let playlists = playout
        .playlists
        .iter()
        .filter_map(|playlist| match &playlist.from {
            Files::ConfigMap(config_map) => Some(Followed::Playlist {
                name: playlist.name.clone(),
                config_map: config_map.clone(),
            }),
            Files::Directory(_) => None,
        });
    let emergency = playout
        .emergency
        .iter()
        .map(|Emergency { config_map, key }| Followed::Emergency {
            config_map: config_map.clone(),
            key: key.clone(),
        });
    playlists.chain(emergency).collect()
}

fn remove_unnamed(places: &Places, wanted: &BTreeSet<Followed>) {
    let Ok(mirrors) = fs::read_dir(places.run_dir.join("playlists")) else {
        return;
    };
    for mirror in mirrors.flatten() {
        let named = wanted.iter().any(|followed| match followed {
            Followed::Playlist { name, .. } => mirror.file_name() == name.as_str(),
            Followed::Emergency { .. } => false,
        });
        if !named && let Err(failure) = fs::remove_dir_all(mirror.path()) {
            tracing::warn!(at = %mirror.path().display(), %failure, "an old playlist could not be removed");
        }
    }
}

async fn keep_mirror(cluster: Cluster, places: Places, followed: Followed, changed: Arc<Notify>) {
    let (Followed::Playlist { config_map, .. } | Followed::Emergency { config_map, .. }) = &followed;
    let versions = follow(
        cluster.client,
        &cluster.namespace,
        Object::ConfigMap(config_map.clone()),
    );
    let mut versions = std::pin::pin!(versions);
    while let Some(version) = versions.next().await {
        let content = version.unwrap_or_else(|| {
            tracing::warn!(config_map, "this ConfigMap does not exist");
            Content(BTreeMap::new())
        });
        let done = match &followed {
            Followed::Playlist { name, .. } => mirror::playlist(&places.mirror_of(name), &content),
            Followed::Emergency { key, .. } => {
                let audio = content.0.get(key).map(Vec::as_slice);
                mirror::single(&places.emergency(), audio).map(|_| ())
            }
        };
        match done {
            Ok(()) => tracing::info!(config_map, keys = content.0.len(), "its audio is in place"),
            Err(failure) => {
                tracing::error!(config_map, %failure, "its audio could not be written to the run directory");
            }
        }
        changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn playout(from: &serde_json::Value) -> Playout {
        let mut playlist = serde_json::json!({"name": "p", "mode": "inOrder"});
        playlist
            .as_object_mut()
            .unwrap()
            .extend(from.as_object().unwrap().clone());
        serde_json::from_value(serde_json::json!({
            "about": {"title": "T"}, "origins": [], "sourcePassword": "x", "outputs": [], "playlists": [playlist]
        }))
        .unwrap()
    }

    fn names(places: &Places, playout: &Playout, library: &mut Library) -> Vec<String> {
        let (listings, _) = library.look(places, playout);
        let root = format!("{}/", places.playlists_dir.display());
        listings[0]
            .tracks
            .iter()
            .map(|track| track.strip_prefix(&root).unwrap_or(track).to_owned())
            .collect()
    }

    #[test]
    fn a_directory_is_what_it_holds() {
        let volume = tempfile::tempdir().unwrap();
        let places = Places {
            run_dir: "/nowhere".into(),
            playlists_dir: volume.path().to_owned(),
        };
        let at = volume.path().join("p");
        let playout = playout(&serde_json::json!({"directory": at}));
        let mut library = Library::default();
        assert!(names(&places, &playout, &mut library).is_empty(), "not there yet");
        fs::create_dir_all(at.join("album")).unwrap();
        for name in ["b.ogg", "a track.mp3", "album/1.flac", ".hidden", "two\nlines"] {
            fs::write(at.join(name), "x").unwrap();
        }
        std::os::unix::fs::symlink(at.join("b.ogg"), at.join("link.ogg")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at.join("device.ogg")).unwrap();
        std::os::unix::fs::symlink(&at, at.join("round")).unwrap();
        assert_eq!(
            names(&places, &playout, &mut library),
            ["p/a track.mp3", "p/album/1.flac", "p/b.ogg", "p/link.ogg"]
        );
        fs::remove_dir_all(&at).unwrap();
        assert!(names(&places, &playout, &mut library).is_empty());
    }

    #[test]
    fn a_directory_that_cannot_be_read_is_as_it_was() {
        let volume = tempfile::tempdir().unwrap();
        let places = Places {
            run_dir: "/nowhere".into(),
            playlists_dir: volume.path().to_owned(),
        };
        let at = volume.path().join("p");
        let playout = playout(&serde_json::json!({"directory": at}));
        let mut library = Library::default();
        fs::create_dir(&at).unwrap();
        fs::write(at.join("a.ogg"), "x").unwrap();
        assert_eq!(names(&places, &playout, &mut library), ["p/a.ogg"]);
        // A file in its place: reading it as a directory fails, and not with "not found".
        fs::remove_dir_all(&at).unwrap();
        fs::write(&at, "x").unwrap();
        assert_eq!(names(&places, &playout, &mut library), ["p/a.ogg"]);
    }

    #[test]
    fn nothing_outside_the_playlists_is_read() {
        let volume = tempfile::tempdir().unwrap();
        let places = Places {
            run_dir: "/nowhere".into(),
            playlists_dir: volume.path().to_owned(),
        };
        for hostile in ["/etc", "", "..", &format!("{}/../..", volume.path().display())] {
            let playout = playout(&serde_json::json!({"directory": hostile}));
            assert!(
                names(&places, &playout, &mut Library::default()).is_empty(),
                "{hostile}"
            );
        }
    }
}

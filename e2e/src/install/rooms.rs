//! The project's own images: each room's Dockerfile around the programs that cargo builds. Does IO.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::process::Command;

use super::command;
use super::images::{Image, Workshop};
use crate::steps::Progress;

/// A folder of the repository that becomes an image, and the crate whose program goes into it.
pub struct Room {
    /// The folder, and the image's name.
    pub folder: &'static str,
    /// The crate.
    pub package: &'static str,
}

/// All rooms that become images.
pub const ROOMS: [Room; 3] = [
    Room {
        folder: "icecast",
        package: "icecast-agent",
    },
    Room {
        folder: "liquidsoap",
        package: "playout-agent",
    },
    Room {
        folder: "operator",
        package: "radio-operator",
    },
];

/// The images of all rooms, by folder.
pub type Images = BTreeMap<&'static str, Image>;

/// The Dockerfiles that are not there (yet).
#[must_use]
pub fn missing(repository: &Path) -> Vec<PathBuf> {
    let dockerfiles = ROOMS
        .iter()
        .map(|room| repository.join(room.folder).join("Dockerfile"));
    dockerfiles.filter(|dockerfile| !dockerfile.exists()).collect()
}

/// Builds the programs and the images of all rooms that have a Dockerfile.
pub async fn build(repository: &Path, workshop: &Workshop, progress: &Progress) -> Result<Images> {
    let missing = missing(repository);
    let has_dockerfile = |room: &&Room| !missing.contains(&repository.join(room.folder).join("Dockerfile"));
    let rooms: Vec<&Room> = ROOMS.iter().filter(has_dockerfile).collect();
    progress.say("cargo build");
    let programs = programs(repository, &rooms, progress).await?;
    let mut images = Images::new();
    for room in rooms {
        let program = programs
            .get(room.package)
            .with_context(|| format!("{} has no program", room.package))?;
        let folder = repository.join(room.folder);
        images.insert(
            room.folder,
            workshop.build(room.folder, &folder, &[program], progress).await?,
        );
    }
    let names: Vec<&str> = images
        .values()
        .filter_map(|image| image.name.rsplit('/').next())
        .collect();
    progress.say(names.join(" "));
    Ok(images)
}

/// Builds the crates of the rooms; gives back their programs by crate.
async fn programs(
    repository: &Path,
    rooms: &[&Room],
    progress: &Progress,
) -> Result<BTreeMap<String, PathBuf>> {
    let mut cargo = Command::new("cargo");
    cargo
        .args(["build", "--bins", "--message-format=json-render-diagnostics"])
        .current_dir(repository);
    for room in rooms {
        cargo.args(["--package", room.package]);
    }
    Ok(executables(&command::capture(&mut cargo, progress).await?))
}

/// The programs that cargo's messages name, by crate.
fn executables(messages: &[String]) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    for message in messages
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
    {
        let (Some(program), Some(crate_name)) =
            (message["executable"].as_str(), message["target"]["name"].as_str())
        else {
            continue;
        };
        found.insert(crate_name.to_owned(), PathBuf::from(program));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_read_from_cargos_messages() {
        let messages = [
            r#"{"reason":"compiler-artifact","target":{"name":"agent"},"executable":null}"#,
            "warning: not JSON",
            r#"{"reason":"compiler-artifact","target":{"name":"icecast-agent"},"executable":"/t/icecast-agent"}"#,
        ]
        .map(str::to_owned);
        let found = executables(&messages);
        assert_eq!(
            found,
            BTreeMap::from([("icecast-agent".to_owned(), PathBuf::from("/t/icecast-agent"))])
        );
    }
}

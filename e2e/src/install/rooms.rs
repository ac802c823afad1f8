//! The project's own images: each room's Dockerfile around the programs that cargo builds. Does IO.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
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
pub static ROOMS: [Room; 5] = [
    Room {
        folder: "icecast",
        package: "icecast-agent",
    },
    Room {
        folder: "ingest",
        package: "ingest",
    },
    Room {
        folder: "liquidsoap",
        package: "playout-agent",
    },
    Room {
        folder: "operator",
        package: "radio-operator",
    },
    Room {
        folder: "recorder-sidecar",
        package: "recorder",
    },
];

/// The images of all rooms, by folder.
pub type Images = BTreeMap<&'static str, Image>;

/// The rooms of these names; all of them, if there is no name.
pub fn named(names: &[String]) -> Result<Vec<&'static Room>> {
    if names.is_empty() {
        return Ok(ROOMS.iter().collect());
    }
    let find = |name: &String| {
        let room = ROOMS.iter().find(|room| room.folder == name);
        let known = || {
            ROOMS
                .iter()
                .map(|room| room.folder)
                .collect::<Vec<_>>()
                .join(", ")
        };
        room.with_context(|| format!("there is no image {name}; there are {}", known()))
    };
    names.iter().map(find).collect()
}

/// Fails when a room has no Dockerfile.
pub fn check(repository: &Path, rooms: &[&Room]) -> Result<()> {
    for room in rooms {
        let dockerfile = repository.join(room.folder).join("Dockerfile");
        if !dockerfile.exists() {
            bail!(
                "there is no {}, and so no image {}",
                dockerfile.display(),
                room.folder
            );
        }
    }
    Ok(())
}

/// Builds the programs and the images of these rooms.
pub async fn build(
    repository: &Path,
    workshop: &Workshop,
    rooms: &[&'static Room],
    progress: &Progress,
) -> Result<Images> {
    check(repository, rooms)?;
    progress.say("cargo build");
    let programs = programs(repository, progress).await?;
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

/// Builds all programs; gives them back by crate. The whole workspace, always: cargo picks a dependency's features by the
/// packages that are asked for, and asking for a few would build kube a second time.
async fn programs(repository: &Path, progress: &Progress) -> Result<BTreeMap<String, PathBuf>> {
    let mut cargo = Command::from(command::cargo());
    cargo
        .args([
            "build",
            "--workspace",
            "--bins",
            "--message-format=json-render-diagnostics",
        ])
        .current_dir(repository);
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
    fn rooms_are_chosen_by_name() {
        let folders = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            named(&names).map(|rooms| rooms.iter().map(|room| room.folder).collect::<Vec<_>>())
        };
        assert_eq!(
            folders(&[]).unwrap(),
            ["icecast", "ingest", "liquidsoap", "operator", "recorder-sidecar"]
        );
        assert_eq!(folders(&["operator"]).unwrap(), ["operator"]);
        let error = folders(&["opertor"]).unwrap_err().to_string();
        assert!(
            error.ends_with("icecast, ingest, liquidsoap, operator, recorder-sidecar"),
            "{error}"
        );
    }

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

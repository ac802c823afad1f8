//! What playout-agent is told: everything about the Mount, passwords too. No IO.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use playout_agent::config::{self, About, PLAYOUT_KEY, Playout};
use radio_crds::mount::{Codec, Order};

use super::deployment::playlist_directory;
use crate::{
    k8s::meta::{Component, names},
    mount::{
        claims::Output,
        inputs::Input,
        validate::{Playlist, Source, ValidMount},
    },
    station::{icecast::render::PORT, readers},
};

/// The Secret the agent watches.
pub fn secret(mount: &ValidMount, name: String) -> Secret {
    // A struct of strings and numbers always serializes.
    let json = serde_json::to_vec(&playout(mount)).unwrap_or_default();
    Secret {
        metadata: mount.spec.owner.child(name, Component::Playout),
        type_: Some("Opaque".to_owned()),
        data: Some(BTreeMap::from([(PLAYOUT_KEY.to_owned(), ByteString(json))])),
        ..Secret::default()
    }
}

fn playout(mount: &ValidMount) -> Playout {
    let (spec, station) = (&mount.spec, &mount.station);
    Playout {
        about: About {
            title: spec.title.as_ref().unwrap_or(&station.title).to_string(),
            description: station.description.as_ref().map(ToString::to_string),
            genre: station.genre.as_ref().map(ToString::to_string),
            website: station.website.as_ref().map(ToString::to_string),
        },
        origins: vec![format!("{}:{PORT}", names::origin(&spec.owner.station))],
        source_password: mount.credentials.source.reveal().to_owned(),
        outputs: spec.wants.outputs.iter().map(output).collect(),
        playlists: spec.playlists.iter().map(playlist).collect(),
        emergency: spec.emergency.as_ref().map(|emergency| config::Emergency {
            config_map: emergency.config_map.to_string(),
            key: emergency.key.to_string(),
        }),
        inputs: mount
            .inputs
            .iter()
            .map(|entrance| input(&entrance.input))
            .collect(),
        tape: (!mount.inputs.is_empty()).then(|| {
            readers::access(
                &spec.owner.station,
                &spec.owner.namespace,
                &mount.credentials.tape,
                &readers::playout(&spec.owner.name),
            )
        }),
    }
}

fn input(input: &Input) -> config::Input {
    config::Input {
        name: input.name.clone(),
        path: input.path.to_string(),
    }
}

/// An output, as the agent knows it.
pub fn output(output: &Output) -> config::Output {
    config::Output {
        path: output.path.to_string(),
        codec: match output.codec {
            Codec::Opus => config::Codec::Opus,
            Codec::Mp3 => config::Codec::Mp3,
        },
        bitrate_kbps: output.bitrate_kbps,
    }
}

fn playlist(playlist: &Playlist) -> config::Playlist {
    config::Playlist {
        name: playlist.name.to_string(),
        mode: match playlist.order {
            Order::Shuffle => config::Order::Shuffle,
            Order::InOrder => config::Order::InOrder,
        },
        from: match &playlist.source {
            Source::ConfigMap(name) => config::Files::ConfigMap(name.to_string()),
            Source::Volume { directory, .. } => {
                let mounted = playlist_directory(&playlist.name);
                config::Files::Directory(match directory {
                    Some(directory) => format!("{mounted}/{directory}"),
                    None => mounted,
                })
            }
        },
    }
}

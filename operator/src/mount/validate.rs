//! Step 2: from what people wrote to what can be built without fail. No IO.

use kube::ResourceExt;
use radio_crds::{
    Mount,
    mount::{Order, PlaylistSource},
};

use super::{
    Error,
    claims::{Output, outputs, settle},
    fetch::{Fetched, Missing},
};
use crate::{
    context::Images,
    k8s::meta::Owner,
    station::{
        credentials::source_password,
        validate::{Identity, identity},
    },
    text::{
        ConfigMapKey, EntryName, ImageName, InvalidText, Line, ObjectName, Password, ResourceName,
        StreamPath, VolumeDirectory,
    },
};

/// A Mount whose spec is good, before anything was read.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidSpec {
    /// The Mount itself.
    pub owner: Owner,
    /// Its title, if it has one of its own.
    pub title: Option<Line>,
    /// Its encodings.
    pub outputs: Vec<Output>,
    /// Its playlists.
    pub playlists: Vec<Playlist>,
    /// Its emergency audio, if it has one of its own.
    pub emergency: Option<Emergency>,
    /// The playout image.
    pub image: ImageName,
}

/// One playlist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Playlist {
    /// Unique in its Mount.
    pub name: EntryName,
    /// The order of its tracks.
    pub order: Order,
    /// Where its files are.
    pub source: Source,
}

/// Where a playlist's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The keys of a `ConfigMap`.
    ConfigMap(ResourceName),
    /// A directory of a volume.
    Volume {
        /// The claim.
        claim: ResourceName,
        /// Inside the volume.
        directory: Option<VolumeDirectory>,
    },
}

/// The audio of last resort.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emergency {
    /// Where it is.
    pub config_map: ResourceName,
    /// Its key.
    pub key: ConfigMapKey,
}

/// A Mount that can be built: nothing made from it is refused by Kubernetes.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidMount {
    /// The checked spec.
    pub spec: ValidSpec,
    /// The Station, as listeners read it.
    pub station: Identity,
    /// The password of sources.
    pub source_password: Password,
    /// The older Mount that has one of the paths; this one is silent then.
    pub rival: Option<Rival>,
    /// Audio that is not there.
    pub missing: Vec<Missing>,
}

/// An older Mount with the same path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rival {
    /// The path.
    pub path: StreamPath,
    /// The Mount that has it.
    pub mount: String,
}

/// Checks the spec.
pub fn spec(mount: &Mount, images: &Images) -> Result<ValidSpec, InvalidText> {
    ObjectName::parse(&mount.name_any())?;
    let station = ObjectName::parse(&mount.spec.station_ref.name).map_err(|error| InvalidText {
        field: "spec.stationRef.name".to_owned(),
        ..error
    })?;
    let unnamed = || InvalidText {
        field: "metadata".to_owned(),
        rule: "must have a namespace and a uid".to_owned(),
    };
    let title = mount.spec.title.as_ref();
    let emergency = mount.spec.emergency.as_ref();
    Ok(ValidSpec {
        owner: Owner::of(mount, station.as_str()).ok_or_else(unnamed)?,
        title: title
            .map(|title| Line::parse("spec.title", title, 200))
            .transpose()?,
        outputs: outputs(mount)?,
        playlists: playlists(mount)?,
        emergency: emergency
            .map(|emergency| {
                let field = "spec.emergency.configMap";
                Ok(Emergency {
                    config_map: ResourceName::parse(field, &emergency.config_map.name)?,
                    key: ConfigMapKey::parse(field, &emergency.config_map.key)?,
                })
            })
            .transpose()?,
        image: ImageName::parse(
            "spec.liquidsoap.image",
            mount.liquidsoap_image().unwrap_or(&images.liquidsoap),
        )?,
    })
}

fn playlists(mount: &Mount) -> Result<Vec<Playlist>, InvalidText> {
    const FIELD: &str = "spec.playlists";
    let broken = |rule: &str| InvalidText {
        field: FIELD.to_owned(),
        rule: rule.to_owned(),
    };
    let mut playlists: Vec<Playlist> = Vec::new();
    for playlist in &mount.spec.playlists {
        let source = match playlist.source() {
            Some(PlaylistSource::ConfigMap(found)) => {
                Source::ConfigMap(ResourceName::parse(FIELD, &found.name)?)
            }
            Some(PlaylistSource::Volume(found)) => Source::Volume {
                claim: ResourceName::parse(FIELD, &found.claim_name)?,
                directory: found
                    .path
                    .as_ref()
                    .map(|path| VolumeDirectory::parse(FIELD, path))
                    .transpose()?,
            },
            None => return Err(broken("must each have exactly one of configMap and volume")),
        };
        let name = EntryName::parse(FIELD, &playlist.name)?;
        if playlists.iter().any(|other| other.name == name) {
            return Err(broken("must have different names"));
        }
        playlists.push(Playlist {
            name,
            order: playlist.order(),
            source,
        });
    }
    if playlists.len() > 16 {
        return Err(broken("must be at most 16"));
    }
    Ok(playlists)
}

/// Adds what was found.
pub fn validate(spec: ValidSpec, fetched: &Fetched) -> Result<ValidMount, Error> {
    let name = &spec.owner.station;
    let station = fetched.station.as_ref().ok_or_else(|| Error::StationNotFound {
        name: name.clone(),
        namespace: spec.owner.namespace.clone(),
    })?;
    let not_ready = |why: &str| Error::StationNotReady {
        name: name.clone(),
        why: why.to_owned(),
    };
    let identity = identity(station).map_err(|error| not_ready(&error.to_string()))?;
    let secret = fetched.credentials.as_ref();
    let source_password = secret
        .and_then(source_password)
        .ok_or_else(|| not_ready("its passwords have not been made"))?;
    let claims = settle(&fetched.siblings);
    let rival = claims
        .rival(&spec.owner.name, &spec.outputs)
        .map(|(path, mount)| Rival {
            path: path.clone(),
            mount: mount.to_owned(),
        });
    Ok(ValidMount {
        station: identity,
        source_password,
        rival,
        missing: fetched.missing.clone(),
        spec,
    })
}

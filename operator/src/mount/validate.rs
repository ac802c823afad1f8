//! Step 2: from what people wrote to what can be built without fail. No IO.

use kube::ResourceExt;
use radio_crds::{
    Mount, MountStatus,
    mount::{Order, PlaylistSource},
};

use super::{
    Error,
    claims::{Wants, settle, wants},
    fetch::{Connected, Fetched, Missing},
    inputs::Input,
};
use crate::{
    context::Images,
    k8s::meta::Owner,
    station::{
        credentials::{self, Credentials},
        validate::{Identity, identity},
    },
    text::{
        ConfigMapKey, EntryName, ImageName, InvalidText, Line, ObjectName, ResourceName, VolumeDirectory,
    },
};

/// A Mount whose spec is good, before anything was read.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidSpec {
    /// The Mount itself.
    pub owner: Owner,
    /// Its title, if it has one of its own.
    pub title: Option<Line>,
    /// Its encodings, and where sources connect.
    pub wants: Wants,
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
    /// The Station's passwords.
    pub credentials: Credentials,
    /// The older Mount that has one of the paths; this one is silent then.
    pub rival: Option<Rival>,
    /// What is not there.
    pub missing: Vec<Missing>,
    /// Where sources connect.
    pub inputs: Vec<Entrance>,
    /// Who is connected.
    pub connected: Connected,
    /// What the status said.
    pub before: MountStatus,
}

/// An input, and whether anybody can connect to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entrance {
    /// The input.
    pub input: Input,
    /// Whether there is a password.
    pub open: bool,
}

/// An older Mount with the same path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rival {
    /// The path.
    pub path: String,
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
        wants: wants(mount)?,
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
    let credentials = secret
        .and_then(credentials::of_secret)
        .ok_or_else(|| not_ready("its passwords have not been made"))?;
    let claims = settle(&fetched.siblings);
    let rival = claims
        .rival(&spec.owner.name, &spec.wants)
        .map(|(path, mount)| Rival {
            path,
            mount: mount.to_owned(),
        });
    let before = fetched.before.clone().unwrap_or_default();
    let resolved = spec.wants.sources.resolve(&fetched.secrets, &before.inputs);
    let mut missing = fetched.missing.clone();
    missing.extend(resolved.missing.into_iter().map(Missing::Password));
    Ok(ValidMount {
        station: identity,
        credentials,
        rival,
        missing,
        inputs: resolved
            .inputs
            .into_iter()
            .map(|(input, password)| Entrance {
                input,
                open: password.is_some(),
            })
            .collect(),
        connected: fetched.connected.clone(),
        before,
        spec,
    })
}

#[cfg(test)]
mod tests {
    use radio_crds::conditions::reason;

    use super::*;
    use crate::{
        k8s::error::{Class, Classify},
        testing::{FULL_MOUNT, PLAIN_MOUNT, SECRET, fetched_for_mount, images, valid_mount, yaml},
    };

    #[test]
    fn defaults_come_from_the_operator_and_the_api() {
        let spec = spec(&yaml(PLAIN_MOUNT), &images()).unwrap();
        assert_eq!(spec.image.as_str(), "localhost/radio/liquidsoap:1");
        let outputs: Vec<_> = spec
            .wants
            .outputs
            .iter()
            .map(|output| (output.path.as_str(), output.bitrate_kbps))
            .collect();
        assert_eq!(outputs, [("/live.opus", 96), ("/live.mp3", 128)]);
    }

    #[test]
    fn every_field_is_checked() {
        type Break = fn(&mut Mount);
        let cases: [(&str, Break); 11] = [
            ("metadata.name", |mount| {
                mount.metadata.name = Some("x".repeat(41));
            }),
            ("spec.stationRef.name", |mount| {
                mount.spec.station_ref.name = "../x".to_owned();
            }),
            ("spec.path", |mount| mount.spec.path = "/live#{x}".to_owned()),
            ("spec.title", |mount| {
                mount.spec.title = Some("a\u{0}b".to_owned());
            }),
            ("spec.outputs", |mount| {
                mount.spec.outputs[0].bitrate_kbps = Some(1);
            }),
            ("spec.inputs", |mount| {
                mount.spec.inputs[0].name = "a/b".to_owned();
            }),
            ("spec.playlists", |mount| {
                mount.spec.playlists[0].name = "UPPER".to_owned();
            }),
            ("spec.playlists", |mount| {
                mount.spec.playlists[0].config_map = None;
            }),
            ("spec.playlists", |mount| {
                mount.spec.playlists[1].name = "day".to_owned();
            }),
            ("spec.playlists", |mount| {
                mount.spec.playlists[1].volume.as_mut().unwrap().path = Some("../../etc".to_owned());
            }),
            ("spec.emergency.configMap", |mount| {
                mount.spec.emergency.as_mut().unwrap().config_map.key = "../x".to_owned();
            }),
        ];
        for (field, break_it) in cases {
            let mut mount: Mount = yaml(FULL_MOUNT);
            assert!(spec(&mount, &images()).is_ok());
            break_it(&mut mount);
            assert_eq!(spec(&mount, &images()).unwrap_err().field, field);
        }
    }

    #[test]
    fn without_its_station_a_mount_waits() {
        let found = |change: fn(&mut Fetched)| {
            let mut fetched = fetched_for_mount(Vec::new(), Vec::new());
            change(&mut fetched);
            let error = validate(spec(&yaml(PLAIN_MOUNT), &images()).unwrap(), &fetched).unwrap_err();
            assert!(matches!(error.class(), Class::Wait(_)), "{error:?}");
            (error.reason(), error.to_string())
        };
        let (missing, message) = found(|fetched| fetched.station = None);
        assert_eq!(missing, reason::STATION_NOT_FOUND);
        assert!(
            message.contains("Station radio does not exist in namespace city"),
            "{message}"
        );
        assert_eq!(
            found(|fetched| fetched.credentials = None).0,
            reason::STATION_NOT_READY
        );
        let (invalid, message) =
            found(|fetched| fetched.station.as_mut().unwrap().spec.title = "<b>".to_owned());
        assert_eq!(invalid, reason::STATION_NOT_READY);
        assert!(message.contains("spec.title must be"), "{message}");
    }

    #[test]
    fn the_older_sibling_is_the_rival() {
        let older: Mount = yaml(PLAIN_MOUNT);
        let mut younger = older.clone();
        younger.metadata.name = Some("younger".to_owned());
        let siblings = vec![older.clone(), younger.clone()];
        let rival = |mount: &Mount| {
            let fetched = fetched_for_mount(siblings.clone(), Vec::new());
            validate(spec(mount, &images()).unwrap(), &fetched).unwrap().rival
        };
        assert_eq!(rival(&older), None);
        let rival = rival(&younger).unwrap();
        assert_eq!(
            (rival.path.as_str(), rival.mount.as_str()),
            ("/live.opus", "live")
        );
    }

    #[test]
    fn debug_output_holds_no_password() {
        assert!(!format!("{:?}", valid_mount(FULL_MOUNT)).contains(SECRET));
    }
}

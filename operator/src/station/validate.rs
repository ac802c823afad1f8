//! Step 2: from what people wrote to what can be built without fail. No IO.

use ingest::{
    api::Fill,
    config::{Feed, Format, Named},
};
use jiff::SignedDuration;
use kube::ResourceExt;
use radio_crds::{Mount, Recording, Station, mount::Codec, quantity, station::DEFAULT_TAPE_SIZE};

use super::{
    credentials::Credentials,
    fetch::Fetched,
    presenters::{Cast, Presenter},
    roll::Roll,
};
use crate::{
    context::Images,
    k8s::meta::{Owner, names},
    mount::{
        claims::{settle, wants},
        inputs::{Input, Secrets},
    },
    recording::ends,
    text::{
        HostName, ImageName, InvalidText, Line, ObjectName, Password, ResourceName, StreamPath, WebAddress,
    },
};

/// Who is broadcasting, as listeners read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Name of the station.
    pub title: Line,
    /// A sentence about it.
    pub description: Option<Line>,
    /// Its genre.
    pub genre: Option<Line>,
    /// Its website.
    pub website: Option<WebAddress>,
}

/// A Station whose spec is good, before anything was read.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidSpec {
    /// The Station itself.
    pub owner: Owner,
    /// What listeners read.
    pub identity: Identity,
    /// The name listeners know the servers by.
    pub hostname: HostName,
    /// The Icecast image.
    pub image: ImageName,
    /// Number of relays.
    pub relays: u16,
    /// The ingest image.
    pub ingest_image: ImageName,
    /// The disk of the ingest.
    pub tape: Tape,
}

/// The disk of an ingest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tape {
    /// Its size, as Kubernetes writes it.
    pub size: String,
    /// The same.
    pub bytes: u64,
    /// Its class, if it is not the cluster's default.
    pub class: Option<ResourceName>,
    /// On the node, and gone with the pod.
    pub ephemeral: bool,
}

/// A Station that can be built: nothing made from it is refused by Kubernetes.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidStation {
    /// The checked spec.
    pub spec: ValidSpec,
    /// The passwords.
    pub credentials: Credentials,
    /// Every stream that is heard, by path.
    pub heard: Vec<Heard>,
    /// Where sources connect.
    pub ingest: Ingest,
    /// Whether the ingest may be replaced.
    pub roll: Roll,
    /// Number of Mounts that name this Station.
    pub mounts: usize,
    /// How full the tape is, if it ever said.
    pub fill: Option<Fill>,
}

/// A stream on the origin and the relays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Where.
    pub path: StreamPath,
    /// Whether titles come between the bytes.
    pub titles: bool,
}

/// What the ingest is for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ingest {
    /// Whether sources may ever connect.
    pub wanted: bool,
    /// Where they may now.
    pub doors: Vec<Door>,
    /// Mounts whose sources Liquidsoap plays.
    pub played: Vec<String>,
    /// Mounts whose sources are heard as they come.
    pub through: Vec<String>,
    /// What the origin takes from them.
    pub feeds: Vec<Feed>,
    /// The Recordings that need its tapes.
    pub recordings: Vec<Named>,
}

/// An input. Without a password it is there all the same: whoever is connected stays, nobody else gets in.
#[derive(Clone, Debug, PartialEq)]
pub struct Door {
    /// The Mount.
    pub mount: String,
    /// 0 is heard before 1.
    pub priority: u16,
    /// The input.
    pub input: Input,
    /// What opens it, if there is one.
    pub password: Option<Password>,
    /// Who else may connect, in the slots of Shows.
    pub presenters: Vec<Presenter>,
}

/// Checks the spec.
pub fn spec(station: &Station, images: &Images) -> Result<ValidSpec, InvalidText> {
    let name = ObjectName::parse(&station.name_any())?;
    let unnamed = || InvalidText {
        field: "metadata".to_owned(),
        rule: "must have a namespace and a uid".to_owned(),
    };
    let owner = Owner::of(station, name.as_str()).ok_or_else(unnamed)?;
    let hostname = station
        .spec
        .hostname
        .clone()
        .unwrap_or_else(|| names::listen_host(&owner.name, &owner.namespace));
    let relays = station.relay_replicas();
    if !(1..=100).contains(&relays) {
        return Err(InvalidText {
            field: "spec.relays.replicas".to_owned(),
            rule: "must be 1 to 100".to_owned(),
        });
    }
    Ok(ValidSpec {
        identity: identity(station)?,
        hostname: HostName::parse("spec.hostname", &hostname)?,
        image: ImageName::parse(
            "spec.icecast.image",
            station.icecast_image().unwrap_or(&images.icecast),
        )?,
        relays,
        ingest_image: ImageName::parse(
            "spec.ingest.image",
            station.ingest_image().unwrap_or(&images.ingest),
        )?,
        tape: tape(station)?,
        owner,
    })
}

fn tape(station: &Station) -> Result<Tape, InvalidText> {
    let wanted = station.tape();
    let size = wanted
        .and_then(|tape| tape.size.as_deref())
        .unwrap_or(DEFAULT_TAPE_SIZE);
    let invalid = || InvalidText {
        field: "spec.ingest.tape.size".to_owned(),
        rule: "must be a whole number of Mi, Gi or Ti, such as 10Gi".to_owned(),
    };
    let is_of_a_volume = !size.ends_with("Ki");
    let bytes = quantity::bytes(size).filter(|_| is_of_a_volume);
    let class = wanted.and_then(|tape| tape.storage_class_name.as_deref());
    Ok(Tape {
        size: size.to_owned(),
        bytes: bytes.ok_or_else(invalid)?,
        class: class
            .map(|class| ResourceName::parse("spec.ingest.tape.storageClassName", class))
            .transpose()?,
        ephemeral: wanted.and_then(|tape| tape.ephemeral).unwrap_or(false),
    })
}

/// Checks what listeners read; Mounts need it too.
pub fn identity(station: &Station) -> Result<Identity, InvalidText> {
    let line = |field: &str, text: &Option<String>, longest| {
        text.as_ref()
            .map(|text| Line::parse(field, text, longest))
            .transpose()
    };
    let website = station.spec.website.as_ref();
    Ok(Identity {
        title: Line::parse("spec.title", &station.spec.title, 200)?,
        description: line("spec.description", &station.spec.description, 500)?,
        genre: line("spec.genre", &station.spec.genre, 200)?,
        website: website
            .map(|text| WebAddress::parse("spec.website", text))
            .transpose()?,
    })
}

/// Adds what was found. Mounts that break a rule or lost their path are not heard; their own status says so.
#[must_use]
pub fn validate(spec: ValidSpec, fetched: &Fetched) -> ValidStation {
    let claims = settle(&fetched.mounts);
    let (mut heard, mut ingest) = (Vec::new(), Ingest::default());
    let casts = Cast::all(&fetched.shows, &fetched.secrets, fetched.now);
    for mount in fetched
        .mounts
        .iter()
        .filter(|mount| claims.won(&mount.name_any()))
    {
        admit(
            mount,
            &spec.identity.title,
            &fetched.secrets,
            &casts,
            &mut heard,
            &mut ingest,
        );
    }
    heard.sort_by(|a, b| a.path.as_str().cmp(b.path.as_str()));
    ingest
        .doors
        .sort_by(|a, b| a.input.path.as_str().cmp(b.input.path.as_str()));
    ingest.recordings = fetched.recordings.iter().filter_map(named).collect();
    // A Mount may go while what it sent is not archived yet.
    ingest.wanted |= !ingest.recordings.is_empty();
    ValidStation {
        spec,
        credentials: fetched.credentials.clone(),
        heard,
        ingest,
        roll: fetched.roll.clone(),
        mounts: fetched.mounts.len(),
        fill: fetched.fill,
    }
}

/// What of the tapes a Recording needs. One whose times cannot be read needs nothing that could be named.
fn named(recording: &Recording) -> Option<Named> {
    let spec = &recording.spec;
    let status = recording.status.as_ref();
    let limit = ends::limit(recording)?;
    // The status tells whole seconds.
    let ended = status.filter(|status| status.over.is_some()).and_then(|status| {
        status
            .ended_at
            .as_ref()?
            .0
            .saturating_add(SignedDuration::from_secs(1))
            .ok()
    });
    Some(Named {
        name: recording.name_any(),
        mount: spec.mount.clone(),
        input: spec.input.clone(),
        from: spec.window.from,
        until: Some(ended.map_or(limit, |ended| ended.min(limit))),
    })
}

/// Adds what a Mount is heard at and sent to.
fn admit(
    mount: &Mount,
    station_title: &Line,
    secrets: &Secrets,
    casts: &[Cast],
    heard: &mut Vec<Heard>,
    ingest: &mut Ingest,
) {
    let Ok(wants) = wants(mount) else { return };
    heard.extend(wants.outputs.iter().map(|output| Heard {
        path: output.path.clone(),
        titles: output.codec == Codec::Mp3,
    }));
    if wants.sources.none() {
        return;
    }
    ingest.wanted = true;
    let name = mount.name_any();
    let title = mount.spec.title.as_ref();
    let title = title.and_then(|title| Line::parse("spec.title", title, 200).ok());
    let title = title.as_ref().unwrap_or(station_title);
    let known = mount.status.as_ref().map_or(&[][..], |status| &status.inputs);
    let inputs = wants.sources.resolve(secrets, known).inputs;
    for ((input, password), number) in inputs.into_iter().zip(0..) {
        if wants.through {
            let Ok(path) = StreamPath::with_ending("spec.path", input.path.as_str()) else {
                continue;
            };
            ingest.feeds.push(Feed {
                path: path.to_string(),
                title: title.to_string(),
            });
            heard.push(Heard {
                titles: matches!(input.accepts, Some(Format::Mp3 | Format::Aac)),
                path,
            });
        }
        ingest.doors.push(Door {
            mount: name.clone(),
            priority: if wants.through { 0 } else { number },
            presenters: casts
                .iter()
                .flat_map(|cast| cast.at(&name, &input.name))
                .cloned()
                .collect(),
            input,
            password,
        });
    }
    let readers = if wants.through {
        &mut ingest.through
    } else {
        &mut ingest.played
    };
    readers.push(name);
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use radio_crds::{MountStatus, input::InputStatus};

    use super::*;
    use crate::testing::{
        FULL_MOUNT, FULL_STATION, PASSTHROUGH_MOUNT, PLAIN_MOUNT, PLAIN_STATION, SECRET, WILDCARD_MOUNT,
        credentials, images, valid_station, yaml,
    };

    #[test]
    fn defaults_come_from_the_operator_and_the_names() {
        let spec = spec(&yaml(PLAIN_STATION), &images()).unwrap();
        assert_eq!(spec.image.as_str(), "localhost/radio/icecast:1");
        assert_eq!(spec.hostname.as_str(), "radio-listen.city.svc");
        assert_eq!(spec.relays, 1);
        assert_eq!(spec.identity.description, None);
    }

    #[test]
    fn sizes_of_tapes() {
        let sized = |size: &str| {
            let mut station: Station = yaml(PLAIN_STATION);
            station.spec.ingest = Some(radio_crds::station::Ingest {
                tape: Some(radio_crds::station::Tape {
                    size: Some(size.to_owned()),
                    ..radio_crds::station::Tape::default()
                }),
                image: None,
            });
            tape(&station).map(|tape| tape.bytes).ok()
        };
        for (size, bytes) in [
            ("500Mi", Some(524_288_000)),
            ("10Gi", Some(10_737_418_240)),
            ("2Ti", Some(2_199_023_255_552)),
            ("999999Ti", Some(999_999 << 40)),
            ("0Gi", None),
            ("+1Gi", None),
            ("Gi", None),
            ("", None),
            ("1G", None),
            ("é", None),
            ("1000000Ti", None),
        ] {
            assert_eq!(sized(size), bytes, "{size}");
        }
        assert_eq!(tape(&yaml(PLAIN_STATION)).unwrap().bytes, 10 << 30);
    }

    #[test]
    fn every_field_is_checked() {
        type Break = fn(&mut Station);
        let cases: [(&str, Break); 12] = [
            ("metadata.name", |station| {
                station.metadata.name = Some("a.b".to_owned());
            }),
            ("metadata", |station| station.metadata.uid = None),
            ("spec.title", |station| {
                station.spec.title = "\"/><mount>".to_owned();
            }),
            ("spec.description", |station| {
                station.spec.description = Some("#{x}".to_owned());
            }),
            ("spec.genre", |station| {
                station.spec.genre = Some("a\nb".to_owned());
            }),
            ("spec.website", |station| {
                station.spec.website = Some("javascript:alert(1)".to_owned());
            }),
            ("spec.hostname", |station| {
                station.spec.hostname = Some("a b".to_owned());
            }),
            ("spec.icecast.image", |station| {
                station.spec.icecast = Some(radio_crds::station::Icecast {
                    image: Some("a b".to_owned()),
                });
            }),
            ("spec.ingest.image", |station| {
                station.spec.ingest.as_mut().unwrap().image = Some("a b".to_owned());
            }),
            ("spec.ingest.tape.size", |station| {
                let ingest = station.spec.ingest.as_mut().unwrap();
                ingest.tape.as_mut().unwrap().size = Some("1.5Gi".to_owned());
            }),
            ("spec.ingest.tape.storageClassName", |station| {
                let ingest = station.spec.ingest.as_mut().unwrap();
                ingest.tape.as_mut().unwrap().storage_class_name = Some("A".to_owned());
            }),
            ("spec.relays.replicas", |station| {
                station.spec.relays = Some(radio_crds::station::Relays { replicas: Some(0) });
            }),
        ];
        for (field, break_it) in cases {
            let mut station: Station = yaml(FULL_STATION);
            assert!(spec(&station, &images()).is_ok());
            break_it(&mut station);
            let error = spec(&station, &images()).unwrap_err();
            assert_eq!(error.field, field);
        }
    }

    #[test]
    fn what_is_heard_are_the_outputs_of_good_mounts() {
        let broken = PLAIN_MOUNT.replace("path: /live", "path: /admin");
        let station = valid_station(PLAIN_STATION, &[PLAIN_MOUNT, &broken, FULL_MOUNT]);
        let heard: Vec<_> = station.heard.iter().map(|output| output.path.as_str()).collect();
        assert_eq!(
            heard,
            ["/city/talk.hq.mp3", "/city/talk.low", "/live.mp3", "/live.opus"]
        );
        assert_eq!(station.mounts, 3);
    }

    #[test]
    fn what_is_sent_to_are_the_inputs_of_good_mounts() {
        let late = WILDCARD_MOUNT.replace("name: mics", "name: zz-late");
        let station = valid_station(
            PLAIN_STATION,
            &[PLAIN_MOUNT, FULL_MOUNT, PASSTHROUGH_MOUNT, WILDCARD_MOUNT, &late],
        );
        let doors: Vec<_> = station
            .ingest
            .doors
            .iter()
            .map(|door| (door.mount.as_str(), door.priority, door.input.path.as_str()))
            .collect();
        assert_eq!(
            doors,
            [
                ("mic", 0, "/city/mic.mp3"),
                ("talk", 0, "/city/talk/studio"),
                ("talk", 1, "/city/talk/van"),
                ("mics", 0, "/mic-7.opus"),
                ("mics", 0, "/mic-8.opus"),
            ]
        );
        assert_eq!(station.ingest.played, ["talk"]);
        assert_eq!(station.ingest.through, ["mic", "mics"]);
        let heard: Vec<_> = station
            .heard
            .iter()
            .map(|heard| (heard.path.as_str(), heard.titles))
            .collect();
        assert_eq!(
            heard,
            [
                ("/city/mic.mp3", true),
                ("/city/talk.hq.mp3", true),
                ("/city/talk.low", false),
                ("/live.mp3", true),
                ("/live.opus", false),
                ("/mic-7.opus", false),
                ("/mic-8.opus", false),
            ]
        );
        assert!(!valid_station(PLAIN_STATION, &[PLAIN_MOUNT]).ingest.wanted);
    }

    fn without_secrets(mounts: Vec<Mount>) -> ValidStation {
        let spec = spec(&yaml(PLAIN_STATION), &images()).unwrap();
        let fetched = Fetched {
            credentials: credentials(),
            mounts,
            secrets: Secrets::new(),
            roll: Roll::Idle,
            recordings: Vec::new(),
            fill: None,
            shows: Vec::new(),
            now: Timestamp::UNIX_EPOCH,
        };
        validate(spec, &fetched)
    }

    #[test]
    fn a_deleted_secret_takes_nobody_off_the_air() {
        let mounts = [FULL_MOUNT, PASSTHROUGH_MOUNT, WILDCARD_MOUNT];
        let before = valid_station(PLAIN_STATION, &mounts);
        let mut mounts: Vec<Mount> = mounts.iter().map(|mount| yaml(mount)).collect();
        let known = ["7", "8"].map(|key| InputStatus {
            name: key.to_owned(),
            ..InputStatus::default()
        });
        mounts[2].status = Some(MountStatus {
            inputs: known.to_vec(),
            ..MountStatus::default()
        });
        let after = without_secrets(mounts);
        assert_eq!(after.heard, before.heard);
        assert_eq!(after.ingest.feeds, before.ingest.feeds);
        let inputs = |station: &ValidStation| -> Vec<Input> {
            station
                .ingest
                .doors
                .iter()
                .map(|door| door.input.clone())
                .collect()
        };
        assert_eq!(inputs(&after), inputs(&before));
        assert!(after.ingest.doors.iter().all(|door| door.password.is_none()));
        assert_eq!(after.ingest.doors.len(), 5);
    }

    #[test]
    fn debug_output_holds_no_password() {
        let station = valid_station(FULL_STATION, &[FULL_MOUNT, PASSTHROUGH_MOUNT, WILDCARD_MOUNT]);
        assert!(!format!("{station:?}").contains(SECRET));
    }
}

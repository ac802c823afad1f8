//! Step 2: from what people wrote to what can be built without fail. No IO.

use kube::ResourceExt;
use radio_crds::Station;

use super::{credentials::Credentials, fetch::Fetched};
use crate::{
    context::Images,
    k8s::meta::{Owner, names},
    mount::claims::{Output, settle},
    text::{HostName, ImageName, InvalidText, Line, ObjectName, WebAddress},
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
}

/// A Station that can be built: nothing made from it is refused by Kubernetes.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidStation {
    /// The checked spec.
    pub spec: ValidSpec,
    /// The passwords.
    pub credentials: Credentials,
    /// Every output of every Mount that is heard.
    pub heard: Vec<Output>,
    /// Number of Mounts that name this Station.
    pub mounts: usize,
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
        owner,
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
    ValidStation {
        spec,
        credentials: fetched.credentials.clone(),
        heard: settle(&fetched.mounts).heard().to_vec(),
        mounts: fetched.mounts.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        FULL_MOUNT, FULL_STATION, PLAIN_MOUNT, PLAIN_STATION, SECRET, images, valid_station, yaml,
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
    fn every_field_is_checked() {
        type Break = fn(&mut Station);
        let cases: [(&str, Break); 9] = [
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
    fn debug_output_holds_no_password() {
        assert!(!format!("{:?}", valid_station(FULL_STATION, &[])).contains(SECRET));
    }
}

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

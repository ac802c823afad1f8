//! Step 2: from what the Recording says to what its pods are told. No IO.

use ingest::config::TapeAccess;
use kube::ResourceExt;
use radio_crds::{
    Recording, quantity,
    recording::{Rendition, SlotOf},
    store::{self, Profile},
};
use recorder::config;

use super::ends;
use crate::{
    context::Images,
    k8s::meta::Owner,
    text::{ImageName, InvalidText, Line, ObjectName, ResourceName},
};

/// A Recording whose spec is good, before anything was read.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidSpec {
    /// The Recording itself.
    pub owner: Owner,
    /// What its pods are told, without the way to the tapes.
    pub told: config::Recording,
    /// The Secret with the keys to the store.
    pub keys: ResourceName,
    /// Most bytes that wait on the recorder's node.
    pub spool_bytes: u64,
    /// The edition of the final object that somebody asked for.
    pub edition: u32,
    /// The image of recorder and finalizer.
    pub image: ImageName,
}

impl ValidSpec {
    /// What its pods are told.
    #[must_use]
    pub fn told(&self, tape: TapeAccess) -> config::Recording {
        config::Recording {
            tape,
            ..self.told.clone()
        }
    }

    /// How an object of it is named outside of the cluster.
    #[must_use]
    pub fn url(&self, key: &str) -> String {
        format!("s3://{}/{}{key}", self.told.store.bucket, self.told.prefix())
    }
}

fn invalid(field: &str, rule: impl Into<String>) -> InvalidText {
    InvalidText {
        field: field.to_owned(),
        rule: rule.into(),
    }
}

/// Checks the spec.
pub fn spec(recording: &Recording, images: &Images) -> Result<ValidSpec, InvalidText> {
    let spec = &recording.spec;
    let station = name("spec.station", &spec.station)?;
    let owner = Owner::of(recording, &station)
        .ok_or_else(|| invalid("metadata", "must have a namespace and a uid"))?;
    let told = told(recording, &owner)?;
    // The recorder itself would refuse the rest.
    let json = serde_json::to_vec(&told).unwrap_or_default();
    config::Recording::parse(&json).map_err(|unusable| invalid("spec", format!("must fit: {unusable}")))?;
    let spool = spec.spool_bytes();
    Ok(ValidSpec {
        told,
        keys: ResourceName::parse("spec.store.secretRef.name", &spec.store.secret_ref.name)?,
        spool_bytes: spool.ok_or_else(|| invalid("spec.spoolSize", "must be a size such as 2Gi"))?,
        edition: spec.edition(),
        image: ImageName::parse("the operator's recorder image", &images.recorder)?,
        owner,
    })
}

fn name(field: &str, text: &str) -> Result<String, InvalidText> {
    let name = ObjectName::parse(text).map_err(|wrong| invalid(field, wrong.rule))?;
    Ok(name.to_string())
}

fn told(recording: &Recording, owner: &Owner) -> Result<config::Recording, InvalidText> {
    let spec = &recording.spec;
    let idle_end = spec.idle_end_seconds();
    let longest = spec.max_length_seconds();
    Ok(config::Recording {
        name: recording.name_any(),
        namespace: owner.namespace.clone(),
        station: owner.station.clone(),
        mount: name("spec.mount", &spec.mount)?,
        input: spec.input.clone(),
        title: Line::parse("spec.title", &spec.title, 200)?.to_string(),
        window: config::Window {
            from: spec.window.from,
            until: ends::until(recording),
        },
        idle_end_seconds: idle_end.ok_or_else(|| invalid("spec.idleEnd", "must be a time such as 2m"))?,
        max_length_seconds: longest.ok_or_else(|| invalid("spec.maxLength", "must be a time such as 6h"))?,
        tape: nowhere(),
        store: bucket(&spec.store)?,
        renditions: spec.renditions.iter().copied().map(rendition).collect(),
        min_coverage_percent: spec.min_coverage,
        show: spec.show.as_ref().map(slot_of).transpose()?,
        ends_idle: ends::ends_idle(recording),
        delete_segments_after_verify: true,
    })
}

fn slot_of(slot: &SlotOf) -> Result<config::SlotOf, InvalidText> {
    Ok(config::SlotOf {
        name: name("spec.show.name", &slot.name)?,
        slot_end: slot.slot_end,
    })
}

/// No way to any tape: what makes final objects needs none.
#[must_use]
pub fn nowhere() -> TapeAccess {
    TapeAccess {
        addresses: Vec::new(),
        token: String::new(),
    }
}

fn rendition(rendition: Rendition) -> config::Rendition {
    match rendition {
        Rendition::Mp3 => config::Rendition::Mp3,
    }
}

/// Where a bucket is, as whoever asks it needs it.
pub fn bucket(store: &store::Bucket) -> Result<config::Bucket, InvalidText> {
    let rate = |text: &str| {
        quantity::bytes(text).ok_or_else(|| invalid("spec.store.bandwidthCap", "must be a rate such as 2Mi"))
    };
    Ok(config::Bucket {
        endpoint: store.endpoint.clone(),
        region: store.region().to_owned(),
        bucket: store.bucket.clone(),
        prefix: store.prefix.clone().unwrap_or_default(),
        profile: match store.profile() {
            Profile::R2 => config::Profile::R2,
            Profile::Aws => config::Profile::Aws,
            Profile::Generic => config::Profile::Generic,
        },
        force_path_style: store.force_path_style.unwrap_or(true),
        bandwidth_cap: store.bandwidth_cap.as_deref().map(rate).transpose()?,
    })
}

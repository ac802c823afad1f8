//! The S3 server: versitygw over a plain folder, behind the Service `s3` in the namespace `radio-s3`. Does IO.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use rand::distr::{Alphanumeric, SampleString};
use serde_json::{Value, json};

use super::processes::{self, Service};
use super::{CONTROL_PLANE_ADDRESS, Places, control_plane, text};
use crate::install::cache;
use crate::install::golang::Programs;

/// Where it listens, inside the cluster's network.
pub const ADDRESS: &str = "198.18.0.1:9000";

/// The bucket of the example station's recordings.
const EXAMPLE: &str = "example";

/// The key pair with which everything in S3 may be read and written.
pub struct Credentials {
    /// The public half.
    pub access_key: String,
    /// The secret half.
    pub secret_key: String,
}

impl Credentials {
    /// The credentials of the running cluster.
    pub fn read(places: &Places) -> Result<Self> {
        let path = Self::file(places);
        let secret_key =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self {
            access_key: "radio".into(),
            secret_key,
        })
    }

    fn file(places: &Places) -> PathBuf {
        places.visible.join("s3-secret-key")
    }
}

/// Starts the S3 server.
pub async fn ensure(places: &Places, programs: &Programs) -> Result<()> {
    let file = Credentials::file(places);
    if !file.exists() {
        cache::write_secret(&file, Alphanumeric.sample_string(&mut rand::rng(), 40))?;
    }
    processes::ensure(&places.records(), &versitygw(places, programs)?)
        .await
        .map(drop)
}

fn folder(places: &Places) -> PathBuf {
    places.state.join("s3")
}

/// Where a person finds what the example station recorded.
#[must_use]
pub fn recordings(places: &Places) -> PathBuf {
    folder(places).join(EXAMPLE)
}

/// The Secret by which the example station stores its recordings, in its namespace.
pub fn example_secret(places: &Places) -> Result<Value> {
    let key = Credentials::read(places)?;
    Ok(json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "example-store", "namespace": "radio" },
        "stringData": { "access-key-id": key.access_key, "secret-access-key": key.secret_key },
    }))
}

fn versitygw(places: &Places, programs: &Programs) -> Result<Service> {
    let folder = folder(places);
    // A bucket is a folder.
    let bucket = folder.join(EXAMPLE);
    fs::create_dir_all(&bucket).with_context(|| format!("cannot make {}", bucket.display()))?;
    let credentials = Credentials::read(places)?;
    let arguments = vec![
        "--port".into(),
        ADDRESS.into(),
        "--quiet".into(),
        "posix".into(),
        text(&folder),
    ];
    let mut service = control_plane::service(places, "s3", programs.versitygw.clone(), arguments);
    service.environment = vec![
        ("ROOT_ACCESS_KEY".into(), credentials.access_key),
        ("ROOT_SECRET_KEY".into(), credentials.secret_key),
    ];
    Ok(service)
}

/// The namespace and Service of S3, and the Secret `s3-credentials` (keys `accessKey` and `secretKey`).
pub fn objects(places: &Places) -> Result<Vec<Value>> {
    let Credentials {
        access_key,
        secret_key,
    } = Credentials::read(places)?;
    let metadata = json!({
        "name": "s3", "namespace": "radio-s3", "labels": { "kubernetes.io/service-name": "s3" },
    });
    Ok(vec![
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "radio-s3" } }),
        json!({
            "apiVersion": "v1", "kind": "Secret", "stringData": { "accessKey": access_key, "secretKey": secret_key },
            "metadata": { "name": "s3-credentials", "namespace": "radio-s3" },
        }),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": metadata,
            "spec": { "ports": [{ "name": "s3", "port": 9000, "targetPort": 9000, "protocol": "TCP" }] },
        }),
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata,
            "addressType": "IPv4", "ports": [{ "name": "s3", "port": 9000, "protocol": "TCP" }],
            "endpoints": [{ "addresses": [CONTROL_PLANE_ADDRESS], "conditions": { "ready": true } }],
        }),
    ])
}

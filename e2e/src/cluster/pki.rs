//! The certificates and keys of the cluster. All are made at once, for the life of one cluster. Does IO.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

use super::{CONTROL_PLANE_ADDRESS, NODES, Places};
use crate::install::cache;

/// The API server's address inside the cluster: the first of the Services.
const SERVICE_ADDRESS: &str = "10.96.0.1";

/// The names by which the API server is called.
const API_NAMES: [&str; 8] = [
    "127.0.0.1",
    CONTROL_PLANE_ADDRESS,
    SERVICE_ADDRESS,
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
];

/// Who calls it, beside the nodes: the files' name, the user and the group.
const CLIENTS: [(&str, &str, Option<&str>); 5] = [
    ("admin", "admin", Some("system:masters")),
    ("dns", "coredns", Some("system:masters")),
    ("controllers", "system:kube-controller-manager", None),
    ("scheduler", "system:kube-scheduler", None),
    ("proxy", "system:kube-proxy", None),
];

/// Makes the certificates, if this cluster has none yet.
pub fn ensure(places: &Places) -> Result<()> {
    let folder = places.pki("");
    if folder.exists() {
        return Ok(());
    }
    let partial = cache::fresh_partial(&places.state.join("pki"))?;
    fs::create_dir_all(&partial).with_context(|| format!("cannot make {}", partial.display()))?;
    make(&partial)?;
    fs::rename(&partial, &folder).with_context(|| format!("cannot make {}", folder.display()))
}

fn make(folder: &Path) -> Result<()> {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "radio local cluster");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    cache::write(&folder.join("ca.crt"), authority.pem())?;
    cache::write_secret(&folder.join("ca.key"), authority.key().serialize_pem())?;

    let accounts = KeyPair::generate()?;
    cache::write_secret(&folder.join("accounts.key"), accounts.serialize_pem())?;
    cache::write(&folder.join("accounts.pub"), accounts.public_key_pem())?;

    issue(
        folder,
        &authority,
        "apiserver",
        "kube-apiserver",
        None,
        &API_NAMES,
    )?;
    for (file, user, group) in CLIENTS {
        issue(folder, &authority, file, user, group, &[])?;
    }
    for node in NODES {
        let (name, address) = (node.name(), node.address());
        let user = format!("system:node:{name}");
        issue(
            folder,
            &authority,
            &name,
            &user,
            Some("system:nodes"),
            &[&name, &address],
        )?;
    }
    Ok(())
}

fn issue(
    folder: &Path,
    authority: &CertifiedIssuer<'_, KeyPair>,
    file: &str,
    user: &str,
    group: Option<&str>,
    names: &[&str],
) -> Result<()> {
    let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    params.distinguished_name.push(DnType::CommonName, user);
    if let Some(group) = group {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let key = KeyPair::generate()?;
    let certificate = params
        .signed_by(&key, authority)
        .with_context(|| format!("cannot sign for {user}"))?;
    cache::write(&folder.join(format!("{file}.crt")), certificate.pem())?;
    cache::write_secret(&folder.join(format!("{file}.key")), key.serialize_pem())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_gets_a_certificate_and_only_root_reads_the_keys() {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path()).unwrap();
        for name in [
            "apiserver",
            "admin",
            "controllers",
            "scheduler",
            "proxy",
            "dns",
            "node1",
            "node3",
        ] {
            let certificate = fs::read_to_string(folder.path().join(format!("{name}.crt"))).unwrap();
            assert!(certificate.starts_with("-----BEGIN CERTIFICATE-----"), "{name}");
            let key = fs::metadata(folder.path().join(format!("{name}.key"))).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::mode(&key.permissions());
            assert_eq!(mode & 0o077, 0, "{name}");
        }
    }
}

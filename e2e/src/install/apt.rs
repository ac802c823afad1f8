//! Debian packages: installs those that are missing, and lets none of them start a service. Does IO.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use tokio::process::Command;

use super::command;
use crate::steps::Progress;

/// Each package, and a file that is there once it is installed.
const PACKAGES: [(&str, &str); 13] = [
    ("buildah", "/usr/bin/buildah"),
    ("ca-certificates", "/etc/ssl/certs/ca-certificates.crt"),
    ("containerd", "/usr/bin/containerd"),
    ("containernetworking-plugins", "/usr/lib/cni/ptp"),
    ("curl", "/usr/bin/curl"),
    ("debootstrap", "/usr/sbin/debootstrap"),
    ("etcd-server", "/usr/bin/etcd"),
    ("ffmpeg", "/usr/bin/ffmpeg"),
    ("icecast2", "/usr/bin/icecast2"),
    ("iproute2", "/usr/sbin/ip"),
    ("nftables", "/usr/sbin/nft"),
    ("rclone", "/usr/bin/rclone"),
    ("runc", "/usr/sbin/runc"),
];

/// The file that tells Debian's packages whether they may start services.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs what is missing.
pub async fn ensure(progress: &Progress) -> Result<()> {
    let missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|(_, file)| !Path::new(file).exists())
        .map(|(package, _)| *package)
        .collect();
    if missing.is_empty() {
        progress.say("all there");
        return Ok(());
    }
    command::run(apt_get().arg("update"), progress).await?;
    let quiet = NoServices::begin()?;
    command::run(
        apt_get()
            .args(["install", "-y", "--no-install-recommends"])
            .args(&missing),
        progress,
    )
    .await?;
    drop(quiet);
    progress.say(format!("installed {}", missing.join(" ")));
    Ok(())
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["-o", "DPkg::Lock::Timeout=300"]);
    command
}

/// While it lives, no package starts a service; a policy of the machine's owner is left as it is.
struct NoServices {
    ours: bool,
}

impl NoServices {
    /// The mark by which a policy left by an interrupted run is known as ours.
    const TEXT: &str = "#!/bin/sh\n# made by radio-operator's cluster while it installs packages\nexit 101\n";

    fn begin() -> Result<Self> {
        let ours = fs::read_to_string(POLICY).map_or(true, |text| text == Self::TEXT);
        if ours {
            fs::write(POLICY, Self::TEXT)
                .and_then(|()| fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755)))
                .with_context(|| format!("cannot write {POLICY}"))?;
        }
        Ok(Self { ours })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours {
            let _ = fs::remove_file(POLICY);
        }
    }
}

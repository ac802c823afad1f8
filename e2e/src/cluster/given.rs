//! `cluster up` with KUBECONFIG set: the same operator and example on somebody else's cluster. Does IO.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::{Places, deploy, studio, up};
use crate::install::images::Workshop;
use crate::install::{apt, golang, rooms};
use crate::steps::Steps;

/// Builds the images, pushes them below `RADIO_IMAGE_PREFIX`, and deploys operator and example.
pub async fn up_on_given(places: &Places, steps: &Steps, kubeconfig: PathBuf) -> Result<()> {
    let prefix = std::env::var("RADIO_IMAGE_PREFIX")
        .ok()
        .filter(|prefix| !prefix.is_empty())
        .context(
            "KUBECONFIG is set, so RADIO_IMAGE_PREFIX must name a registry that its cluster can pull from, \
         e.g. RADIO_IMAGE_PREFIX=registry.example.org/radio (or unset KUBECONFIG for a local cluster)",
        )?;
    let rooms = rooms::named(&[])?;
    rooms::check(&places.repository, &rooms)?;
    steps.run("Debian packages", apt::ensure).await?;
    let sources = places.repository.join("e2e/go");
    let kubectl = steps
        .run("kubectl", async |p| golang::kubectl(&sources, p).await)
        .await?;
    let mut images = up::build_images(places, steps, &rooms).await?;
    images.remove("debian");
    let workshop = Workshop::open()?;
    let mut names = std::collections::BTreeMap::new();
    for (room, image) in &images {
        let name = published_name(&prefix, room, &image.name);
        steps
            .run(&format!("push {room}"), async |p| {
                workshop.publish(image, &name, p).await
            })
            .await?;
        names.insert(*room, name);
    }
    let target = deploy::Target::given(places, kubectl, kubeconfig);
    deploy::operator(&target, steps, &places.repository, &names).await?;
    // Whoever has no bucket there has a station all the same.
    let sample = places.repository.join("manifests/samples/example");
    deploy::example(&target, steps, &sample, vec![]).await?;
    let logins = studio::logins(&target, steps).await?;
    println!(
        "\nOn the air after {:.0} s. To listen at http://127.0.0.1:8000/live.mp3:\n  \
         kubectl -n radio port-forward service/example-listen 8000\n\n{}\n  \
         after: kubectl -n radio port-forward service/example-ingest 8005",
        steps.elapsed().as_secs_f32(),
        studio::invitation(&logins),
    );
    Ok(())
}

/// The image's name in the registry: the same hash under the given prefix.
fn published_name(prefix: &str, room: &str, local: &str) -> String {
    let tag = local.rsplit_once(':').map_or("latest", |(_, tag)| tag);
    format!("{}/{room}:{tag}", prefix.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_images_keep_their_hash() {
        let name = published_name(
            "registry.example.org:5000/radio/",
            "icecast",
            "localhost/radio/icecast:ab12",
        );
        assert_eq!(name, "registry.example.org:5000/radio/icecast:ab12");
    }
}

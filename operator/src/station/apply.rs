//! Step 4: the objects in the cluster. IO.

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};

use super::build::Desired;
use crate::k8s::{
    apply::{Applier, ApplyError},
    rbac::Access,
};

/// The pods' owners as the API server answered; `None` where nothing was to be written.
pub struct Applied {
    /// The origin.
    pub origin: Option<Deployment>,
    /// The relays.
    pub relay: Option<Deployment>,
    /// The ingest.
    pub ingest: Option<StatefulSet>,
}

/// Rights and configuration first, so that no pod starts without them.
pub async fn apply(children: &Applier<'_>, desired: &Desired) -> Result<Applied, ApplyError> {
    // Without `..`: a new object must not be forgotten here.
    let Desired {
        origin_access,
        relay_access,
        ingest_access,
        origin_config,
        relay_config,
        ingest_config,
        origin_service,
        listen_service,
        source_service,
        tape_service,
        origin,
        relay,
        ingest,
    } = desired;
    for Access {
        service_account,
        role,
        binding,
    } in [origin_access, relay_access, ingest_access]
    {
        children.apply(service_account).await?;
        children.apply(role).await?;
        children.apply(binding).await?;
    }
    // The ingest first, then the origin: each is asked by the next at once.
    children.apply(ingest_config).await?;
    children.apply(origin_config).await?;
    children.apply(relay_config).await?;
    children.apply(origin_service).await?;
    children.apply(listen_service).await?;
    children.apply(source_service).await?;
    children.apply(tape_service).await?;
    Ok(Applied {
        origin: children.apply(origin).await?,
        relay: children.apply(relay).await?,
        ingest: children.apply(ingest).await?,
    })
}

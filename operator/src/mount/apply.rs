//! Step 4: the objects in the cluster. IO.

use k8s_openapi::api::apps::v1::Deployment;

use super::build::Desired;
use crate::k8s::{
    apply::{Applier, ApplyError},
    rbac::Access,
};

/// The Deployment as the API server answered; `None` where nothing was to be written.
#[derive(Default)]
pub struct Applied {
    /// The playout pod.
    pub playout: Option<Deployment>,
}

/// Rights and configuration first, so that no pod starts without them.
pub async fn apply(children: &Applier<'_>, desired: &Desired) -> Result<Applied, ApplyError> {
    // Without `..`: a new object must not be forgotten here.
    let Desired {
        access: Access {
            service_account,
            role,
            binding,
        },
        config,
        playout,
    } = desired;
    children.apply(service_account).await?;
    children.apply(role).await?;
    children.apply(binding).await?;
    children.apply(config).await?;
    Ok(Applied {
        playout: children.apply(playout).await?,
    })
}

//! Step 4: the objects in the cluster. IO.

use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, Client, ResourceExt, api::PostParams};
use radio_crds::Recording;

use super::build::Desired;
use crate::k8s::{
    apply::{Applier, ApplyError},
    error::ApiError,
    rbac::Access,
};

/// Makes Recordings; one that is there already was made for the same show, and our copy does not have it yet.
pub async fn make(client: &Client, wanted: Vec<Recording>) -> Result<Vec<Recording>, ApiError> {
    let mut made = Vec::new();
    for recording in wanted {
        let name = recording.name_any();
        let namespace = recording.namespace().unwrap_or_default();
        let api = Api::<Recording>::namespaced(client.clone(), &namespace);
        match api.create(&PostParams::default(), &recording).await {
            Ok(recording) => {
                tracing::info!(namespace, name, title = recording.spec.title, "recording");
                made.push(recording);
            }
            Err(kube::Error::Api(status)) if status.is_already_exists() => made.push(recording),
            Err(error) => return Err(ApiError::new("create", "Recording", &name)(error)),
        }
    }
    Ok(made)
}

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

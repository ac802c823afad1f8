//! Step 5: makes the Recordings of slots, and takes back those of slots that are none any more. IO.

use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, PostParams, Preconditions},
};
use radio_crds::{Recording, recording::Phase};

use crate::k8s::error::ApiError;

/// Makes a Recording; one that is there already was made for the same slot, and our copy does not have it yet.
pub async fn make(client: &Client, recording: &Recording) -> Result<(), ApiError> {
    let name = recording.name_any();
    let namespace = recording.namespace().unwrap_or_default();
    let api = Api::<Recording>::namespaced(client.clone(), &namespace);
    match api.create(&PostParams::default(), recording).await {
        Ok(recording) => {
            tracing::info!(
                namespace,
                name,
                title = recording.spec.title,
                "a slot is prepared"
            );
            Ok(())
        }
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        Err(error) => Err(ApiError::new("create", "Recording", &name)(error)),
    }
}

/// Deletes a Recording that nothing is in and nothing would be: as it was seen, not as it may be by now.
pub async fn take_back(client: &Client, recording: &Recording) -> Result<(), ApiError> {
    let phase = recording.status.as_ref().and_then(|status| status.phase);
    if !matches!(phase, None | Some(Phase::Waiting)) {
        return Ok(());
    }
    let name = recording.name_any();
    let namespace = recording.namespace().unwrap_or_default();
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: recording.uid(),
            resource_version: recording.resource_version(),
        }),
        ..DeleteParams::default()
    };
    let api = Api::<Recording>::namespaced(client.clone(), &namespace);
    match api.delete(&name, &params).await {
        Ok(_) => {
            tracing::info!(namespace, name, "the slot is none any more");
            Ok(())
        }
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(ApiError::new("delete", "Recording", &name)(error)),
    }
}

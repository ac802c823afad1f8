//! Step 5: makes and deletes what the plan says. Doing it twice is doing it once. IO.

use k8s_openapi::api::{batch::v1::Job, core::v1::Secret};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, PostParams, Preconditions, PropagationPolicy},
};

use super::jobs::JobId;
use crate::k8s::{
    apply::{Applier, ApplyError, must_be_ours},
    error::ApiError,
};

/// Something to be done, and with what.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// Keep what the pods are told as it should be.
    Tell(Box<Secret>),
    /// Make a Job, which is never changed.
    Make(Box<Job>),
    /// Delete a Job, and its pods after it.
    Delete(JobId),
}

/// Does all of it, in order.
pub async fn apply(children: &Applier<'_>, deeds: &[Deed]) -> Result<(), ApplyError> {
    let api = Api::<Job>::namespaced(children.client.clone(), &children.owner.namespace);
    for deed in deeds {
        match deed {
            Deed::Tell(secret) => drop(children.apply(&**secret).await?),
            Deed::Make(job) => make(children, &api, job).await?,
            Deed::Delete(job) => delete(&api, job).await?,
        }
    }
    Ok(())
}

async fn make(children: &Applier<'_>, api: &Api<Job>, job: &Job) -> Result<(), ApplyError> {
    let name = job.name_any();
    let params = PostParams {
        field_manager: Some(children.manager.to_owned()),
        ..PostParams::default()
    };
    match api.create(&params, job).await {
        Ok(_) => {
            tracing::info!(job = name, "made");
            Ok(())
        }
        // Made before, and our copy is a moment old; or it is somebody else's.
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            let live = api
                .get_metadata_opt(&name)
                .await
                .map_err(ApiError::new("read", "Job", &name))?;
            live.map_or(Ok(()), |live| {
                must_be_ours(children.owner, "Job", &name, &live.metadata)
            })
        }
        Err(failure) => Err(ApiError::new("make", "Job", &name)(failure).into()),
    }
}

async fn delete(api: &Api<Job>, job: &JobId) -> Result<(), ApplyError> {
    let params = DeleteParams {
        // Not in the foreground: a pod on a lost node would hold the name of the next one. What runs once more beside it
        // does no harm, as segments and versions never change.
        propagation_policy: Some(PropagationPolicy::Background),
        preconditions: Some(Preconditions {
            uid: Some(job.uid.clone()),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    match api.delete(&job.name, &params).await {
        Ok(_) => {
            tracing::info!(job = job.name, "deleted");
            Ok(())
        }
        // It is gone, or another one has its name by now.
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
        Err(failure) => Err(ApiError::new("delete", "Job", &job.name)(failure).into()),
    }
}

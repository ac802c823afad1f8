//! Step 1: everything a Station needs to know. IO.

use radio_crds::Mount;

use super::{
    Error,
    credentials::{self, Credentials},
    validate::ValidSpec,
};
use crate::context::Context;

/// What was found.
pub struct Fetched {
    /// The passwords, made if there were none.
    pub credentials: Credentials,
    /// The Station's Mounts, the oldest first.
    pub mounts: Vec<Mount>,
}

/// Reads what the Station refers to, and what refers to it.
pub async fn fetch(spec: &ValidSpec, context: &Context) -> Result<Fetched, Error> {
    let owner = &spec.owner;
    Ok(Fetched {
        credentials: credentials::ensure(&context.client, owner).await?,
        mounts: context.stores.mounts_of(&owner.namespace, &owner.name),
    })
}

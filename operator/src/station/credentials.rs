//! The Station's passwords: made once at random, read back ever after. IO in [`ensure`] only.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use radio_crds::{Station, conditions::reason};
use thiserror::Error;

use crate::{
    k8s::{
        apply::{ApplyError, must_be_ours},
        error::{ApiError, Class, Classify},
        kind::Kind,
        meta::{Component, Owner, names},
    },
    text::Password,
};

/// Key of Icecast's `admin` password.
pub const ADMIN: &str = "admin-password";
/// Key of the password that playout pods send streams with.
pub const SOURCE: &str = "source-password";
/// Key of the password that relays fetch streams with.
pub const RELAY: &str = "relay-password";

/// The passwords of one Station.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// For Icecast's admin pages.
    pub admin: Password,
    /// For sources.
    pub source: Password,
    /// For relays.
    pub relay: Password,
}

/// Why there are no passwords.
#[derive(Debug, Error)]
pub enum CredentialsError {
    /// The Secret could not be read or written.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The Secret's name is taken.
    #[error(transparent)]
    Taken(#[from] ApplyError),
    /// Somebody wrote a value that is no password.
    #[error(
        "{key} in Secret {secret} must be 1 to 256 characters without control characters; \
         remove the key to have a new password made"
    )]
    Unusable {
        /// The Secret.
        secret: String,
        /// The key.
        key: &'static str,
    },
}

impl Classify for CredentialsError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Api(error) => error.reason(),
            Self::Taken(error) => error.reason(),
            Self::Unusable { .. } => reason::INVALID_SPEC,
        }
    }

    fn class(&self) -> Class {
        match self {
            Self::Api(error) => error.class(),
            Self::Taken(error) => error.class(),
            // The Secret is watched.
            Self::Unusable { .. } => Class::Stalled { recheck: None },
        }
    }
}

/// Reads the passwords; makes those that are missing.
pub async fn ensure(client: &Client, owner: &Owner) -> Result<Credentials, CredentialsError> {
    let name = names::credentials(&owner.name);
    let api = Api::<Secret>::namespaced(client.clone(), &owner.namespace);
    let live = api
        .get_opt(&name)
        .await
        .map_err(ApiError::new("read", "Secret", &name))?;
    let Some(live) = live else {
        let made = Credentials {
            admin: Password::random(),
            source: Password::random(),
            relay: Password::random(),
        };
        let secret = build(
            owner,
            &[(ADMIN, &made.admin), (SOURCE, &made.source), (RELAY, &made.relay)],
        );
        let params = PostParams {
            field_manager: Some(Station::MANAGER.to_owned()),
            ..PostParams::default()
        };
        // Made, not applied: if another process was faster its passwords count, and we read them next time.
        api.create(&params, &secret)
            .await
            .map_err(ApiError::new("make", "Secret", &name))?;
        return Ok(made);
    };
    must_be_ours(owner, "Secret", &name, &live.metadata)?;
    let (credentials, missing) = complete(&live, &name)?;
    if !missing.is_empty() {
        let added: Vec<_> = missing.iter().map(|key| (*key, credentials.get(key))).collect();
        let mut patch = build(owner, &added);
        patch.metadata.resource_version = live.metadata.resource_version;
        // Merged, not applied: an apply takes away the keys it named last time and does not name now.
        api.patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .map_err(ApiError::new("complete", "Secret", &name))?;
    }
    Ok(credentials)
}

impl Credentials {
    fn get(&self, key: &str) -> &Password {
        match key {
            ADMIN => &self.admin,
            SOURCE => &self.source,
            _ => &self.relay,
        }
    }
}

/// What is in the Secret, and new passwords for the keys that are not.
fn complete(secret: &Secret, name: &str) -> Result<(Credentials, Vec<&'static str>), CredentialsError> {
    let mut missing = Vec::new();
    let mut password = |key: &'static str| {
        if let Some(value) = secret.data.as_ref().and_then(|data| data.get(key)) {
            Password::parse(&value.0).ok_or_else(|| CredentialsError::Unusable {
                secret: name.to_owned(),
                key,
            })
        } else {
            missing.push(key);
            Ok(Password::random())
        }
    };
    let credentials = Credentials {
        admin: password(ADMIN)?,
        source: password(SOURCE)?,
        relay: password(RELAY)?,
    };
    Ok((credentials, missing))
}

/// The password of sources, for those who only read.
#[must_use]
pub fn source_password(secret: &Secret) -> Option<Password> {
    Password::parse(&secret.data.as_ref()?.get(SOURCE)?.0)
}

fn build(owner: &Owner, passwords: &[(&str, &Password)]) -> Secret {
    let data: BTreeMap<_, _> = passwords
        .iter()
        .map(|(key, password)| {
            (
                (*key).to_owned(),
                ByteString(password.reveal().as_bytes().to_vec()),
            )
        })
        .collect();
    Secret {
        metadata: owner.child(names::credentials(&owner.name), Component::Station),
        data: Some(data),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(entries: &[(&str, &str)]) -> Secret {
        let data = entries
            .iter()
            .map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())));
        Secret {
            data: Some(data.collect()),
            ..Secret::default()
        }
    }

    #[test]
    fn what_is_there_stays() {
        let full = secret(&[(ADMIN, "a"), (SOURCE, "s"), (RELAY, "r")]);
        let (credentials, missing) = complete(&full, "x").unwrap();
        assert_eq!(missing, [""; 0]);
        assert_eq!(credentials.admin.reveal(), "a");
        assert_eq!(credentials.source.reveal(), "s");
        assert_eq!(credentials.relay.reveal(), "r");
    }

    #[test]
    fn what_is_missing_is_made() {
        let (credentials, missing) = complete(&secret(&[(SOURCE, "s")]), "x").unwrap();
        assert_eq!(missing, [ADMIN, RELAY]);
        assert_eq!(credentials.source.reveal(), "s");
        assert_eq!(credentials.get(RELAY).reveal().len(), 32);
        assert_ne!(credentials.get(ADMIN), credentials.get(RELAY));
    }

    #[test]
    fn an_unusable_value_is_told_without_the_value() {
        let error = complete(&secret(&[(ADMIN, "se\ncret")]), "radio-credentials").unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("admin-password in Secret radio-credentials"),
            "{error}"
        );
        assert!(!format!("{error} {error:?}").contains("cret\""));
        assert_eq!(error.class(), Class::Stalled { recheck: None });
    }
}

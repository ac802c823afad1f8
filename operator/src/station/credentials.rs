//! The Station's passwords: made once at random, read back ever after. IO in [`ensure`] only.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::Client;
use radio_crds::{Station, conditions::reason};
use thiserror::Error;

use crate::{
    k8s::{
        apply::ApplyError,
        error::{Class, Classify},
        kind::Kind,
        meta::{Component, Owner, names},
        passwords,
    },
    text::Password,
};

/// Key of Icecast's `admin` password.
pub const ADMIN: &str = "admin-password";
/// Key of the password that playout pods send streams with.
pub const SOURCE: &str = "source-password";
/// Key of the password that relays fetch streams with.
pub const RELAY: &str = "relay-password";
/// Key of what the tokens of the tape's readers are made from.
pub const TAPE: &str = "tape-key";

/// The passwords of one Station.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// For Icecast's admin pages.
    pub admin: Password,
    /// For sources of the origin.
    pub source: Password,
    /// For relays.
    pub relay: Password,
    /// For tokens of readers.
    pub tape: Password,
}

/// Why there are no passwords.
#[derive(Debug, Error)]
pub enum CredentialsError {
    /// The Secret could not be read or written, or its name is taken.
    #[error(transparent)]
    Secret(#[from] ApplyError),
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
            Self::Secret(error) => error.reason(),
            Self::Unusable { .. } => reason::INVALID_SPEC,
        }
    }

    fn class(&self) -> Class {
        match self {
            Self::Secret(error) => error.class(),
            // The Secret is watched.
            Self::Unusable { .. } => Class::Stalled { recheck: None },
        }
    }
}

/// Reads the passwords; makes those that are missing.
pub async fn ensure(client: &Client, owner: &Owner) -> Result<Credentials, CredentialsError> {
    let name = names::credentials(&owner.name);
    let secret = (name.as_str(), Component::Station);
    let keys = [ADMIN, SOURCE, RELAY, TAPE];
    let data = passwords::ensure(client, owner, Station::MANAGER, secret, &keys).await?;
    read(&data, &name)
}

fn read(data: &BTreeMap<String, ByteString>, name: &str) -> Result<Credentials, CredentialsError> {
    let password = |key: &'static str| {
        data.get(key)
            .and_then(|value| Password::parse(&value.0))
            .ok_or_else(|| CredentialsError::Unusable {
                secret: name.to_owned(),
                key,
            })
    };
    Ok(Credentials {
        admin: password(ADMIN)?,
        source: password(SOURCE)?,
        relay: password(RELAY)?,
        tape: password(TAPE)?,
    })
}

/// The passwords, for those who only read.
#[must_use]
pub fn of_secret(secret: &Secret) -> Option<Credentials> {
    read(secret.data.as_ref()?, "").ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{SECRET, credentials, credentials_secret};

    #[test]
    fn every_password_is_read_from_its_key() {
        assert_eq!(of_secret(&credentials_secret()), Some(credentials()));
        for key in [ADMIN, SOURCE, RELAY, TAPE] {
            let mut secret = credentials_secret();
            secret.data.as_mut().unwrap().remove(key);
            assert_eq!(of_secret(&secret), None, "{key}");
        }
    }

    #[test]
    fn an_unusable_value_is_told_without_the_value() {
        let mut data = credentials_secret().data.unwrap();
        data.insert(ADMIN.to_owned(), ByteString(format!("{SECRET}\nx").into_bytes()));
        let error = read(&data, "radio-credentials").unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("admin-password in Secret radio-credentials"),
            "{error}"
        );
        assert!(!format!("{error} {error:?}").contains(SECRET));
        assert_eq!(error.class(), Class::Stalled { recheck: None });
    }
}

//! Step 2: from what people wrote to what can be carried out. No IO.

use std::collections::BTreeSet;

use k8s_openapi::ByteString;
use radio_crds::{Mount, Show, input::PasswordPlace};

use super::{Error, slots::Timetable};
use crate::{
    k8s::meta::{Owner, names},
    mount::inputs::{NoPassword, Secrets, Sources, sources},
    text::{EntryName, InvalidText, Line, Password, ResourceName, SecretKey, UserName},
};

/// Presenters that count.
const MOST_PRESENTERS: usize = 16;

/// A Show that can be carried out at its Mount.
#[derive(Clone, Debug, PartialEq)]
pub struct Valid {
    /// The Show itself.
    pub owner: Owner,
    /// Who may connect in its slots.
    pub presenters: Vec<Entrant>,
    /// Where sources connect to the Mount.
    pub sources: Sources,
    /// The key that stands for the `*` in the Mount's path, if it has one.
    pub key: Option<String>,
}

/// Somebody who may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entrant {
    /// Whom to log in as.
    pub username: UserName,
    /// Where the password is.
    pub password: PasswordPlace,
}

impl Valid {
    /// The keys of the passwords the operator has to make.
    #[must_use]
    pub fn to_be_made(&self) -> Vec<&str> {
        let own = names::presenters(&self.owner.name);
        let mine = self
            .presenters
            .iter()
            .filter(|presenter| presenter.password.name == own);
        mine.map(|presenter| presenter.password.key.as_str()).collect()
    }

    /// What keeps presenters from connecting.
    #[must_use]
    pub fn missing(&self, secrets: &Secrets) -> Vec<Missing> {
        let mut missing = Vec::new();
        if let (Sources::Keyed { secret, .. }, Some(key)) = (&self.sources, &self.key)
            && secrets.get(secret).is_none_or(|keys| !keys.contains_key(key))
        {
            missing.push(Missing::Key {
                secret: secret.clone(),
                key: key.clone(),
            });
        }
        let closed = self.presenters.iter().filter_map(|presenter| {
            let why = no_password(&presenter.password, secrets)?;
            Some(Missing::Password {
                username: presenter.username.to_string(),
                why,
            })
        });
        missing.extend(closed);
        missing
    }
}

/// What keeps somebody from connecting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The Mount has no such key, and so no such input.
    Key {
        /// The Secret with the Mount's keys.
        secret: String,
        /// The key.
        key: String,
    },
    /// A presenter has no password.
    Password {
        /// The presenter.
        username: String,
        /// Why not.
        why: NoPassword,
    },
}

fn no_password(place: &PasswordPlace, secrets: &Secrets) -> Option<NoPassword> {
    let Some(keys) = secrets.get(&place.name) else {
        return Some(NoPassword::Secret(place.name.clone()));
    };
    let Some(value) = keys.get(&place.key) else {
        return Some(NoPassword::Key(place.clone()));
    };
    password(value)
        .is_none()
        .then(|| NoPassword::Unusable(place.clone()))
}

/// What a person put into a Secret; `echo` and editors leave a line feed at its end that nobody can type.
fn password(value: &ByteString) -> Option<Password> {
    let bytes = value.0.strip_suffix(b"\n").unwrap_or(&value.0);
    Password::parse(bytes.strip_suffix(b"\r").unwrap_or(bytes))
}

fn invalid(field: &str, rule: &str) -> InvalidText {
    InvalidText {
        field: field.to_owned(),
        rule: rule.to_owned(),
    }
}

/// Checks the spec, and whether the Mount is fit for it.
pub fn check(show: &Show, mount: &Mount) -> Result<Valid, Error> {
    words(show)?;
    times(show)?;
    let owner = Owner::of(show, &mount.spec.station_ref.name)
        .ok_or_else(|| invalid("metadata", "must have a namespace and a uid"))?;
    let sources = sources(mount).map_err(|_| Error::MountNotReady {
        mount: show.spec.mount_ref.name.clone(),
    })?;
    place(show, &sources)?;
    Ok(Valid {
        presenters: presenters(show)?,
        key: show.spec.input.clone(),
        sources,
        owner,
    })
}

fn words(show: &Show) -> Result<(), InvalidText> {
    Line::parse("spec.title", &show.spec.title, 200)?;
    for host in &show.spec.hosts {
        Line::parse("spec.hosts", host, 100)?;
    }
    Ok(())
}

fn times(show: &Show) -> Result<(), InvalidText> {
    const RULE: &str = "must be a time such as 0s, 90s or 15m";
    Timetable::of(&show.spec.schedule)?;
    let spec = &show.spec;
    for (field, seconds) in [
        ("spec.earlyConnect", spec.early_connect_seconds()),
        ("spec.overrun", spec.overrun_seconds()),
        ("spec.missedAfter", spec.missed_after_seconds()),
    ] {
        seconds
            .filter(|seconds| *seconds <= 4 * 3600)
            .ok_or_else(|| invalid(field, RULE))?;
    }
    Ok(())
}

/// Whether there is a place where presenters connect.
fn place(show: &Show, sources: &Sources) -> Result<(), Error> {
    let mount = &show.spec.mount_ref.name;
    match (sources, &show.spec.input) {
        (Sources::Keyed { .. }, None) => Err(invalid(
            "spec.input",
            "must be one of the keys that stand for the '*' in the path of the Mount",
        )
        .into()),
        (Sources::Keyed { pattern, .. }, Some(key)) => match pattern.with(key) {
            Some(_) => Ok(()),
            None => Err(Error::InputNotFound {
                mount: mount.clone(),
                input: key.clone(),
            }),
        },
        (Sources::Named(_), Some(_)) => Err(invalid(
            "spec.input",
            "must not be there: only Mounts whose path has a '*' have keys; to let presenters use some inputs only, name \
             them in spec.inputs",
        )
        .into()),
        (Sources::Named(inputs), None) => {
            let names: BTreeSet<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
            if names.is_empty() {
                return Err(Error::NoInput { mount: mount.clone() });
            }
            let unknown = show.spec.inputs.iter().find(|name| !names.contains(name.as_str()));
            unknown.map_or(Ok(()), |input| {
                // A name that breaks its rule is not repeated: it may be long, or hostile.
                EntryName::parse("spec.inputs", input)?;
                Err(Error::InputNotFound {
                    mount: mount.clone(),
                    input: input.clone(),
                })
            })
        }
    }
}

fn presenters(show: &Show) -> Result<Vec<Entrant>, InvalidText> {
    const FIELD: &str = "spec.presenters";
    let own = names::presenters(show.metadata.name.as_deref().unwrap_or_default());
    let mut presenters: Vec<Entrant> = Vec::new();
    for presenter in &show.spec.presenters {
        let username = UserName::parse(FIELD, &presenter.username)?;
        if presenters.iter().any(|other| other.username == username) {
            return Err(invalid(FIELD, "must have different usernames"));
        }
        let password = match &presenter.password_secret_ref {
            Some(place) => PasswordPlace {
                name: ResourceName::parse(FIELD, &place.name)?.to_string(),
                key: SecretKey::parse(FIELD, &place.key)?.to_string(),
            },
            None => PasswordPlace {
                name: own.clone(),
                key: SecretKey::parse(FIELD, &presenter.username)?.to_string(),
            },
        };
        presenters.push(Entrant { username, password });
    }
    if presenters.len() > MOST_PRESENTERS {
        return Err(invalid(FIELD, "must be at most 16"));
    }
    Ok(presenters)
}

#[cfg(test)]
#[path = "validate_tests.rs"]
mod tests;

//! Who may connect in the slots of Shows, where, and with which password. No IO, no clock.

use ingest::config::Turn;
use jiff::Timestamp;
use kube::ResourceExt;
use radio_crds::{Show, ShowStatus, input::PasswordPlace};

use crate::{
    k8s::meta::names,
    mount::inputs::{Secrets, password},
    show::{
        plan::{Claim, claims},
        programme::Programme,
        turns::turns,
    },
    text::{Line, Password, ResourceName, UserName},
};

/// Somebody who opens an input in the slots of a Show, and at no other time.
#[derive(Clone, Debug, PartialEq)]
pub struct Presenter {
    /// Whom a source logs in as.
    pub user: UserName,
    /// What opens the input.
    pub password: Password,
    /// What people call the Show.
    pub show: String,
    /// When; none: no slot is near.
    pub turns: Vec<Turn>,
}

/// The presenters of a Show, and where they may connect.
#[derive(Clone, Debug, PartialEq)]
pub struct Cast {
    mount: String,
    /// Of a Mount with a `*`: the key that stands for it.
    input: Option<String>,
    /// The only inputs; none: all of them.
    inputs: Vec<String>,
    presenters: Vec<Presenter>,
}

impl Cast {
    /// Those of all Shows of a Station.
    #[must_use]
    pub fn all(shows: &[Show], secrets: &Secrets, now: Timestamp) -> Vec<Self> {
        let status = |show: &Show| show.status.clone().unwrap_or_default();
        let programmes: Vec<(Programme, ShowStatus)> = shows
            .iter()
            .map(|show| (Programme::of(show), status(show)))
            .collect();
        let claimed: Vec<Vec<Claim>> = programmes
            .iter()
            .map(|(programme, status)| claims(programme, status, now))
            .collect();
        let cast = |(show, (programme, status)): (&Show, &(Programme, ShowStatus))| {
            let beside = programmes
                .iter()
                .zip(&claimed)
                .filter(|((other, _), _)| other.is_beside(programme));
            let others: Vec<Claim> = beside.flat_map(|(_, claims)| claims.clone()).collect();
            Self::of(show, secrets, &turns(programme, status, &others, now))
        };
        shows.iter().zip(&programmes).map(cast).collect()
    }

    /// Those with a password. Of the others the Show's own status speaks.
    fn of(show: &Show, secrets: &Secrets, turns: &[Turn]) -> Self {
        let title = Line::parse("spec.title", &show.spec.title, 200);
        let title = title.map_or_else(|_| show.name_any(), |title| title.to_string());
        let presenters = places(show).filter_map(|(user, place)| {
            Some(Presenter {
                user,
                password: password(secrets.get(&place.name)?.get(&place.key)?)?,
                show: title.clone(),
                turns: turns.to_vec(),
            })
        });
        Self {
            mount: show.spec.mount_ref.name.clone(),
            input: show.spec.input.clone(),
            inputs: show.spec.inputs.clone(),
            presenters: presenters.collect(),
        }
    }

    /// Those who may connect to this input.
    pub fn at(&self, mount: &str, input: &str) -> impl Iterator<Item = &Presenter> {
        let is_here = self.mount == mount
            && self.input.as_ref().is_none_or(|key| key == input)
            && (self.inputs.is_empty() || self.inputs.iter().any(|name| name == input));
        self.presenters.iter().filter(move |_| is_here)
    }
}

/// Where the passwords of a Show's presenters are.
fn places(show: &Show) -> impl Iterator<Item = (UserName, PasswordPlace)> {
    let made = names::presenters(&show.name_any());
    show.spec.presenters.iter().filter_map(move |presenter| {
        let user = UserName::parse("spec.presenters", &presenter.username).ok()?;
        let place = presenter.password_secret_ref.as_ref().map_or_else(
            || PasswordPlace {
                name: made.clone(),
                key: presenter.username.clone(),
            },
            |place| PasswordPlace {
                name: place.name.clone(),
                key: place.key.clone(),
            },
        );
        ResourceName::parse("spec.presenters", &place.name).ok()?;
        Some((user, place))
    })
}

/// Every Secret with passwords of a Show's presenters.
#[must_use]
pub fn secrets(show: &Show) -> Vec<String> {
    places(show).map(|(_, place)| place.name).collect()
}

#[cfg(test)]
#[path = "presenters_tests.rs"]
mod tests;

//! Who may send where. No IO.

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::head::Login;
use super::refusal::Refused;
use crate::config::{Credential, Ingest, Input};

/// The input of a path, and the credentials that open it: one at least, all of one user and one password. Whether it is
/// the time for them is not asked here: who has a wrong password learns nothing about it.
pub fn admit<'a>(
    config: &'a Ingest,
    path: &str,
    login: Option<&Login>,
) -> Result<(&'a Input, Vec<&'a Credential>), Refused> {
    let input = config
        .inputs
        .iter()
        .find(|input| input.path == path)
        .ok_or_else(|| Refused::unknown_path(path))?;
    let Some(login) = login else {
        return Err(Refused::no_login(path));
    };
    let credentials = matching(&input.credentials, login);
    if credentials.is_empty() {
        return Err(Refused::wrong_login(path));
    }
    Ok((input, credentials))
}

/// Compares with each of them, to the end, so that time tells neither which one nor how much of it was right.
fn matching<'a>(all: &'a [Credential], login: &Login) -> Vec<&'a Credential> {
    let user = Sha256::digest(&login.user);
    let password = hexadecimal(&Sha256::digest(&login.password));
    let matches: Vec<Choice> = all
        .iter()
        .map(|credential| {
            let same_user = Sha256::digest(credential.user.as_bytes()).ct_eq(&user);
            let wanted = credential.sha256.to_ascii_lowercase();
            same_user & wanted.as_bytes().ct_eq(password.as_bytes())
        })
        .collect();
    let same = std::iter::zip(all, matches).filter(|&(_, same)| bool::from(same));
    same.map(|(credential, _)| credential).collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::RefusalReason;
    use crate::config::Routing;

    fn credential_of(user: &str, password: &str, routing: Routing) -> Credential {
        Credential {
            user: user.to_owned(),
            sha256: hexadecimal(&Sha256::digest(password)),
            routing,
            show: None,
            turns: Vec::new(),
        }
    }

    fn config() -> Ingest {
        let input = |path: &str, credentials| Input {
            mount: "live".to_owned(),
            name: "studio".to_owned(),
            path: path.to_owned(),
            priority: 0,
            accepts: None,
            credentials,
        };
        let mut loud = credential_of("source", "loud", Routing::Live);
        loud.sha256.make_ascii_uppercase();
        let broken = Credential {
            user: "source".to_owned(),
            sha256: "not hexadecimal".to_owned(),
            routing: Routing::Live,
            show: None,
            turns: Vec::new(),
        };
        Ingest {
            inputs: vec![
                input(
                    "/live/studio",
                    vec![broken, loud, credential_of("source", "test", Routing::Rehearsal)],
                ),
                input(
                    "/live/mobile",
                    vec![credential_of("anna", "päss:wörd", Routing::Live)],
                ),
                input("/live/nobody", Vec::new()),
            ],
            ..Ingest::default()
        }
    }

    fn tried(path: &str, user: &str, password: &str) -> Result<Routing, Refused> {
        let login = Login {
            user: user.as_bytes().to_vec(),
            password: password.as_bytes().to_vec(),
        };
        admit(&config(), path, Some(&login)).map(|(input, credentials)| {
            assert_eq!(input.path, path);
            assert_eq!(credentials.len(), 1);
            credentials[0].routing
        })
    }

    #[test]
    fn the_password_tells_where_a_source_goes() {
        assert_eq!(tried("/live/studio", "source", "loud"), Ok(Routing::Live));
        assert_eq!(tried("/live/studio", "source", "test"), Ok(Routing::Rehearsal));
        assert_eq!(tried("/live/mobile", "anna", "päss:wörd"), Ok(Routing::Live));
    }

    #[test]
    fn everybody_else_is_told_why_not() {
        for (path, user, password) in [
            ("/live/studio", "source", "Loud"),
            ("/live/studio", "source", ""),
            ("/live/studio", "", "loud"),
            ("/live/studio", "anna", "päss:wörd"),
            ("/live/mobile", "source", "loud"),
            ("/live/nobody", "", ""),
        ] {
            let refused = tried(path, user, password).unwrap_err();
            assert_eq!(
                (refused.reason, refused.status),
                (RefusalReason::Unauthorized, 401)
            );
            assert!(password.is_empty() || !refused.message.contains(password));
        }
        let refused = tried("/live/studio/", "source", "loud").unwrap_err();
        assert_eq!(
            (refused.reason, refused.status),
            (RefusalReason::UnknownPath, 404)
        );
        let refused = admit(&config(), "/live/studio", None).unwrap_err();
        assert_eq!(refused.message, "/live/studio needs a user and a password");
    }

    #[test]
    fn one_password_may_open_several_shows() {
        let show = |name: &str, password: &str| Credential {
            show: Some(name.to_owned()),
            ..credential_of("anna", password, Routing::Live)
        };
        let mut config = config();
        config.inputs[1].credentials = vec![show("a", "one"), show("b", "two"), show("c", "one")];
        let login = Login {
            user: b"anna".to_vec(),
            password: b"one".to_vec(),
        };
        let (_, credentials) = admit(&config, "/live/mobile", Some(&login)).unwrap();
        let shows: Vec<_> = credentials.iter().filter_map(|it| it.show.as_deref()).collect();
        assert_eq!(shows, ["a", "c"]);
    }
}

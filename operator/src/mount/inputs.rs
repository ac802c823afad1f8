//! Where sources connect to a Mount, and which password opens what. No IO.

use std::collections::{BTreeMap, BTreeSet};

use ingest::config::Format;
use k8s_openapi::ByteString;
use kube::ResourceExt;
use radio_crds::{
    Mount,
    input::{DEFAULT_USERNAME, InputStatus, ONLY_INPUT, Passthrough, PasswordPlace},
};

use super::pattern::PathPattern;
use crate::{
    k8s::meta::names,
    text::{EntryName, InvalidText, Password, ResourceName, SecretKey, SourcePath, StreamPath, UserName},
};

/// A Mount's Liquidsoap has this many places for them.
const MOST_INPUTS: usize = playout_agent::config::MOST_INPUTS;
/// Keys of one Secret that count; every one is a stream, a source and a line in the status.
const MOST_KEYS: usize = 100;

/// What Secrets hold, by name. One that does not exist is not in here.
pub type Secrets = BTreeMap<String, BTreeMap<String, ByteString>>;

/// One place where one source at a time may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Unique in its Mount.
    pub name: String,
    /// Unique in its Station.
    pub path: SourcePath,
    /// Whom a source logs in as.
    pub username: UserName,
    /// Where the password is.
    pub password: PasswordPlace,
    /// The only format it takes, if there is only one.
    pub accepts: Option<Format>,
}

/// Everywhere sources connect to one Mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sources {
    /// In order of priority; of a passthrough Mount without `*` the only one.
    Named(Vec<Input>),
    /// One for each key of a Secret.
    Keyed {
        /// Their paths.
        pattern: PathPattern,
        /// The Secret.
        secret: String,
        /// What they take.
        accepts: Format,
    },
}

/// A password that is not there, and so an input nobody can connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoPassword {
    /// The Secret does not exist.
    Secret(String),
    /// It has no such key.
    Key(PasswordPlace),
    /// What it has there is no password.
    Unusable(PasswordPlace),
    /// The key cannot stand for the `*`.
    Unfit(PasswordPlace),
    /// More keys than count.
    TooMany(String),
}

/// The inputs that are there, and what keeps others from being.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// With their passwords, as far as there are any.
    pub inputs: Vec<(Input, Option<Password>)>,
    /// What is missing.
    pub missing: Vec<NoPassword>,
}

/// Where sources connect to a Mount, or the first rule that this breaks.
pub fn sources(mount: &Mount) -> Result<Sources, InvalidText> {
    match &mount.spec.passthrough {
        Some(passthrough) => through(mount, passthrough),
        None => named(mount).map(Sources::Named),
    }
}

fn named(mount: &Mount) -> Result<Vec<Input>, InvalidText> {
    const FIELD: &str = "spec.inputs";
    let broken = |rule: &str| InvalidText {
        field: FIELD.to_owned(),
        rule: rule.to_owned(),
    };
    let mut inputs: Vec<Input> = Vec::new();
    for input in &mount.spec.inputs {
        let name = EntryName::parse(FIELD, &input.name)?;
        if inputs.iter().any(|other| other.name == name.as_str()) {
            return Err(broken("must have different names"));
        }
        let password = match &input.password_secret_ref {
            Some(place) => PasswordPlace {
                name: ResourceName::parse(FIELD, &place.name)?.to_string(),
                key: SecretKey::parse(FIELD, &place.key)?.to_string(),
            },
            None => made(mount, name.as_str()),
        };
        inputs.push(Input {
            path: SourcePath::parse("spec.path", &mount.spec.path, &name)?,
            name: name.to_string(),
            username: UserName::parse(FIELD, input.username.as_deref().unwrap_or(DEFAULT_USERNAME))?,
            password,
            accepts: None,
        });
    }
    if inputs.len() > MOST_INPUTS {
        return Err(broken("must be at most 8"));
    }
    Ok(inputs)
}

fn through(mount: &Mount, passthrough: &Passthrough) -> Result<Sources, InvalidText> {
    const FIELD: &str = "spec.passthrough.keysSecretRef";
    let pattern = PathPattern::parse("spec.path", &mount.spec.path)?;
    let accepts = format_of(&mount.spec.path);
    let secret = passthrough
        .keys_secret_ref
        .as_ref()
        .map(|secret| ResourceName::parse(FIELD, &secret.name).map(|name| name.to_string()))
        .transpose()?;
    match (pattern.as_exact(), secret) {
        (Some(path), secret) => Ok(Sources::Named(vec![Input {
            name: ONLY_INPUT.to_owned(),
            path: SourcePath::through(&StreamPath::with_ending("spec.path", path)?),
            username: UserName::parse("username", DEFAULT_USERNAME)?,
            password: secret.map_or_else(
                || made(mount, ONLY_INPUT),
                |name| PasswordPlace {
                    name,
                    key: ONLY_INPUT.to_owned(),
                },
            ),
            accepts: Some(accepts),
        }])),
        (None, Some(secret)) => Ok(Sources::Keyed {
            pattern,
            secret,
            accepts,
        }),
        (None, None) => Err(InvalidText {
            field: FIELD.to_owned(),
            rule: "must be there for a path with '*'".to_owned(),
        }),
    }
}

/// A password the operator makes.
fn made(mount: &Mount, input: &str) -> PasswordPlace {
    PasswordPlace {
        name: names::inputs(&mount.name_any()),
        key: input.to_owned(),
    }
}

/// The ending was checked with the path.
fn format_of(path: &str) -> Format {
    match path.rsplit('.').next() {
        Some("opus") => Format::Opus,
        Some("flac") => Format::Flac,
        Some("mp3") => Format::Mp3,
        Some("aac") => Format::Aac,
        _ => Format::Ogg,
    }
}

impl Sources {
    /// Whether anybody could ever connect.
    #[must_use]
    pub fn none(&self) -> bool {
        matches!(self, Self::Named(inputs) if inputs.is_empty())
    }

    /// The paths sources connect to.
    #[must_use]
    pub fn patterns(&self) -> Vec<PathPattern> {
        match self {
            Self::Named(inputs) => inputs
                .iter()
                .map(|input| PathPattern::exact(input.path.as_str()))
                .collect(),
            Self::Keyed { pattern, .. } => vec![pattern.clone()],
        }
    }

    /// Every Secret with passwords.
    #[must_use]
    pub fn secrets(&self) -> BTreeSet<&str> {
        match self {
            Self::Named(inputs) => inputs.iter().map(|input| input.password.name.as_str()).collect(),
            Self::Keyed { secret, .. } => BTreeSet::from([secret.as_str()]),
        }
    }

    /// The keys of the passwords the operator has to make.
    #[must_use]
    pub fn to_be_made(&self, mount: &str) -> Vec<&str> {
        let (own, inputs) = match self {
            Self::Named(inputs) => (names::inputs(mount), inputs.as_slice()),
            Self::Keyed { .. } => return Vec::new(),
        };
        inputs
            .iter()
            .filter(|input| input.password.name == own)
            .map(|input| input.password.key.as_str())
            .collect()
    }

    /// Puts in what the Secrets hold. While the Secret with the keys does not exist its `known` ones stay, closed:
    /// whoever replaces it by deleting it first shall not end the sources that are connected.
    #[must_use]
    pub fn resolve(&self, secrets: &Secrets, known: &[InputStatus]) -> Resolved {
        match self {
            Self::Named(inputs) => resolve_named(inputs, secrets),
            Self::Keyed {
                pattern,
                secret,
                accepts,
            } => {
                if let Some(keys) = secrets.get(secret) {
                    return resolve_keys(pattern, secret, *accepts, keys);
                }
                let nothing = |input: &InputStatus| (input.name.clone(), ByteString::default());
                let closed = known.iter().map(nothing).collect();
                Resolved {
                    missing: vec![NoPassword::Secret(secret.clone())],
                    ..resolve_keys(pattern, secret, *accepts, &closed)
                }
            }
        }
    }
}

fn resolve_named(inputs: &[Input], secrets: &Secrets) -> Resolved {
    let mut resolved = Resolved::default();
    for input in inputs {
        let place = &input.password;
        let password = match secrets.get(&place.name) {
            None => Err(NoPassword::Secret(place.name.clone())),
            Some(keys) => match keys.get(&place.key) {
                None => Err(NoPassword::Key(place.clone())),
                Some(value) => password(value).ok_or_else(|| NoPassword::Unusable(place.clone())),
            },
        };
        let password = password
            .map_err(|missing| {
                if !resolved.missing.contains(&missing) {
                    resolved.missing.push(missing);
                }
            })
            .ok();
        resolved.inputs.push((input.clone(), password));
    }
    resolved
}

fn resolve_keys(
    pattern: &PathPattern,
    secret: &str,
    accepts: Format,
    keys: &BTreeMap<String, ByteString>,
) -> Resolved {
    let mut resolved = Resolved::default();
    for (key, value) in keys {
        let place = PasswordPlace {
            name: secret.to_owned(),
            key: key.clone(),
        };
        let (Some(path), Ok(username)) = (pattern.with(key), UserName::parse("username", DEFAULT_USERNAME))
        else {
            resolved.missing.push(NoPassword::Unfit(place));
            continue;
        };
        if resolved.inputs.len() == MOST_KEYS {
            resolved.missing.push(NoPassword::TooMany(secret.to_owned()));
            break;
        }
        let password = password(value);
        if password.is_none() {
            resolved.missing.push(NoPassword::Unusable(place.clone()));
        }
        let input = Input {
            name: key.clone(),
            path: SourcePath::through(&path),
            username,
            password: place,
            accepts: Some(accepts),
        };
        resolved.inputs.push((input, password));
    }
    resolved
}

/// What a person put into a Secret; `echo` and editors leave a line feed at its end that nobody can type.
#[must_use]
pub fn password(value: &ByteString) -> Option<Password> {
    let bytes = value.0.strip_suffix(b"\n").unwrap_or(&value.0);
    Password::parse(bytes.strip_suffix(b"\r").unwrap_or(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PASSTHROUGH_MOUNT, WILDCARD_MOUNT, yaml};

    const DJS: &str = "
metadata: {name: live, namespace: city}
spec:
  stationRef: {name: radio}
  path: /live
  inputs:
  - {name: studio}
  - {name: van, username: anna, passwordSecretRef: {name: djs, key: Van_1}}
";

    fn secrets(of: &[(&str, &[(&str, &str)])]) -> Secrets {
        let keys = |entries: &[(&str, &str)]| {
            let entry =
                |(key, value): &(&str, &str)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec()));
            entries.iter().map(entry).collect()
        };
        of.iter()
            .map(|(name, entries)| ((*name).to_owned(), keys(entries)))
            .collect()
    }

    fn opened(resolved: &Resolved) -> Vec<(&str, &str, Option<&str>)> {
        resolved
            .inputs
            .iter()
            .map(|(input, password)| {
                (
                    input.name.as_str(),
                    input.path.as_str(),
                    password.as_ref().map(Password::reveal),
                )
            })
            .collect()
    }

    fn place(name: &str, key: &str) -> PasswordPlace {
        PasswordPlace {
            name: name.to_owned(),
            key: key.to_owned(),
        }
    }

    #[test]
    fn inputs_with_their_passwords() {
        let sources = sources(&yaml(DJS)).unwrap();
        assert_eq!(
            sources.secrets().into_iter().collect::<Vec<_>>(),
            ["djs", "live-inputs"]
        );
        assert_eq!(sources.to_be_made("live"), ["studio"]);
        let found = secrets(&[
            ("live-inputs", &[("studio", "made"), ("gone", "old")]),
            ("djs", &[("Van_1", "by hand\n")]),
        ]);
        let resolved = sources.resolve(&found, &[]);
        assert_eq!(
            opened(&resolved),
            [
                ("studio", "/live/studio", Some("made")),
                ("van", "/live/van", Some("by hand"))
            ]
        );
        assert_eq!(resolved.missing, []);
        assert_eq!(resolved.inputs[1].0.username.as_str(), "anna");
    }

    #[test]
    fn a_missing_password_closes_its_own_input_only() {
        let sources = sources(&yaml(DJS)).unwrap();
        let made = ("live-inputs", &[("studio", "made")][..]);
        for (found, missing) in [
            (secrets(&[made]), NoPassword::Secret("djs".to_owned())),
            (
                secrets(&[made, ("djs", &[("van_1", "x")])]),
                NoPassword::Key(place("djs", "Van_1")),
            ),
            (
                secrets(&[made, ("djs", &[("Van_1", "\n")])]),
                NoPassword::Unusable(place("djs", "Van_1")),
            ),
            (
                secrets(&[made, ("djs", &[("Van_1", "a\nb")])]),
                NoPassword::Unusable(place("djs", "Van_1")),
            ),
        ] {
            let resolved = sources.resolve(&found, &[]);
            assert_eq!(
                opened(&resolved),
                [
                    ("studio", "/live/studio", Some("made")),
                    ("van", "/live/van", None)
                ]
            );
            assert_eq!(resolved.missing, [missing]);
        }
    }

    #[test]
    fn an_exact_passthrough_is_one_input() {
        let mut mount: Mount = yaml(PASSTHROUGH_MOUNT);
        let one = sources(&mount).unwrap();
        assert_eq!(one.to_be_made("mic"), ["source"]);
        let resolved = one.resolve(&secrets(&[("mic-inputs", &[("source", "x")])]), &[]);
        assert_eq!(opened(&resolved), [("source", "/city/mic.mp3", Some("x"))]);
        assert_eq!(resolved.inputs[0].0.accepts, Some(Format::Mp3));

        mount.spec.passthrough.as_mut().unwrap().keys_secret_ref = Some(radio_crds::refs::SecretRef {
            name: "keys".to_owned(),
        });
        let own = sources(&mount).unwrap();
        assert_eq!(own.to_be_made("mic"), [""; 0]);
        assert_eq!(
            opened(&own.resolve(&secrets(&[("keys", &[("source", "y"), ("other", "z")])]), &[])),
            [("source", "/city/mic.mp3", Some("y"))]
        );
    }

    #[test]
    fn each_key_is_an_input() {
        let keyed = sources(&yaml(WILDCARD_MOUNT)).unwrap();
        let resolved = keyed.resolve(
            &secrets(&[(
                "mic-keys",
                &[("7", "seven"), ("UPPER", "x"), ("8", "eight\r\n"), ("nine", "")],
            )]),
            &[],
        );
        assert_eq!(
            opened(&resolved),
            [
                ("7", "/mic-7.opus", Some("seven")),
                ("8", "/mic-8.opus", Some("eight")),
                ("nine", "/mic-nine.opus", None)
            ]
        );
        assert_eq!(
            resolved.missing,
            [
                NoPassword::Unfit(place("mic-keys", "UPPER")),
                NoPassword::Unusable(place("mic-keys", "nine"))
            ]
        );
        assert_eq!(
            keyed.resolve(&Secrets::new(), &[]),
            Resolved {
                inputs: Vec::new(),
                missing: vec![NoPassword::Secret("mic-keys".to_owned())],
            }
        );
    }

    #[test]
    fn keys_outlive_their_secret_closed() {
        let keyed = sources(&yaml(WILDCARD_MOUNT)).unwrap();
        // A status is text like any other: what cannot be a key is none.
        let known = ["7", "../x"].map(|name| InputStatus {
            name: name.to_owned(),
            ..InputStatus::default()
        });
        let resolved = keyed.resolve(&Secrets::new(), &known);
        assert_eq!(opened(&resolved), [("7", "/mic-7.opus", None)]);
        assert_eq!(resolved.missing, [NoPassword::Secret("mic-keys".to_owned())]);
        // A Secret that is there is all that counts.
        let there = keyed.resolve(&secrets(&[("mic-keys", &[("8", "x")])]), &known);
        assert_eq!(opened(&there), [("8", "/mic-8.opus", Some("x"))]);
    }

    #[test]
    fn a_secret_with_too_many_keys_is_cut_and_told() {
        let names: Vec<String> = (0..150).map(|n| format!("k{n:03}")).collect();
        let entries: Vec<_> = names.iter().map(|name| (name.as_str(), "x")).collect();
        let resolved = sources(&yaml(WILDCARD_MOUNT))
            .unwrap()
            .resolve(&secrets(&[("mic-keys", &entries)]), &[]);
        assert_eq!(resolved.inputs.len(), MOST_KEYS);
        assert_eq!(resolved.missing, [NoPassword::TooMany("mic-keys".to_owned())]);
    }

    #[test]
    fn what_cannot_be_an_input() {
        type Break = fn(&mut Mount);
        let cases: [(&str, Break); 6] = [
            ("spec.inputs", |mount| {
                mount.spec.inputs[0].name = "Studio".to_owned();
            }),
            ("spec.inputs", |mount| {
                mount.spec.inputs[1].name = "studio".to_owned();
            }),
            ("spec.inputs", |mount| {
                mount.spec.inputs[0].username = Some("a:b".to_owned());
            }),
            ("spec.inputs", |mount| {
                mount.spec.inputs[1].password_secret_ref.as_mut().unwrap().key = "../x".to_owned();
            }),
            ("spec.inputs", |mount| {
                let more = (0..8).map(|n| radio_crds::input::Input {
                    name: format!("more{n}"),
                    ..radio_crds::input::Input::default()
                });
                mount.spec.inputs.extend(more);
            }),
            ("spec.path", |mount| mount.spec.path = "/live.mp3".to_owned()),
        ];
        for (field, break_it) in cases {
            let mut mount: Mount = yaml(DJS);
            assert!(sources(&mount).is_ok());
            break_it(&mut mount);
            assert_eq!(sources(&mount).unwrap_err().field, field);
        }
    }
}

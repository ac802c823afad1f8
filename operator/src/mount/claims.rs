//! Which Mount of a Station has which path: the oldest wins, so that nobody is thrown off the air by a newcomer. No IO.

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt;
use radio_crds::{Mount, mount::Codec};

use super::{
    inputs::{Sources, sources},
    pattern::PathPattern,
};
use crate::text::{InvalidText, StreamPath};

/// One output of a Mount, with all defaults, fit to be heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its name in the Mount.
    pub name: String,
    /// Where it is heard.
    pub path: StreamPath,
    /// Its encoding.
    pub codec: Codec,
    /// Kilobits per second.
    pub bitrate_kbps: u16,
}

/// Bitrates of MPEG-1 Layer 3.
const MP3_BITRATES: [u16; 14] = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];

/// The outputs of a Mount, or the first rule they break.
pub fn outputs(mount: &Mount) -> Result<Vec<Output>, InvalidText> {
    let invalid = |rule: &str| InvalidText {
        field: "spec.outputs".to_owned(),
        rule: rule.to_owned(),
    };
    let mut outputs: Vec<Output> = Vec::new();
    for output in mount.outputs() {
        let fits = match output.codec {
            Codec::Opus => (16..=256).contains(&output.bitrate_kbps),
            Codec::Mp3 => MP3_BITRATES.contains(&output.bitrate_kbps),
        };
        if !fits {
            return Err(invalid("must have bitrates their codec can do"));
        }
        let path = StreamPath::parse("spec.path", &mount.spec.path, &output.name)?;
        if outputs.iter().any(|other| other.path == path) {
            return Err(invalid("must have different names"));
        }
        outputs.push(Output {
            name: output.name,
            path,
            codec: output.codec,
            bitrate_kbps: output.bitrate_kbps,
        });
    }
    if outputs.len() > 8 {
        return Err(invalid("must be at most 8"));
    }
    Ok(outputs)
}

/// What a Mount wants of its Station.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wants {
    /// What Liquidsoap makes of it; nothing of a passthrough Mount.
    pub outputs: Vec<Output>,
    /// Where sources connect.
    pub sources: Sources,
    /// Whether sources are heard as they come.
    pub through: bool,
}

/// What a Mount wants, or the first rule it breaks.
pub fn wants(mount: &Mount) -> Result<Wants, InvalidText> {
    let through = mount.spec.passthrough.is_some();
    Ok(Wants {
        outputs: if through { Vec::new() } else { outputs(mount)? },
        sources: sources(mount)?,
        through,
    })
}

impl Wants {
    /// Every path, those that are heard and those that are sent to.
    fn paths(&self) -> Vec<PathPattern> {
        let heard = self.outputs.iter();
        heard
            .map(|output| PathPattern::exact(output.path.as_str()))
            .chain(self.sources.patterns())
            .collect()
    }
}

/// Who has which path of a Station. What is heard and what is sent to are in one table: where both could be the same
/// they are, in passthrough Mounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    exact: BTreeMap<String, String>,
    patterns: Vec<(PathPattern, String)>,
    winners: BTreeSet<String>,
}

/// Settles the claims of a Station's Mounts, given the oldest first. A Mount that breaks a rule claims nothing, and so
/// does one that loses any of its paths.
#[must_use]
pub fn settle(mounts: &[Mount]) -> Claims {
    let mut claims = Claims::default();
    for mount in mounts {
        let Ok(wants) = wants(mount) else { continue };
        let name = mount.name_any();
        if claims.rival(&name, &wants).is_some() {
            continue;
        }
        for path in wants.paths() {
            match path.as_exact() {
                Some(exact) => {
                    claims.exact.insert(exact.to_owned(), name.clone());
                }
                None => claims.patterns.push((path, name.clone())),
            }
        }
        claims.winners.insert(name);
    }
    claims
}

impl Claims {
    /// Whether the Mount has everything it wants.
    #[must_use]
    pub fn won(&self, mount: &str) -> bool {
        self.winners.contains(mount)
    }

    /// The first path `mount` wants that another Mount has, and that Mount.
    #[must_use]
    pub fn rival(&self, mount: &str, wants: &Wants) -> Option<(String, &str)> {
        wants.paths().into_iter().find_map(|path| {
            let winner = self.owner_of(&path)?;
            (winner != mount).then(|| (path.to_string(), winner))
        })
    }

    fn owner_of(&self, path: &PathPattern) -> Option<&str> {
        let by_pattern = || {
            let mut patterns = self.patterns.iter();
            patterns.find_map(|(pattern, mount)| pattern.overlaps(path).then_some(mount))
        };
        let owner = match path.as_exact() {
            Some(exact) => self.exact.get(exact).or_else(by_pattern),
            None => by_pattern().or_else(|| {
                let mut exact = self.exact.iter();
                exact.find_map(|(exact, mount)| path.overlaps(&PathPattern::exact(exact)).then_some(mount))
            }),
        };
        owner.map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(name: &str, path: &str, outputs: &[(&str, &str, Option<u16>)]) -> Mount {
        let outputs: Vec<_> = outputs
            .iter()
            .map(|(name, codec, kbps)| match kbps {
                Some(kbps) => serde_json::json!({"name": name, "codec": codec, "bitrateKbps": kbps}),
                None => serde_json::json!({"name": name, "codec": codec}),
            })
            .collect();
        let spec = serde_json::json!({"stationRef": {"name": "radio"}, "path": path, "outputs": outputs});
        Mount::new(name, serde_json::from_value(spec).unwrap())
    }

    fn heard(mounts: &[Mount]) -> Vec<String> {
        let claims = settle(mounts);
        let winners = mounts.iter().filter(|mount| claims.won(&mount.name_any()));
        let mut heard: Vec<_> = winners
            .flat_map(|mount| wants(mount).unwrap().paths())
            .map(|path| path.to_string())
            .collect();
        heard.sort();
        heard
    }

    /// A Mount with an input, or a passthrough Mount.
    fn sent_to(name: &str, path: &str, input: Option<&str>) -> Mount {
        let spec = match input {
            Some(input) => serde_json::json!({
                "stationRef": {"name": "radio"}, "path": path, "inputs": [{"name": input}],
                "outputs": [{"name": name, "codec": "mp3"}],
            }),
            None => serde_json::json!({
                "stationRef": {"name": "radio"}, "path": path, "passthrough": {"keysSecretRef": {"name": "keys"}},
            }),
        };
        Mount::new(name, serde_json::from_value(spec).unwrap())
    }

    fn rival(mounts: &[Mount], of: usize) -> Option<(String, String)> {
        let wanted = wants(&mounts[of]).unwrap();
        settle(mounts)
            .rival(&mounts[of].name_any(), &wanted)
            .map(|(path, mount)| (path, mount.to_owned()))
    }

    #[test]
    fn a_path_to_send_to_is_one_mounts_only() {
        let mounts = [
            sent_to("older", "/live", Some("studio")),
            sent_to("van", "/live", Some("van")),
            sent_to("younger", "/live", Some("studio")),
        ];
        assert_eq!(rival(&mounts, 0), None);
        assert_eq!(rival(&mounts, 1), None);
        assert_eq!(
            rival(&mounts, 2),
            Some(("/live/studio".to_owned(), "older".to_owned()))
        );
    }

    #[test]
    fn a_star_meets_whatever_it_could_stand_for() {
        let mounts = [
            sent_to("mics", "/mic-*.mp3", None),
            sent_to("one", "/mic-7.mp3", None),
            sent_to("more", "/m*.mp3", None),
            mount("output", "/mic-7", &[("mp3", "mp3", None)]),
            mount("other", "/mic-7", &[("opus", "opus", None)]),
        ];
        let winner = |path: &str| Some((path.to_owned(), "mics".to_owned()));
        assert_eq!(rival(&mounts, 0), None);
        assert_eq!(rival(&mounts, 1), winner("/mic-7.mp3"));
        assert_eq!(rival(&mounts, 2), winner("/m*.mp3"));
        assert_eq!(rival(&mounts, 3), winner("/mic-7.mp3"));
        assert_eq!(rival(&mounts, 4), None);
        // The other way round it is the star that comes too late.
        let late = [mounts[3].clone(), mounts[0].clone()];
        assert_eq!(
            rival(&late, 1),
            Some(("/mic-*.mp3".to_owned(), "output".to_owned()))
        );
    }

    #[test]
    fn different_paths_or_outputs_do_not_clash() {
        let mounts = [
            mount("a", "/live", &[("mp3", "mp3", None)]),
            mount("b", "/live", &[("opus", "opus", None)]),
            mount("c", "/live/two", &[("mp3", "mp3", None)]),
        ];
        assert_eq!(heard(&mounts), ["/live.mp3", "/live.opus", "/live/two.mp3"]);
        for mount in &mounts {
            assert_eq!(
                settle(&mounts).rival(&mount.name_any(), &wants(mount).unwrap()),
                None
            );
        }
    }

    #[test]
    fn the_older_one_wins_and_is_named() {
        let older = mount("older", "/live", &[("mp3", "mp3", None)]);
        let younger = mount(
            "younger",
            "/live",
            &[("opus", "opus", None), ("mp3", "mp3", None)],
        );
        let claims = settle(&[older, younger.clone()]);
        let wanted = wants(&younger).unwrap();
        let (path, winner) = claims.rival("younger", &wanted).unwrap();
        assert_eq!((path.as_str(), winner), ("/live.mp3", "older"));
        // Nothing of the loser is heard, not even the path nobody else has.
        assert!(claims.won("older") && !claims.won("younger"));
    }

    #[test]
    fn who_lost_or_is_invalid_takes_nothing_from_others() {
        let mounts = [
            mount("invalid", "/live", &[("flac", "opus", Some(500))]),
            mount("first", "/live", &[("mp3", "mp3", None)]),
            mount("lost", "/live", &[("mp3", "mp3", None), ("opus", "opus", None)]),
            mount(
                "third",
                "/live",
                &[("opus", "opus", None), ("flac", "opus", None)],
            ),
        ];
        assert_eq!(heard(&mounts), ["/live.flac", "/live.mp3", "/live.opus"]);
    }

    #[test]
    fn bitrates_and_names() {
        for (codec, kbps, good) in [
            ("opus", 16, true),
            ("opus", 256, true),
            ("opus", 257, false),
            ("opus", 15, false),
            ("mp3", 320, true),
            ("mp3", 100, false),
        ] {
            assert_eq!(
                outputs(&mount("m", "/m", &[("x", codec, Some(kbps))])).is_ok(),
                good,
                "{codec} {kbps}"
            );
        }
        assert!(outputs(&mount("m", "/m", &[("x", "mp3", None), ("x", "opus", None)])).is_err());
        let nine: Vec<_> = (0..9).map(|n| format!("o{n}")).collect();
        let nine: Vec<_> = nine.iter().map(|name| (name.as_str(), "mp3", None)).collect();
        assert!(outputs(&mount("m", "/m", &nine)).is_err());
        assert!(outputs(&mount("m", "/m", &nine[..8])).is_ok());
    }
}

//! Which Mount of a Station has which path: the oldest wins, so that nobody is thrown off the air by a newcomer. No IO.

use std::collections::BTreeMap;

use kube::ResourceExt;
use radio_crds::{Mount, mount::Codec};

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

/// Who has which path of a Station.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    taken: BTreeMap<String, String>,
    heard: Vec<Output>,
}

/// Settles the claims of a Station's Mounts, given the oldest first. A Mount with an invalid output claims nothing,
/// and so does one that loses any of its paths.
#[must_use]
pub fn settle(mounts: &[Mount]) -> Claims {
    let mut claims = Claims::default();
    for mount in mounts {
        let Ok(outputs) = outputs(mount) else { continue };
        if outputs
            .iter()
            .any(|output| claims.taken.contains_key(output.path.as_str()))
        {
            continue;
        }
        for output in outputs {
            claims.taken.insert(output.path.to_string(), mount.name_any());
            claims.heard.push(output);
        }
    }
    claims.heard.sort_by(|a, b| a.path.as_str().cmp(b.path.as_str()));
    claims
}

impl Claims {
    /// Every output that is heard, by path.
    #[must_use]
    pub fn heard(&self) -> &[Output] {
        &self.heard
    }

    /// The first of `outputs` that another Mount than `mount` has, and that Mount.
    #[must_use]
    pub fn rival<'a>(&'a self, mount: &str, outputs: &'a [Output]) -> Option<(&'a StreamPath, &'a str)> {
        outputs.iter().find_map(|output| {
            let winner = self.taken.get(output.path.as_str())?;
            (winner != mount).then_some((&output.path, winner.as_str()))
        })
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
        settle(mounts)
            .heard()
            .iter()
            .map(|output| output.path.to_string())
            .collect()
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
                settle(&mounts).rival(&mount.name_any(), &outputs(mount).unwrap()),
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
        let wanted = outputs(&younger).unwrap();
        let (path, winner) = claims.rival("younger", &wanted).unwrap();
        assert_eq!((path.as_str(), winner), ("/live.mp3", "older"));
        // Nothing of the loser is heard, not even the path nobody else has.
        assert_eq!(claims.heard().len(), 1);
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

//! `kubectl radio recordings url`: links to the audio.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use radio_crds::{Recording, recording::Object};
use radio_operator::recording::words::{duration, moment, size};
use serde::Serialize;

use super::{ADVICE, Place};
use crate::{
    args::Output,
    bucket::LONGEST_LINK,
    cluster::Cluster,
    error::Error,
    out::{Outcome, print, print_json, remark},
    words::{length, plain},
};

/// Links to the audio. Whoever has one can listen until it expires; standard output has nothing else.
#[derive(Clone, Debug, clap::Args)]
pub struct Url {
    /// Which Recording
    #[arg(value_name = "RECORDING")]
    name: String,

    /// How long the links are good, at most 7d
    #[arg(long = "for", value_name = "TIME", default_value = "24h", value_parser = lifetime)]
    lasts: Duration,
}

/// For clap.
fn lifetime(text: &str) -> Result<Duration, String> {
    let asked = length(text)?;
    if asked > LONGEST_LINK {
        return Err("at most 7d: a store signs links for no longer".to_owned());
    }
    Ok(asked)
}

/// Signs, and shows.
pub async fn run(url: &Url, cluster: &Cluster, output: Option<Output>) -> Result<Outcome, Error> {
    let recording: Recording = cluster.get(&url.name, ADVICE).await?;
    let objects = objects(&recording)?;
    let place = Place::of(&recording, cluster).await?;
    let mut links = Vec::new();
    // Signed with this machine's clock, as the store will see it.
    let lasts = SignedDuration::try_from(url.lasts).unwrap_or_default();
    let expires = Timestamp::now().saturating_add(lasts).unwrap_or(Timestamp::MAX);
    for object in objects {
        links.push(Link {
            url: place.bucket.link(&object.key, url.lasts).await?,
            key: object.key.clone(),
            bytes: object.bytes,
            seconds: object.seconds,
            codec: object.codec.clone(),
            sha256: object.sha256.clone(),
            expires,
        });
    }
    let links = Links {
        recording: url.name.clone(),
        links,
    };
    if output == Some(Output::Json) {
        print_json(&links)?;
    } else {
        remark(&links.remarks());
        print(&links.text())?;
    }
    Ok(Outcome::Good)
}

/// What there is to listen to.
fn objects(recording: &Recording) -> Result<&[Object], Error> {
    let status = recording.status.as_ref();
    let objects = status.map(|status| status.objects.as_slice()).unwrap_or_default();
    if !objects.is_empty() {
        return Ok(objects);
    }
    let name = recording.name_any();
    Err(Error::NotNow(match status.and_then(|status| status.phase) {
        Some(phase) => format!(
            "Recording {name} has nothing to listen to: it is {phase:?}; a final object is there once it is Verified or Doubtful"
        ),
        None => format!("Recording {name} has nothing to listen to: the operator has not looked at it yet"),
    }))
}

#[derive(Debug, Serialize)]
struct Links {
    recording: String,
    links: Vec<Link>,
}

/// An object and its address.
#[derive(Debug, Serialize)]
struct Link {
    url: String,
    key: String,
    bytes: i64,
    seconds: i64,
    codec: String,
    sha256: String,
    expires: Timestamp,
}

impl Links {
    /// Nothing but addresses: they may go on to a player.
    fn text(&self) -> String {
        let links: Vec<&str> = self.links.iter().map(|link| link.url.as_str()).collect();
        links.join("\n") + "\n"
    }

    fn remarks(&self) -> String {
        let mut lines: Vec<String> = self.links.iter().map(Link::remark).collect();
        if let Some(link) = self.links.first() {
            lines.push(format!(
                "Good until {}, for anybody who has the link.",
                moment(link.expires)
            ));
        }
        lines.join("\n")
    }
}

impl Link {
    fn remark(&self) -> String {
        let file = self.key.rsplit('/').next().unwrap_or_default();
        let plays = duration(SignedDuration::from_secs(self.seconds));
        let bytes = size(u64::try_from(self.bytes).unwrap_or(0));
        plain(&format!("{file}: {plays} of {}, {bytes}", self.codec))
    }
}

#[cfg(test)]
mod tests {
    use insta::{assert_json_snapshot, assert_snapshot};

    use super::*;
    use crate::recordings::sample;

    fn links() -> Links {
        let recordings = sample::recordings();
        let objects = objects(&recordings[1]).unwrap();
        let links = objects.iter().zip(1..).map(|(object, number)| Link {
            url: format!("https://s3.example.org/{number}?X-Amz-Signature=0"),
            key: object.key.clone(),
            bytes: object.bytes,
            seconds: object.seconds,
            codec: object.codec.clone(),
            sha256: object.sha256.clone(),
            expires: "2026-11-22T22:00:00Z".parse().unwrap(),
        });
        Links {
            recording: recordings[1].name_any(),
            links: links.collect(),
        }
    }

    #[test]
    fn links_and_nothing_else_on_standard_output() {
        assert_snapshot!(links().text());
        assert_snapshot!(links().remarks());
        assert_json_snapshot!(links());
    }

    #[test]
    fn nothing_to_listen_to_is_said_with_its_reason() {
        let told = |recording: &Recording| objects(recording).unwrap_err().to_string();
        let recordings = sample::recordings();
        assert_snapshot!(told(&recordings[3]));
        let fresh = Recording {
            status: None,
            ..recordings[3].clone()
        };
        assert_snapshot!(told(&fresh));
    }

    #[test]
    fn a_week_at_most() {
        assert_eq!(lifetime("7d"), Ok(LONGEST_LINK));
        assert!(lifetime("169h").unwrap_err().contains("at most 7d"));
        assert!(lifetime("soon").is_err());
    }
}

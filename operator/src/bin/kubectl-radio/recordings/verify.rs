//! `kubectl radio recordings verify`: the audio is read back, and compared with what was stored.

use kube::ResourceExt;
use radio_crds::{
    Recording,
    recording::{self, Phase},
};
use radio_operator::{k8s::error::message, recording::words::size};
use recorder::{
    manifest::LARGEST_MANIFEST,
    published::{self, FINAL, Final, folder},
};
use serde::Serialize;

use super::{ADVICE, Place};
use crate::{
    args::Output,
    bucket::ReadBack,
    cluster::Cluster,
    error::Error,
    out::{Outcome, print, print_json, remark},
    words::{count, plain, short},
};

const TITLE: usize = 60;

/// Reads all audio of Recordings back from the bucket and compares its SHA-256 with what final.json and the Recording say.
/// Ends with 1 if anything differs.
#[derive(Clone, Debug, clap::Args)]
pub struct Verify {
    /// Which Recordings
    #[arg(value_name = "RECORDING", required_unless_present = "all")]
    names: Vec<String>,

    /// All of the namespace that have a final object
    #[arg(long, conflicts_with = "names")]
    all: bool,
}

/// Reads, compares, and shows what was seen.
pub async fn run(verify: &Verify, cluster: &Cluster, output: Option<Output>) -> Result<Outcome, Error> {
    let mut looks = Looks::default();
    for recording in wanted(verify, cluster).await? {
        remark(&format!("Reading {} ...", plain(&recording.name_any())));
        let looked = look_at(&recording, cluster).await;
        // One bucket that is gone must not keep the others from being looked at.
        let look = looked.unwrap_or_else(|failure| Look::of(&recording, Some(message(&failure)), Vec::new()));
        if output.is_none() {
            print(&look.text())?;
        }
        looks.recordings.push(look);
    }
    match output {
        Some(Output::Json) => print_json(&looks)?,
        None => print(&looks.sum())?,
    }
    Ok(Outcome::of(looks.recordings.iter().all(|look| look.good)))
}

async fn wanted(verify: &Verify, cluster: &Cluster) -> Result<Vec<Recording>, Error> {
    if verify.all {
        let mut all = cluster.list::<Recording>(false).await?;
        all.retain(|recording| version(recording).is_some());
        return Ok(all);
    }
    let mut named = Vec::new();
    for name in &verify.names {
        let recording: Recording = cluster.get(name, ADVICE).await?;
        if version(&recording).is_none() {
            return Err(Error::NotNow(format!(
                "Recording {name} has no final object to verify: it is {:?}; a final object is there once it is Verified or \
                 Doubtful",
                phase(&recording)
            )));
        }
        named.push(recording);
    }
    Ok(named)
}

fn phase(recording: &Recording) -> Phase {
    let status = recording.status.as_ref();
    status.and_then(|status| status.phase).unwrap_or(Phase::Waiting)
}

/// The version of its final objects.
fn version(recording: &Recording) -> Option<u32> {
    recording.status.as_ref()?.version
}

async fn look_at(recording: &Recording, cluster: &Cluster) -> Result<Look, Error> {
    let place = Place::of(recording, cluster).await?;
    let told = told(recording, &place).await?;
    let mut objects = Vec::new();
    for mut object in expected(recording, &place.prefix, told.as_ref().ok()) {
        object.read_back = place.bucket.read_back(&object.key).await?.map(Sum::from);
        objects.push(object);
    }
    Ok(Look::of(recording, told.err(), objects))
}

/// What `final.json` says; or in words, why it says nothing.
async fn told(recording: &Recording, place: &Place) -> Result<Result<Final, String>, Error> {
    let file = format!("{}{FINAL}", folder(version(recording).unwrap_or_default()));
    let key = format!("{}{file}", place.prefix);
    let Some(text) = place.bucket.read(&key, LARGEST_MANIFEST).await? else {
        return Ok(Err(format!("{file} is not in the bucket")));
    };
    Ok(match serde_json::from_slice::<Final>(&text) {
        Ok(told) if told.recording.name == recording.name_any() => Ok(told),
        Ok(told) => Err(format!("{file} is of another Recording, {}", told.recording.name)),
        Err(failure) => Err(format!(
            "{file} is not one of this version, at line {} column {}",
            failure.line(),
            failure.column()
        )),
    })
}

/// All objects that either of them names, in their order, before any was read.
fn expected(recording: &Recording, prefix: &str, told: Option<&Final>) -> Vec<Seen> {
    let listed = recording.status.iter().flat_map(|status| &status.objects);
    let objects = told
        .iter()
        .flat_map(|told| told.objects.iter().chain(&told.renditions));
    let mut seen: Vec<Seen> = objects
        .map(|object| Seen {
            key: format!("{prefix}{}", object.key),
            final_json: Some(Sum::from(object)),
            ..Seen::default()
        })
        .collect();
    for object in listed {
        let sum = Some(Sum::from(object));
        match seen.iter_mut().find(|seen| seen.key == object.key) {
            Some(seen) => seen.recording = sum,
            None => seen.push(Seen {
                key: object.key.clone(),
                recording: sum,
                ..Seen::default()
            }),
        }
    }
    seen
}

/// How many bytes, and which.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Sum {
    bytes: u64,
    sha256: String,
}

impl From<ReadBack> for Sum {
    fn from(read: ReadBack) -> Self {
        Self {
            bytes: read.bytes,
            sha256: read.sha256,
        }
    }
}

impl From<&published::Object> for Sum {
    fn from(object: &published::Object) -> Self {
        Self {
            bytes: object.bytes,
            sha256: object.sha256.clone(),
        }
    }
}

impl From<&recording::Object> for Sum {
    fn from(object: &recording::Object) -> Self {
        Self {
            bytes: u64::try_from(object.bytes).unwrap_or_default(),
            sha256: object.sha256.clone(),
        }
    }
}

impl Sum {
    fn words(&self) -> String {
        plain(&format!("{} bytes, SHA-256 {}", self.bytes, self.sha256))
    }
}

/// One object, by what came back and by what is said of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Seen {
    key: String,
    good: bool,
    read_back: Option<Sum>,
    final_json: Option<Sum>,
    /// The Recording's status lists only the first ones.
    recording: Option<Sum>,
}

impl Seen {
    /// What came back is what everybody says who says anything.
    fn is_good(&self) -> bool {
        let same = |said: &Option<Sum>| said.is_none() || *said == self.read_back;
        self.read_back.is_some()
            && self.final_json.is_some()
            && same(&self.final_json)
            && same(&self.recording)
    }

    fn lines(&self) -> [String; 4] {
        let says = |said: &Option<Sum>, nothing: &str| match said {
            Some(said) if Some(said) == self.read_back.as_ref() => "says the same".to_owned(),
            Some(said) => format!("says {}", said.words()),
            None => nothing.to_owned(),
        };
        let read = self.read_back.as_ref();
        let read = read.map_or_else(|| "nothing: it is not in the bucket".to_owned(), Sum::words);
        let verdict = if self.good { "good" } else { "BAD " };
        [
            format!("  {verdict}  {}", plain(&self.key)),
            format!("        read back    {read}"),
            format!(
                "        final.json   {}",
                says(&self.final_json, "does not name it")
            ),
            format!(
                "        Recording    {}",
                says(&self.recording, "does not list it")
            ),
        ]
    }
}

/// All that was seen of one Recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Look {
    namespace: String,
    name: String,
    title: String,
    version: u32,
    state: Phase,
    good: bool,
    /// What is wrong beside the objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
    objects: Vec<Seen>,
}

impl Look {
    fn of(recording: &Recording, trouble: Option<String>, mut objects: Vec<Seen>) -> Self {
        for object in &mut objects {
            object.good = object.is_good();
        }
        Self {
            namespace: recording.namespace().unwrap_or_default(),
            name: recording.name_any(),
            title: recording.spec.title.clone(),
            version: version(recording).unwrap_or_default(),
            state: phase(recording),
            good: trouble.is_none() && objects.iter().all(|object| object.good),
            trouble,
            objects,
        }
    }

    fn text(&self) -> String {
        let mut lines = vec![format!(
            "{}, {}, version {}, {:?}",
            plain(&self.name),
            short(&self.title, TITLE),
            self.version,
            self.state
        )];
        lines.extend(
            self.trouble
                .iter()
                .map(|trouble| format!("  BAD   {}", plain(trouble))),
        );
        lines.extend(self.objects.iter().flat_map(Seen::lines));
        lines.push(String::new());
        lines.join("\n")
    }
}

/// All that was seen.
#[derive(Debug, Default, Serialize)]
struct Looks {
    recordings: Vec<Look>,
}

impl Looks {
    fn sum(&self) -> String {
        if self.recordings.is_empty() {
            return "There are no recordings with a final object.\n".to_owned();
        }
        let objects = || self.recordings.iter().flat_map(|look| &look.objects);
        let bytes = objects().filter_map(|seen| seen.read_back.as_ref());
        let bytes: u64 = bytes.map(|read| read.bytes).sum();
        let bad = self.recordings.iter().filter(|look| !look.good);
        let bad: Vec<String> = bad.map(|look| plain(&look.name)).collect();
        let read = format!(
            "{} of {}, {} read back: ",
            count(objects().count(), "object"),
            count(self.recordings.len(), "recording"),
            size(bytes)
        );
        if bad.is_empty() {
            format!("{read}all as they were stored.\n")
        } else {
            format!("{read}NOT good: {}.\n", bad.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use insta::{assert_json_snapshot, assert_snapshot};

    use super::*;
    use crate::recordings::sample;

    /// The Recording with two objects, `final.json` as it was made, and what comes back of them.
    fn look(told: Option<&Final>, trouble: Option<&str>, read: impl Fn(&str) -> Option<Sum>) -> Look {
        let recording = &sample::recordings()[1];
        let mut objects = expected(recording, sample::PREFIX, told);
        for object in &mut objects {
            object.read_back = read(&object.key);
        }
        Look::of(recording, trouble.map(str::to_owned), objects)
    }

    fn stored(key: &str) -> Option<Sum> {
        let told = sample::published();
        let objects = told.objects.iter().chain(&told.renditions);
        let mut found = objects.filter(|object| key.ends_with(&object.key));
        found.next().map(Sum::from)
    }

    #[test]
    fn what_is_as_it_was_stored() {
        let look = look(Some(&sample::published()), None, stored);
        assert!(look.good);
        assert_snapshot!(look.text());
        assert_snapshot!(
            Looks {
                recordings: vec![look]
            }
            .sum()
        );
    }

    #[test]
    fn what_is_not() {
        let spoiled = |key: &str| {
            if key.ends_with("final-1.mp3") {
                return None;
            }
            stored(key).map(|sum| Sum {
                sha256: "0".repeat(64),
                ..sum
            })
        };
        let look = look(Some(&sample::published()), None, spoiled);
        assert!(!look.good);
        assert_snapshot!(look.text());
        assert_json_snapshot!(look);
        assert_snapshot!(
            Looks {
                recordings: vec![look]
            }
            .sum()
        );
    }

    #[test]
    fn one_byte_less_is_not_the_same() {
        let shorter = |key: &str| {
            stored(key).map(|sum| Sum {
                bytes: sum.bytes - 1,
                ..sum
            })
        };
        assert!(!look(Some(&sample::published()), None, shorter).good);
    }

    #[test]
    fn a_recording_that_says_something_else_than_final_json() {
        let mut told = sample::published();
        told.objects[0].sha256 = "1".repeat(64);
        let look = look(Some(&told), None, stored);
        assert!(!look.good);
        assert_snapshot!(look.text());
    }

    #[test]
    fn without_final_json_nothing_is_good() {
        let look = look(None, Some("final-1/final.json is not in the bucket"), stored);
        assert!(!look.good && look.objects.iter().all(|object| !object.good));
        assert_snapshot!(look.text());
    }

    #[test]
    fn what_cannot_be_read_is_not_good() {
        let recording = &sample::recordings()[1];
        let look = Look::of(recording, Some("the store did not answer".to_owned()), Vec::new());
        assert!(!look.good);
        assert_snapshot!(look.text());
        assert_snapshot!(
            Looks {
                recordings: vec![look]
            }
            .sum()
        );
        assert_snapshot!(Looks::default().sum());
    }

    /// The status lists eight; `final.json` has them all.
    #[test]
    fn what_the_status_does_not_list_counts_too() {
        let mut told = sample::published();
        let mut more = told.objects[0].clone();
        more.key = "final-1/final-9.ogg".to_owned();
        told.objects.push(more);
        let found = look(Some(&told), None, stored);
        assert!(!found.good, "it is not in the bucket");
        let there = |key: &str| stored(key).or_else(|| stored("final-1/final-1.ogg"));
        assert!(look(Some(&told), None, there).good);
    }
}

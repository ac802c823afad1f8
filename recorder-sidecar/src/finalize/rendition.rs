//! What is made of a final object by a transcoder. IO: ffmpeg, files.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;
use std::time::Duration;

use ingest::api::Container;
use ingest::framing::Framer;
use sha2::{Digest as _, Sha256};

use super::probe;
use super::publish::{LEAST_PERCENT, Work};
use super::published::{Object, folder};
use super::verify;
use crate::store::hex;

const PIECE: usize = 256 << 10;

/// The MP3 of an object; `None` if it is one already.
pub(super) async fn rendition(
    work: &Work,
    version: u32,
    number: usize,
) -> Result<Option<Work>, probe::Error> {
    let container = verify::container_of(&work.object);
    if container == Container::Mp3 {
        return Ok(None);
    }
    let path = work.path.with_extension("mp3");
    let length = Duration::try_from_secs_f64(work.object.seconds).unwrap_or_default();
    if !path.exists() {
        let unfinished = path.with_extension("unfinished");
        probe::to_mp3(&work.path, container, length, &unfinished).await?;
        fs::rename(&unfinished, &path).map_err(|failure| broken(&failure))?;
    }
    let counted = Counted::of(&path, Container::Mp3).map_err(|failure| broken(&failure))?;
    let seconds = counted.length.as_secs_f64();
    if seconds < work.object.seconds * LEAST_PERCENT / 100.0 {
        let words = format!("it plays {seconds:.1} s of {:.1} s", work.object.seconds);
        return Err(probe::Error::Said(words));
    }
    Ok(Some(Work {
        object: Object {
            key: format!("{}rendition-{number}.mp3", folder(version)),
            content_type: Container::Mp3.content_type().to_owned(),
            codec: "mp3".to_owned(),
            bytes: counted.size,
            sha256: counted.sha256,
            frames: counted.frames,
            seconds,
            links: 1,
            ..work.object.clone()
        },
        path,
    }))
}

fn broken(failure: &io::Error) -> probe::Error {
    probe::Error::Broken(format!("the scratch directory cannot be used: {failure}"))
}

/// What is in a file that somebody else made.
struct Counted {
    size: u64,
    sha256: String,
    frames: u64,
    length: Duration,
}

impl Counted {
    fn of(path: &Path, container: Container) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut framer = Framer::of(container);
        let mut sum = Sha256::new();
        let mut counted = Self {
            size: 0,
            sha256: String::new(),
            frames: 0,
            length: Duration::ZERO,
        };
        let mut piece = vec![0; PIECE];
        loop {
            let length = file.read(&mut piece)?;
            if length == 0 {
                break;
            }
            sum.update(&piece[..length]);
            counted.size += length as u64;
            for unit in framer.push(&piece[..length]) {
                counted.frames += 1;
                counted.length += unit.duration;
            }
        }
        counted.sha256 = hex(&sum.finalize());
        Ok(counted)
    }
}

//! A file into the bucket, in parts if it is large. IO: the file, the store.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::store::{self, Body, Head, Part, SHA256, Store, Upload, Uploaded};

/// All parts but the last have one size, which R2 asks for.
const PART: u64 = 16 << 20;
/// S3 takes 10000; nobody gets near.
const MOST_PARTS: u64 = 9000;
/// An upload that the store threw away is begun again so often.
const TRIES: usize = 3;

/// Why a file is not in the bucket.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file.
    #[error("the file to be stored cannot be read: {0}")]
    File(#[from] io::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What is to be stored.
#[derive(Clone, Copy, Debug)]
pub struct Cargo<'a> {
    /// Below the Recording's prefix.
    pub key: &'a str,
    /// Where it is.
    pub path: &'a Path,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of it, in hexadecimal.
    pub sha256: &'a str,
    /// As HTTP names it.
    pub content_type: &'a str,
}

/// How a file of this size is cut: the size of a part and their number.
#[must_use]
pub fn parts(size: u64) -> (u64, u64) {
    let mebibyte = 1 << 20;
    let part = size.div_ceil(MOST_PARTS).next_multiple_of(mebibyte).max(PART);
    (part, size.div_ceil(part))
}

/// Stores it, where nothing else may be. An upload that another process began is gone on with.
pub async fn upload(store: &Store, cargo: Cargo<'_>) -> Result<(), Error> {
    let file = File::open(cargo.path)?;
    if cargo.size < PART {
        let body = read(&file, 0, cargo.size)?;
        return Ok(store
            .put_new(cargo.key, &body, cargo.content_type, &BTreeMap::new())
            .await?);
    }
    let mut ours = false;
    for _ in 0..TRIES {
        match store.head(cargo.key).await? {
            Some(there) if is(&there, cargo) => return Ok(clear(store, cargo.key, None).await?),
            // What was gone on with had begun as something else, and says so.
            Some(_) if ours => store.delete(&[cargo.key.to_owned()]).await?,
            Some(_) => {
                return Err(store::Error::Conflict {
                    key: cargo.key.to_owned(),
                }
                .into());
            }
            None => {}
        }
        let (upload, there) = begin(store, cargo).await?;
        match send(store, cargo, &file, &upload, &there).await {
            Ok(()) => ours = true,
            // What may be left of it must not be gone on with.
            Err(Error::Store(store::Error::NoUpload { .. })) => store.abort(&upload).await?,
            Err(failure) => {
                // Parts that are left behind cost money. Should this fail too, the next attempt finds them.
                let _ = store.abort(&upload).await;
                return Err(failure);
            }
        }
    }
    match store.head(cargo.key).await? {
        Some(there) if is(&there, cargo) => Ok(()),
        Some(_) => Err(store::Error::Conflict {
            key: cargo.key.to_owned(),
        }
        .into()),
        None => Err(store::Error::NoUpload {
            key: cargo.key.to_owned(),
        }
        .into()),
    }
}

fn is(there: &Head, cargo: Cargo<'_>) -> bool {
    there.size == cargo.size && there.metadata.get(SHA256).is_some_and(|sum| sum == cargo.sha256)
}

/// The newest upload of this key that is under way, and what it has; or a new one.
async fn begin(store: &Store, cargo: Cargo<'_>) -> Result<(Upload, BTreeMap<i32, Uploaded>), store::Error> {
    let under_way = store.list_uploads(cargo.key).await?;
    let newest = under_way
        .into_iter()
        .filter(|upload| upload.key == cargo.key)
        .max_by_key(|upload| upload.began);
    clear(store, cargo.key, newest.as_ref()).await?;
    if let Some(upload) = newest {
        match store.list_parts(&upload).await {
            Ok(parts) => {
                return Ok((
                    upload,
                    parts.into_iter().map(|part| (part.number, part)).collect(),
                ));
            }
            Err(store::Error::NoUpload { .. }) => {}
            Err(failure) => return Err(failure),
        }
    }
    let metadata = BTreeMap::from([(SHA256.to_owned(), cargo.sha256.to_owned())]);
    let upload = store
        .create_upload(cargo.key, cargo.content_type, &metadata)
        .await?;
    Ok((upload, BTreeMap::new()))
}

/// Throws all other uploads of this key away.
async fn clear(store: &Store, key: &str, but: Option<&Upload>) -> Result<(), store::Error> {
    for upload in store.list_uploads(key).await? {
        if upload.key == key && but.is_none_or(|but| but.id != upload.id) {
            store.abort(&upload).await?;
        }
    }
    Ok(())
}

async fn send(
    store: &Store,
    cargo: Cargo<'_>,
    file: &File,
    upload: &Upload,
    there: &BTreeMap<i32, Uploaded>,
) -> Result<(), Error> {
    let (size, count) = parts(cargo.size);
    let sent = (0..count).map(|index| async move {
        let from = index * size;
        let body = read(file, from, size.min(cargo.size - from))?;
        let number = i32::try_from(index + 1).map_err(io::Error::other)?;
        let known = there
            .get(&number)
            .and_then(|uploaded| uploaded.as_part(&Part::of(number, &body)));
        match known {
            Some(part) => Ok(part),
            None => Ok::<_, Error>(store.upload_part(upload, number, &body).await?),
        }
    });
    let parts: Vec<Part> = stream::iter(sent)
        .buffered(store.profile().part_concurrency())
        .try_collect()
        .await?;
    Ok(store.complete(upload, &parts).await?)
}

fn read(file: &File, from: u64, length: u64) -> io::Result<Body> {
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, from)?;
    Ok(Body::of(Bytes::from(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_equal_large_and_few() {
        let mebibyte = 1 << 20;
        for size in [
            PART,
            PART + 1,
            100 << 20,
            864 << 20,
            MOST_PARTS * PART,
            MOST_PARTS * PART + 1,
            1 << 40,
        ] {
            let (part, count) = parts(size);
            assert!(part >= PART && part % mebibyte == 0, "{size}: {part}");
            assert!(count <= MOST_PARTS, "{size}: {count}");
            assert!(
                part * (count - 1) < size && size <= part * count,
                "{size}: {part} * {count}"
            );
        }
        assert_eq!(parts(864 << 20), (PART, 54));
    }
}

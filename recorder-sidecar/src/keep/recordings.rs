//! Everything that the bucket has of a Recording, deleted. IO: the store.

use futures::TryStreamExt as _;

use crate::errand::{Failure, Gone, Kept, Place};
use crate::store::{self, Object, Refusal, Store};

/// A recorder that was cut off may put something there in between.
const PASSES: usize = 3;

/// Deletes what is below a Recording's own prefix, and counts. What the store keeps is a failure of this Recording alone.
pub(super) async fn delete(store: &Store, place: &Place, kept: &mut Kept) -> Result<(), store::Error> {
    let own = store.below(&place.to_string());
    let mut gone = Gone {
        name: place.name.clone(),
        objects: 0,
        bytes: 0,
    };
    for upload in own.list_uploads("").await? {
        own.abort(&upload).await?;
        kept.uploads += 1;
    }
    for _ in 0..PASSES {
        let there: Vec<Object> = own.list("").try_collect().await?;
        if there.is_empty() {
            kept.recordings.push(gone);
            return Ok(());
        }
        let refused = own.remove(&in_order(&there)).await?;
        let (objects, bytes) = removed(&there, &refused);
        gone.objects += objects;
        gone.bytes += bytes;
        kept.objects += objects;
        kept.bytes += bytes;
        if let Some(first) = refused.first() {
            kept.failures.push(Failure {
                what: format!("{} of {} objects of {place}", refused.len(), there.len()),
                words: format!("the store keeps {} and says {}", first.key, first.code),
            });
            return Ok(());
        }
    }
    kept.failures.push(Failure {
        what: place.to_string(),
        words: "something is put there as fast as it is deleted; is a recorder still at work?".to_owned(),
    });
    Ok(())
}

/// What says what there is goes first: nobody shall take the half of a Recording for a whole one.
fn in_order(objects: &[Object]) -> Vec<String> {
    let tells = |key: &str| key.rsplit('.').next() == Some("json");
    let (first, then): (Vec<_>, Vec<_>) = objects.iter().partition(|object| tells(&object.key));
    first
        .into_iter()
        .chain(then)
        .map(|object| object.key.clone())
        .collect()
}

/// How many objects are not there any longer, and their bytes.
pub(super) fn removed(objects: &[Object], refused: &[Refusal]) -> (u64, u64) {
    let is_gone = |object: &&Object| !refused.iter().any(|refused| refused.key == object.key);
    let gone = objects.iter().filter(is_gone);
    gone.fold((0, 0), |(objects, bytes), object| {
        (objects + 1, bytes + object.size)
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::store::Body;
    use crate::store::fake::{Etags, Fake};

    fn object(key: &str, size: u64) -> Object {
        Object {
            key: key.to_owned(),
            size,
            etag: String::new(),
            modified: None,
        }
    }

    #[test]
    fn what_tells_of_it_goes_first() {
        let keys = [
            "final-1/final-1.ogg",
            "final-1/final.json",
            "final-1/final.m3u8",
            "manifest.json",
        ];
        let objects = keys.map(|key| object(key, 1));
        assert_eq!(in_order(&objects), [keys[1], keys[3], keys[0], keys[2]]);
    }

    #[test]
    fn only_what_went_is_counted() {
        let objects = [object("a", 5), object("b", 7), object("c", 11)];
        let refused = Refusal {
            key: "b".to_owned(),
            code: "AccessDenied".to_owned(),
        };
        assert_eq!(removed(&objects, &[]), (3, 23));
        assert_eq!(removed(&objects, &[refused]), (2, 16));
    }
    #[tokio::test]
    async fn what_the_store_keeps_is_told_and_the_rest_goes_and_is_counted() {
        let fake = Fake::new("r2", Etags::Md5).await;
        let place = Place {
            mount: "live".to_owned(),
            name: "live-1".to_owned(),
        };
        let body = Body::of(Bytes::from_static(b"audio"));
        for key in ["live/live-1/a", "live/live-1/b", "live/live-10/a"] {
            fake.store.put(key, &body, "audio/ogg").await.unwrap();
        }
        fake.lock("live/live-1/b");
        let mut kept = Kept::default();
        delete(&fake.store, &place, &mut kept).await.unwrap();
        assert_eq!((kept.objects, kept.bytes, &kept.recordings[..]), (1, 5, &[][..]));
        assert_eq!(
            kept.failure().unwrap(),
            "1 of 2 objects of live/live-1/: the store keeps b and says ObjectLockedByBucketPolicy"
        );
        assert!(fake.bytes("live/live-1/a").is_none() && fake.bytes("live/live-1/b").is_some());
        fake.unlock();
        let mut kept = Kept::default();
        delete(&fake.store, &place, &mut kept).await.unwrap();
        assert_eq!(
            (kept.objects, kept.recordings.len(), kept.failure()),
            (1, 1, None)
        );
        assert!(fake.bytes("live/live-10/a").is_some(), "another one's");
    }
}

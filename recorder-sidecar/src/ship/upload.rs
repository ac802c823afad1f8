//! One segment's way into the bucket. IO: the store.

use std::time::Duration;

use bytes::Bytes;
use ingest::api::Session;

use crate::manifest::{Segment, extension, segment_key};
use crate::store::{Body, Error, Store};

/// A no that should stay one is asked again all the same: somebody may mend the bucket, and the bytes have no other place.
const REFUSED_PAUSE: Duration = Duration::from_mins(1);

/// A segment without its sums, and its bytes.
#[derive(Debug)]
pub(super) struct Parcel {
    pub session: Session,
    pub segment: Segment,
    pub bytes: Bytes,
}

/// Returns when it is stored. Its key is another one if its own is taken by other bytes.
pub(super) async fn upload(store: Store, parcel: Parcel) -> (Session, Segment) {
    let Parcel {
        session,
        mut segment,
        bytes,
    } = parcel;
    let body = Body::of(bytes);
    segment.sha256 = body.sha256();
    segment.md5 = body.md5();
    segment.key = segment_key(&session.id, segment.range, session.container);
    let content_type = session.container.content_type();
    loop {
        let metadata = segment.to_metadata(&session);
        match store.put_new(&segment.key, &body, content_type, &metadata).await {
            Ok(()) => return (session, segment),
            Err(Error::Conflict { key }) => {
                let extension = extension(session.container);
                let own = key.trim_end_matches(extension).trim_end_matches('.');
                let beside = format!("{own}-{}.{extension}", &segment.sha256[..8]);
                tracing::error!(
                    key,
                    beside,
                    "the bucket has other bytes under a segment's key; it goes beside them"
                );
                if beside == segment.key {
                    tokio::time::sleep(REFUSED_PAUSE).await;
                }
                segment.key = beside;
            }
            Err(failure) => {
                tracing::error!(%failure, "a segment is refused; it stays in the spool and is tried again each minute");
                tokio::time::sleep(REFUSED_PAUSE).await;
            }
        }
    }
}

//! What the SDK sends, and how patiently. The rest is tested against real stores, in tests/.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body as Answer;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::*;
use crate::config::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};

type Seen = Arc<Mutex<Vec<HeaderMap>>>;

/// A store that takes everything, and tells the MD5 of nothing.
async fn store(profile: &str) -> (Store, Seen, TempDir) {
    let seen = Seen::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Router::new().fallback(answer).with_state(seen.clone());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let text = serde_json::json!({
        "name": "r", "namespace": "n", "station": "s", "mount": "m", "title": "", "maxLengthSeconds": 600,
        "window": { "from": "2026-11-21T14:00:00Z" }, "tape": { "addresses": [], "token": "" },
        "store": { "endpoint": format!("http://{address}"), "bucket": "b", "profile": profile },
    });
    let recording = Recording::parse(&serde_json::to_vec(&text).unwrap()).unwrap();
    let keys = TempDir::new().unwrap();
    std::fs::write(keys.path().join(ACCESS_KEY_ID), "id\n").unwrap();
    std::fs::write(keys.path().join(SECRET_ACCESS_KEY), "secret").unwrap();
    (Store::open(&recording, keys.path()), seen, keys)
}

async fn answer(State(seen): State<Seen>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let is_head = head.method == http::Method::HEAD;
    seen.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(head.headers);
    drop(axum::body::to_bytes(body, 1 << 20).await);
    let status = if is_head { 404 } else { 200 };
    let etag = Body::of(Bytes::from_static(b"audio")).md5();
    Response::builder()
        .status(status)
        .header("etag", format!("\"{etag}\""))
        .body(Answer::empty())
        .unwrap()
}

/// The headers of which R2, AWS and others have opinions.
#[tokio::test]
async fn checksums_are_sent_where_they_are_understood() {
    for (profile, sha256, conditional) in [("r2", true, true), ("aws", true, true), ("generic", false, false)]
    {
        let (store, seen, _keys) = store(profile).await;
        let body = Body::of(Bytes::from_static(b"audio"));
        store
            .put_new("k", &body, "audio/mpeg", &std::collections::BTreeMap::new())
            .await
            .unwrap();
        let seen = seen.lock().unwrap();
        let put = seen.last().unwrap();
        let header = |name: &str| put.get(name).map(|value| value.to_str().unwrap().to_owned());
        // Signed and so checked by the server, everywhere.
        assert_eq!(header("x-amz-content-sha256"), Some(body.sha256()), "{profile}");
        assert_eq!(
            header("x-amz-checksum-sha256"),
            sha256.then(|| body.sha256_base64()),
            "{profile}"
        );
        assert_eq!(
            header("if-none-match"),
            conditional.then(|| "*".to_owned()),
            "{profile}"
        );
        assert_eq!(header("x-amz-meta-sha256"), Some(body.sha256()));
        for name in [
            "x-amz-sdk-checksum-algorithm",
            "x-amz-checksum-crc32",
            "x-amz-trailer",
            "content-encoding",
            "transfer-encoding",
            "expect",
        ] {
            assert_eq!(header(name), None, "{profile}: {name}");
        }
        assert_eq!(header("content-length").as_deref(), Some("5"));
    }
}

#[tokio::test]
async fn keys_are_read_again_for_each_request() {
    let (store, seen, keys) = store("r2").await;
    assert_eq!(store.head("k").await.unwrap(), None);
    std::fs::write(keys.path().join(ACCESS_KEY_ID), "other").unwrap();
    assert_eq!(store.head("k").await.unwrap(), None);
    let seen = seen.lock().unwrap();
    let signed = |index: usize| seen[index]["authorization"].to_str().unwrap().to_owned();
    assert!(signed(0).contains("Credential=id/"), "{}", signed(0));
    assert!(signed(1).contains("Credential=other/"), "{}", signed(1));
}

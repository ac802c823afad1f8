//! The gate: passes an operator's requests on to the API server, and strikes when one has changed something. Does IO.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header, request};
use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;

use super::Fate;
use crate::cluster;

/// Nothing that a test makes is larger.
const LONGEST: usize = 8 << 20;
/// Whose rights count.
const ACCOUNT: [(&str, &str); 3] = [
    (
        "impersonate-user",
        "system:serviceaccount:radio-system:radio-operator",
    ),
    ("impersonate-group", "system:serviceaccounts"),
    ("impersonate-group", "system:authenticated"),
];
/// What is between two neighbours, and no further.
const BETWEEN: [HeaderName; 5] = [
    header::HOST,
    header::AUTHORIZATION,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
];

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Opens it in the cluster's network.
pub(super) fn open(fate: Arc<Fate>) -> Result<(SocketAddr, AbortOnDropHandle<()>)> {
    let network = cluster::network_of(cluster::CONTROL_PLANE);
    let listener = cluster::within(&network, || {
        TcpListener::bind((cluster::CONTROL_PLANE_ADDRESS, 0))
    })??;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let routes = Router::new().fallback(pass).with_state(fate);
    let serving = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            eprintln!("the gate is closed: {error}");
        }
    });
    Ok((address, AbortOnDropHandle::new(serving)))
}

async fn pass(State(fate): State<Arc<Fate>>, request: Request<Body>) -> Response<Body> {
    match answer(&fate, request).await {
        Ok(answer) => answer,
        Err(failure) => {
            let mut answer = Response::new(Body::from(format!("the gate: {failure}")));
            *answer.status_mut() = StatusCode::BAD_GATEWAY;
            answer
        }
    }
}

async fn answer(fate: &Fate, request: Request<Body>) -> Result<Response<Body>, Failure> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, LONGEST).await?;
    let path = head.uri.path().to_owned();
    let is_write = is_write(&head.method, &path, &fate.namespace);
    let before = if is_write { object(fate, &path).await } else { None };
    let what = format!("{} {path}", head.method);
    let deletes = head.method == Method::DELETE;
    let (head, body) = send(fate, head, body).await?.into_parts();
    if !is_write || !head.status.is_success() {
        return Ok(Response::from_parts(head, body));
    }
    let body = to_bytes(body, LONGEST).await?;
    let after = serde_json::from_slice(&body).unwrap_or_default();
    if has_changed(before.as_ref(), &after, deletes) {
        fate.strike(what);
    }
    Ok(Response::from_parts(head, Body::from(body)))
}

/// Whether it is about something in the test's namespace that stays. Events are told to people, and nothing depends on them.
fn is_write(method: &Method, path: &str, namespace: &str) -> bool {
    let is_write = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(method);
    is_write && path.contains(&format!("/namespaces/{namespace}/")) && !path.ends_with("/events")
}

/// An object before it is written.
async fn object(fate: &Fate, path: &str) -> Option<Value> {
    let path = path.strip_suffix("/status").unwrap_or(path);
    let request = Request::get(path).body(Vec::new()).ok()?;
    fate.client.request::<Value>(request).await.ok()
}

/// Who only asks again for what is there has changed nothing.
fn has_changed(before: Option<&Value>, after: &Value, deletes: bool) -> bool {
    let goes = |object: &Value| object["metadata"]["deletionTimestamp"].is_string();
    let version = |object: &Value| object["metadata"]["resourceVersion"].as_str().map(str::to_owned);
    match before {
        Some(before) if deletes => !goes(before),
        Some(before) => version(before) != version(after),
        None => true,
    }
}

async fn send(fate: &Fate, mut head: request::Parts, body: Bytes) -> Result<Response<Body>, Failure> {
    for name in BETWEEN {
        head.headers.remove(name);
    }
    for (name, value) in ACCOUNT {
        head.headers.append(name, HeaderValue::from_static(value));
    }
    let path = head
        .uri
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    let mut request = Request::builder().method(head.method).uri(path);
    if let Some(headers) = request.headers_mut() {
        *headers = head.headers;
    }
    let answer = fate
        .client
        .send(request.body(kube::client::Body::from(body))?)
        .await?;
    let (mut head, body) = answer.into_parts();
    for name in BETWEEN {
        head.headers.remove(name);
    }
    Ok(Response::from_parts(head, Body::new(body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stays_in_the_namespace_is_a_write() {
        let is_write = |method, path| is_write(&method, path, "t-1");
        let shows = "/apis/radio.moafunk.de/v1alpha1/namespaces/t-1/shows/night/status";
        assert!(is_write(Method::PATCH, shows));
        assert!(is_write(Method::DELETE, "/apis/batch/v1/namespaces/t-1/jobs/a"));
        assert!(!is_write(Method::GET, shows));
        assert!(!is_write(
            Method::POST,
            "/apis/events.k8s.io/v1/namespaces/t-1/events"
        ));
        assert!(!is_write(
            Method::PUT,
            "/apis/coordination.k8s.io/v1/namespaces/radio-system/leases/a"
        ));
    }

    #[test]
    fn what_was_there_already_is_no_change() {
        let at = |version: &str| serde_json::json!({"metadata": {"resourceVersion": version}});
        let going = serde_json::json!({"metadata": {"resourceVersion": "1", "deletionTimestamp": "2026-11-21T20:00:00Z"}});
        assert!(has_changed(None, &at("1"), false), "it was made");
        assert!(has_changed(Some(&at("1")), &at("2"), false));
        assert!(!has_changed(Some(&at("1")), &at("1"), false));
        assert!(has_changed(Some(&at("1")), &at("1"), true), "it goes");
        assert!(!has_changed(Some(&going), &at("1"), true), "it goes already");
    }
}

//! `kubectl radio mark`: a chapter begins here. IO: the API server, and through it the ingest.

use std::time::Duration;

use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode, header},
};
use hyper_util::rt::TokioIo;
use ingest::api::Marked;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{ResourceExt, api::ListParams};
use radio_crds::{Mount, STATION_LABEL};
use radio_operator::{
    k8s::{
        error::ApiError,
        meta::{COMPONENT_LABEL, Component, names},
    },
    station::{credentials, readers},
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

use crate::{
    args::Output,
    cluster::Cluster,
    error::Error,
    out::{Outcome, print, print_json},
    record::MOUNT_ADVICE,
    words::{count, plain},
};

/// An ingest answers at once; the way to it goes through the API server and a kubelet.
const PATIENCE: Duration = Duration::from_secs(15);
/// As titles.
const LONGEST_TEXT: usize = 500;
const LONGEST_ANSWER: usize = 64 << 10;

/// Sets a mark in what is on air at a Mount now. It is a chapter of the recording; listeners do not notice.
#[derive(Clone, Debug, clap::Args)]
pub struct Mark {
    /// Which Mount
    #[arg(value_name = "MOUNT")]
    mount: String,

    /// What the chapter is called, up to 500 characters
    #[arg(value_name = "TEXT", required = true, num_args = 1..)]
    text: Vec<String>,
}

/// Finds the ingest, and tells it.
pub async fn run(mark: &Mark, cluster: &Cluster, output: Option<Output>) -> Result<Outcome, Error> {
    let text = chapter(&mark.text)?;
    let mount: Mount = cluster.get(&mark.mount, MOUNT_ADVICE).await?;
    let station = mount.spec.station_ref.name;
    let token = token(&station, cluster).await?;
    let mut answers = Vec::new();
    for pod in ingests(&station, cluster).await? {
        answers.push(ask(&pod, &mark.mount, &token, &text, cluster).await?);
    }
    let set = Set::of(&mark.mount, &text, &answers)?;
    match output {
        Some(Output::Json) => print_json(&set)?,
        None => print(&set.text())?,
    }
    Ok(Outcome::Good)
}

/// One line that says something.
fn chapter(words: &[String]) -> Result<String, Error> {
    let text = words.join(" ");
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() || line.chars().count() > LONGEST_TEXT || line.contains(char::is_control) {
        return Err(Error::NotNow(format!(
            "a mark has 1 to {LONGEST_TEXT} characters on one line"
        )));
    }
    Ok(line)
}

/// What opens the read API. It is made from the Station's own key, as the operator makes it.
async fn token(station: &str, cluster: &Cluster) -> Result<String, Error> {
    let name = names::credentials(station);
    let secret: Secret = cluster
        .get(&name, "the operator makes it for the Station")
        .await?;
    let known = credentials::of_secret(&secret).ok_or_else(|| Error::NoKeys {
        secret: name,
        namespace: cluster.namespace.clone(),
        key: credentials::TAPE,
    })?;
    Ok(readers::token(&known.tape, readers::OPERATOR))
}

/// The pods where sources may be.
async fn ingests(station: &str, cluster: &Cluster) -> Result<Vec<String>, Error> {
    let ingest = Component::Ingest.as_str();
    let labels = format!("{COMPONENT_LABEL}={ingest},{STATION_LABEL}={station}");
    let listed = cluster
        .api::<Pod>()
        .list(&ListParams::default().labels(&labels))
        .await;
    let listed = listed.map_err(ApiError::new("list", "pods", &labels))?;
    let phase = |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.clone());
    let running = listed
        .iter()
        .filter(|pod| phase(pod).as_deref() == Some("Running"));
    let names: Vec<String> = running.map(ResourceExt::name_any).collect();
    if names.is_empty() {
        return Err(Error::NotNow(format!(
            "the ingest of Station {station} does not run, so nobody is on air; `kubectl describe station {station}` says why"
        )));
    }
    Ok(names)
}

/// As `kubectl port-forward` gets there.
async fn ask(pod: &str, mount: &str, token: &str, text: &str, cluster: &Cluster) -> Result<Answer, Error> {
    let reached = async {
        let forwarded = cluster.api::<Pod>().portforward(pod, &[readers::PORT]).await;
        let mut forwarded = forwarded.map_err(ApiError::new("reach", "Pod", pod))?;
        let stream = forwarded.take_stream(readers::PORT);
        let stream = stream.ok_or_else(|| silent(pod, "the API server opened no way to it"))?;
        post(stream, mount, token, text)
            .await
            .map_err(|why| silent(pod, &why))
    };
    timeout(PATIENCE, reached).await.unwrap_or_else(|_| {
        let why = format!("nothing came within {} s", PATIENCE.as_secs());
        Err(silent(pod, &why))
    })
}

fn silent(pod: &str, why: &str) -> Error {
    Error::NotNow(format!(
        "Pod {pod} could not be told of the mark: {why}; try again"
    ))
}

/// One request on one connection.
async fn post<S>(stream: S, mount: &str, token: &str, text: &str) -> Result<Answer, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let words = |failure: hyper::Error| failure.to_string();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(words)?;
    // It ends with the request; what it has to say is said to whom waits for the answer.
    let connection = tokio::spawn(connection);
    let told = ingest::api::Mark {
        text: text.to_owned(),
    };
    // A struct of one string always serializes.
    let body = serde_json::to_string(&told).unwrap_or_default();
    let request = Request::post(format!("/v1/mounts/{mount}/marks"))
        .header(header::HOST, "ingest")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body))
        .map_err(|failure| failure.to_string())?;
    let answer = sender.send_request(request).await.map_err(words)?;
    let status = answer.status();
    let told = to_bytes(Body::new(answer.into_body()), LONGEST_ANSWER).await;
    drop(sender);
    connection.abort();
    let told = told.map_err(|failure| failure.to_string())?;
    Answer::of(status, &told)
}

/// What one ingest said.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    /// These sessions have it.
    Set(Vec<String>),
    /// Nobody is on air there.
    Nobody,
}

impl Answer {
    fn of(status: StatusCode, told: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Refused {
            error: String,
        }
        match status {
            StatusCode::OK => serde_json::from_slice::<Marked>(told)
                .map(|told| Self::Set(told.sessions))
                .map_err(|_| "it answered something that this version does not know".to_owned()),
            StatusCode::NOT_FOUND => Ok(Self::Nobody),
            status => {
                let why = serde_json::from_slice::<Refused>(told).map(|told| told.error);
                Err(format!("it said {status}, {}", why.unwrap_or_default()))
            }
        }
    }
}

/// What was set.
#[derive(Debug, Serialize)]
struct Set {
    mount: String,
    text: String,
    sessions: Vec<String>,
}

impl Set {
    fn of(mount: &str, text: &str, answers: &[Answer]) -> Result<Self, Error> {
        let sessions = answers.iter().flat_map(|answer| match answer {
            Answer::Set(sessions) => sessions.clone(),
            Answer::Nobody => Vec::new(),
        });
        let sessions: Vec<String> = sessions.collect();
        if sessions.is_empty() {
            return Err(Error::NotNow(format!(
                "nobody is on air at Mount {mount}: there is nothing to set a mark in"
            )));
        }
        Ok(Self {
            mount: mount.to_owned(),
            text: text.to_owned(),
            sessions,
        })
    }

    fn text(&self) -> String {
        let text = format!(
            "\"{}\" is marked in {} of Mount {}.",
            self.text,
            count(self.sessions.len(), "session"),
            self.mount
        );
        plain(&text) + "\n"
    }
}

#[cfg(test)]
mod tests {
    use axum::{Json, Router, extract::Path, http::HeaderMap, routing};
    use insta::{assert_json_snapshot, assert_snapshot};
    use serde_json::{Value, json};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// An ingest that knows one token and one Mount.
    async fn ingest() -> TcpStream {
        async fn marks(
            Path(mount): Path<String>,
            headers: HeaderMap,
            Json(body): Json<Value>,
        ) -> (StatusCode, Json<Value>) {
            if headers[header::AUTHORIZATION] != "Bearer t0ken" {
                return (StatusCode::FORBIDDEN, Json(json!({"error": "Not you."})));
            }
            if mount != "live" {
                return (StatusCode::NOT_FOUND, Json(json!({"error": "Nobody."})));
            }
            assert_eq!(body, json!({"text": "Interview"}));
            (StatusCode::OK, Json(json!({"sessions": ["s1", "s2"]})))
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().route("/v1/mounts/{mount}/marks", routing::post(marks));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        TcpStream::connect(address).await.unwrap()
    }

    #[tokio::test]
    async fn an_ingest_is_told_over_any_stream() {
        let told = post(ingest().await, "live", "t0ken", "Interview").await;
        assert_eq!(told, Ok(Answer::Set(vec!["s1".to_owned(), "s2".to_owned()])));
        let told = post(ingest().await, "talk", "t0ken", "Interview").await;
        assert_eq!(told, Ok(Answer::Nobody));
        let refused = post(ingest().await, "live", "other", "Interview").await;
        assert_eq!(refused, Err("it said 403 Forbidden, Not you.".to_owned()));
    }

    #[test]
    fn a_mark_is_one_line() {
        let words = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            chapter(&words).map_err(|why| why.to_string())
        };
        assert_eq!(
            words(&["Interview", "with  Anna\n"]),
            Ok("Interview with Anna".to_owned())
        );
        assert!(words(&[" ", "\n"]).is_err());
        assert!(words(&["a\u{7}b"]).is_err());
        assert!(words(&["ü".repeat(501).as_str()]).is_err());
        assert!(words(&["ü".repeat(500).as_str()]).is_ok());
    }

    #[test]
    fn what_it_says() {
        let answers = [Answer::Nobody, Answer::Set(vec!["s1".to_owned()])];
        let set = Set::of("live", "Interview", &answers).unwrap();
        assert_snapshot!(set.text());
        assert_json_snapshot!(set);
        assert_snapshot!(Set::of("live", "x", &[Answer::Nobody]).unwrap_err());
    }
}

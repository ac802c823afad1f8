//! One request from its head to its answer. Does IO.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header, request};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::backend::{Backend, UNSIGNED};
use super::body::{Fault, Flow, Treatment, flipped, treated, whole};
use super::cut::Cut;
use super::fault::{Effect, Faults};
use super::keyring::Keyring;
use super::lifecycle::Lifecycles;
use super::log::{Log, Outcome};
use super::operation::{Asked, Operation};
use super::pace::Pace;
use super::refusal::Refusal;
use super::{Outage, Rules, multipart, rules, signature};

/// What the twin holds in memory when a rule or a fault needs a whole body.
const WHOLE: usize = 64 * 1024 * 1024;
/// "Incompleted uploads will be automatically aborted 7 days".
const UPLOAD_LIVES: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What all connections share.
pub(super) struct Shared {
    pub(super) backend: Backend,
    pub(super) rules: Rules,
    pub(super) keys: Keyring,
    pub(super) faults: Faults,
    pub(super) log: Log,
    pub(super) lifecycles: Lifecycles,
    pub(super) outage: watch::Sender<Outage>,
    pub(super) pace: Mutex<Pace>,
    /// Completing is one at a time, so that of two for the same upload one is the second.
    pub(super) completing: tokio::sync::Mutex<()>,
}

impl Shared {
    /// Waits for ever if packets go nowhere; the connection does not survive that.
    async fn pass_outage(&self, cut: &Cut) {
        let mut outage = self.outage.subscribe();
        if *outage.borrow_and_update() == Outage::Blackhole {
            let _ = outage.wait_for(|now| *now != Outage::Blackhole).await;
            cut.now::<()>().await;
        }
    }
}

/// Why no answer of the store behind is passed on.
enum Failure {
    Refused(Refusal),
    /// The store behind failed, or a body did.
    Broken(Fault),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Broken(fault)
    }
}

/// Answers a request, or cuts its connection.
pub(super) async fn answer(shared: Arc<Shared>, cut: Cut, request: Request<Incoming>) -> Response<Flow> {
    let (head, body) = request.into_parts();
    let is_copy = head.headers.contains_key("x-amz-copy-source");
    let asked = Asked::of(&head.method, &head.uri, is_copy);
    let effects = shared.faults.draw(&asked, rand::random::<f64>);
    let number = shared.log.begin(&asked, &head.headers, &effects);
    let visit = Visit {
        shared: &shared,
        cut: &cut,
        asked,
        effects,
        number,
    };
    shared.pass_outage(&cut).await;
    let response = visit.answer(head, body).await;
    shared.pass_outage(&cut).await;
    response
}

struct Visit<'a> {
    shared: &'a Shared,
    cut: &'a Cut,
    asked: Asked,
    effects: Vec<Effect>,
    number: u64,
}

impl Visit<'_> {
    async fn answer(&self, head: request::Parts, body: Incoming) -> Response<Flow> {
        self.suffer().await;
        let to_head = head.method == Method::HEAD;
        let outcome = match self.refused(&head, to_head) {
            Some(response) => {
                // A client that still sends would see a reset before it sees the answer.
                drain(body).await;
                self.end(Outcome::Answered(response.status().as_u16()));
                return response.map(whole);
            }
            None if self.is_of_lifecycle() => return self.lifecycle(&head, body).await,
            None => match (self.shared.rules, self.asked.operation) {
                (Rules::R2, Operation::CompleteMultipartUpload) => self.complete(head, body).await,
                (Rules::R2, Operation::DeleteObjects) => self.delete_many(head, body).await,
                _ => self.pass_on(head, body).await,
            },
        };
        match outcome {
            Ok(response) => self.answered(response).await,
            Err(failure) => {
                let refusal = match failure {
                    Failure::Refused(refusal) => refusal,
                    Failure::Broken(fault) => {
                        Refusal::new(500, "InternalError", format!("behind the twin: {fault}"))
                    }
                };
                self.end(Outcome::Answered(refusal.status));
                refusal.response(to_head).map(whole)
            }
        }
    }

    /// What goes wrong before anything is looked at.
    async fn suffer(&self) {
        for effect in &self.effects {
            match *effect {
                Effect::Delay(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
                Effect::ResetBefore => {
                    self.end(Outcome::Cut);
                    self.cut.now::<()>().await;
                }
                // Until the bytes are there nobody knows; if all of them come the outcome is another.
                Effect::ResetUpload(_) => self.end(Outcome::Cut),
                _ => {}
            }
        }
    }

    /// The answer to a request that is not carried out because of its head.
    fn refused(&self, head: &request::Parts, to_head: bool) -> Option<Response<Bytes>> {
        for effect in &self.effects {
            match effect {
                Effect::Answer {
                    status,
                    code,
                    retry_after,
                } => {
                    let refusal = Refusal {
                        retry_after: *retry_after,
                        ..Refusal::new(*status, code, "on purpose")
                    };
                    return Some(refusal.response(to_head));
                }
                Effect::ErrorIn200 => {
                    let refusal = Refusal::new(200, "InternalError", "We encountered an internal error.");
                    return Some(refusal.response(to_head));
                }
                _ => {}
            }
        }
        let operation = self.asked.operation;
        let (method, headers) = (&head.method, &head.headers);
        let keys = &self.shared.keys;
        let mut checked = keys.check(operation, method, &head.uri, headers, Timestamp::now());
        if self.shared.rules == Rules::R2 {
            checked = checked.and_then(|()| rules::check(method, &self.asked, headers));
            if operation != Operation::CompleteMultipartUpload {
                checked = checked.and_then(|()| self.keep_pace());
            }
        }
        checked.err().map(|refusal| refusal.response(to_head))
    }

    fn keep_pace(&self) -> Result<(), Refusal> {
        if !self.asked.operation.writes_key() {
            return Ok(());
        }
        let key = format!("{}/{}", self.asked.bucket, self.asked.key);
        let mut pace = self.shared.pace.lock().unwrap_or_else(PoisonError::into_inner);
        if pace.allows(key, Instant::now()) {
            Ok(())
        } else {
            Err(Refusal::too_many_requests())
        }
    }

    async fn pass_on(&self, mut head: request::Parts, body: Incoming) -> Result<Response<Incoming>, Failure> {
        let turn = self.effects.iter().find_map(|effect| match effect {
            Effect::FlipUpload(at) => Some(*at),
            _ => None,
        });
        let body = match turn.filter(|_| self.asked.operation.uploads()) {
            Some(at) => whole(turned(&mut head.headers, collected(body).await?, at)?),
            None => treated(body, Treatment::of_upload(&self.effects), self.cut.clone()),
        };
        self.send(head, body).await
    }

    async fn send(&self, head: request::Parts, body: Flow) -> Result<Response<Incoming>, Failure> {
        let mut headers = head.headers;
        if self.shared.rules == Rules::R2 {
            for name in rules::WITHOUT_EFFECT {
                headers.remove(name);
            }
        }
        let path = head
            .uri
            .into_parts()
            .path_and_query
            .unwrap_or_else(|| PathAndQuery::from_static("/"));
        Ok(self
            .shared
            .backend
            .send(head.method, &path, headers, body)
            .await?)
    }

    /// R2 looks at all parts only now, and forgets the upload once it is an object.
    async fn complete(&self, head: request::Parts, body: Incoming) -> Result<Response<Incoming>, Failure> {
        let body = collected(body).await?;
        let _one_at_a_time = self.shared.completing.lock().await;
        let path = head.uri.path().to_owned();
        let upload = self.asked.parameter("uploadId").unwrap_or_default().to_owned();
        let parts = self.shared.backend.parts(&path, &upload).await;
        let sizes = parts.map_err(|error| match error {
            Ok(refusal) => Failure::Refused(refusal),
            Err(fault) => Failure::Broken(fault),
        })?;
        let listed = multipart::listed(&String::from_utf8_lossy(&body));
        let listed: Vec<u64> = listed
            .iter()
            .filter_map(|number| sizes.sizes.get(number).copied())
            .collect();
        multipart::check(&listed)?;
        self.keep_pace()?;
        let response = self.send(head, whole(body)).await?;
        // R2's release notes: a failed condition aborts the upload.
        if response.status() == http::StatusCode::PRECONDITION_FAILED {
            self.shared.backend.abort(&path, &upload).await?;
        }
        Ok(response)
    }

    fn is_of_lifecycle(&self) -> bool {
        self.shared.rules == Rules::R2
            && self.asked.operation == Operation::BucketSettings
            && self.asked.parameter("lifecycle").is_some()
    }

    async fn lifecycle(&self, head: &request::Parts, body: Incoming) -> Response<Flow> {
        let answer = match collected(body).await {
            Ok(body) => {
                let bucket = &self.asked.bucket;
                self.shared
                    .lifecycles
                    .answer(&head.method, bucket, &head.headers, body)
            }
            Err(fault) => Err(Refusal::new(500, "InternalError", fault.to_string())),
        };
        let answer = answer.unwrap_or_else(|refusal| refusal.response(false));
        self.end(Outcome::Answered(answer.status().as_u16()));
        answer.map(whole)
    }

    async fn delete_many(&self, head: request::Parts, body: Incoming) -> Result<Response<Incoming>, Failure> {
        let body = collected(body).await?;
        multipart::check_batch(&String::from_utf8_lossy(&body))?;
        self.send(head, whole(body)).await
    }

    async fn answered(&self, response: Response<Incoming>) -> Response<Flow> {
        let status = response.status();
        if self.effects.contains(&Effect::LoseAnswer) {
            // versitygw may still be at work until its last byte.
            drain(response.into_body()).await;
            self.end(Outcome::Lost(status.as_u16()));
            return self.cut.now().await;
        }
        let (mut head, body) = response.into_parts();
        for name in [header::CONNECTION, header::TRANSFER_ENCODING] {
            head.headers.remove(name);
        }
        if status.is_success() && self.asked.operation == Operation::CreateMultipartUpload {
            let ends = (Timestamp::now() + UPLOAD_LIVES).strftime("%a, %d %b %Y %H:%M:%S GMT");
            if let Ok(ends) = HeaderValue::from_str(&ends.to_string()) {
                head.headers.insert("x-amz-abort-date", ends);
            }
        }
        self.end(Outcome::Answered(status.as_u16()));
        let treatment = Treatment::of_download(&self.effects);
        Response::from_parts(head, treated(body, treatment, self.cut.clone()))
    }

    fn end(&self, outcome: Outcome) {
        self.shared.log.end(self.number, outcome);
    }
}

/// A byte goes wrong behind the front door: what came in was right, what is stored is not.
fn turned(headers: &mut HeaderMap, body: Bytes, at: u64) -> Result<Bytes, Refusal> {
    const HASH: &str = "x-amz-content-sha256";
    let said = headers.get(HASH).and_then(|said| said.to_str().ok());
    if said != Some(UNSIGNED) && said != Some(&signature::hex(&Sha256::digest(&body))) {
        return Err(Refusal::new(
            400,
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        ));
    }
    let body = flipped(body, Some(at));
    headers.insert(HASH, HeaderValue::from_static(UNSIGNED));
    headers.remove("content-md5");
    let had_sha256 = headers.contains_key("x-amz-checksum-sha256");
    let checksums: Vec<_> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("x-amz-checksum-"))
        .cloned()
        .collect();
    for name in checksums {
        headers.remove(name);
    }
    headers.remove("x-amz-sdk-checksum-algorithm");
    if had_sha256 {
        use base64::Engine;
        let sum = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(&body));
        if let Ok(sum) = HeaderValue::from_str(&sum) {
            headers.insert("x-amz-checksum-sha256", sum);
        }
    }
    Ok(body)
}

async fn collected(body: Incoming) -> Result<Bytes, Fault> {
    Ok(Limited::new(body, WHOLE).collect().await?.to_bytes())
}

/// Reads a body to its end and forgets it.
async fn drain(mut body: Incoming) {
    while let Some(Ok(_)) = body.frame().await {}
}

//! The store behind the twin: requests go there with the twin's own signature. Does IO.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result, anyhow, ensure};
use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;

use super::body::{Fault, Flow, whole};
use super::keyring::Key;
use super::multipart::{self, Parts};
use super::refusal::Refusal;
use super::signature;

/// What the twin signs when it does not know the body's hash.
pub(super) const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// versitygw's only region.
const REGION: &str = "us-east-1";
/// What an answer to the twin itself may have; a page of parts is some 200 KiB.
const ANSWER: usize = 4 * 1024 * 1024;

/// Headers that belong to one connection, or that the twin writes anew.
const NOT_PASSED_ON: [&str; 10] = [
    "authorization",
    "connection",
    "expect",
    "host",
    "keep-alive",
    "te",
    "transfer-encoding",
    "upgrade",
    "x-amz-date",
    "x-amz-security-token",
];

/// A store that speaks S3 over plain HTTP.
pub struct Backend {
    authority: Authority,
    key: Key,
    client: Client<HttpConnector, Flow>,
}

impl fmt::Debug for Backend {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Backend").field(&self.authority).finish()
    }
}

impl Backend {
    /// A store at `host:port`.
    pub fn new(address: &str, key: Key) -> Result<Self> {
        Ok(Self {
            authority: Authority::from_str(address)
                .with_context(|| format!("{address:?} is no host:port of a store"))?,
            key,
            client: Client::builder(TokioExecutor::new()).build_http(),
        })
    }

    /// Carries out a request.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &PathAndQuery,
        mut headers: HeaderMap,
        body: Flow,
    ) -> Result<Response<Incoming>, Fault> {
        for name in NOT_PASSED_ON {
            headers.remove(name);
        }
        let uri = Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(self.authority.clone())
            .path_and_query(path.clone())
            .build()?;
        let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        headers.insert(header::HOST, HeaderValue::from_str(self.authority.as_str())?);
        headers.insert("x-amz-date", HeaderValue::from_str(&now)?);
        let key = &self.key;
        let signed =
            signature::authorization(&key.access_key, &key.secret_key, REGION, &method, &uri, &headers);
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&signed)?);
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok(self.client.request(request).await?)
    }

    /// Asks something for the twin itself.
    async fn ask(&self, method: Method, path: &str) -> Result<(StatusCode, Bytes), Fault> {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-content-sha256", HeaderValue::from_static(UNSIGNED));
        let path = PathAndQuery::from_str(path)?;
        let response = self.send(method, &path, headers, whole(Bytes::new())).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER).collect().await?;
        Ok((status, body.to_bytes()))
    }

    /// The sizes of an upload's parts; `Err(Ok(_))` if there is no such upload.
    pub(super) async fn parts(&self, path: &str, upload: &str) -> Result<Parts, Result<Refusal, Fault>> {
        let mut all = Parts::default();
        let mut marker = 0;
        loop {
            let page = format!("{path}?max-parts=1000&part-number-marker={marker}&uploadId={upload}");
            let (status, body) = self.ask(Method::GET, &page).await.map_err(Err)?;
            if status == StatusCode::NOT_FOUND {
                return Err(Ok(Refusal::no_such_upload()));
            }
            let xml = String::from_utf8_lossy(&body);
            if !status.is_success() {
                return Err(Err(format!("no list of parts: {status} {xml}").into()));
            }
            let page = multipart::parts(&xml);
            all.sizes.extend(page.sizes);
            match page.next.filter(|next| *next > marker) {
                Some(next) => marker = next,
                None => return Ok(all),
            }
        }
    }

    /// Makes a bucket.
    pub async fn create_bucket(&self, name: &str) -> Result<()> {
        let asked = self.ask(Method::PUT, &format!("/{name}")).await;
        let (status, body) = asked.map_err(|error| anyhow!("the bucket {name} was not made: {error}"))?;
        ensure!(
            status.is_success(),
            "the bucket {name} was not made: {status} {}",
            String::from_utf8_lossy(&body)
        );
        Ok(())
    }

    /// An upload goes.
    pub(super) async fn abort(&self, path: &str, upload: &str) -> Result<(), Fault> {
        let (status, _) = self
            .ask(Method::DELETE, &format!("{path}?uploadId={upload}"))
            .await?;
        if status.is_success() || status == StatusCode::NOT_FOUND {
            return Ok(());
        }
        Err(format!("the upload was not aborted: {status}").into())
    }
}

//! The twin steered from another process.

use std::net::Ipv4Addr;
use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use e2e::twin::{Key, Rules, Twin, VersityGw, control};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::client::{configured, told};
use crate::stage::program;

async fn say(url: &str, method: Method, body: Value) -> Value {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let request = Request::builder()
        .method(method)
        .uri(url)
        .header("content-type", "application/json")
        .body(Full::from(body.to_string()))
        .unwrap();
    let response = client.request(request).await.unwrap();
    assert_eq!(response.status(), 200, "{url}");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&body).unwrap_or_default()
}

#[tokio::test]
async fn faults_keys_and_outages_are_set_and_the_log_is_read() {
    let versity = VersityGw::start(program().await).await.unwrap();
    let twin = Twin::start(
        (Ipv4Addr::LOCALHOST, 0).into(),
        versity.backend().unwrap(),
        Rules::R2,
    )
    .unwrap();
    let endpoint = twin.endpoint();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let twin = Arc::new(twin);
    let serving = axum::serve(listener, control(twin.clone()));
    let serving = tokio::spawn(async move { serving.await });

    let key = json!({ "access_key": "dj", "secret_key": "secret", "admin": true });
    say(&format!("{url}/keys"), Method::PUT, key).await;
    let client = configured(&endpoint, "dj", "secret");
    let client = client.retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled());
    let client = aws_sdk_s3::Client::from_conf(client.build());
    client.create_bucket().bucket("shows").send().await.unwrap();
    let put = |key: &str| {
        let put = client.put_object().bucket("shows").key(key);
        put.body(ByteStream::from_static(b"x")).send()
    };
    let fault = json!({
        "on": ["PutObject"], "when": { "next": 1 },
        "effect": { "answer": { "status": 503, "code": "ServiceUnavailable" } },
    });
    say(&format!("{url}/faults"), Method::POST, fault).await;
    assert_eq!(told(put("a").await), (503, "ServiceUnavailable".into()));
    let listed = say(&format!("{url}/faults"), Method::GET, json!(null)).await;
    assert_eq!(listed.as_array().unwrap().len(), 1);
    say(&format!("{url}/faults"), Method::DELETE, json!(null)).await;
    assert_eq!(told(put("b").await).0, 200);
    let log = say(&format!("{url}/log"), Method::GET, json!(null)).await;
    assert_eq!(log[1]["operation"], "PutObject");
    assert_eq!(log[1]["outcome"], json!({ "answered": 503 }));
    assert_eq!(log[2]["key"], "b");
    assert_eq!(
        log[2]["headers"]["authorization"],
        Value::Null,
        "no signature in a log"
    );
    say(&format!("{url}/keys/dj"), Method::DELETE, json!(null)).await;
    assert_eq!(told(put("c").await).0, 401);
    say(&format!("{url}/outage"), Method::PUT, json!("refuse")).await;
    while tokio::net::TcpStream::connect(twin.address()).await.is_ok() {}
    serving.abort();
    assert!(!format!("{:?}", Key::new("dj", "secret")).contains("secret"));
}

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::notices::{double::Double, outbox::About};

const TOKEN: &str = "123456:AAF-s3cr3t";

fn letter() -> Letter {
    Letter {
        about: About::Drill(Timestamp::UNIX_EPOCH),
        at: Timestamp::UNIX_EPOCH,
        station: ("city".to_owned(), "radio".to_owned()),
        text: "hello".to_owned(),
    }
}

fn telegram(api: &str) -> Target {
    Target::Telegram {
        api: api.to_owned(),
        token: Password::parse(TOKEN.as_bytes()).unwrap(),
        chat: "-100".to_owned(),
    }
}

async fn send(post: &Post, api: &str) -> Answer {
    post.send(&telegram(api), &letter(), Timestamp::UNIX_EPOCH).await
}

/// A server for `localhost` that speaks TLS, and a client that trusts whoever made its certificate.
async fn over_tls() -> (String, Post) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Who does not trust it says so, and that is its own affair.
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            assert!(read > 0);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"ok\":true}";
            stream.write_all(answer).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let trusting = HttpsConnectorBuilder::new().with_tls_config(client);
    (format!("https://localhost:{port}"), Post::trusting(trusting))
}

#[tokio::test]
async fn a_message_goes_over_tls_to_whom_is_trusted_and_to_nobody_else() {
    let (api, post) = over_tls().await;
    assert_eq!(send(&post, &api).await, Answer::Delivered);
    let (_, stranger) = over_tls().await;
    let Answer::Later { words, wait: None } = send(&stranger, &api).await else {
        panic!("it must not trust that one")
    };
    assert_eq!(
        words,
        "Telegram cannot be reached: invalid peer certificate: BadSignature"
    );
}

#[tokio::test]
async fn without_certificate_authorities_there_is_no_https() {
    let post = Post::Plain(client().build(connector()));
    let words =
        "Telegram cannot be reached: this image of the operator has no certificate authorities for https";
    assert_eq!(
        send(&post, "https://localhost:1").await,
        Answer::Later {
            words: words.to_owned(),
            wait: None
        }
    );
    let double = Double::there().await;
    let answer = send(&post, &format!("http://{}", double.address)).await;
    assert_eq!(answer, Answer::Delivered);
    assert_eq!(
        double.got()[0].id.as_deref(),
        Some("city/radio/1970-01-01T00:00:00Z/Drill")
    );
}

#[tokio::test]
async fn who_says_nothing_is_not_waited_for_for_ever() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let request = Request::get(format!("http://{}/", listener.local_addr().unwrap()));
    let request = request.body(Body::empty()).unwrap();
    let patience = Duration::from_millis(100);
    let why = Post::default().ask_within(patience, request).await.err();
    assert_eq!(why.unwrap(), "no answer within 0.1 s");
}

#[tokio::test]
async fn an_answer_without_an_end_is_not_read_to_its_end() {
    let double = Double::there().await;
    double.says((
        200,
        None,
        serde_json::json!({"ok": true, "result": "x".repeat(1 << 20)}),
    ));
    let answer = send(&Post::default(), &format!("http://{}", double.address)).await;
    // What it says is not known: it may be anybody.
    assert!(matches!(answer, Answer::Later { .. }), "{answer:?}");
}

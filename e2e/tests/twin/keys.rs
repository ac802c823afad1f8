//! Credentials: wrong, refused, expired, rotated.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Credentials;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::primitives::ByteStream;
use e2e::twin::Key;
use jiff::Timestamp;

use crate::client::told;
use crate::stage::{BUCKET, Stage};

fn client(stage: &Stage, access_key: &str, secret: &str, token: Option<&str>) -> Client {
    let credentials = Credentials::new(access_key, secret, token.map(str::to_owned), None, "test");
    stage.client_with(|config| {
        config
            .credentials_provider(credentials)
            .retry_config(RetryConfig::disabled())
    })
}

async fn put(client: &Client, key: &str) -> (u16, String) {
    let put = client.put_object().bucket(BUCKET).key(key);
    told(put.body(ByteStream::from_static(b"x")).send().await)
}

#[tokio::test]
async fn only_keys_of_the_ring_open() {
    let stage = Stage::r2().await;
    let unauthorized = (401, "Unauthorized".to_owned());
    assert_eq!(
        put(&client(&stage, "nobody", "secret", None), "a").await,
        unauthorized
    );
    stage.twin.keys().put(Key::new("night", "secret"));
    let night = client(&stage, "night", "secret", None);
    assert_eq!(put(&night, "b").await.0, 200);
    let wrong = client(&stage, "night", "another secret", None);
    assert_eq!(put(&wrong, "c").await, (403, "SignatureDoesNotMatch".into()));
    stage.twin.keys().revoke("night");
    assert_eq!(put(&night, "d").await, unauthorized);
}

#[tokio::test]
async fn temporary_keys_end() {
    let stage = Stage::r2().await;
    let temporary = |ends: Duration| Key {
        session_token: Some("token".into()),
        expires: Some(Timestamp::now() + ends),
        ..Key::new("temporary", "secret")
    };
    stage.twin.keys().put(temporary(Duration::from_mins(10)));
    let with = client(&stage, "temporary", "secret", Some("token"));
    assert_eq!(put(&with, "a").await.0, 200);
    assert_eq!(
        put(&client(&stage, "temporary", "secret", None), "b").await.0,
        401
    );
    stage.twin.keys().put(temporary(Duration::ZERO));
    assert_eq!(put(&with, "c").await, (401, "Unauthorized".into()));
}

/// What `Object Read & Write` does not allow.
#[tokio::test]
async fn buckets_are_for_admins() {
    let stage = Stage::r2().await;
    stage.twin.keys().put(Key {
        admin: true,
        ..Key::new("admin", "secret")
    });
    let denied = (403, "AccessDenied".to_owned());
    for (name, client, expected) in [
        ("object token", stage.client(), denied),
        (
            "admin",
            client(&stage, "admin", "secret", None),
            (200, String::new()),
        ),
    ] {
        let made = client
            .create_bucket()
            .bucket(format!("{}-shows", name.replace(' ', "-")));
        assert_eq!(told(made.send().await), expected, "{name}");
        assert_eq!(told(client.list_buckets().send().await), expected, "{name}");
    }
    let rules = stage.client().get_bucket_lifecycle_configuration().bucket(BUCKET);
    assert_eq!(told(rules.send().await).0, 403);
}

//! versitygw for tests: its program, and a bucket in it.

use std::path::{Path, PathBuf};

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use e2e::install::golang;
use e2e::steps::Progress;
use e2e::twin::VersityGw;
use tokio::sync::OnceCell;

/// One of one's own, with a bucket of this name.
pub async fn with_bucket(name: &str) -> VersityGw {
    let versity = VersityGw::start(program().await).await.unwrap();
    let key = versity.key();
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .endpoint_url(versity.endpoint())
        .force_path_style(true)
        .credentials_provider(Credentials::new(
            &key.access_key,
            &key.secret_key,
            None,
            None,
            "test",
        ))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let made = aws_sdk_s3::Client::from_conf(config).create_bucket().bucket(name);
    made.send().await.unwrap();
    versity
}

async fn program() -> &'static Path {
    static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();
    PROGRAM
        .get_or_init(|| async {
            let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../e2e/go");
            golang::ensure(&sources, &Progress::default())
                .await
                .unwrap()
                .versitygw
        })
        .await
}

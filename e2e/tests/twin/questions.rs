//! What Cloudflare's documentation leaves open, asked of each store. Of the twin and of versitygw the answers are known; a real
//! bucket's are printed, for `docs/verified.md`.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, Delete, ObjectIdentifier};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

use crate::basic::{Place, given};
use crate::client::{sha256, told};
use crate::multipart::uploaded_to;
use crate::stage::{BUCKET, Stage};

const MIB: usize = 1024 * 1024;
const BODY: &[u8] = b"on air";

/// Each question with its answer, `status code`.
type Answers = Vec<(&'static str, String)>;

/// A client that tries once, in a place of its own.
struct Asker {
    client: Client,
    bucket: String,
    prefix: String,
    keys: Vec<String>,
}

impl Asker {
    fn new(place: Place) -> Self {
        let config = place.client.config().to_builder();
        Self {
            client: Client::from_conf(config.retry_config(RetryConfig::disabled()).build()),
            bucket: place.bucket,
            prefix: place.prefix,
            keys: vec![],
        }
    }

    fn key(&mut self, name: &str) -> String {
        let key = format!("{}/{name}", self.prefix);
        self.keys.push(key.clone());
        key
    }

    async fn ask(&mut self) -> Answers {
        let mut answers = self.of_checksums().await;
        answers.extend(self.of_uploads().await);
        answers.extend(self.of_pace().await);
        let keys = self.keys.iter();
        let objects = keys.map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
        let all = Delete::builder()
            .set_objects(Some(objects.collect()))
            .build()
            .unwrap();
        let delete = self.client.delete_objects().bucket(&self.bucket).delete(all);
        answers.push(("DeleteObjects with its CRC32", said(delete.send().await)));
        answers
    }

    async fn of_checksums(&mut self) -> Answers {
        let (client, bucket) = (self.client.clone(), self.bucket.clone());
        let put = |key: String| {
            let put = client.put_object().bucket(&bucket).key(key);
            put.body(ByteStream::from_static(BODY))
        };
        let protected = self.key("sha256");
        let with = put(protected.clone()).checksum_sha256(sha256(BODY)).send().await;
        let head = client.head_object().bucket(&bucket).key(&protected);
        let head = head.checksum_mode(ChecksumMode::Enabled).send().await;
        let value = head.as_ref().ok().and_then(|head| head.checksum_sha256());
        let value = if value.is_some() { "a value" } else { "none" }.to_owned();
        let md5 = STANDARD.encode(Md5::digest(BODY));
        let both = put(self.key("both"))
            .checksum_sha256(sha256(BODY))
            .content_md5(md5);
        let begun = client
            .create_multipart_upload()
            .bucket(&bucket)
            .key(self.key("parts"));
        let begun = begun.checksum_algorithm(ChecksumAlgorithm::Sha256).send().await;
        vec![
            ("PutObject with SHA-256", said(with)),
            ("HeadObject's checksum", value),
            ("SHA-256 and Content-MD5 together", said(both.send().await)),
            ("CreateMultipartUpload with SHA-256", said(begun)),
        ]
    }

    async fn of_uploads(&mut self) -> Answers {
        let (client, bucket) = (self.client.clone(), self.bucket.clone());
        let (_, uneven) = uploaded_to(&client, &bucket, &self.key("uneven"), &[5 * MIB, 6 * MIB]).await;
        let (_, twice) = uploaded_to(&client, &bucket, &self.key("twice"), &[5 * MIB, 1]).await;
        let first = said(twice.clone().send().await);
        let second = said(twice.send().await);
        let taken = self.key("taken");
        let put = client.put_object().bucket(&bucket).key(&taken);
        put.body(ByteStream::from_static(BODY)).send().await.unwrap();
        let (_, late) = uploaded_to(&client, &bucket, &taken, &[5 * MIB, 1]).await;
        tokio::time::sleep(std::time::Duration::from_millis(1050)).await;
        let condition = said(late.clone().if_none_match("*").send().await);
        // By now the key may be written again, whatever the answer was.
        tokio::time::sleep(std::time::Duration::from_millis(1050)).await;
        vec![
            ("Complete with an uneven part", said(uneven.send().await)),
            ("Complete", first),
            ("Complete again", second),
            ("Complete with If-None-Match on a key that is there", condition),
            ("Complete again without the condition", said(late.send().await)),
        ]
    }

    async fn of_pace(&mut self) -> Answers {
        let key = self.key("often");
        let mut refused = None;
        for _ in 0..10 {
            let put = self.client.put_object().bucket(&self.bucket).key(&key);
            let outcome = put.body(ByteStream::from_static(BODY)).send().await;
            if outcome.is_err() {
                let after = outcome.as_ref().err().and_then(SdkError::raw_response);
                let after = after.and_then(|response| response.headers().get("retry-after"));
                let after = after.unwrap_or("none").to_owned();
                refused = Some(format!("{}, Retry-After: {after}", said(outcome)));
                break;
            }
        }
        let refused = refused.unwrap_or_else(|| "all taken".into());
        vec![("ten writes of one key at once", refused)]
    }
}

fn said<T, E: aws_sdk_s3::error::ProvideErrorMetadata>(outcome: Result<T, SdkError<E>>) -> String {
    let (status, code) = told(outcome);
    format!("{status} {code}").trim_end().to_owned()
}

fn print(store: &str, answers: &Answers) {
    for (question, answer) in answers {
        println!("{store} | {question} | {answer}");
    }
}

fn place(client: Client) -> Place {
    Place {
        client,
        bucket: BUCKET.into(),
        prefix: "questions".into(),
    }
}

#[tokio::test]
async fn the_twin_answers_as_documented() {
    let stage = Stage::r2().await;
    let answers = Asker::new(place(stage.client())).ask().await;
    print("twin", &answers);
    let expected = [
        "200",
        "none",
        "200",
        "200",
        "400 InvalidPart",
        "200",
        "404 NoSuchUpload",
        "412 PreconditionFailed",
        "404 NoSuchUpload",
        "429 TooManyRequests, Retry-After: 1",
        "200",
    ];
    let answers: Vec<_> = answers.iter().map(|(_, answer)| answer.as_str()).collect();
    assert_eq!(answers, expected);
}

#[tokio::test]
async fn versitygw_answers_as_aws_does() {
    let stage = Stage::r2().await;
    let answers = Asker::new(place(stage.versity())).ask().await;
    print("versitygw", &answers);
    let expected = [
        "200",
        "a value",
        "200",
        "200",
        "200",
        "200",
        "200",
        "412 PreconditionFailed",
        "200",
        "all taken",
        "200",
    ];
    let answers: Vec<_> = answers.iter().map(|(_, answer)| answer.as_str()).collect();
    assert_eq!(answers, expected);
}

#[tokio::test]
async fn a_real_bucket_is_asked() {
    if let Some(place) = given() {
        print("real bucket", &Asker::new(place).ask().await);
    }
}

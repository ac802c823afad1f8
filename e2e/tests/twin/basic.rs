//! What every store must do for recordings, asked of the twin, of versitygw alone, and of a real bucket.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier};
use e2e::twin::VersityGw;

use crate::client::{configured, etag, etag_of_parts, noise, sha256, told};
use crate::stage::{BUCKET, Stage, program, versity_client};

const PART: usize = 5 * 1024 * 1024;

/// A place in a bucket that is ours.
pub struct Place {
    pub client: Client,
    pub bucket: String,
    pub prefix: String,
}

impl Place {
    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.prefix)
    }

    async fn objects_are_written_once_and_read_back(&self) {
        let (key, body) = (self.key("seg/0"), noise(1, 300_000));
        let put = || {
            self.client
                .put_object()
                .bucket(&self.bucket)
                .key(&key)
                .if_none_match("*")
                .metadata("sha256", "of the body")
                .checksum_sha256(sha256(&body))
                .body(ByteStream::from(body.clone()))
        };
        let stored = put().send().await.unwrap();
        assert_eq!(stored.e_tag(), Some(etag(&body).as_str()));
        let again = told(put().send().await);
        assert_eq!(again, (412, "PreconditionFailed".into()), "an immutable key");
        let head = self.client.head_object().bucket(&self.bucket).key(&key);
        let head = head.send().await.unwrap();
        assert_eq!(head.content_length(), Some(300_000));
        assert_eq!(head.e_tag(), Some(etag(&body).as_str()));
        assert_eq!(head.metadata().unwrap().get("sha256").unwrap(), "of the body");
        assert_eq!(self.read(&key, None).await, body);
        assert_eq!(
            self.read(&key, Some("bytes=100000-100009")).await,
            body[100_000..100_010]
        );
        let missing = self.client.get_object().bucket(&self.bucket).key(self.key("not"));
        assert_eq!(told(missing.send().await), (404, "NoSuchKey".into()));
    }

    async fn wrong_checksums_are_refused(&self) {
        let put = || {
            self.client
                .put_object()
                .bucket(&self.bucket)
                .key(self.key("wrong"))
                .body(ByteStream::from_static(b"on air"))
        };
        let (status, code) = told(put().checksum_sha256(sha256(b"off air")).send().await);
        assert_eq!(status, 400, "{code}");
        let (status, code) = told(put().content_md5("rL0Y20zC+Fzt72VPzMSk2A==").send().await);
        assert_eq!(status, 400, "{code}");
        let head = self
            .client
            .head_object()
            .bucket(&self.bucket)
            .key(self.key("wrong"));
        assert_eq!(told(head.send().await).0, 404, "nothing is stored");
    }

    async fn parts_become_an_object(&self) {
        let (key, first, second) = (self.key("final.ogg"), noise(2, PART), noise(3, PART));
        let parts: [&[u8]; 3] = [&first, &second, b"the end"];
        let upload = self.begin(&key).await;
        let mut completed = vec![];
        for (number, part) in (1..).zip(parts) {
            let sent = self
                .client
                .upload_part()
                .bucket(&self.bucket)
                .key(&key)
                .upload_id(&upload)
                .part_number(number)
                .body(ByteStream::from(part.to_vec()));
            let sent = sent.send().await.unwrap();
            assert_eq!(sent.e_tag(), Some(etag(part).as_str()));
            completed.push(
                CompletedPart::builder()
                    .part_number(number)
                    .e_tag(etag(part))
                    .build(),
            );
        }
        let listed = self.client.list_parts().bucket(&self.bucket).key(&key);
        let listed = listed.upload_id(&upload).max_parts(2).send().await.unwrap();
        let sizes: Vec<_> = listed.parts().iter().map(|part| part.size().unwrap()).collect();
        assert_eq!(sizes, [5_242_880, 5_242_880]);
        assert_eq!(listed.is_truncated(), Some(true));
        let whole = self
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(&key);
        let whole = whole.upload_id(&upload).multipart_upload(
            CompletedMultipartUpload::builder()
                .set_parts(Some(completed))
                .build(),
        );
        let whole = whole.send().await.unwrap();
        assert_eq!(whole.e_tag(), Some(etag_of_parts(&parts).as_str()));
        assert!(self.read(&key, None).await == parts.concat());
        let part = self.client.head_object().bucket(&self.bucket).key(&key);
        let part = part.part_number(2).send().await.unwrap();
        assert_eq!(part.content_length(), Some(5_242_880));
    }

    async fn uploads_are_found_and_aborted(&self) {
        let key = self.key("aborted");
        let upload = self.begin(&key).await;
        assert_eq!(self.uploads().await, std::slice::from_ref(&upload));
        let abort = self
            .client
            .abort_multipart_upload()
            .bucket(&self.bucket)
            .key(&key);
        abort.upload_id(&upload).send().await.unwrap();
        assert_eq!(self.uploads().await, [] as [String; 0]);
        let list = self.client.list_parts().bucket(&self.bucket).key(&key);
        assert_eq!(
            told(list.upload_id(&upload).send().await),
            (404, "NoSuchUpload".into())
        );
    }

    async fn keys_are_listed_in_order_and_in_pages(&self) {
        for number in [3, 1, 5, 2, 4] {
            let put = self
                .client
                .put_object()
                .bucket(&self.bucket)
                .key(self.key(&format!("list/{number}")))
                .body(ByteStream::from_static(b"x"));
            put.send().await.unwrap();
        }
        let keys = self.list(&self.key("list/"), 2).await;
        let expected: Vec<_> = (1..=5)
            .map(|number| self.key(&format!("list/{number}")))
            .collect();
        assert_eq!(keys, expected);
        let all = self.list(&self.prefix, 1000).await;
        let objects = all
            .iter()
            .map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
        let all = Delete::builder()
            .set_objects(Some(objects.collect()))
            .build()
            .unwrap();
        let deleted = self.client.delete_objects().bucket(&self.bucket).delete(all);
        let deleted = deleted.send().await.unwrap();
        assert_eq!(deleted.errors().len(), 0);
        assert_eq!(self.list(&self.prefix, 1000).await, [] as [String; 0]);
    }

    async fn begin(&self, key: &str) -> String {
        let begun = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(key);
        begun.send().await.unwrap().upload_id().unwrap().to_owned()
    }

    async fn uploads(&self) -> Vec<String> {
        let listed = self.client.list_multipart_uploads().bucket(&self.bucket);
        let listed = listed.prefix(&self.prefix).send().await.unwrap();
        let uploads = listed.uploads().iter();
        uploads
            .map(|upload| upload.upload_id().unwrap().to_owned())
            .collect()
    }

    async fn read(&self, key: &str, range: Option<&str>) -> Vec<u8> {
        let got = self.client.get_object().bucket(&self.bucket).key(key);
        let got = got.set_range(range.map(str::to_owned)).send().await.unwrap();
        got.body.collect().await.unwrap().to_vec()
    }

    async fn list(&self, prefix: &str, page: i32) -> Vec<String> {
        let pages = self.client.list_objects_v2().bucket(&self.bucket);
        let mut pages = pages.prefix(prefix).max_keys(page).into_paginator().send();
        let mut keys = vec![];
        while let Some(found) = pages.next().await {
            let found = found.unwrap();
            assert!(found.contents().len() <= usize::try_from(page).unwrap());
            keys.extend(
                found
                    .contents()
                    .iter()
                    .map(|object| object.key().unwrap().to_owned()),
            );
        }
        keys
    }
}

/// The suite.
async fn suffices(place: &Place) {
    place.objects_are_written_once_and_read_back().await;
    place.wrong_checksums_are_refused().await;
    place.parts_become_an_object().await;
    place.uploads_are_found_and_aborted().await;
    place.keys_are_listed_in_order_and_in_pages().await;
}

/// The bucket the environment names.
pub fn given() -> Option<Place> {
    let of = |name: &str| std::env::var(format!("RADIO_S3_{name}")).ok();
    let (Some(endpoint), Some(bucket), Some(access_key), Some(secret_key)) =
        (of("ENDPOINT"), of("BUCKET"), of("ACCESS_KEY"), of("SECRET_KEY"))
    else {
        eprintln!(
            "not run here: needs a real bucket in RADIO_S3_ENDPOINT, RADIO_S3_BUCKET, RADIO_S3_ACCESS_KEY, \
             RADIO_S3_SECRET_KEY (and RADIO_S3_REGION, if it is not `auto`)"
        );
        return None;
    };
    let mut config = configured(&endpoint, &access_key, &secret_key);
    if let Some(region) = of("REGION") {
        config.set_region(Some(aws_sdk_s3::config::Region::new(region)));
    }
    Some(Place {
        client: Client::from_conf(config.build()),
        bucket,
        prefix: format!("radio-operator-test-{:08x}", rand::random::<u32>()),
    })
}

#[tokio::test]
async fn the_twin_suffices() {
    let stage = Stage::r2().await;
    suffices(&Place {
        client: stage.client_with(|config| config),
        bucket: BUCKET.into(),
        prefix: "test".into(),
    })
    .await;
}

#[tokio::test]
async fn the_twin_without_rules_suffices() {
    let stage = Stage::with(e2e::twin::Rules::None).await;
    suffices(&Place {
        client: stage.client_with(|config| config),
        bucket: BUCKET.into(),
        prefix: "test".into(),
    })
    .await;
}

#[tokio::test]
async fn versitygw_suffices() {
    let versity = VersityGw::start(program().await).await.unwrap();
    let client = versity_client(&versity);
    client.create_bucket().bucket(BUCKET).send().await.unwrap();
    suffices(&Place {
        client,
        bucket: BUCKET.into(),
        prefix: "test".into(),
    })
    .await;
}

#[tokio::test]
async fn a_real_bucket_suffices() {
    if let Some(place) = given() {
        suffices(&place).await;
    }
}

#[tokio::test]
async fn a_folder_is_a_bucket_and_an_object_is_a_file() {
    let stage = Stage::r2().await;
    let folder = stage.versity.folder().join("made-by-hand");
    std::fs::create_dir(&folder).unwrap();
    for client in [stage.client(), stage.versity()] {
        let put = client.put_object().bucket("made-by-hand").key("a/b.ogg");
        put.body(ByteStream::from_static(b"on air")).send().await.unwrap();
        let listed = client
            .list_objects_v2()
            .bucket("made-by-hand")
            .send()
            .await
            .unwrap();
        assert_eq!(listed.contents()[0].key(), Some("a/b.ogg"));
        stage.pause_for_key().await;
    }
    assert_eq!(std::fs::read(folder.join("a/b.ogg")).unwrap(), b"on air");
}

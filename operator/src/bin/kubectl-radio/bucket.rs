//! A bucket, for somebody who waits at a terminal: it is asked a few times, and then its answer is told. IO: HTTP.

use std::{fmt, time::Duration};

use aws_sdk_s3::{
    Client,
    config::{Credentials, retry::RetryConfig, timeout::TimeoutConfig},
    error::DisplayErrorContext,
    operation::get_object::GetObjectOutput,
    presigning::PresigningConfig,
};
use k8s_openapi::api::core::v1::Secret;
use recorder::{
    config::{self, ACCESS_KEY_ID, SECRET_ACCESS_KEY},
    store::{self, Error, hex},
};
use sha2::{Digest, Sha256};

/// S3 signs links for no longer.
pub const LONGEST_LINK: Duration = Duration::from_hours(7 * 24);
const TRIES: u32 = 3;
const CONNECT: Duration = Duration::from_secs(5);
/// Until an answer begins.
const PATIENCE: Duration = Duration::from_secs(30);

/// What opens a bucket. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    id: String,
    secret: String,
}

impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Keys(not shown)")
    }
}

impl Keys {
    /// From a Secret; what it lacks is told.
    pub fn of(secret: &Secret) -> Result<Self, &'static str> {
        let read = |key: &'static str| {
            let content = secret.data.as_ref().and_then(|data| data.get(key));
            let text = content.and_then(|content| std::str::from_utf8(&content.0).ok());
            let text = text.map(str::trim).filter(|text| !text.is_empty());
            text.map(str::to_owned).ok_or(key)
        };
        Ok(Self {
            id: read(ACCESS_KEY_ID)?,
            secret: read(SECRET_ACCESS_KEY)?,
        })
    }
}

/// An object as a listing has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The whole key.
    pub key: String,
    /// Bytes.
    pub size: u64,
}

/// What came back when an object was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadBack {
    /// How many bytes.
    pub bytes: u64,
    /// Their SHA-256, in hexadecimal.
    pub sha256: String,
}

/// A bucket, by whole keys.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: Client,
    name: String,
}

impl Bucket {
    /// Asks nothing yet.
    pub fn open(told: &config::Bucket, keys: &Keys) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .read_timeout(PATIENCE);
        let config = store::sdk(told)
            .retry_config(RetryConfig::standard().with_max_attempts(TRIES))
            .timeout_config(timeouts.build())
            .credentials_provider(Credentials::new(&keys.id, &keys.secret, None, None, "secret"))
            .build();
        Self {
            client: Client::from_conf(config),
            name: told.bucket.clone(),
        }
    }

    /// All objects whose keys begin so, in the order of their keys.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        let doing = || format!("ListObjects {prefix}");
        let mut listed = Vec::new();
        let mut next = None;
        loop {
            let list = self.client.list_objects_v2().bucket(&self.name).prefix(prefix);
            let answer = Box::pin(list.set_continuation_token(next).send()).await;
            let page = answer.map_err(|failure| Error::of(doing(), prefix, &failure))?;
            listed.extend(page.contents().iter().filter_map(|object| {
                Some(Listed {
                    key: object.key()?.to_owned(),
                    size: u64::try_from(object.size()?).ok()?,
                })
            }));
            next = page.next_continuation_token().map(str::to_owned);
            if next.is_none() {
                return Ok(listed);
            }
        }
    }

    /// All of a small object; one of more than `most` bytes is refused. `None` if there is none.
    pub async fn read(&self, key: &str, most: u64) -> Result<Option<Vec<u8>>, Error> {
        let Some(mut object) = self.get(key).await? else {
            return Ok(None);
        };
        let mut all = Vec::new();
        while let Some(bytes) = object.body.next().await {
            all.extend_from_slice(&bytes.map_err(|failure| broken(key, &failure))?);
            if all.len() as u64 > most {
                return Err(Error::Refused {
                    doing: format!("GetObject {key}"),
                    status: 200,
                    code: "TooLarge".to_owned(),
                    words: format!("it has more than the {most} bytes that are expected at most"),
                });
            }
        }
        Ok(Some(all))
    }

    /// Reads all of an object, of any size, and keeps nothing but its sum. `None` if there is none.
    pub async fn read_back(&self, key: &str) -> Result<Option<ReadBack>, Error> {
        let Some(mut object) = self.get(key).await? else {
            return Ok(None);
        };
        let mut bytes = 0;
        let mut sum = Sha256::new();
        while let Some(piece) = object.body.next().await {
            let piece = piece.map_err(|failure| broken(key, &failure))?;
            bytes += piece.len() as u64;
            sum.update(&piece);
        }
        Ok(Some(ReadBack {
            bytes,
            sha256: hex(&sum.finalize()),
        }))
    }

    /// An address at which anybody can get an object until it expires. Asks nothing.
    pub async fn link(&self, key: &str, lasts: Duration) -> Result<String, Error> {
        let cannot = |words: String| Error::Refused {
            doing: format!("a link to {key}"),
            status: 0,
            code: "CannotBeAsked".to_owned(),
            words,
        };
        let signing = PresigningConfig::expires_in(lasts).map_err(|failure| cannot(failure.to_string()))?;
        let get = self.client.get_object().bucket(&self.name).key(key);
        let signed = Box::pin(get.presigned(signing)).await;
        // The SDK's words for a failed signature do not have what is signed with.
        let signed = signed.map_err(|failure| cannot(DisplayErrorContext(&failure).to_string()))?;
        Ok(signed.uri().to_owned())
    }

    async fn get(&self, key: &str) -> Result<Option<GetObjectOutput>, Error> {
        let get = self.client.get_object().bucket(&self.name).key(key);
        match Box::pin(get.send()).await {
            Ok(object) => Ok(Some(object)),
            Err(failure) => match Error::of(format!("GetObject {key}"), key, &failure) {
                Error::Missing { .. } => Ok(None),
                failure => Err(failure),
            },
        }
    }
}

fn broken(key: &str, failure: &impl fmt::Display) -> Error {
    Error::Silent {
        doing: format!("GetObject {key}"),
        words: format!("it broke off ({failure}); try again"),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    fn secret(content: &[(&str, &str)]) -> Secret {
        let content = content
            .iter()
            .map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())));
        Secret {
            data: Some(content.collect()),
            ..Secret::default()
        }
    }

    fn keys() -> Keys {
        Keys::of(&secret(&[
            (ACCESS_KEY_ID, "AKID\n"),
            (SECRET_ACCESS_KEY, " s3cr3t\n"),
        ]))
        .unwrap()
    }

    fn bucket() -> Bucket {
        let told = serde_json::json!({
            "endpoint": "https://abc.r2.cloudflarestorage.com", "bucket": "shows", "profile": "r2",
        });
        Bucket::open(&serde_json::from_value(told).unwrap(), &keys())
    }

    #[test]
    fn keys_come_from_the_secret_and_are_never_shown() {
        assert_eq!(keys().secret, "s3cr3t");
        assert!(!format!("{:?} {:?}", keys(), bucket()).contains("s3cr3t"));
        assert_eq!(Keys::of(&Secret::default()), Err(ACCESS_KEY_ID));
        assert_eq!(
            Keys::of(&secret(&[(ACCESS_KEY_ID, "id")])),
            Err(SECRET_ACCESS_KEY)
        );
        assert_eq!(
            Keys::of(&secret(&[(ACCESS_KEY_ID, "id"), (SECRET_ACCESS_KEY, "\n")])),
            Err(SECRET_ACCESS_KEY)
        );
    }

    #[tokio::test]
    async fn a_link_names_its_object_and_its_end_but_not_the_key() {
        let link = bucket()
            .link("city/a b.ogg", Duration::from_mins(1))
            .await
            .unwrap();
        assert!(
            link.starts_with("https://abc.r2.cloudflarestorage.com/shows/city/a%20b.ogg?"),
            "{link}"
        );
        assert!(link.contains("X-Amz-Expires=60&"), "{link}");
        assert!(link.contains("X-Amz-Signature="), "{link}");
        assert!(!link.contains("s3cr3t"), "{link}");
    }

    #[tokio::test]
    async fn no_link_lasts_longer_than_a_week() {
        assert!(bucket().link("a", LONGEST_LINK).await.is_ok());
        let refused = bucket().link("a", LONGEST_LINK + Duration::from_secs(1)).await;
        assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    }
}

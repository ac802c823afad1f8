//! Objects deleted. IO: HTTP.

use aws_sdk_s3::types::{Delete, ObjectIdentifier};

use super::object::{HEAD_PATIENCE, within};
use super::{Error, Store};

/// The store takes no more keys in one request.
const DELETED_AT_ONCE: usize = 1000;

/// An object that the store does not delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Below the prefix.
    pub key: String,
    /// The store's word for why.
    pub code: String,
}

impl Store {
    /// Deletes objects; those that are not there are no error.
    pub async fn delete(&self, keys: &[String]) -> Result<(), Error> {
        for keys in keys.chunks(DELETED_AT_ONCE) {
            self.insist(|| self.try_delete(keys)).await?;
        }
        Ok(())
    }

    /// The same; tells which of them the store keeps all the same.
    pub async fn remove(&self, keys: &[String]) -> Result<Vec<Refusal>, Error> {
        let mut refused = Vec::new();
        for keys in keys.chunks(DELETED_AT_ONCE) {
            refused.extend(self.insist(|| self.send_delete(keys)).await?);
        }
        Ok(refused)
    }

    pub(super) async fn try_delete(&self, keys: &[String]) -> Result<(), Error> {
        match self.send_delete(keys).await?.into_iter().next() {
            None => Ok(()),
            // Of a batch some may have failed for a moment: all are asked for again.
            Some(refused) => Err(Error::Busy {
                doing: format!("DeleteObjects ({})", keys.len()),
                status: 200,
                code: refused.code,
                after: None,
            }),
        }
    }

    async fn send_delete(&self, keys: &[String]) -> Result<Vec<Refusal>, Error> {
        let doing = format!("DeleteObjects ({})", keys.len());
        let cannot = |words: String| Error::Refused {
            doing: doing.clone(),
            status: 0,
            code: "CannotBeAsked".to_owned(),
            words,
        };
        let named = keys
            .iter()
            .map(|key| ObjectIdentifier::builder().key(self.key(key)).build());
        let named: Vec<_> = named
            .collect::<Result<_, _>>()
            .map_err(|failure| cannot(failure.to_string()))?;
        let delete = Delete::builder().set_objects(Some(named)).quiet(true).build();
        let delete = delete.map_err(|failure| cannot(failure.to_string()))?;
        let request = self
            .keys
            .client()?
            .delete_objects()
            .bucket(&*self.bucket)
            .delete(delete);
        let done = within(&doing, HEAD_PATIENCE, request.send()).await?;
        let done = done.map_err(|failure| Error::of(doing.clone(), "", &failure))?;
        let failed = done
            .errors()
            .iter()
            .filter(|failed| failed.code() != Some("NoSuchKey"));
        let refused = failed.map(|failed| Refusal {
            key: failed
                .key()
                .and_then(|key| key.strip_prefix(&*self.prefix))
                .unwrap_or_default()
                .to_owned(),
            code: failed.code().unwrap_or("Unknown").to_owned(),
        });
        Ok(refused.collect())
    }
}

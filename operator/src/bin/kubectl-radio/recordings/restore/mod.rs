//! `kubectl radio recordings restore`: Recordings, of what is in a bucket, where the cluster was lost. IO: the API server,
//! the bucket.

mod found;
mod rebuild;
mod shown;

use std::collections::BTreeMap;

use kube::{Resource, ResourceExt, api::PostParams};
use radio_crds::{
    Recording, Station,
    refs::SecretRef,
    store::{self, Profile},
};
use radio_operator::k8s::{
    error::{ApiError, message},
    status as written,
};
use recorder::{
    manifest::{LARGEST_MANIFEST, Manifest},
    merge,
};
use serde::de::DeserializeOwned;

use super::told;
use crate::{
    args::Output,
    bucket::Bucket,
    cluster::Cluster,
    error::Error,
    out::{Outcome, print, print_json},
};
use found::{Id, Kept, sort};
use rebuild::{Place, Told, rebuild, status};
use shown::{Deed, Line, Restored, phase};

/// Makes Recordings of what is in a Station's bucket. What is in the cluster already is left as it is; doing it twice does no
/// harm. Nothing in the bucket is changed.
#[derive(Clone, Debug, clap::Args)]
pub struct Restore {
    /// The Station. It need not be in the cluster if --endpoint, --bucket and --secret are given
    #[arg(value_name = "STATION")]
    station: String,

    /// Say what would be made, and make nothing
    #[arg(long)]
    dry_run: bool,

    /// Address of the S3 API. Default: as the Station says
    #[arg(long, value_name = "URL", requires_all = ["bucket", "secret"])]
    endpoint: Option<String>,

    /// The bucket
    #[arg(long, value_name = "NAME", requires = "endpoint")]
    bucket: Option<String>,

    /// The Secret with the keys access-key-id and secret-access-key; it has to be in the cluster
    #[arg(long, value_name = "NAME", requires = "endpoint")]
    secret: Option<String>,

    /// Everything is below it in the bucket
    #[arg(long, value_name = "PATH", requires = "endpoint")]
    prefix: Option<String>,

    /// The region that requests are signed for
    #[arg(long, value_name = "NAME", requires = "endpoint")]
    region: Option<String>,

    /// Whose rules the store keeps: r2, aws or generic
    #[arg(long, value_name = "NAME", requires = "endpoint", value_parser = profile)]
    profile: Option<Profile>,
}

/// For clap.
fn profile(text: &str) -> Result<Profile, String> {
    let text = serde_json::Value::from(text);
    serde_json::from_value(text).map_err(|_| "must be r2, aws or generic".to_owned())
}

/// Looks, makes, and says what was made and what was there.
pub async fn run(restore: &Restore, cluster: &Cluster, output: Option<Output>) -> Result<Outcome, Error> {
    let store = store_of(restore, cluster).await?;
    let told = told("where the recordings are", &store)?;
    let keys = cluster.keys(&store.secret_ref.name, &cluster.namespace).await?;
    let work = Work {
        bucket: Bucket::open(&told, &keys),
        prefix: told.station_prefix(&cluster.namespace, &restore.station),
        cluster,
        store: &store,
        station: &restore.station,
        dry_run: restore.dry_run,
    };
    let restored = work.all(output.is_none()).await?;
    match output {
        Some(Output::Json) => print_json(&restored)?,
        None => print(&restored.sum(restore.dry_run))?,
    }
    Ok(Outcome::of(restored.count(Deed::Failed) == 0))
}

/// As it is told here, or as the Station says.
async fn store_of(restore: &Restore, cluster: &Cluster) -> Result<store::Bucket, Error> {
    if let (Some(endpoint), Some(bucket), Some(secret)) =
        (&restore.endpoint, &restore.bucket, &restore.secret)
    {
        return Ok(store::Bucket {
            endpoint: endpoint.clone(),
            region: restore.region.clone(),
            bucket: bucket.clone(),
            prefix: restore.prefix.clone(),
            profile: restore.profile,
            secret_ref: SecretRef { name: secret.clone() },
            ..store::Bucket::default()
        });
    }
    let advice = "make it first, or say where the bucket is with --endpoint, --bucket and --secret";
    let station: Station = cluster.get(&restore.station, advice).await?;
    let storage = station.storage().ok_or_else(|| {
        Error::NotNow(format!(
            "Station {} has no spec.storage; say where the bucket is with --endpoint, --bucket and --secret",
            restore.station
        ))
    })?;
    Ok(storage.s3.clone())
}

struct Work<'a> {
    bucket: Bucket,
    prefix: String,
    cluster: &'a Cluster,
    store: &'a store::Bucket,
    station: &'a str,
    dry_run: bool,
}

impl Work<'_> {
    /// Each line is shown as soon as it is so.
    async fn all(&self, is_shown: bool) -> Result<Restored, Error> {
        let listed = self.bucket.list(&self.prefix).await?;
        let keys = listed
            .iter()
            .filter_map(|object| object.key.strip_prefix(&self.prefix));
        let found = sort(keys);
        let there = self.cluster.list::<Recording>(false).await?;
        let there: BTreeMap<String, Recording> = there
            .into_iter()
            .map(|recording| (recording.name_any(), recording))
            .collect();
        let mut restored = Restored::default();
        for (id, kept) in &found {
            let line = self.one(id, kept, there.get(&id.1)).await?;
            if is_shown {
                print(&format!("{}\n", line.text()))?;
            }
            restored.recordings.push(line);
        }
        Ok(restored)
    }

    async fn one(&self, id: &Id, kept: &Kept, there: Option<&Recording>) -> Result<Line, Error> {
        let (mount, name) = id;
        if let Some(there) = there.filter(|there| phase(there).is_some()) {
            return Ok(Line::of(name, Deed::There, Some(there)));
        }
        let told = match self.read(id, kept).await? {
            Ok(told) => told,
            Err(why) => return Ok(Line::failed(name, why)),
        };
        let place = Place {
            namespace: &self.cluster.namespace,
            station: self.station,
            mount,
            name,
            store: self.store,
        };
        let wanted = match rebuild(&place, &told) {
            Ok(wanted) => wanted,
            Err(why) => return Ok(Line::failed(name, why.to_string())),
        };
        match self.make(wanted, there, &told).await {
            Ok((deed, recording)) => Ok(Line::of(name, deed, Some(&recording))),
            // One that the API server refuses must not keep the others from coming back.
            Err(refused) => Ok(Line::failed(name, message(&refused))),
        }
    }

    /// What the bucket says of it; or in words, why that cannot be understood.
    async fn read(&self, (mount, name): &Id, kept: &Kept) -> Result<Result<Told, String>, Error> {
        let own = |key: &str| format!("{}{mount}/{name}/{key}", self.prefix);
        let mut told = Told::default();
        for key in &kept.manifests {
            match self.json::<Manifest>(&own(key), key).await? {
                Ok(Some(manifest)) => {
                    told.manifest = Some(match told.manifest.take() {
                        Some(known) => merge::manifests(known, manifest),
                        None => manifest,
                    });
                }
                Ok(None) => {}
                Err(why) => return Ok(Err(why)),
            }
        }
        if let Some(key) = kept.final_json() {
            match self.json(&own(&key), &key).await? {
                Ok(published) => told.published = published,
                Err(why) => return Ok(Err(why)),
            }
        }
        Ok(Ok(told))
    }

    async fn json<T: DeserializeOwned>(
        &self,
        key: &str,
        file: &str,
    ) -> Result<Result<Option<T>, String>, Error> {
        let Some(text) = self.bucket.read(key, LARGEST_MANIFEST).await? else {
            return Ok(Ok(None));
        };
        Ok(serde_json::from_slice(&text).map(Some).map_err(|failure| {
            let (line, column) = (failure.line(), failure.column());
            format!("{file} is not one of this version, at line {line} column {column}")
        }))
    }

    /// The object first, then its status. One that was left without a status gets it the next time.
    async fn make(
        &self,
        wanted: Recording,
        there: Option<&Recording>,
        told: &Told,
    ) -> Result<(Deed, Recording), ApiError> {
        let name = wanted.name_any();
        let now = jiff::Timestamp::now();
        if self.dry_run {
            let mut would = wanted;
            would.metadata.uid = Some(String::from("none yet"));
            would.status = status(&would, told, now);
            return Ok((Deed::Made, would));
        }
        let api = self.cluster.api::<Recording>();
        let mut made = match there {
            Some(there) => there.clone(),
            None => match api.create(&PostParams::default(), &wanted).await {
                Ok(made) => made,
                Err(kube::Error::Api(status)) if status.is_already_exists() => {
                    return Ok((Deed::There, wanted));
                }
                Err(failure) => return Err(ApiError::new("create", "Recording", &name)(failure)),
            },
        };
        made.status = status(&made, told, now);
        let Some(status) = &made.status else {
            return Ok((Deed::Made, made));
        };
        match written::write::<Recording>(&self.cluster.client, made.meta(), status).await {
            Ok(()) => {}
            // The operator looked at it first. It finds in the bucket by itself what there is.
            Err(ApiError {
                source: kube::Error::Api(status),
                ..
            }) if status.is_conflict() => {}
            Err(failure) => return Err(failure),
        }
        Ok((Deed::Made, made))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles() {
        assert_eq!(profile("r2"), Ok(Profile::R2));
        assert!(profile("R3").is_err());
    }
}

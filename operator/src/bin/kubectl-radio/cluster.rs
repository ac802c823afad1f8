//! The cluster. IO: the API server.

use axum::http::{HeaderMap, HeaderValue, Request, header};
use jiff::{Timestamp, fmt::rfc2822};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, Config, Resource,
    api::{ListParams, Patch, PatchParams},
    client::Body,
    config::{KubeConfigOptions, Kubeconfig},
    core::NamespaceResourceScope,
};
use radio_operator::k8s::error::ApiError;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::{args::Way, bucket::Keys, error::Error};

/// A cluster and a namespace in it.
#[derive(Clone)]
pub struct Cluster {
    /// How to reach the API server.
    pub client: Client,
    /// Where everything is looked for.
    pub namespace: String,
}

impl Cluster {
    /// By kubectl's flags. Asks nothing yet.
    pub async fn connect(way: &Way) -> Result<Self, Error> {
        let mut config = config(way).await?;
        let agent = concat!("kubectl-radio/", env!("CARGO_PKG_VERSION"));
        config
            .headers
            .push((header::USER_AGENT, HeaderValue::from_static(agent)));
        let namespace = way.namespace.clone();
        Ok(Self {
            namespace: namespace.unwrap_or_else(|| config.default_namespace.clone()),
            client: Client::try_from(config).map_err(|failure| Error::Client(Box::new(failure)))?,
        })
    }

    /// Objects of a kind, in the namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// One object; `advice` says how to find the right one if there is none.
    pub async fn get<K>(&self, name: &str, advice: &'static str) -> Result<K, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        let kind = K::kind(&()).into_owned();
        let found = self.api::<K>().get_opt(name).await;
        let found = found.map_err(ApiError::new("read", &kind, name))?;
        found.ok_or_else(|| Error::NotFound {
            kind,
            name: name.to_owned(),
            namespace: self.namespace.clone(),
            advice,
        })
    }

    /// All objects of a kind, in the namespace or everywhere.
    pub async fn list<K>(&self, everywhere: bool) -> Result<Vec<K>, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        let api = if everywhere {
            Api::<K>::all(self.client.clone())
        } else {
            self.api()
        };
        let listed = api.list(&ListParams::default()).await;
        let listed = listed.map_err(|source| ApiError {
            action: "list",
            object: K::plural(&()).into_owned(),
            source,
        })?;
        Ok(listed.items)
    }

    /// Sets an annotation of an object that is there.
    pub async fn annotate<K>(&self, name: &str, annotation: &str, value: &str) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {annotation: value}}}));
        let api = self.api::<K>();
        let written = api.patch_metadata(name, &PatchParams::default(), &patch).await;
        written.map_err(ApiError::new("annotate", &K::kind(&()), name))?;
        Ok(())
    }

    /// What opens a bucket.
    pub async fn keys(&self, secret: &str, namespace: &str) -> Result<Keys, Error> {
        let api = Api::<Secret>::namespaced(self.client.clone(), namespace);
        let found = api.get_opt(secret).await;
        let found = found
            .map_err(ApiError::new("read", "Secret", secret))?
            .ok_or_else(|| Error::NotFound {
                kind: "Secret".to_owned(),
                name: secret.to_owned(),
                namespace: namespace.to_owned(),
                advice: "it opens the bucket and belongs to the Station's storage",
            })?;
        Keys::of(&found).map_err(|key| Error::NoKeys {
            secret: secret.to_owned(),
            namespace: namespace.to_owned(),
            key,
        })
    }

    /// The API server's time: slots and windows are told on its clock, and this machine's may be off.
    pub async fn now(&self) -> Result<Timestamp, Error> {
        let failed = |source| ApiError {
            action: "ask",
            object: "the API server for its time".to_owned(),
            source,
        };
        let request = Request::get("/version").body(Body::empty());
        let request = request.map_err(|failure| failed(kube::Error::HttpError(failure)))?;
        let answer = self.client.send(request).await.map_err(failed)?;
        Ok(date(answer.headers()).unwrap_or_else(Timestamp::now))
    }
}

async fn config(way: &Way) -> Result<Config, Error> {
    let options = KubeConfigOptions {
        context: way.context.clone(),
        cluster: way.cluster.clone(),
        user: way.user.clone(),
    };
    if let Some(file) = &way.kubeconfig {
        let kubeconfig = Kubeconfig::read_from(file)?;
        return Ok(Config::from_custom_kubeconfig(kubeconfig, &options).await?);
    }
    if way.context.is_some() || way.cluster.is_some() || way.user.is_some() {
        return Ok(Config::from_kubeconfig(&options).await?);
    }
    Ok(Config::infer().await?)
}

/// When an answer was given, by whom gave it.
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let told = headers.get(header::DATE)?.to_str().ok()?;
    Some(rfc2822::parse(told).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_server_tells_the_time() {
        let told = |date_: &'static str| {
            let headers = HeaderMap::from_iter([(header::DATE, HeaderValue::from_static(date_))]);
            date(&headers)
        };
        assert_eq!(
            told("Sat, 21 Nov 2026 20:00:07 GMT"),
            Some("2026-11-21T20:00:07Z".parse().unwrap())
        );
        assert_eq!(told("later"), None);
        assert_eq!(date(&HeaderMap::new()), None);
    }
}

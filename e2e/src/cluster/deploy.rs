//! Puts the operator and the example station on a cluster, the local one or a given one. Does IO.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::studio::{self, Login};
use super::{Places, doors, objects, s3};
use crate::install::command;
use crate::steps::{Progress, Steps};

/// Where the operator lives.
const OPERATOR_NAMESPACE: &str = "radio-system";
const OPERATOR: &str = "radio-operator";
/// The environment variables by which the operator knows its children's images, and the rooms they come from.
const CHILDREN: [(&str, &str); 4] = [
    ("RADIO_ICECAST_IMAGE", "icecast"),
    ("RADIO_INGEST_IMAGE", "ingest"),
    ("RADIO_LIQUIDSOAP_IMAGE", "liquidsoap"),
    ("RADIO_RECORDER_IMAGE", "recorder-sidecar"),
];
/// Less than a second of the example's mp3: but audio, not an error page.
const HEARD: usize = 12_000;

/// The cluster that is deployed to.
pub struct Target {
    kubectl: PathBuf,
    kubeconfig: PathBuf,
    cache: PathBuf,
}

impl Target {
    /// The local cluster.
    #[must_use]
    pub fn local(places: &Places) -> Self {
        Self {
            kubectl: places.visible.join("bin/kubectl"),
            kubeconfig: places.kubeconfig(),
            cache: places.kubectl_cache(),
        }
    }

    /// A cluster that was given.
    #[must_use]
    pub fn given(places: &Places, kubectl: PathBuf, kubeconfig: PathBuf) -> Self {
        Self {
            kubectl,
            kubeconfig,
            cache: places.kubectl_cache(),
        }
    }

    fn kubectl(&self) -> Command {
        let mut kubectl = Command::new(&self.kubectl);
        kubectl.arg("--kubeconfig").arg(&self.kubeconfig);
        kubectl.env("KUBECACHEDIR", &self.cache);
        kubectl
    }

    pub(super) async fn run(&self, words: &[&str], input: &str) -> Result<String> {
        command::feed(self.kubectl().args(words), input).await
    }

    async fn apply(&self, objects: &[Value]) -> Result<()> {
        objects::apply_by(&mut self.kubectl(), objects).await
    }

    /// The objects of a kustomization.
    async fn render(&self, folder: &Path) -> Result<Vec<Value>> {
        if !folder.is_dir() {
            bail!("there is no {}", folder.display());
        }
        let yaml = self.run(&["kustomize", &folder.to_string_lossy()], "").await?;
        parse(&yaml)
    }
}

/// Applies the CRDs and the operator, with these images by room, and waits until it is available.
pub async fn operator(
    target: &Target,
    steps: &Steps,
    repository: &Path,
    images: &BTreeMap<&str, String>,
) -> Result<()> {
    steps
        .run("CRDs", async |_| {
            definitions(target, &repository.join("crds")).await
        })
        .await?;
    steps
        .run("operator", async |_| {
            let mut objects = target.render(&repository.join("manifests/operator")).await?;
            let operator = objects.iter_mut().find(|object| is_operator(object));
            set_images(
                operator.context("manifests/operator has no Deployment radio-operator")?,
                images,
            )?;
            target.apply(&objects).await?;
            let deployment = format!("deployment/{OPERATOR}");
            let words = [
                "rollout",
                "status",
                &deployment,
                "--namespace",
                OPERATOR_NAMESPACE,
                "--timeout=120s",
            ];
            target.run(&words, "").await.map(drop)
        })
        .await
}

/// Applies a sample, and more objects in its namespace, and waits until it is ready.
pub async fn example(target: &Target, steps: &Steps, sample: &Path, more: Vec<Value>) -> Result<()> {
    steps
        .run("example station", async |progress| {
            let mut objects = target.render(sample).await?;
            let waited = radio_objects(&objects);
            objects.extend(more);
            target.apply(&objects).await?;
            for (object, namespace) in waited {
                progress.say(format!("waiting for {object}"));
                let words = [
                    "wait",
                    &object,
                    "--namespace",
                    &namespace,
                    "--for=condition=Ready",
                    "--timeout=120s",
                ];
                target
                    .run(&words, "")
                    .await
                    .with_context(|| format!("{object} in {namespace} is not ready"))?;
            }
            Ok(())
        })
        .await
}

/// Listens at the door until audio comes.
pub async fn hear(progress: &Progress) -> Result<()> {
    let begun = Instant::now();
    loop {
        match listen().await {
            Ok(bytes) => {
                progress.say(format!("{bytes} bytes of /live.mp3 heard"));
                return Ok(());
            }
            Err(error) if begun.elapsed() > Duration::from_mins(1) => return Err(error),
            Err(error) => progress.say(format!("{error:#}")),
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// Says where to listen, how to be the DJ, and what to try.
pub fn print_local(places: &Places, steps: &Steps, logins: &[Login]) {
    let kubeconfig = places.kubeconfig();
    println!(
        "\nOn the air after {:.0} s:\n  http://127.0.0.1:8000/live.mp3\n  http://127.0.0.1:8000/live.opus\n\n\
         {}\n\nTry next:\n  ffplay http://127.0.0.1:8000/live.opus\n  export KUBECONFIG={}\n  \
         kubectl -n radio get stations,mounts,pods     # kubectl is also in {}\n  \
         kubectl -n radio get recordings               # once you have been the DJ; the files are in {}\n  \
         kubectl -n radio edit mount live\n  make e2e        make down",
        steps.elapsed().as_secs_f32(),
        studio::invitation(logins),
        kubeconfig.display(),
        places.visible.join("bin").display(),
        s3::recordings(places).display(),
    );
}

async fn definitions(target: &Target, folder: &Path) -> Result<()> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .with_context(|| format!("cannot list {}", folder.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    let mut objects = vec![];
    for file in files {
        let yaml =
            std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        objects.extend(parse(&yaml).with_context(|| file.display().to_string())?);
    }
    if objects.is_empty() {
        bail!("there is no CRD in {}", folder.display());
    }
    let names: Vec<String> = objects
        .iter()
        .filter_map(|object| object["metadata"]["name"].as_str())
        .map(|name| format!("crd/{name}"))
        .collect();
    target.apply(&objects).await?;
    let mut words = vec!["wait", "--for=condition=Established", "--timeout=30s"];
    words.extend(names.iter().map(String::as_str));
    target.run(&words, "").await.map(drop)
}

fn parse(yaml: &str) -> Result<Vec<Value>> {
    let documents = serde_yaml::Deserializer::from_str(yaml).map(Value::deserialize);
    let documents = documents.collect::<Result<Vec<_>, _>>()?;
    Ok(documents
        .into_iter()
        .filter(|document| !document.is_null())
        .collect())
}

fn is_operator(object: &Value) -> bool {
    object["kind"] == "Deployment" && object["metadata"]["name"] == OPERATOR
}

fn set_images(deployment: &mut Value, images: &BTreeMap<&str, String>) -> Result<()> {
    let image = |room: &str| {
        images
            .get(room)
            .with_context(|| format!("there is no image of {room}"))
    };
    let containers = deployment
        .pointer_mut("/spec/template/spec/containers")
        .and_then(Value::as_array_mut);
    for container in containers.context("the operator's Deployment has no containers")? {
        container["image"] = json!(image("operator")?);
        let mut environment = container["env"].as_array().cloned().unwrap_or_default();
        environment.retain(|variable| !CHILDREN.iter().any(|(name, _)| variable["name"] == *name));
        for (name, room) in CHILDREN {
            environment.push(json!({ "name": name, "value": image(room)? }));
        }
        container["env"] = json!(environment);
    }
    Ok(())
}

/// The Stations and Mounts among the objects, as kubectl names them, each with its namespace.
fn radio_objects(objects: &[Value]) -> Vec<(String, String)> {
    let ours = objects.iter().filter(|object| {
        object["apiVersion"]
            .as_str()
            .is_some_and(|v| v.starts_with("radio.moafunk.de/"))
    });
    ours.filter_map(|object| {
        let kind = object["kind"].as_str()?.to_lowercase();
        let name = object["metadata"]["name"].as_str()?;
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
        Some((format!("{kind}.radio.moafunk.de/{name}"), namespace.to_owned()))
    })
    .collect()
}

async fn listen() -> Result<usize> {
    let listening = async {
        let mut stream = TcpStream::connect(("127.0.0.1", doors::LISTENERS)).await?;
        stream
            .write_all(b"GET /live.mp3 HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
            .await?;
        let mut heard = vec![];
        while heard.len() < HEARD && stream.read_buf(&mut heard).await? > 0 {}
        anyhow::Ok(heard)
    };
    let heard = tokio::time::timeout(Duration::from_secs(10), listening)
        .await
        .context("nothing comes")??;
    let answer = String::from_utf8_lossy(&heard);
    let status = answer.lines().next().unwrap_or_default();
    if !status.contains(" 200 ") {
        bail!("/live.mp3 is answered with {status:?}");
    }
    if heard.len() < HEARD {
        bail!("/live.mp3 ends after {} bytes", heard.len());
    }
    Ok(heard.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::rooms;

    fn images() -> BTreeMap<&'static str, String> {
        rooms::ROOMS
            .iter()
            .map(|room| room.folder)
            .map(|room| (room, format!("here/{room}:1")))
            .collect()
    }

    #[test]
    fn the_operator_gets_its_image_and_those_of_its_children() {
        let mut deployment = json!({ "spec": { "template": { "spec": { "containers": [{
            "name": "operator", "image": "operator", "env": [
                { "name": "RADIO_ICECAST_IMAGE", "value": "old" }, { "name": "RUST_LOG", "value": "debug" },
            ],
        }] } } } });
        set_images(&mut deployment, &images()).unwrap();
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["image"], "here/operator:1");
        assert_eq!(
            container["env"],
            json!([
                { "name": "RUST_LOG", "value": "debug" },
                { "name": "RADIO_ICECAST_IMAGE", "value": "here/icecast:1" },
                { "name": "RADIO_INGEST_IMAGE", "value": "here/ingest:1" },
                { "name": "RADIO_LIQUIDSOAP_IMAGE", "value": "here/liquidsoap:1" },
                { "name": "RADIO_RECORDER_IMAGE", "value": "here/recorder-sidecar:1" },
            ])
        );
        let error = set_images(&mut deployment, &BTreeMap::new()).unwrap_err();
        assert_eq!(error.to_string(), "there is no image of operator");
    }

    #[test]
    fn stations_and_mounts_are_waited_for_and_nothing_else() {
        let yaml = "{apiVersion: v1, kind: Namespace, metadata: {name: radio}}\n---\n\
                    {apiVersion: radio.moafunk.de/v1alpha1, kind: Station, metadata: {name: example, namespace: radio}}\n---\n";
        let objects = parse(yaml).unwrap();
        assert_eq!(objects.len(), 2);
        assert_eq!(
            radio_objects(&objects),
            [("station.radio.moafunk.de/example".to_owned(), "radio".to_owned())]
        );
    }
}

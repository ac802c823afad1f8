//! Promise: the API server takes our definitions, and answers every sample of `crds/tests/samples` as it is written there.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use e2e::harness::{Stage, play};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Error, ResourceExt};
use serde::Deserialize;

/// As in `crds/tests/support/sample.rs`.
const REJECTED: &str = "# rejected: ";

/// The API server's code for an object that breaks a rule.
const UNPROCESSABLE: u16 = 422;

#[tokio::test(flavor = "multi_thread")]
async fn ground_api_takes_our_definitions() {
    play("definitions", |stage| async move {
        let definitions: Api<CustomResourceDefinition> = Api::all(stage.client.clone());
        for definition in radio_crds::definitions() {
            let name = definition.name_any();
            let params = PatchParams::apply("e2e-samples").force().dry_run();
            definitions
                .patch(&name, &params, &Patch::Apply(&definition))
                .await
                .with_context(|| name.clone())?;
            let stored = definitions
                .get(&name)
                .await?
                .status
                .and_then(|status| status.conditions);
            let stored = stored.with_context(|| format!("{name} has no status"))?;
            let is = |kind| {
                stored
                    .iter()
                    .any(|condition| condition.type_ == kind && condition.status == "True")
            };
            ensure!(
                is("Established") && !is("NonStructuralSchema"),
                "{name}: {stored:?}"
            );
        }
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ground_api_answers_the_samples() {
    play("samples", |stage| async move {
        let (accepted, rejected) = (samples("accepted")?, samples("rejected")?);
        for (path, text) in &accepted {
            sent(&stage, text)
                .await?
                .with_context(|| format!("{} was rejected", path.display()))?;
        }
        for (path, text) in &rejected {
            let wanted = text.lines().next().and_then(|line| line.strip_prefix(REJECTED));
            let wanted =
                wanted.with_context(|| format!("{} does not begin with '{REJECTED}'", path.display()))?;
            match sent(&stage, text).await? {
                Ok(_) => bail!("{} was accepted", path.display()),
                Err(Error::Api(answer)) if answer.code == UNPROCESSABLE => {
                    ensure!(
                        answer.message.contains(wanted),
                        "{}: {}",
                        path.display(),
                        answer.message
                    );
                }
                Err(error) => bail!("{}: {error}", path.display()),
            }
        }
        println!(
            "ground: {} samples accepted, {} rejected with a reason",
            accepted.len(),
            rejected.len()
        );
        Ok(())
    })
    .await;
}

/// What the API server answers to a sample; only what an update starts from is stored.
async fn sent(stage: &Stage, text: &str) -> Result<kube::Result<DynamicObject>> {
    let objects: Vec<DynamicObject> = serde_yaml::Deserializer::from_str(text)
        .map(DynamicObject::deserialize)
        .collect::<Result<_, _>>()?;
    let mut objects = objects.into_iter();
    let first = objects.next().context("an empty sample")?;
    let kind = first
        .types
        .as_ref()
        .context("a sample without a kind")?
        .kind
        .clone();
    let api = stage.kind(&kind);
    let Some(second) = objects.next() else {
        let params = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        return Ok(api.create(&params, &first).await);
    };
    let name = first.name_any();
    let params = PatchParams::apply("e2e-samples").force();
    api.patch(&name, &params, &Patch::Apply(&first))
        .await
        .with_context(|| format!("{kind} {name} before the update"))?;
    let answer = api.patch(&name, &params.dry_run(), &Patch::Apply(&second)).await;
    api.delete(&name, &DeleteParams::default()).await?;
    Ok(answer)
}

fn samples(folder: &str) -> Result<Vec<(PathBuf, String)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../crds/tests/samples")
        .join(folder);
    let mut samples = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("no samples in {}", folder.display()))? {
        let path = entry?.path();
        let text = fs::read_to_string(&path)?;
        samples.push((path, text));
    }
    ensure!(!samples.is_empty(), "no samples in {}", folder.display());
    samples.sort();
    Ok(samples)
}

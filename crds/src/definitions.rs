//! The `CustomResourceDefinitions` as they are installed: what kube derives, made plain. No IO.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt;

use crate::{Mount, Recording, Show, Station};

/// Formats the API server knows; it warns about any other.
const KNOWN_FORMATS: [&str; 4] = ["int32", "int64", "date-time", "double"];

/// Every kind's definition, in the order to install them.
#[must_use]
pub fn definitions() -> Vec<CustomResourceDefinition> {
    [Station::crd(), Mount::crd(), Show::crd(), Recording::crd()]
        .into_iter()
        .map(plain)
        .collect()
}

fn plain(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut definition.spec.versions {
        if let Some(schema) = version
            .schema
            .as_mut()
            .and_then(|schema| schema.open_api_v3_schema.as_mut())
        {
            clean(schema);
        }
    }
    definition
}

/// `null` is no value anybody should write, and a Rust integer's width is no format.
fn clean(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    if schema
        .format
        .as_deref()
        .is_some_and(|format| !KNOWN_FORMATS.contains(&format))
    {
        schema.format = None;
    }
    for property in schema
        .properties
        .iter_mut()
        .flat_map(|properties| properties.values_mut())
    {
        clean(property);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        clean(items);
    }
}

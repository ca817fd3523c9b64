//! The `CustomResourceDefinition` as it is installed: what the derive makes, brought into the form the API server wants.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::{Value, json};

use crate::execution::spec::KubernetesExecution;

/// The `CustomResourceDefinition` of KubernetesExecution (CRD-01…CRD-18), as `config/crd` holds it.
///
/// Use this, not the derived `KubernetesExecution::crd()`, whose schema is not finished.
#[must_use]
pub fn crd() -> CustomResourceDefinition {
    let mut crd = KubernetesExecution::crd();
    for version in &mut crd.spec.versions {
        if let Some(schema) = version
            .schema
            .as_mut()
            .and_then(|schema| schema.open_api_v3_schema.as_mut())
        {
            finish(schema);
            if let Some(status) = schema
                .properties
                .as_mut()
                .and_then(|properties| properties.get_mut("status"))
            {
                remove_defaults(status);
            }
        }
    }
    crd
}

/// Brings a schema and all below it into the form the API server wants.
fn finish(schema: &mut JSONSchemaProps) {
    // Without the flag the API server drops an explicit null, or puts the default in its place: an optional field that
    // is null then means the same as one that is left out, and CEL rules never see a null.
    schema.nullable = None;
    if let Some(values) = &mut schema.enum_ {
        values.retain(|JSON(value)| !value.is_null());
    }
    // No format that the API server knows of; the bounds say it.
    if schema.format.as_deref() == Some("uint32") {
        schema.format = None;
        schema.maximum = schema.maximum.or(Some(f64::from(u32::MAX)));
    }
    // The defaults of an object's own fields fill it in.
    if schema.type_.as_deref() == Some("object")
        && let Some(JSON(default @ Value::Object(_))) = &mut schema.default
    {
        *default = json!({});
    }
    if let Some(description) = &mut schema.description {
        *description = description.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    for_each_part(schema, finish);
}

/// The API server must not invent what was observed.
fn remove_defaults(schema: &mut JSONSchemaProps) {
    schema.default = None;
    for_each_part(schema, remove_defaults);
}

fn for_each_part(schema: &mut JSONSchemaProps, change: fn(&mut JSONSchemaProps)) {
    schema
        .properties
        .iter_mut()
        .flat_map(|properties| properties.values_mut())
        .for_each(change);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        change(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        change(values);
    }
}

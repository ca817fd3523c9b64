//! Builds the JSON schema of an action's parameters: its own and the common ones, all in one document without
//! references, closed to unknown names, and with `null` only where a map's value may be taken out by it.

use std::collections::BTreeSet;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value};

/// One closed object with the properties of `C` and `P`; those of `P` win.
pub(super) fn closed<C: JsonSchema, P: JsonSchema>() -> Value {
    let mut properties = Map::new();
    let mut required = BTreeSet::new();
    for part in [inlined::<C>(), inlined::<P>()] {
        let own = part.get("properties").and_then(Value::as_object);
        properties.extend(
            own.into_iter()
                .flatten()
                .map(|(name, schema)| (name.clone(), schema.clone())),
        );
        required.extend(required_names(&part).map(str::to_owned));
    }
    let mut schema = serde_json::json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    forbid_null(&mut schema);
    schema
}

/// Names of an object schema's properties, sorted.
pub(super) fn property_names(schema: &Value) -> impl Iterator<Item = &str> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let names: BTreeSet<&str> = properties
        .into_iter()
        .flat_map(Map::keys)
        .map(String::as_str)
        .collect();
    names.into_iter()
}

/// Names that an object schema requires.
pub(super) fn required_names(schema: &Value) -> impl Iterator<Item = &str> {
    let required = schema.get("required").and_then(Value::as_array);
    required.into_iter().flatten().filter_map(Value::as_str)
}

/// The part of `schema` that describes the value at a JSON pointer of the document.
pub(super) fn part_at<'a>(schema: &'a Value, pointer: &str) -> Option<&'a Value> {
    pointer.split('/').skip(1).try_fold(schema, |part, key| {
        let key = key.replace("~1", "/").replace("~0", "~");
        child(part, &key)
    })
}

/// The part of an object's or list's schema that describes what lies under `key`.
pub(super) fn child<'a>(schema: &'a Value, key: &str) -> Option<&'a Value> {
    let named = schema
        .get("properties")
        .and_then(|properties| properties.get(key));
    named
        .or_else(|| schema.get("items"))
        .or_else(|| schema.get("additionalProperties"))
}

fn inlined<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    SchemaGenerator::new(settings)
        .into_root_schema_for::<T>()
        .to_value()
}

/// A named parameter that may be left out is never null, whatever its Rust type: absence has one form.
fn forbid_null(schema: &mut Value) {
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        for property in properties.values_mut() {
            without_null(property);
            forbid_null(property);
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(part) = schema.get_mut(key) {
            forbid_null(part);
        }
    }
}

fn without_null(property: &mut Value) {
    let Some(object) = property.as_object_mut() else {
        return;
    };
    if object.get("default").is_some_and(Value::is_null) {
        object.remove("default");
    }
    if let Some(Value::Array(types)) = object.get("type") {
        let left: Vec<Value> = types.iter().filter(|one| *one != "null").cloned().collect();
        let narrowed = match <[Value; 1]>::try_from(left) {
            Ok([only]) => only,
            Err(several) => Value::Array(several),
        };
        object.insert("type".to_owned(), narrowed);
    }
    if let Some(Value::Array(mut options)) = object.remove("anyOf") {
        options.retain(|option| option.get("type").is_none_or(|kind| kind != "null"));
        match <[Value; 1]>::try_from(options) {
            Ok([Value::Object(only)]) => only.into_iter().for_each(|(key, value)| {
                object.entry(key).or_insert(value);
            }),
            Ok(other) => drop(object.insert("anyOf".to_owned(), Value::Array(other.into()))),
            Err(several) => drop(object.insert("anyOf".to_owned(), Value::Array(several))),
        }
    }
}

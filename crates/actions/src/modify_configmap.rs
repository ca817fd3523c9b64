//! `modify_configmap`: sets and removes keys of a ConfigMap (BR-EXEC-005, SP-17). Keys that are not named stay as
//! they are.

use std::collections::BTreeMap;

use kexec_api::execution::spec::{Category, RiskLevel};
use kexec_api::plan::{Expectation, FieldChange, FieldValue, Step, pointer_segment};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::action::{Action, Draft, PlanError, Target};
use crate::facts::{Facts, Need};
use crate::metadata::{Metadata, Resources, Rule, TargetKind};

/// Most bytes the values of a ConfigMap may have together, as the API server counts them.
const MAX_BYTES: usize = 1024 * 1024;

/// Most keys one execution may name in each of the two maps.
const MAX_KEYS: u32 = 1024;

pub(crate) struct ModifyConfigMap;

/// Keys by their new value; none to remove the key.
type Keys = BTreeMap<String, Option<String>>;

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Parameters {
    /// Keys of `data` and the text each gets; null removes the key.
    #[schemars(schema_with = "text_keys")]
    data: Keys,
    /// Keys of `binaryData` and the bytes each gets, in base64; null removes the key.
    #[schemars(schema_with = "base64_keys")]
    binary_data: Keys,
    /// Keys to remove, in whichever of the two maps they are; the same as null there, which `kubectl apply` drops.
    #[schemars(length(max = MAX_KEYS), inner(length(max = 253)))]
    remove: Vec<String>,
}

impl Parameters {
    /// The keys of both maps as they are asked to be, those to remove among them.
    fn asked(&self, target: &Target) -> Result<(Keys, Keys), PlanError> {
        let (mut text, mut bytes) = (self.data.clone(), self.binary_data.clone());
        for key in &self.remove {
            if [&text, &bytes]
                .into_iter()
                .any(|keys| keys.get(key).is_some_and(Option::is_some))
            {
                return Err(PlanError::invalid_parameter(
                    "parameters.remove",
                    format!(
                        "names \"{key}\", which is also given a value: write it in one place only"
                    ),
                ));
            }
            let is_binary = target
                .live
                .get("binaryData")
                .and_then(|map| map.get(key))
                .is_some();
            let keys = if is_binary { &mut bytes } else { &mut text };
            keys.insert(key.clone(), None);
        }
        Ok((text, bytes))
    }
}

fn text_keys(_: &mut SchemaGenerator) -> Schema {
    keys(&json_schema!({"type": ["string", "null"], "maxLength": MAX_BYTES}))
}

/// Only the canonical form, padding included: the API server gives back no other, so the proof could not be made.
fn base64_keys(_: &mut SchemaGenerator) -> Schema {
    keys(&json_schema!({
        "type": ["string", "null"],
        "maxLength": MAX_BYTES.div_ceil(3) * 4,
        "title": "standard base64 with its padding",
        "pattern": "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$",
    }))
}

fn keys(value: &Schema) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": MAX_KEYS,
        "propertyNames": {
            "maxLength": 253,
            "title": "a key of letters, digits, \"-\", \"_\" and \".\" that is neither \".\" nor begins with \"..\"",
            "pattern": "^\\.?[-_a-zA-Z0-9][-._a-zA-Z0-9]*$",
        },
        "additionalProperties": value,
    })
}

impl Action for ModifyConfigMap {
    type Parameters = Parameters;

    const METADATA: Metadata = Metadata {
        action_type: "modify_configmap",
        aliases: &["patch_configmap"],
        version: "v1.2",
        description: "Sets and removes keys of a ConfigMap and leaves its other keys alone.",
        category: Category::Core,
        risk: RiskLevel::Medium,
        reversible: true,
        idempotent: true,
        targets: &[TargetKind::CONFIG_MAP],
        rules: &[Rule {
            group: "",
            resource: "configmaps",
            verb: "patch",
            reason: "sets and removes the named keys, after testing their old values in the same request",
        }],
        service_account: Some("configmap-patcher"),
        resources: Resources::DEFAULT,
    };

    fn needs(_: &Target, _: &Parameters, _: &Facts) -> Vec<Need> {
        Vec::new()
    }

    fn plan(target: &Target, parameters: &Parameters, _: &Facts) -> Result<Draft, PlanError> {
        refuse_immutable(target)?;
        let (data, binary_data) = parameters.asked(target)?;
        if data.is_empty() && binary_data.is_empty() {
            return Err(PlanError::invalid_parameter(
                "parameters.data",
                "(nor binaryData, nor remove) names no key: write at least one key in one of them",
            ));
        }
        let text = Section::of(target, "data", &data)?;
        let bytes = Section::of(target, "binaryData", &binary_data)?;
        refuse_double(&text, &bytes)?;
        refuse_large(target, &text, &bytes)?;
        let changes: Vec<FieldChange> = text.changes().into_iter().chain(bytes.changes()).collect();
        let step = |changes| Step::Patch {
            target: target.reference.clone(),
            subresource: None,
            changes,
        };
        let named: Vec<&str> = data
            .keys()
            .chain(binary_data.keys())
            .map(String::as_str)
            .collect();
        Ok(Draft {
            summary: format!(
                "set or remove in {}: {}",
                target.reference,
                summarised(&named)
            ),
            steps: if changes.is_empty() {
                Vec::new()
            } else {
                vec![step(changes)]
            },
            expectations: vec![Expectation::Fields {
                object: target.reference.clone(),
                fields: text.expected().chain(bytes.expected()).collect(),
            }],
            ..Draft::default()
        })
    }
}

/// One of the two maps of a ConfigMap: as it is and as it is asked to be.
struct Section<'a> {
    /// Name of the field.
    name: &'static str,
    /// What it holds; empty when the field is absent.
    before: Map<String, Value>,
    /// What it is to hold.
    after: Map<String, Value>,
    /// The keys asked for.
    asked: &'a Keys,
}

impl<'a> Section<'a> {
    fn of(target: &Target, name: &'static str, asked: &'a Keys) -> Result<Self, PlanError> {
        let before = match target.live.get(name) {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(held)) if held.values().all(Value::is_string) => held.clone(),
            Some(_) => return Err(PlanError::unreadable(name, &target.reference)),
        };
        let mut after = before.clone();
        for (key, value) in asked {
            match value {
                Some(value) => drop(after.insert(key.clone(), value.clone().into())),
                None => drop(after.remove(key)),
            }
        }
        Ok(Self {
            name,
            before,
            after,
            asked,
        })
    }

    /// One change per key that differs. A field that comes or goes as a whole is changed as a whole: the API server
    /// shows no empty map, and a JSON Patch cannot add a key to an absent one.
    fn changes(&self) -> Vec<FieldChange> {
        let whole =
            |map: &Map<String, Value>| (!map.is_empty()).then(|| Value::Object(map.clone()));
        if self.before == self.after {
            Vec::new()
        } else if self.before.is_empty() || self.after.is_empty() {
            vec![FieldChange {
                path: format!("/{}", self.name),
                before: whole(&self.before),
                after: whole(&self.after),
            }]
        } else {
            let differs = |key: &&String| self.before.get(*key) != self.after.get(*key);
            let change = |key: &String| FieldChange {
                path: self.path(key),
                before: self.before.get(key).cloned(),
                after: self.after.get(key).cloned(),
            };
            self.asked.keys().filter(differs).map(change).collect()
        }
    }

    /// Every key asked for, with its value, whether it changes or not.
    fn expected(&self) -> impl Iterator<Item = FieldValue> {
        self.asked.iter().map(|(key, value)| FieldValue {
            path: self.path(key),
            value: value.clone().map(Value::from),
        })
    }

    fn path(&self, key: &str) -> String {
        format!("/{}/{}", self.name, pointer_segment(key))
    }

    /// The values it is to hold, as they stand in the object.
    fn values(&self) -> impl Iterator<Item = &str> {
        self.after.values().filter_map(Value::as_str)
    }
}

fn refuse_immutable(target: &Target) -> Result<(), PlanError> {
    if target.live.get("immutable") != Some(&Value::Bool(true)) {
        return Ok(());
    }
    Err(PlanError::RefuseTarget(format!(
        "{} is immutable: create a new ConfigMap and let its users name that one",
        target.reference
    )))
}

/// Refuses a key that would be in both maps.
fn refuse_double(text: &Section<'_>, bytes: &Section<'_>) -> Result<(), PlanError> {
    let double = text.after.keys().find(|key| bytes.after.contains_key(*key));
    match double {
        None => Ok(()),
        Some(key) => Err(PlanError::invalid_parameter(
            "parameters",
            format!(
                "would put key \"{key}\" into both data and binaryData: set it to null in one of them"
            ),
        )),
    }
}

/// Refuses what the API server would refuse for its size.
fn refuse_large(target: &Target, text: &Section<'_>, bytes: &Section<'_>) -> Result<(), PlanError> {
    let size: usize = text
        .values()
        .map(str::len)
        .chain(bytes.values().map(decoded_bytes))
        .sum();
    if size <= MAX_BYTES {
        return Ok(());
    }
    Err(PlanError::invalid_parameter(
        "parameters",
        format!(
            "would give {} {size} bytes, more than the {MAX_BYTES} it may hold: set less, or remove other keys",
            target.reference
        ),
    ))
}

/// Bytes that a canonical base64 text stands for.
fn decoded_bytes(base64: &str) -> usize {
    let padding = base64.len() - base64.trim_end_matches('=').len();
    (base64.len() / 4 * 3).saturating_sub(padding)
}

/// The first keys by name, and how many more there are.
fn summarised(keys: &[&str]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<&str> = keys.iter().copied().take(SHOWN).collect();
    match keys.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests;

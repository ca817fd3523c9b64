//! One taint of a node by its key and effect: set or removed, the others left as they are. Tainting and untainting differ
//! only in what they want.

use kexec_api::plan::{Expectation, FieldChange, FieldValue, Step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::action::{Draft, PlanError, Target};
use crate::metadata::Rule;

/// The field, as a JSON pointer.
const TAINTS: &str = "/spec/taints";
/// Keys that Kubernetes sets and removes itself, by what it knows of the node.
const OF_KUBERNETES: &str = "node.kubernetes.io/";

/// What a taint does to pods that do not tolerate it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(inline)]
pub(crate) enum Effect {
    NoSchedule,
    PreferNoSchedule,
    NoExecute,
}

impl Effect {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
            Self::NoExecute => "NoExecute",
        }
    }
}

/// A taint's name: no node has two of the same key and effect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TaintName<'a> {
    pub(crate) key: &'a str,
    pub(crate) effect: Effect,
}

/// The right that setting them takes.
pub(crate) const fn rule(reason: &'static str) -> Rule {
    Rule {
        group: "",
        resource: "nodes",
        verb: "patch",
        reason,
    }
}

/// The draft that leaves the node with one taint of that name and `value`, or without it when there is none to be, still
/// without its summary. An empty value is none, as the API has it.
pub(crate) fn draft(
    target: &Target,
    name: TaintName<'_>,
    wanted: Option<&str>,
) -> Result<Draft, PlanError> {
    let node = &target.reference;
    refuse_those_of_kubernetes(name.key)?;
    let before = target.live.pointer(TAINTS).cloned();
    let now = match &before {
        None => Vec::new(),
        Some(Value::Array(taints)) => taints.clone(),
        Some(_) => return Err(PlanError::unreadable("spec.taints", node)),
    };
    let after = field(with(&now, name, wanted));
    let is_so = now
        .iter()
        .find(|taint| is_called(taint, name))
        .map(|taint| taint.get("value").and_then(Value::as_str).unwrap_or(""))
        == wanted;
    let step = Step::Patch {
        target: node.clone(),
        subresource: None,
        changes: vec![FieldChange {
            path: TAINTS.to_owned(),
            before: before.clone(),
            after: after.clone(),
        }],
    };
    Ok(Draft {
        steps: if is_so { Vec::new() } else { vec![step] },
        expectations: vec![Expectation::Fields {
            object: node.clone(),
            fields: vec![FieldValue {
                path: TAINTS.to_owned(),
                value: if is_so { before } else { after },
            }],
        }],
        ..Draft::default()
    })
}

/// The list with the taint in its place, or at the end, or without it.
fn with(now: &[Value], name: TaintName<'_>, wanted: Option<&str>) -> Vec<Value> {
    let ours = wanted.map(|value| {
        let mut taint = json!({"key": name.key, "effect": name.effect.as_str()});
        if let (Some(taint), false) = (taint.as_object_mut(), value.is_empty()) {
            taint.insert("value".to_owned(), value.into());
        }
        taint
    });
    let is_there = now.iter().any(|taint| is_called(taint, name));
    let at_the_end = ours.clone().filter(|_| !is_there);
    let kept = now.iter().filter_map(|taint| {
        if is_called(taint, name) {
            ours.clone()
        } else {
            Some(taint.clone())
        }
    });
    kept.chain(at_the_end).collect()
}

/// The list as the API server shows it: none when it is empty.
fn field(taints: Vec<Value>) -> Option<Value> {
    (!taints.is_empty()).then_some(Value::Array(taints))
}

fn is_called(taint: &Value, name: TaintName<'_>) -> bool {
    taint.get("key").and_then(Value::as_str) == Some(name.key)
        && taint.get("effect").and_then(Value::as_str) == Some(name.effect.as_str())
}

fn refuse_those_of_kubernetes(key: &str) -> Result<(), PlanError> {
    if !key.starts_with(OF_KUBERNETES) {
        return Ok(());
    }
    Err(PlanError::invalid_parameter(
        "parameters.key",
        format!(
            "is \"{key}\", which Kubernetes sets and removes itself by the state of the node: use cordon_node or \
             uncordon_node, or write a key of your own"
        ),
    ))
}

//! The plan as status shows and keeps it. An execution in another namespace than its target shows hashes in place of
//! texts: nobody reads through it what they may not read beside the target.

use kexec_api::execution::status::{PlanStatus, PlanStorage, PlannedOperation, PlannedTarget};
use kexec_api::plan::{Expectation, FieldChange, PlanContent, Step};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::outcome::quote;
use crate::planning::Planned;

/// Most operations and targets listed.
const LISTED: usize = 20;

/// The plan as people read it.
pub(super) fn shown(planned: &Planned, namespace: &str) -> PlanStatus {
    let content = disclosed(&planned.content, namespace);
    let left_out = content.steps.len().saturating_sub(LISTED);
    let notes = planned
        .notes
        .iter()
        .map(|note| format!("; {note}"))
        .collect::<String>();
    PlanStatus {
        hash: Some(planned.hash.to_string()),
        summary: Some(quote(&format!("{}{notes}", planned.summary))),
        operations: content.steps.iter().take(LISTED).map(operation).collect(),
        operations_omitted: u32::try_from(left_out).ok().filter(|count| *count > 0),
        targets: content.targets.iter().take(LISTED).map(target).collect(),
        rollback_summary: Some(quote(&rollback_summary(&content))),
        permissions: content
            .permissions
            .iter()
            .take(LISTED)
            .map(ToString::to_string)
            .collect(),
        forecast: None,
        stored: Some(PlanStorage::Status),
    }
}

/// The plan as status keeps it, for whoever undoes it: whole, unless texts had to be hidden.
pub(super) fn kept(planned: &Planned, namespace: &str) -> Map<String, Value> {
    let content = disclosed(&planned.content, namespace);
    let mut state = Map::new();
    state.insert("planHash".to_owned(), planned.hash.as_str().into());
    state.insert(
        "texts".to_owned(),
        if content == planned.content {
            "plain"
        } else {
            "hashed"
        }
        .into(),
    );
    state.insert(
        "plan".to_owned(),
        serde_json::to_value(&content).unwrap_or_default(),
    );
    state
}

fn operation(step: &Step) -> PlannedOperation {
    let subresource = match step {
        Step::Patch {
            subresource: Some(subresource),
            ..
        } => format!("/{subresource}"),
        Step::Patch {
            subresource: None, ..
        }
        | Step::Delete { .. } => String::new(),
    };
    PlannedOperation {
        verb: Some(step.verb().to_owned()),
        resource: Some(format!("{}{subresource}", step.target())),
        diff: Some(quote(&step.diff().join("; "))),
    }
}

fn target(target: &kexec_api::plan::ObjectRef) -> PlannedTarget {
    PlannedTarget {
        api_version: Some(target.api_version.clone()),
        kind: Some(target.kind.clone()),
        namespace: target.namespace.clone(),
        name: Some(target.name.clone()),
        uid: Some(target.uid.clone()),
    }
}

fn rollback_summary(content: &PlanContent) -> String {
    if content.rollback.is_empty() {
        return "nothing can undo it".to_owned();
    }
    let steps: Vec<String> = content.rollback.iter().flat_map(Step::diff).collect();
    format!("undone by {}", steps.join("; "))
}

/// The content with its texts hashed when it is about a namespace other than the execution's.
pub(super) fn disclosed(content: &PlanContent, namespace: &str) -> PlanContent {
    let foreign = content
        .targets
        .iter()
        .filter_map(|target| target.namespace.as_deref())
        .any(|one| one != namespace);
    if !foreign {
        return content.clone();
    }
    let mut content = content.clone();
    for step in content.steps.iter_mut().chain(content.rollback.iter_mut()) {
        match step {
            Step::Patch { changes, .. } => changes.iter_mut().for_each(hash_change),
            Step::Delete { .. } => {}
        }
    }
    for expectation in &mut content.expectations {
        match expectation {
            Expectation::Fields { fields, .. } => {
                fields
                    .iter_mut()
                    .filter_map(|field| field.value.as_mut())
                    .for_each(hash_texts);
            }
            Expectation::WorkloadReady { .. }
            | Expectation::Gone { .. }
            | Expectation::Replaced { .. }
            | Expectation::Condition { .. } => {}
        }
    }
    content
}

fn hash_change(change: &mut FieldChange) {
    change
        .before
        .iter_mut()
        .chain(change.after.iter_mut())
        .for_each(hash_texts);
}

/// Replaces every text in a value by its hash; numbers and switches tell nothing worth hiding.
fn hash_texts(value: &mut Value) {
    match value {
        Value::String(text) => *text = format!("sha256:{:x}", Sha256::digest(text.as_bytes())),
        Value::Array(items) => items.iter_mut().for_each(hash_texts),
        Value::Object(fields) => fields.values_mut().for_each(hash_texts),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

//! The plan as status shows and keeps it. An execution in another namespace than its target shows hashes in place of
//! texts: nobody reads through it what they may not read beside the target.

use kexec_api::execution::status::{PlanStatus, PlanStorage, PlannedOperation, PlannedTarget};
use kexec_api::plan::{Expectation, FieldChange, PlanContent, Step};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::within;
use crate::outcome::quote;
use crate::planning::Planned;
use crate::settings::MAX_PLAN_BYTES;

/// Most operations and targets listed.
const LISTED: usize = 20;
/// Most bytes of JSON that all operations listed have (I12).
const LISTED_BYTES: usize = 4 * 1024;

/// The plan as people read it.
pub(super) fn shown(planned: &Planned, namespace: &str, stored: PlanStorage) -> PlanStatus {
    let content = disclosed(&planned.content, namespace);
    let listed = content.steps.iter().take(LISTED).map(operation);
    let (operations, unlisted) = within(LISTED_BYTES, listed);
    let left_out = content.steps.len().saturating_sub(LISTED) + unlisted;
    let notes: Vec<&str> = std::iter::once(planned.summary.as_str())
        .chain(planned.notes.iter().map(String::as_str))
        .collect();
    PlanStatus {
        hash: Some(planned.hash.to_string()),
        summary: Some(quote(&notes.join("; "))),
        operations,
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
        stored: Some(stored),
    }
}

/// The plan as status keeps it, for whoever undoes it: whole, unless texts had to be hidden. Hashes are longer than most
/// texts: a plan that they make too large is left out, since nobody could be helped by them (I12).
pub(super) fn kept(planned: &Planned, namespace: &str) -> Map<String, Value> {
    let content = disclosed(&planned.content, namespace);
    let is_plain = content == planned.content;
    let fits = serde_json::to_vec(&content).is_ok_and(|json| json.len() <= MAX_PLAN_BYTES);
    let texts = match (is_plain, fits) {
        (true, true) => "plain",
        (false, true) => "hashed",
        (true | false, false) => "omitted",
    };
    let mut state = Map::new();
    state.insert("planHash".to_owned(), planned.hash.as_str().into());
    state.insert("texts".to_owned(), texts.into());
    if fits {
        let plan = serde_json::to_value(&content).unwrap_or_default();
        state.insert("plan".to_owned(), plan);
    }
    state
}

fn operation(step: &Step) -> PlannedOperation {
    let subresource = step
        .subresource()
        .map_or_else(String::new, |subresource| format!("/{subresource}"));
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

/// Whether the content is about a namespace other than the execution's.
pub(crate) fn is_foreign(content: &PlanContent, namespace: &str) -> bool {
    content
        .targets
        .iter()
        .filter_map(|target| target.namespace.as_deref())
        .any(|one| one != namespace)
}

/// The content with its texts hashed when it is about a namespace other than the execution's.
pub(super) fn disclosed(content: &PlanContent, namespace: &str) -> PlanContent {
    if !is_foreign(content, namespace) {
        return content.clone();
    }
    let mut content = content.clone();
    for step in content.steps.iter_mut().chain(content.rollback.iter_mut()) {
        match step {
            Step::Patch { changes, .. } => changes.iter_mut().for_each(hash_change),
            Step::Delete { .. } | Step::Evict { .. } => {}
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
            | Expectation::RolledOut { .. }
            | Expectation::Observed { .. }
            | Expectation::Gone { .. }
            | Expectation::Replaced { .. }
            | Expectation::Drained { .. }
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

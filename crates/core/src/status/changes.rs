//! What changed on the cluster (ST-49…ST-55): for each written step the fields concerned, before and after.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kexec_api::execution::status::{ChangeType, ResourceChange};
use kexec_api::plan::{FieldChange, PlanContent, Step, dotted};
use kexec_api::work::{StepOutcome, StepRecord, WorkResult};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// Most changes listed.
const LISTED: usize = 50;

/// The changes of the steps that were written; none for a dry run.
pub(super) fn changes(result: &WorkResult, content: &PlanContent) -> Vec<ResourceChange> {
    if result.dry_run {
        return Vec::new();
    }
    let written = result
        .steps
        .iter()
        .filter(|record| record.outcome == StepOutcome::Written);
    written
        .filter_map(|record| {
            let step = usize::try_from(record.step)
                .ok()
                .and_then(|index| content.steps.get(index))?;
            Some(change(step, record))
        })
        .take(LISTED)
        .collect()
}

fn change(step: &Step, record: &StepRecord) -> ResourceChange {
    let (change_type, before, after) = match step {
        Step::Patch {
            subresource,
            changes,
            ..
        } => (
            if subresource.as_deref() == Some("scale") {
                ChangeType::Scaled
            } else {
                ChangeType::Patched
            },
            fields(changes, |change| change.before.as_ref()),
            fields(changes, |change| change.after.as_ref()),
        ),
        Step::Delete { target, .. } => (
            ChangeType::Deleted,
            [("uid".to_owned(), json!(target.uid))]
                .into_iter()
                .collect(),
            Map::new(),
        ),
    };
    let hash = Sha256::digest(json!([before, after]).to_string());
    ResourceChange {
        resource_type: Some(step.target().kind.clone()),
        resource_name: Some(step.target().name.clone()),
        change_type: Some(change_type),
        before_state: Some(before),
        after_state: Some(after),
        timestamp: record.at.map(Time),
        change_hash: Some(format!("{hash:x}").chars().take(16).collect()),
    }
}

/// The fields concerned under their dotted names; an absent field is null.
fn fields(
    changes: &[FieldChange],
    value: fn(&FieldChange) -> Option<&Value>,
) -> Map<String, Value> {
    changes
        .iter()
        .map(|change| {
            (
                dotted(&change.path),
                value(change).cloned().unwrap_or_default(),
            )
        })
        .collect()
}

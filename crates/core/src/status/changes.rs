//! What changed on the cluster (ST-49…ST-55): for each written step the fields concerned, before and after.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kexec_api::execution::status::{ChangeType, ResourceChange};
use kexec_api::plan::{FieldChange, PlanContent, Step, dotted};
use kexec_api::work::{StepOutcome, StepRecord, WorkResult};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::within;

/// Most changes listed.
const LISTED: usize = 50;
/// Most bytes of JSON that all changes listed have (I12).
const LISTED_BYTES: usize = 12 * 1024;
/// Most bytes of JSON that the states of one change have; of larger ones only the hash is told.
const STATES_BYTES: usize = 4 * 1024;

/// The changes of the steps that were written, and how many are left out; none for a dry run.
pub(super) fn changes(result: &WorkResult, content: &PlanContent) -> (Vec<ResourceChange>, usize) {
    if result.dry_run {
        return (Vec::new(), 0);
    }
    let written = result
        .steps
        .iter()
        .filter(|record| record.outcome == StepOutcome::Written);
    let mut all = written.filter_map(|record| {
        let step = usize::try_from(record.step)
            .ok()
            .and_then(|index| content.steps.get(index))?;
        Some((step, record))
    });
    let first = all.by_ref().take(LISTED);
    let (listed, unlisted) = within(
        LISTED_BYTES,
        first.map(|(step, record)| change(step, record)),
    );
    (listed, unlisted + all.count())
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
        Step::Delete { target, .. } | Step::Evict { target, .. } => (
            ChangeType::Deleted,
            [("uid".to_owned(), json!(target.uid))]
                .into_iter()
                .collect(),
            Map::new(),
        ),
    };
    let states = json!([before, after]).to_string();
    let hash = Sha256::digest(&states);
    let told = |state: Map<String, Value>| (states.len() <= STATES_BYTES).then_some(state);
    ResourceChange {
        resource_type: Some(step.target().kind.clone()),
        resource_name: Some(step.target().name.clone()),
        change_type: Some(change_type),
        before_state: told(before),
        after_state: told(after),
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

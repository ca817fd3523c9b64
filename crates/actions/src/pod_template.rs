//! A change of a workload's pod template: when it is refused since nothing would come of it, the one write, and the proof
//! that the workload rolled it out. What is changed belongs to the actions.

use kexec_api::plan::{Expectation, FieldChange, FieldValue, Step};
use serde_json::Value;

use crate::action::{Draft, PlanError, Target};
use crate::difference;
use crate::facts::{Facts, Need};
use crate::pod_owner;
use crate::rollout;
use crate::rollout_risk;

/// Where it stands in a workload.
pub(crate) const TEMPLATE: &str = "/spec/template";

/// What is to become of a workload's pod template.
pub(crate) struct TemplateChange<'a> {
    /// The changed fields, and the guards beside them.
    pub(crate) changes: Vec<FieldChange>,
    /// What the fields asked for hold afterwards, whether they change or not.
    pub(crate) expected: Vec<FieldValue>,
    /// Whether a pod was made of the wanted template already, and may stay.
    pub(crate) fits: &'a dyn Fn(&Value) -> bool,
    /// One sentence on what the plan does.
    pub(crate) summary: String,
}

impl<'a> TemplateChange<'a> {
    /// The change to a whole new template.
    pub(crate) fn to(
        before: &Value,
        after: &Value,
        fits: &'a dyn Fn(&Value) -> bool,
        summary: String,
    ) -> Self {
        let changes = difference::changes(TEMPLATE, before, after);
        Self {
            expected: difference::held_afterwards(&changes),
            changes,
            fits,
            summary,
        }
    }
}

/// The template as it is.
pub(crate) fn of(target: &Target) -> Result<&Value, PlanError> {
    target
        .live
        .pointer(TEMPLATE)
        .filter(|template| template.is_object())
        .ok_or_else(|| PlanError::unreadable("spec.template", &target.reference))
}

/// What must be known of a workload whose template changes: its pods, and the disruption budgets beside it.
pub(crate) fn needs(target: &Target) -> Vec<Need> {
    let pods = pods_of(target).ok();
    let budgets = rollout_risk::budgets(target);
    pods.into_iter().chain([budgets]).collect()
}

fn pods_of(target: &Target) -> Result<Need, PlanError> {
    let selector = rollout::selector(&target.live, &target.reference)?;
    let namespace = target.reference.namespace.as_deref();
    Ok(Need::pods(namespace, &selector))
}

/// The draft of a change of the template; one without steps when it holds all that was asked for.
pub(crate) fn draft(
    target: &Target,
    facts: &Facts,
    change: TemplateChange<'_>,
) -> Result<Draft, PlanError> {
    refuse_held_back(target)?;
    let pods = facts
        .require_list(&pods_of(target)?)
        .map_err(PlanError::UseFact)?;
    let is_changed = change.changes.iter().any(|change| !change.is_guard());
    let old_pods = pod_owner::of_workload(pods, &target.reference)
        .into_iter()
        .filter(|pod| is_changed && !pod_owner::has_ended(pod) && !(change.fits)(pod));
    let rolled_out = Expectation::RolledOut {
        object: target.reference.clone(),
        selector: rollout::selector(&target.live, &target.reference)?,
        old_pods: old_pods.filter_map(rollout::uid).collect(),
        known_crash_loops: rollout::crash_looping(pods),
    };
    let fields = (!change.expected.is_empty()).then(|| Expectation::Fields {
        object: target.reference.clone(),
        fields: change.expected,
    });
    let step = is_changed.then(|| Step::Patch {
        target: target.reference.clone(),
        subresource: None,
        changes: change.changes,
    });
    Ok(Draft {
        risk_factors: if is_changed {
            rollout_risk::factors(target, facts)?
        } else {
            Vec::new()
        },
        steps: step.into_iter().collect(),
        expectations: fields.into_iter().chain([rolled_out]).collect(),
        notes: Vec::new(),
        summary: change.summary,
    })
}

/// Refuses a workload that would take the change and not act on it.
fn refuse_held_back(target: &Target) -> Result<(), PlanError> {
    let workload = &target.reference;
    let spec = |pointer: &str| target.live.pointer(pointer);
    let refuse = |why: String| Err(PlanError::RefuseTarget(format!("{workload} {why}")));
    if spec("/spec/paused") == Some(&Value::Bool(true)) {
        return refuse(
            "is paused, so nothing would be rolled out: resume it first, by the action resume_rollout".to_owned(),
        );
    }
    if spec("/spec/updateStrategy/type").is_some_and(|kind| kind == "OnDelete") {
        return refuse(
            "has the update strategy OnDelete, so each pod keeps its old template until it is deleted: set \
             spec.updateStrategy.type to RollingUpdate first"
                .to_owned(),
        );
    }
    let partition = spec("/spec/updateStrategy/rollingUpdate/partition").and_then(Value::as_u64);
    match partition {
        None | Some(0) => Ok(()),
        Some(partition) => refuse(format!(
            "has the partition {partition}, so the pods of lower ordinals would keep the old template: set \
             spec.updateStrategy.rollingUpdate.partition to 0 first"
        )),
    }
}

#[cfg(test)]
mod tests;

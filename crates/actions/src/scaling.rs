//! Setting the replicas of a workload through its scale subresource. What is special to a kind belongs to its action.

use kexec_api::plan::{Expectation, FieldChange, Step};
use serde_json::Value;

use crate::action::{Draft, PlanError, RiskFactor, Target};
use crate::facts::{Facts, Need};
use crate::rollout;

/// Most replicas the API takes.
pub(crate) const MAX_REPLICAS: i32 = i32::MAX;

/// What must be known: the pods, of which some may crash-loop already.
pub(crate) fn needs(target: &Target) -> Vec<Need> {
    pods_of(target).into_iter().collect()
}

fn pods_of(target: &Target) -> Result<Need, PlanError> {
    let selector = rollout::selector(&target.live, &target.reference)?;
    let namespace = target.reference.namespace.as_deref();
    Ok(Need::pods(namespace, &selector))
}

/// The draft that gives the workload so many replicas.
pub(crate) fn draft(target: &Target, after: u32, facts: &Facts) -> Result<Draft, PlanError> {
    let before = rollout::replicas(&target.live, &target.reference)?;
    let pods = facts
        .require_list(&pods_of(target)?)
        .map_err(PlanError::UseFact)?;
    let step = Step::Patch {
        target: target.reference.clone(),
        subresource: Some("scale".to_owned()),
        changes: vec![FieldChange {
            path: "/spec/replicas".to_owned(),
            before: in_scale(before),
            after: in_scale(after),
        }],
    };
    Ok(Draft {
        steps: if before == after {
            Vec::new()
        } else {
            vec![step]
        },
        expectations: vec![Expectation::WorkloadReady {
            object: target.reference.clone(),
            replicas: after,
            selector: rollout::selector(&target.live, &target.reference)?,
            known_crash_loops: rollout::crash_looping(pods),
        }],
        risk_factors: risk_factors(before, after),
        notes: Vec::new(),
        summary: format!(
            "scale {} from {before} to {after} replicas",
            target.reference
        ),
    })
}

/// `spec.replicas` as the scale subresource shows it: it leaves out a zero.
fn in_scale(replicas: u32) -> Option<Value> {
    (replicas != 0).then(|| replicas.into())
}

fn risk_factors(before: u32, after: u32) -> Vec<RiskFactor> {
    let stops_all = after == 0 && before > 0;
    stops_all
        .then(|| RiskFactor::one_level("scales to zero: nothing serves afterwards"))
        .into_iter()
        .collect()
}

//! `evict_pod`: asks the API server to evict a pod, which its disruption budget may forbid for a while (BR-EXEC-002,
//! SP-23). The runner asks again until its deadline, and then names the budget.

use kexec_api::execution::spec::{Category, RiskLevel};
use kexec_api::plan::{Expectation, Step};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::action::{Action, Draft, PlanError, RiskFactor, Target};
use crate::budgets;
use crate::facts::{Facts, Need};
use crate::metadata::{Metadata, Resources, Rule, TargetKind};
use crate::pod_owner::{self, PodOwner};
use crate::pod_removal;

pub(crate) struct EvictPod;

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Parameters {
    /// Also evicts a pod that nothing owns and nothing replaces, and allows `gracePeriodSeconds: 0`; needs the verb
    /// `force` on the action type. A disruption budget is honoured nevertheless.
    force: bool,
    /// Seconds the pod's processes get to stop (SP-53); the pod's own value when left out. With 0 the pod is dropped
    /// while its processes may still run, which needs `force`.
    #[schemars(range(max = 3600))]
    grace_period_seconds: Option<u32>,
}

/// The right that every eviction takes.
pub(crate) const fn rule(reason: &'static str) -> Rule {
    Rule {
        group: "",
        resource: "pods/eviction",
        verb: "create",
        reason,
    }
}

impl Action for EvictPod {
    type Parameters = Parameters;

    const METADATA: Metadata = Metadata {
        action_type: "evict_pod",
        aliases: &[],
        version: "v1.0",
        description: "Evicts a pod as far as its disruption budget allows, so that its owner replaces it.",
        category: Category::Core,
        risk: RiskLevel::Low,
        reversible: false,
        idempotent: false,
        targets: &[TargetKind::POD],
        rules: &[rule(
            "evicts the one pod that is named, by its UID, as its disruption budget allows",
        )],
        service_account: None,
        resources: Resources::DEFAULT,
    };

    fn needs(target: &Target, _: &Parameters, facts: &Facts) -> Vec<Need> {
        let budgets = budgets::all(target.reference.namespace.as_deref());
        let mut needs = vec![budgets];
        if !pod_owner::has_ended(&target.live) {
            needs.extend(pod_removal::needs(target, facts));
        }
        needs
    }

    fn plan(target: &Target, parameters: &Parameters, facts: &Facts) -> Result<Draft, PlanError> {
        refuse_mirror(target)?;
        pod_removal::refuse_dropping(parameters.grace_period_seconds, parameters.force)?;
        let budgets = facts
            .require_list(&budgets::all(target.reference.namespace.as_deref()))
            .map_err(PlanError::UseFact)?;
        let waits = waits(target, budgets)?;
        let mut draft = match PodOwner::of(target) {
            PodOwner::Replacing(owner) if !pod_owner::has_ended(&target.live) => {
                pod_removal::replaced(target, owner, facts, "evict")?
            }
            PodOwner::None => unreplaced(target, parameters)?,
            PodOwner::Replacing(_) | PodOwner::Other { .. } => gone(target),
        };
        draft.steps = vec![Step::Evict {
            target: target.reference.clone(),
            grace_period_seconds: parameters.grace_period_seconds,
            drain_seconds: None,
        }];
        let dropping = pod_removal::dropping_risk(parameters.grace_period_seconds);
        draft.risk_factors.extend(dropping);
        draft.notes.extend(waits);
        Ok(draft)
    }
}

fn refuse_mirror(target: &Target) -> Result<(), PlanError> {
    if !pod_removal::is_mirror(&target.live) {
        return Ok(());
    }
    Err(PlanError::RefuseTarget(format!(
        "{} is the image of a static pod, which comes back when it is evicted: remove its manifest on the node",
        target.reference
    )))
}

/// The budget that forbids the eviction now, if one does. Two over one pod forbid it for ever.
fn waits(target: &Target, budgets: &[Value]) -> Result<Option<String>, PlanError> {
    let over = budgets::over(budgets, &target.live);
    let names: Vec<&str> = over.iter().copied().map(budgets::name).collect();
    if names.len() > 1 && pod_owner::is_active(&target.live) {
        return Err(PlanError::UnmetDependency(format!(
            "{} is in more than one PodDisruptionBudget ({}), and Kubernetes evicts no such pod: let only one of them \
             select it",
            target.reference,
            names.join(", ")
        )));
    }
    let forbidding = over
        .into_iter()
        .find(|budget| budgets::forbids(budget, &target.live));
    Ok(forbidding.map(|budget| {
        format!(
            "PodDisruptionBudget \"{}\" allows no disruption now: the eviction waits until it does, at most until the \
             execution's deadline",
            budgets::name(budget)
        )
    }))
}

/// The draft for a bare pod, which `force` alone allows: it goes and nothing comes.
fn unreplaced(target: &Target, parameters: &Parameters) -> Result<Draft, PlanError> {
    if !parameters.force && !pod_owner::has_ended(&target.live) {
        return Err(PlanError::RefuseTarget(format!(
            "{} has no owner, so nothing would replace it: create it by a Deployment, or set parameters.force to evict \
             it for good",
            target.reference
        )));
    }
    let text = "the pod has no owner: nothing replaces it";
    Ok(Draft {
        risk_factors: vec![RiskFactor::one_level(text)],
        ..gone(target)
    })
}

/// The draft for a pod of which only its end is proven.
fn gone(target: &Target) -> Draft {
    let pod = &target.reference;
    Draft {
        summary: format!("evict {pod}; whether something replaces it is not looked at"),
        expectations: vec![Expectation::Gone {
            object: pod.clone(),
        }],
        ..Draft::default()
    }
}

#[cfg(test)]
mod tests;

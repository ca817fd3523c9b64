//! `restart_pod`: deletes a pod so that its owner replaces it (BR-EXEC-002, SP-10). The proof is a ready pod with a
//! new UID, never a pod of the same name (EX-14), to which the Services lead again that led to the old one.

use kexec_api::execution::spec::{Category, RiskLevel};
use kexec_api::plan::{Expectation, Step};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::action::{Action, Draft, PlanError, RiskFactor, Target};
use crate::facts::{Facts, Need};
use crate::metadata::{Metadata, Resources, Rule, TargetKind};
use crate::pod_owner::{self, PodOwner};
use crate::pod_removal;

pub(crate) struct RestartPod;

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Parameters {
    /// Also deletes a pod that nothing owns and nothing replaces, and allows `gracePeriodSeconds: 0`; needs the verb
    /// `force` on the action type.
    force: bool,
    /// Seconds the pod's processes get to stop (SP-53); the pod's own value when left out. With 0 the pod is dropped
    /// while its processes may still run, which needs `force`.
    #[schemars(range(max = 3600))]
    grace_period_seconds: Option<u32>,
    /// What the printed example asks for (EX-05); this version performs none of it and says so.
    custom_config: CustomConfig,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct CustomConfig {
    /// Asks for the replacement to run before the pod is deleted; not performed.
    pre_warm_replacement: bool,
    /// Asks for the replacement to be watched that long, such as `5m`; not performed.
    #[schemars(length(max = 16), regex(pattern = r"^[0-9]+(s|m|h)$"))]
    monitoring_duration: Option<String>,
}

impl Action for RestartPod {
    type Parameters = Parameters;

    const METADATA: Metadata = Metadata {
        action_type: "restart_pod",
        aliases: &[],
        version: "v1.2",
        description: "Deletes a pod so that its owner replaces it by a new one.",
        category: Category::Core,
        risk: RiskLevel::Low,
        reversible: false,
        idempotent: false,
        targets: &[TargetKind::POD],
        rules: &[Rule {
            group: "",
            resource: "pods",
            verb: "delete",
            reason: "deletes the one pod that is to be replaced, by its UID",
        }],
        service_account: None,
        resources: Resources::DEFAULT,
    };

    fn needs(target: &Target, _: &Parameters, facts: &Facts) -> Vec<Need> {
        pod_removal::needs(target, facts)
    }

    fn plan(target: &Target, parameters: &Parameters, facts: &Facts) -> Result<Draft, PlanError> {
        refuse_unfit(target)?;
        pod_removal::refuse_dropping(parameters.grace_period_seconds, parameters.force)?;
        let mut draft = match PodOwner::of(target) {
            PodOwner::Replacing(owner) => pod_removal::replaced(target, owner, facts, "delete")?,
            PodOwner::None => removed(target, parameters)?,
            PodOwner::Other { kind, name } => return Err(not_replaced(target, &kind, &name)),
        };
        draft.steps = vec![Step::Delete {
            target: target.reference.clone(),
            grace_period_seconds: parameters.grace_period_seconds,
        }];
        let dropping = pod_removal::dropping_risk(parameters.grace_period_seconds);
        draft.risk_factors.extend(dropping);
        draft.notes = not_performed(&parameters.custom_config);
        Ok(draft)
    }
}

/// Refuses pods that a deletion does not restart.
fn refuse_unfit(target: &Target) -> Result<(), PlanError> {
    let pod = &target.reference;
    if pod_removal::is_mirror(&target.live) {
        return Err(PlanError::RefuseTarget(format!(
            "{pod} is the image of a static pod, which the API server cannot restart: change its manifest on the node"
        )));
    }
    if pod_owner::has_ended(&target.live) {
        return Err(PlanError::RefuseTarget(format!(
            "{pod} has ended ({}), so there is nothing to restart: name a pod that runs",
            pod_owner::phase(&target.live)
        )));
    }
    Ok(())
}

/// The draft for a bare pod, which `force` alone allows: it goes and nothing comes.
fn removed(target: &Target, parameters: &Parameters) -> Result<Draft, PlanError> {
    let pod = &target.reference;
    if !parameters.force {
        return Err(PlanError::RefuseTarget(format!(
            "{pod} has no owner, so nothing would replace it: create it by a Deployment, or set parameters.force to \
             delete it for good"
        )));
    }
    Ok(Draft {
        summary: format!("delete {pod} for good: it has no owner that would replace it"),
        risk_factors: vec![RiskFactor::one_level(
            "the pod has no owner: nothing replaces it",
        )],
        expectations: vec![Expectation::Gone {
            object: pod.clone(),
        }],
        ..Draft::default()
    })
}

/// Why a pod of such an owner is refused.
fn not_replaced(target: &Target, kind: &str, name: &str) -> PlanError {
    let pod = &target.reference;
    if kind == "Job" {
        return PlanError::RefuseTarget(format!(
            "{pod} belongs to Job \"{name}\", which would count its deletion as a failure: create the Job anew"
        ));
    }
    let kinds = "a ReplicaSet, StatefulSet, DaemonSet or ReplicationController";
    PlanError::NotSupported(format!(
        "{pod} belongs to {kind} \"{name}\", of which it is not known how it replaces pods: name a pod of {kinds}"
    ))
}

/// One note for everything asked for in `customConfig` that is not done.
fn not_performed(config: &CustomConfig) -> Vec<String> {
    let pre_warm = config.pre_warm_replacement.then(|| {
        "customConfig.preWarmReplacement is not performed by this version: the replacement starts when the pod goes"
            .to_owned()
    });
    let monitoring = config.monitoring_duration.as_ref().map(|duration| {
        format!(
            "customConfig.monitoringDuration of {duration} is not performed by this version: the replacement is \
             watched until it is ready, at most validationConfig.healthCheckTimeout"
        )
    });
    pre_warm.into_iter().chain(monitoring).collect()
}

#[cfg(test)]
mod tests;

//! `restart_pod`: deletes a pod so that its owner replaces it (BR-EXEC-002, SP-10). The proof is a ready pod with a
//! new UID, never a pod of the same name (EX-14), to which the Services lead again that led to the old one.

use kexec_api::execution::spec::{Category, RiskLevel};
use kexec_api::plan::{Expectation, ObjectRef, ServiceEndpoints, Step};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::action::{Action, Draft, PlanError, RiskFactor, Target};
use crate::endpoints;
use crate::facts::{Facts, Need};
use crate::metadata::{Metadata, Resources, Rule, TargetKind};
use crate::pod_owner::{self, PodOwner};
use crate::rollout;

/// Set by the kubelet on the API server's image of a static pod.
const MIRROR_ANNOTATION: &str = "/metadata/annotations/kubernetes.io~1config.mirror";

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
        let PodOwner::Replacing(owner) = PodOwner::of(target) else {
            return Vec::new();
        };
        let owner_itself = Need::object(&owner);
        let live = facts.object(&owner_itself);
        let pods = live.and_then(|live| pods_of(&owner, live).ok());
        let services = endpoints::services(owner.namespace.as_deref());
        let slices = slices_of(target, facts.list(&services));
        [owner_itself, services]
            .into_iter()
            .chain(pods)
            .chain(slices)
            .collect()
    }

    fn plan(target: &Target, parameters: &Parameters, facts: &Facts) -> Result<Draft, PlanError> {
        refuse_unfit(target)?;
        refuse_dropping(parameters)?;
        let mut draft = match PodOwner::of(target) {
            PodOwner::Replacing(owner) => replaced(target, owner, facts)?,
            PodOwner::None => removed(target, parameters)?,
            PodOwner::Other { kind, name } => return Err(not_replaced(target, &kind, &name)),
        };
        draft.steps = vec![Step::Delete {
            target: target.reference.clone(),
            grace_period_seconds: parameters.grace_period_seconds,
        }];
        if parameters.grace_period_seconds == Some(0) {
            let text = "the pod is dropped without waiting for its processes to end";
            draft.risk_factors.push(RiskFactor::one_level(text));
        }
        draft.notes = not_performed(&parameters.custom_config);
        Ok(draft)
    }
}

/// The need for all pods that an owner selects.
fn pods_of(owner: &ObjectRef, live: &Value) -> Result<Need, PlanError> {
    let selector = pod_owner::selector(live, owner)?;
    Ok(Need::pods(owner.namespace.as_deref(), &selector))
}

/// The need for the endpoints of all Services that select the pod; `None` when none does.
fn slices_of(target: &Target, services: &[Value]) -> Option<Need> {
    endpoints::slices(
        target.reference.namespace.as_deref(),
        endpoints::selecting(services, &target.live),
    )
}

/// Refuses pods that a deletion does not restart.
fn refuse_unfit(target: &Target) -> Result<(), PlanError> {
    let pod = &target.reference;
    if target.live.pointer(MIRROR_ANNOTATION).is_some() {
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

/// Refuses a grace period of 0 without `force`, as kubectl does: the pod's name is free before its processes are gone.
fn refuse_dropping(parameters: &Parameters) -> Result<(), PlanError> {
    if parameters.grace_period_seconds != Some(0) || parameters.force {
        return Ok(());
    }
    Err(PlanError::invalid_parameter(
        "parameters.gracePeriodSeconds",
        "is 0, which drops the pod while its processes may still run: write 1 or more, or set force as well",
    ))
}

/// The draft for a pod that its owner replaces.
fn replaced(target: &Target, owner: ObjectRef, facts: &Facts) -> Result<Draft, PlanError> {
    let live = facts
        .require_object(&Need::object(&owner))
        .map_err(PlanError::UseFact)?;
    let pod = &target.reference;
    if rollout::uid(live).as_deref() != Some(owner.uid.as_str()) {
        return Err(PlanError::UnmetDependency(format!(
            "{pod} belongs to a {} that is gone, and another one bears its name: wait until the pod is cleaned up",
            owner.kind
        )));
    }
    let selected = facts
        .require_list(&pods_of(&owner, live)?)
        .map_err(PlanError::UseFact)?;
    let desired = pod_owner::desired(live, &owner)?;
    let pods: Vec<&Value> = pod_owner::controlled_by(selected, &owner);
    refuse_unsettled(target, &owner, &pods, desired)?;
    let services = endpoints_back(target, &pods, facts)?;
    let others_ready = pods
        .iter()
        .filter(|other| !is_target(other, pod) && pod_owner::is_ready(other))
        .count();
    Ok(Draft {
        summary: format!("delete {pod} so that {owner} replaces it"),
        risk_factors: risk_factors(others_ready, desired),
        expectations: vec![Expectation::Replaced {
            object: pod.clone(),
            selector: pod_owner::selector(live, &owner)?,
            owner,
            known_pods: selected.iter().filter_map(rollout::uid).collect(),
            ready: u32::try_from(others_ready)
                .map_or(desired, |others| others.saturating_add(1).min(desired)),
            services,
        }],
        ..Draft::default()
    })
}

/// What each Service that selects the pod must have afterwards: the endpoints it has beside it, and one more.
fn endpoints_back(
    target: &Target,
    pods: &[&Value],
    facts: &Facts,
) -> Result<Vec<ServiceEndpoints>, PlanError> {
    let need = endpoints::services(target.reference.namespace.as_deref());
    let services = facts.require_list(&need).map_err(PlanError::UseFact)?;
    let Some(slices) = slices_of(target, services) else {
        return Ok(Vec::new());
    };
    let slices = facts.require_list(&slices).map_err(PlanError::UseFact)?;
    let back = |service: &str| {
        let served = endpoints::ready_pods(slices, service);
        let others = pods.iter().filter(|pod| {
            let uid = rollout::uid(pod);
            uid.is_some_and(|uid| uid != target.reference.uid && served.contains(uid.as_str()))
        });
        ServiceEndpoints {
            service: service.to_owned(),
            ready: others.fold(1, |ready: u32, _| ready.saturating_add(1)),
        }
    };
    let selecting = endpoints::selecting(services, &target.live);
    Ok(selecting.into_iter().map(back).collect())
}

/// Refuses an owner that would not replace the pod now.
fn refuse_unsettled(
    target: &Target,
    owner: &ObjectRef,
    pods: &[&Value],
    desired: u32,
) -> Result<(), PlanError> {
    let pod = &target.reference;
    if !pods.iter().any(|one| is_target(one, pod)) {
        return Err(PlanError::UnmetDependency(format!(
            "{pod} is not among the pods that {owner} selects, so it would not be replaced: give it the labels of the \
             selector"
        )));
    }
    let active = pods.iter().filter(|one| pod_owner::is_active(one)).count();
    if u32::try_from(active).is_ok_and(|active| active <= desired) {
        return Ok(());
    }
    Err(PlanError::UnmetDependency(format!(
        "{owner} is to have {desired} pods and has {active}, so {pod} would not be replaced: wait until it has settled"
    )))
}

fn is_target(pod: &Value, target: &ObjectRef) -> bool {
    rollout::uid(pod).is_some_and(|uid| uid == target.uid)
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

fn risk_factors(others_ready: usize, desired: u32) -> Vec<RiskFactor> {
    let text = if desired == 1 {
        "single replica: nothing serves until the replacement is ready"
    } else if others_ready == 0 {
        "no other pod of the owner is ready: nothing serves until the replacement is ready"
    } else {
        return Vec::new();
    };
    vec![RiskFactor::one_level(text)]
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

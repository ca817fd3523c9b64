//! How a pod that goes is replaced by its owner: what must be known, what is refused, what proves it. Shared by the
//! actions that delete or evict one pod; which write they make is theirs.

use kexec_api::plan::{Expectation, ObjectRef, ServiceEndpoints};
use serde_json::Value;

use crate::action::{Draft, PlanError, RiskFactor, Target};
use crate::endpoints;
use crate::facts::{Facts, Need};
use crate::pod_owner::{self, PodOwner};
use crate::rollout;

/// Set by the kubelet on the API server's image of a static pod.
const MIRROR_ANNOTATION: &str = "/metadata/annotations/kubernetes.io~1config.mirror";

/// Refuses a grace period of 0 without `force`, as kubectl does: the pod's name is free before its processes are gone.
pub(crate) fn refuse_dropping(
    grace_period_seconds: Option<u32>,
    force: bool,
) -> Result<(), PlanError> {
    if grace_period_seconds != Some(0) || force {
        return Ok(());
    }
    Err(PlanError::invalid_parameter(
        "parameters.gracePeriodSeconds",
        "is 0, which drops the pod while its processes may still run: write 1 or more, or set force as well",
    ))
}

/// What a grace period of 0 adds to the risk.
pub(crate) fn dropping_risk(grace_period_seconds: Option<u32>) -> Option<RiskFactor> {
    let text = "the pod is dropped without waiting for its processes to end";
    (grace_period_seconds == Some(0)).then(|| RiskFactor::one_level(text))
}

/// Whether a pod is the API server's image of a static pod, which only its node's files can end.
pub(crate) fn is_mirror(pod: &Value) -> bool {
    pod.pointer(MIRROR_ANNOTATION).is_some()
}

/// What must be known of a pod's owner, and of the Services that lead to the pod.
pub(crate) fn needs(target: &Target, facts: &Facts) -> Vec<Need> {
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

/// The draft without steps for a pod that its owner replaces; `deed` is the verb of its summary.
pub(crate) fn replaced(
    target: &Target,
    owner: ObjectRef,
    facts: &Facts,
    deed: &str,
) -> Result<Draft, PlanError> {
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
        summary: format!("{deed} {pod} so that {owner} replaces it"),
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

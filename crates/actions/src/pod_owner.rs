//! Who controls a pod, how many pods that owner is to have, and which of them there are. What an action makes of it
//! does not belong here.

use kexec_api::plan::ObjectRef;
use serde_json::Value;

use crate::action::{PlanError, Target};
use crate::metadata::TargetKind;
use crate::rollout;

/// The kinds that replace a pod they lost, and say how many they are to have.
const REPLACING: [TargetKind; 4] = [
    TargetKind::REPLICA_SET,
    TargetKind::STATEFUL_SET,
    TargetKind::DAEMON_SET,
    TargetKind::REPLICATION_CONTROLLER,
];

/// The controller of a pod, as the pod names it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PodOwner {
    /// Nobody: a bare pod.
    None,
    /// A workload that replaces it.
    Replacing(ObjectRef),
    /// Something else.
    Other {
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
    },
}

impl PodOwner {
    /// The owner of a pod.
    pub(crate) fn of(pod: &Target) -> Self {
        let Some(owner) = controller_reference(&pod.live) else {
            return Self::None;
        };
        let text = |key| owner.get(key).and_then(Value::as_str).unwrap_or_default();
        let known = REPLACING
            .into_iter()
            .find(|known| known.api_version == text("apiVersion") && known.kind == text("kind"));
        match known {
            Some(known) => Self::Replacing(ObjectRef {
                api_version: known.api_version.to_owned(),
                kind: known.kind.to_owned(),
                resource: known.resource.to_owned(),
                namespace: pod.reference.namespace.clone(),
                name: text("name").to_owned(),
                uid: text("uid").to_owned(),
            }),
            None => Self::Other {
                kind: text("kind").to_owned(),
                name: text("name").to_owned(),
            },
        }
    }
}

/// The owner reference that says `controller: true`.
pub(crate) fn controller_reference(pod: &Value) -> Option<&Value> {
    let owners = pod
        .pointer("/metadata/ownerReferences")
        .and_then(Value::as_array);
    owners
        .into_iter()
        .flatten()
        .find(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true))
}

/// The label selector of an owner in its string form.
pub(crate) fn selector(live: &Value, owner: &ObjectRef) -> Result<String, PlanError> {
    if owner.kind == TargetKind::REPLICATION_CONTROLLER.kind {
        live.pointer("/spec/selector")
            .and_then(rollout::equality_form)
            .ok_or_else(|| PlanError::unreadable("spec.selector", owner))
    } else {
        rollout::selector(live, owner)
    }
}

/// How many pods an owner is to have.
pub(crate) fn desired(live: &Value, owner: &ObjectRef) -> Result<u32, PlanError> {
    if owner.kind != TargetKind::DAEMON_SET.kind {
        return rollout::replicas(live, owner);
    }
    live.pointer("/status/desiredNumberScheduled")
        .and_then(Value::as_u64)
        .and_then(|count| u32::try_from(count).ok())
        .ok_or_else(|| PlanError::unreadable("status.desiredNumberScheduled", owner))
}

/// Those of the pods that `owner` controls.
pub(crate) fn controlled_by<'a>(pods: &'a [Value], owner: &ObjectRef) -> Vec<&'a Value> {
    let is_controlled = |pod: &&Value| {
        let uid = controller_reference(pod).and_then(|reference| reference.get("uid"));
        uid.and_then(Value::as_str) == Some(owner.uid.as_str())
    };
    pods.iter().filter(is_controlled).collect()
}

/// Those of the pods that a workload controls; a Deployment does so by its `ReplicaSets`, which bear its name.
pub(crate) fn of_workload<'a>(pods: &'a [Value], workload: &ObjectRef) -> Vec<&'a Value> {
    if workload.kind != TargetKind::DEPLOYMENT.kind {
        return controlled_by(pods, workload);
    }
    let prefix = format!("{}-", workload.name);
    let is_of_a_replica_set = |pod: &&Value| {
        controller_reference(pod).is_some_and(|owner| {
            let text = |key| owner.get(key).and_then(Value::as_str).unwrap_or_default();
            text("kind") == TargetKind::REPLICA_SET.kind && text("name").starts_with(&prefix)
        })
    };
    pods.iter().filter(is_of_a_replica_set).collect()
}

/// Whether a pod runs, or is to run, and is not on its way out.
pub(crate) fn is_active(pod: &Value) -> bool {
    !has_ended(pod) && pod.pointer("/metadata/deletionTimestamp").is_none()
}

/// Whether all containers of a pod have ended for good.
pub(crate) fn has_ended(pod: &Value) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Phase of a pod; empty when it has none yet.
pub(crate) fn phase(pod: &Value) -> &str {
    pod.pointer("/status/phase")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Whether a pod serves: active, with condition `Ready`.
pub(crate) fn is_ready(pod: &Value) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    let ready = conditions.into_iter().flatten().any(|condition| {
        condition.get("type").is_some_and(|kind| kind == "Ready")
            && condition
                .get("status")
                .is_some_and(|status| status == "True")
    });
    ready && is_active(pod)
}

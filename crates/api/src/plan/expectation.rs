//! What proves the outcome of a plan. Judging it belongs to the core crate.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ObjectRef;
use crate::uid_set::UidSet;

/// One field and the value it must hold. `None` means that it must be absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FieldValue {
    /// JSON pointer (RFC 6901) from the object's root.
    pub path: String,
    /// The value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

/// How many ready endpoints a Service must have on the pods of one owner.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceEndpoints {
    /// Name of the Service, in the owner's namespace.
    pub service: String,
    /// Pods of the owner that its ready endpoints must lead to.
    pub ready: u32,
}

/// A workload and how many ready pods it must have.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReadyOwner {
    /// The ReplicaSet, StatefulSet or `ReplicationController`.
    pub owner: ObjectRef,
    /// Ready pods that its status must tell.
    pub ready: u32,
}

/// What must be true on the live cluster for the outcome to be proven (BR-EXEC-027).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Expectation {
    /// The object (same UID) holds these values.
    Fields {
        /// The object.
        object: ObjectRef,
        /// The fields; never empty.
        fields: Vec<FieldValue>,
    },
    /// The workload has observed its spec, and that many replicas are updated, ready and available, no more exist,
    /// and none of its pods crash-loops that did not before. The replicas of a StatefulSet need not be updated: its
    /// strategy may hold them at an older revision.
    WorkloadReady {
        /// The Deployment, StatefulSet or DaemonSet.
        object: ObjectRef,
        /// Label selector of its pods, in its string form.
        selector: String,
        /// Replicas that must be there.
        replicas: u32,
        /// UIDs of pods that were crash-looping when the plan was made: their failure is not ours.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        known_crash_loops: Vec<String>,
    },
    /// The workload runs its pod template on as many replicas as it asks for: it has observed its spec, all replicas are
    /// updated, ready and available, no others exist, and none of its pods crash-loops that did not before.
    RolledOut {
        /// The Deployment, StatefulSet or DaemonSet.
        object: ObjectRef,
        /// Label selector of its pods, in its string form.
        selector: String,
        /// The pods there were when the plan was made that do not fit the template: none of them may be left.
        #[serde(default, skip_serializing_if = "UidSet::is_empty")]
        old_pods: UidSet,
        /// UIDs of pods that were crash-looping when the plan was made: their failure is not ours.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        known_crash_loops: Vec<String>,
    },
    /// Its controller has observed the object's present spec.
    Observed {
        /// The object.
        object: ObjectRef,
    },
    /// No object with this UID exists any more.
    Gone {
        /// The object.
        object: ObjectRef,
    },
    /// The owner has that many ready pods, at least one of them younger than the plan, and none is the old one; and each
    /// of the Services leads to that many of them, at least one of them younger than the plan.
    Replaced {
        /// The pod that had to go.
        object: ObjectRef,
        /// Who replaces it.
        owner: ObjectRef,
        /// Label selector of the owner's pods, in its string form.
        selector: String,
        /// The pods that the selector picked when the plan was made: a replacement is a pod not among them.
        known_pods: UidSet,
        /// Ready pods the owner must have.
        ready: u32,
        /// The Services that selected the pod, which must have endpoints again.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        services: Vec<ServiceEndpoints>,
    },
    /// None of these pods is on the node any more, and those who own them have their pods again.
    Drained {
        /// The node.
        node: ObjectRef,
        /// UIDs of the pods that must be gone.
        pods: UidSet,
        /// The workloads that lost pods.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        owners: Vec<ReadyOwner>,
    },
    /// The object has this condition (SP-66). `reason` counts only when the live condition has one (EX-04).
    Condition {
        /// The object.
        object: ObjectRef,
        /// Condition type, such as `Available`.
        condition_type: String,
        /// `True`, `False` or `Unknown`.
        status: String,
        /// Reason, when it matters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

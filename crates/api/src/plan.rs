//! The plan of one execution: the exact writes, the preconditions under which they are still right, what proves
//! them, what undoes them and which rights they need. Plain data and its hash; making plans belongs to the actions,
//! running them to the runner.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::uid_set::UidSet;

/// One object on the cluster, as exactly as the plan's author knew it.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectRef {
    /// API version, such as `apps/v1`, or `v1` for the core group.
    pub api_version: String,
    /// Kind, such as `Deployment`.
    pub kind: String,
    /// Plural resource name, such as `deployments`: what a URL and an RBAC rule name.
    pub resource: String,
    /// Namespace; absent for cluster-scoped kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// UID the object had when the plan was made: another object under the same name is not this one.
    pub uid: String,
}

impl ObjectRef {
    /// API group; empty for the core group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.api_version
            .split_once('/')
            .map_or("", |(group, _)| group)
    }

    /// Version without the group.
    #[must_use]
    pub fn version(&self) -> &str {
        self.api_version
            .split_once('/')
            .map_or(self.api_version.as_str(), |(_, version)| version)
    }
}

/// `Kind/namespace/name`, or `Kind/name` for cluster-scoped kinds: the form of ST-42.
impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{}/{namespace}/{}", self.kind, self.name),
            None => write!(f, "{}/{}", self.kind, self.name),
        }
    }
}

/// One field's old and new value. `None` means that the field is absent. A change from a value to itself is a guard: it is
/// tested and never written, as the name of the container whose image is set by its place in the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FieldChange {
    /// JSON pointer (RFC 6901) from the object's root.
    pub path: String,
    /// Value the field must still have for the change to be right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// Value the field gets; absolute, never relative to `before`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

impl FieldChange {
    /// The change that takes this one back, if the field still holds our value.
    #[must_use]
    pub fn inverse(&self) -> Self {
        Self {
            path: self.path.clone(),
            before: self.after.clone(),
            after: self.before.clone(),
        }
    }

    /// Whether it is only tested.
    #[must_use]
    pub fn is_guard(&self) -> bool {
        self.before == self.after
    }
}

/// `spec.replicas: 2 -> 5`; an absent value is written `(unset)`.
impl fmt::Display for FieldChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |value: &Option<Value>| {
            value
                .as_ref()
                .map_or_else(|| "(unset)".to_owned(), Value::to_string)
        };
        write!(
            f,
            "{}: {} -> {}",
            dotted(&self.path),
            show(&self.before),
            show(&self.after)
        )
    }
}

/// A JSON pointer in the dotted form people read; keys that hold dots are put in brackets.
#[must_use]
pub fn dotted(pointer: &str) -> String {
    let mut shown = String::new();
    for key in pointer.split('/').skip(1) {
        let key = key.replace("~1", "/").replace("~0", "~");
        if key.contains('.') || key.contains('/') {
            shown.push('[');
            shown.push_str(&key);
            shown.push(']');
        } else {
            if !shown.is_empty() {
                shown.push('.');
            }
            shown.push_str(&key);
        }
    }
    shown
}

/// One key of an object as a JSON pointer segment (RFC 6901, section 3).
#[must_use]
pub fn pointer_segment(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// One write of a plan. Running a step twice is the same as running it once: its own precondition refuses the second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Step {
    /// Sets fields by one JSON Patch whose first operations test the UID and the old values.
    Patch {
        /// The object to change.
        target: ObjectRef,
        /// Subresource the patch goes to, such as `scale`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subresource: Option<String>,
        /// The fields to change; never empty.
        changes: Vec<FieldChange>,
    },
    /// Deletes the object with its UID as precondition.
    Delete {
        /// The object to delete.
        target: ObjectRef,
        /// Seconds the object's processes get to stop; the object's own value when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grace_period_seconds: Option<u32>,
    },
    /// Asks for the eviction of a pod with its UID as precondition. A disruption budget that forbids it now is asked
    /// again until the work's deadline.
    Evict {
        /// The pod.
        target: ObjectRef,
        /// Seconds the pod's processes get to stop; the pod's own value when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grace_period_seconds: Option<u32>,
        /// Present when the pod is one of many to be moved: seconds from the start of the work after which a disruption
        /// budget is not asked again (SP-61), and a pod that is gone already is no mistake.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        drain_seconds: Option<u32>,
    },
}

impl Step {
    /// The object the step writes.
    #[must_use]
    pub fn target(&self) -> &ObjectRef {
        match self {
            Self::Patch { target, .. }
            | Self::Delete { target, .. }
            | Self::Evict { target, .. } => target,
        }
    }

    /// Kubernetes verb of the write, as RBAC names it.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Patch { .. } => "patch",
            Self::Delete { .. } => "delete",
            Self::Evict { .. } => "create",
        }
    }

    /// What the write does, as a verb for people.
    #[must_use]
    pub fn deed(&self) -> &'static str {
        match self {
            Self::Patch { .. } => "patch",
            Self::Delete { .. } => "delete",
            Self::Evict { .. } => "evict",
        }
    }

    /// Subresource that the write goes to; `None` for the object itself.
    #[must_use]
    pub fn subresource(&self) -> Option<&str> {
        match self {
            Self::Patch { subresource, .. } => subresource.as_deref(),
            Self::Delete { .. } => None,
            Self::Evict { .. } => Some("eviction"),
        }
    }

    /// What the step changes, one line a field; guards are left out.
    #[must_use]
    pub fn diff(&self) -> Vec<String> {
        match self {
            Self::Patch { changes, .. } => changes
                .iter()
                .filter(|change| !change.is_guard())
                .map(FieldChange::to_string)
                .collect(),
            Self::Delete { target, .. } => {
                vec![format!("{target} (uid {}) is deleted", target.uid)]
            }
            Self::Evict { target, .. } => {
                vec![format!("{target} (uid {}) is evicted", target.uid)]
            }
        }
    }

    /// The step that takes this one back; `None` when nothing can.
    #[must_use]
    pub fn inverse(&self) -> Option<Self> {
        match self {
            Self::Patch {
                target,
                subresource,
                changes,
            } => Some(Self::Patch {
                target: target.clone(),
                subresource: subresource.clone(),
                changes: changes.iter().rev().map(FieldChange::inverse).collect(),
            }),
            Self::Delete { .. } | Self::Evict { .. } => None,
        }
    }

    /// The JSON Patch (RFC 6902) of a `Patch` step: tests of the UID and of every old value, then the changes.
    /// The API server takes `test` with a null value as "the field is absent".
    #[must_use]
    pub fn json_patch(&self) -> Option<Value> {
        let Self::Patch {
            target, changes, ..
        } = self
        else {
            return None;
        };
        let mut operations =
            vec![json!({"op": "test", "path": "/metadata/uid", "value": target.uid})];
        operations.extend(
            changes
                .iter()
                .map(|change| json!({"op": "test", "path": change.path, "value": change.before})),
        );
        operations.extend(changes.iter().filter_map(write_operation));
        Some(Value::Array(operations))
    }
}

/// The one operation that takes a field from `before` to `after`; none when they are the same.
fn write_operation(change: &FieldChange) -> Option<Value> {
    match (&change.before, &change.after) {
        (None, None) => None,
        (Some(_), None) => Some(json!({"op": "remove", "path": change.path})),
        (None, Some(after)) => Some(json!({"op": "add", "path": change.path, "value": after})),
        (Some(before), Some(after)) => {
            (before != after).then(|| json!({"op": "replace", "path": change.path, "value": after}))
        }
    }
}

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

/// One right the plan needs, in the form of the attributes of a `SubjectAccessReview`.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Permission {
    /// API group; empty for the core group.
    pub group: String,
    /// Plural resource name.
    pub resource: String,
    /// Subresource, when the right is on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subresource: Option<String>,
    /// Verb.
    pub verb: String,
    /// Namespace; absent for cluster scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// `patch deployments.apps/scale in "web"`.
impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if let Some(subresource) = &self.subresource {
            write!(f, "/{subresource}")?;
        }
        match &self.namespace {
            Some(namespace) => write!(f, " in \"{namespace}\""),
            None => f.write_str(" cluster-wide"),
        }
    }
}

/// Everything the hash covers: what is approved, what runs, what proves and what undoes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlanContent {
    /// Action type, its aliases resolved.
    pub action: String,
    /// Version of the action that made the plan, such as `v1.2`.
    pub version: String,
    /// The objects the plan is about; the first is the target of the execution.
    pub targets: Vec<ObjectRef>,
    /// The writes, in order.
    pub steps: Vec<Step>,
    /// What proves the outcome.
    pub expectations: Vec<Expectation>,
    /// The writes that undo the plan, in order; empty when nothing can.
    pub rollback: Vec<Step>,
    /// The rights the steps need.
    pub permissions: Vec<Permission>,
}

/// SHA-256 over the RFC 8785 canonical JSON of a [`PlanContent`], as `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlanHash(String);

impl PlanHash {
    /// The hash as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlanHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for PlanHash {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// Why a plan's hash could not be computed.
#[derive(Debug, thiserror::Error)]
#[error("failed to write the plan as canonical JSON")]
pub struct HashPlanError(#[source] serde_json::Error);

impl PlanContent {
    /// The hash that approval, Job and result carry.
    pub fn hash(&self) -> Result<PlanHash, HashPlanError> {
        let canonical = serde_json_canonicalizer::to_vec(self).map_err(HashPlanError)?;
        Ok(PlanHash(format!("sha256:{:x}", Sha256::digest(canonical))))
    }

    /// The object the execution is about.
    #[must_use]
    pub fn target(&self) -> Option<&ObjectRef> {
        self.targets.first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment() -> ObjectRef {
        ObjectRef {
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
            resource: "deployments".into(),
            namespace: Some("web".into()),
            name: "shop".into(),
            uid: "u-1".into(),
        }
    }

    fn scale(before: i32, after: i32) -> Step {
        Step::Patch {
            target: deployment(),
            subresource: Some("scale".into()),
            changes: vec![FieldChange {
                path: "/spec/replicas".into(),
                before: Some(before.into()),
                after: Some(after.into()),
            }],
        }
    }

    fn content(after: i32) -> PlanContent {
        PlanContent {
            action: "scale_deployment".into(),
            version: "v1.2".into(),
            targets: vec![deployment()],
            steps: vec![scale(2, after)],
            expectations: vec![],
            rollback: vec![scale(after, 2)],
            permissions: vec![],
        }
    }

    #[test]
    fn a_patch_tests_uid_and_old_value_before_it_writes() {
        assert_eq!(
            scale(2, 5).json_patch(),
            Some(json!([
                {"op": "test", "path": "/metadata/uid", "value": "u-1"},
                {"op": "test", "path": "/spec/replicas", "value": 2},
                {"op": "replace", "path": "/spec/replicas", "value": 5},
            ]))
        );
    }

    #[test]
    fn an_absent_field_is_tested_as_null_and_added() {
        let step = Step::Patch {
            target: deployment(),
            subresource: None,
            changes: vec![FieldChange {
                path: "/data/a~1b".into(),
                before: None,
                after: Some("x".into()),
            }],
        };
        assert_eq!(
            step.json_patch(),
            Some(json!([
                {"op": "test", "path": "/metadata/uid", "value": "u-1"},
                {"op": "test", "path": "/data/a~1b", "value": null},
                {"op": "add", "path": "/data/a~1b", "value": "x"},
            ]))
        );
    }

    #[test]
    fn a_guard_is_tested_and_neither_written_nor_shown() {
        let change = |path: &str, before: &str, after: &str| FieldChange {
            path: path.into(),
            before: Some(before.into()),
            after: Some(after.into()),
        };
        let step = Step::Patch {
            target: deployment(),
            subresource: None,
            changes: vec![
                change("/list/0/name", "web", "web"),
                change("/list/0/image", "a", "b"),
            ],
        };
        assert_eq!(
            step.json_patch(),
            Some(json!([
                {"op": "test", "path": "/metadata/uid", "value": "u-1"},
                {"op": "test", "path": "/list/0/name", "value": "web"},
                {"op": "test", "path": "/list/0/image", "value": "a"},
                {"op": "replace", "path": "/list/0/image", "value": "b"},
            ]))
        );
        assert_eq!(step.diff(), ["list.0.image: \"a\" -> \"b\""]);
    }

    #[test]
    fn the_inverse_of_the_inverse_is_the_step() {
        let step = scale(2, 5);
        assert_eq!(
            step.inverse().and_then(|inverse| inverse.inverse()),
            Some(step)
        );
    }

    #[test]
    fn a_deletion_has_no_inverse() {
        let step = Step::Delete {
            target: deployment(),
            grace_period_seconds: None,
        };
        assert_eq!(step.inverse(), None);
    }

    #[test]
    fn an_eviction_is_a_creation_of_its_subresource_and_has_no_inverse() {
        let step = Step::Evict {
            target: deployment(),
            grace_period_seconds: None,
            drain_seconds: None,
        };
        assert_eq!(
            (step.verb(), step.subresource(), step.inverse()),
            ("create", Some("eviction"), None)
        );
        assert_eq!(step.diff(), ["Deployment/web/shop (uid u-1) is evicted"]);
    }

    #[test]
    fn the_hash_follows_the_content_and_survives_the_wire() {
        let plan = content(5);
        let copy: PlanContent =
            serde_json::from_str(&serde_json::to_string(&plan).expect("serializes"))
                .expect("parses");
        assert_eq!(plan.hash().expect("hashes"), copy.hash().expect("hashes"));
        assert_ne!(
            plan.hash().expect("hashes"),
            content(6).hash().expect("hashes")
        );
    }

    #[test]
    fn a_diff_reads_like_a_sentence() {
        assert_eq!(scale(2, 5).diff(), ["spec.replicas: 2 -> 5"]);
        assert_eq!(dotted("/data/app.properties"), "data[app.properties]");
    }
}

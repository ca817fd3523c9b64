//! One write of a plan: what it changes, what it tests before, what takes it back. Sending it belongs to the runner.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ObjectRef;

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

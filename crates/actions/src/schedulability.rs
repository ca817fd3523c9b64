//! Whether a node takes new pods: `spec.unschedulable`, which the API leaves out when it is false. Cordon and
//! uncordon differ only in the value they want.

use kexec_api::plan::{Expectation, FieldChange, FieldValue, Step};
use serde_json::Value;

use crate::action::{Draft, PlanError, Target};
use crate::facts::Need;
use crate::metadata::{Rule, TargetKind};
use crate::rollout;

/// The field, as a JSON pointer.
const UNSCHEDULABLE: &str = "/spec/unschedulable";

/// What a node is to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Schedulability {
    /// Takes new pods.
    Schedulable,
    /// Takes none.
    Cordoned,
}

impl Schedulability {
    /// What a node is.
    pub(crate) fn of(node: &Value) -> Option<Self> {
        match node.pointer(UNSCHEDULABLE) {
            None => Some(Self::Schedulable),
            Some(value) => value.as_bool().map(|cordoned| {
                if cordoned {
                    Self::Cordoned
                } else {
                    Self::Schedulable
                }
            }),
        }
    }

    /// The field's value as the API server shows it.
    fn field(self) -> Option<Value> {
        match self {
            Self::Schedulable => None,
            Self::Cordoned => Some(true.into()),
        }
    }
}

/// The right that setting it takes.
pub(crate) const fn rule(reason: &'static str) -> Rule {
    Rule {
        group: "",
        resource: "nodes",
        verb: "patch",
        reason,
    }
}

/// The draft that makes a node so, without its summary.
pub(crate) fn draft(target: &Target, wanted: Schedulability) -> Result<Draft, PlanError> {
    let node = &target.reference;
    let now = Schedulability::of(&target.live)
        .ok_or_else(|| PlanError::unreadable("spec.unschedulable", node))?;
    let step = Step::Patch {
        target: node.clone(),
        subresource: None,
        changes: vec![FieldChange {
            path: UNSCHEDULABLE.to_owned(),
            before: target.live.pointer(UNSCHEDULABLE).cloned(),
            after: wanted.field(),
        }],
    };
    Ok(Draft {
        steps: if now == wanted {
            Vec::new()
        } else {
            vec![step]
        },
        expectations: vec![Expectation::Fields {
            object: node.clone(),
            fields: vec![FieldValue {
                path: UNSCHEDULABLE.to_owned(),
                value: wanted.field(),
            }],
        }],
        ..Draft::default()
    })
}

/// Whether an ordinary pod could be placed on a node: not cordoned, not tainted against it, ready, and not going away.
pub(crate) fn takes_pods(node: &Value) -> bool {
    let list = |pointer| {
        node.pointer(pointer)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    let tainted = list("/spec/taints").any(|taint| {
        matches!(
            taint.get("effect").and_then(Value::as_str),
            Some("NoSchedule" | "NoExecute")
        )
    });
    let ready = list("/status/conditions").any(|condition| {
        condition.get("type").is_some_and(|kind| kind == "Ready")
            && condition
                .get("status")
                .is_some_and(|status| status == "True")
    });
    let stays = node.pointer("/metadata/deletionTimestamp").is_none();
    ready && stays && !tainted && Schedulability::of(node) == Some(Schedulability::Schedulable)
}

/// The need for all nodes.
pub(crate) fn all_nodes() -> Need {
    Need::List {
        kind: TargetKind::NODE.to_kind(),
        namespace: None,
        selector: String::new(),
    }
}

/// Whether no node but the one with this UID takes pods.
pub(crate) fn is_last(nodes: &[Value], uid: &str) -> bool {
    let mut others = nodes
        .iter()
        .filter(|node| rollout::uid(node).is_none_or(|other| other != uid));
    !others.any(takes_pods)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(spec: &Value, ready: &str) -> Value {
        json!({"metadata": {"uid": "n-1"}, "spec": spec, "status": {"conditions": [{"type": "Ready", "status": ready}]}})
    }

    #[test]
    fn a_node_takes_pods_when_it_is_ready_and_neither_cordoned_nor_tainted_nor_going() {
        assert!(takes_pods(&node(&json!({}), "True")));
        assert!(takes_pods(&node(
            &json!({"taints": [{"key": "a", "effect": "PreferNoSchedule"}]}),
            "True"
        )));
        assert!(!takes_pods(&node(&json!({}), "Unknown")));
        assert!(!takes_pods(&node(&json!({"unschedulable": true}), "True")));
        assert!(!takes_pods(&node(
            &json!({"taints": [{"key": "a", "effect": "NoExecute"}]}),
            "True"
        )));
        let mut going = node(&json!({}), "True");
        going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        assert!(!takes_pods(&going));
    }

    #[test]
    fn an_absent_field_and_false_are_the_same() {
        for spec in [json!({}), json!({"unschedulable": false})] {
            assert_eq!(
                Schedulability::of(&node(&spec, "True")),
                Some(Schedulability::Schedulable)
            );
        }
        assert_eq!(
            Schedulability::of(&node(&json!({"unschedulable": "yes"}), "True")),
            None
        );
    }
}

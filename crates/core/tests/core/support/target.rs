//! Targets as the API server shows them, and the facts that were read of them.

use kexec_actions::facts::{Fact, Facts, Kind, Need};
use serde_json::{Value, json};

/// A Deployment whose spec asks for `replicas`, of which `available` are there.
pub fn deployment(replicas: u32, available: u32) -> Value {
    json!({
        "metadata": {
            "namespace": "web", "name": "shop", "uid": "d-1", "resourceVersion": "7", "generation": 3,
            "labels": {"app": "shop", "tier": "front"},
        },
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "shop"}}},
        "status": {
            "observedGeneration": 3, "replicas": available, "updatedReplicas": available,
            "readyReplicas": available, "availableReplicas": available,
        },
    })
}

/// The node `worker-1`.
pub fn node(spec: &Value) -> Value {
    json!({
        "metadata": {"name": "worker-1", "uid": "n-1"},
        "spec": spec,
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    })
}

/// The need for the Deployment.
pub fn target_need() -> Need {
    Need::Object {
        kind: Kind::new("apps/v1", "Deployment", "deployments"),
        namespace: Some("web".into()),
        name: "shop".into(),
    }
}

/// The need for its pods.
pub fn pods_need() -> Need {
    Need::pods(Some("web"), "app=shop")
}

/// Facts of one read.
pub fn fact(need: Need, fact: Fact) -> Facts {
    let mut facts = Facts::default();
    facts.insert(need, fact);
    facts
}

/// Merges a JSON object into another (RFC 7396).
pub fn patch(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                if value.is_null() {
                    into.remove(&key);
                } else {
                    patch(into.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (into, from) => *into = from,
    }
}

/// What the live target shows.
#[derive(Clone, Copy, Debug)]
pub enum Facing {
    /// As planned, and settled.
    Proven,
    /// As planned, on its way.
    Pending,
    /// As it was before.
    Unchanged,
    /// Neither as before nor as planned.
    Otherwise,
    /// Another object under the same name.
    Replaced,
    /// Nothing.
    Gone,
    /// It may not be read.
    Unreadable,
}

impl Facing {
    /// The facts that show it.
    pub fn facts(self) -> Facts {
        let live = match self {
            Self::Proven => Fact::Object(deployment(5, 5)),
            Self::Pending => Fact::Object(deployment(5, 2)),
            Self::Unchanged => Fact::Object(deployment(2, 2)),
            Self::Otherwise => Fact::Object(deployment(3, 3)),
            Self::Replaced => {
                let mut other = deployment(2, 2);
                other["metadata"]["uid"] = "d-2".into();
                Fact::Object(other)
            }
            Self::Gone => Fact::Absent,
            Self::Unreadable => Fact::NotReadable("get deployments.apps".into()),
        };
        let mut facts = fact(target_need(), live);
        facts.insert(pods_need(), Fact::List(Vec::new()));
        facts
    }
}

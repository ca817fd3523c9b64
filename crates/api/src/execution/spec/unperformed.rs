//! The switches that have no effect in this version and that no other place of the status tells of: whoever sets one to
//! something else than its default is told so, by admission as a warning and in the status.

use serde::Serialize;
use serde_json::Value;

use crate::execution::spec::KubernetesExecutionSpec;

/// A switch without effect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unperformed {
    /// Where it is within `spec`, from the outermost field on.
    pub path: &'static [&'static str],
    /// Its default, as JSON and as CEL. An absent field has no effect either.
    pub default: &'static str,
    /// Why it has no effect, to follow "has no effect: ".
    pub why: &'static str,
}

const ONE_ATTEMPT: &str = "this version makes one attempt";
const NO_PROGRESS: &str = "this version reports no progress";
const ALWAYS_VALIDATES: &str = "this version always validates before the action";
const ALWAYS_PROVES: &str = "this version always proves the outcome";
const ORDERS_ONLY: &str = "it is recorded only, to organise and filter";

/// All of them.
pub const UNPERFORMED: [Unperformed; 10] = [
    of(
        &["actionDefinition", "actionMetadata", "category"],
        "\"core\"",
        ORDERS_ONLY,
    ),
    of(
        &["actionDefinition", "actionMetadata", "deprecated"],
        "false",
        ORDERS_ONLY,
    ),
    of(
        &["actionDefinition", "targetResource", "maxTargets"],
        "10",
        "this version takes one target, by its name",
    ),
    of(
        &["executionConfig", "monitoringConfig", "enableAuditLogging"],
        "true",
        "the API server's audit log is the audit, whatever stands here",
    ),
    of(
        &["executionConfig", "monitoringConfig", "progressInterval"],
        "\"10s\"",
        NO_PROGRESS,
    ),
    of(
        &["executionConfig", "retryPolicy", "backoffMultiplier"],
        "2.0",
        ONE_ATTEMPT,
    ),
    of(
        &["executionConfig", "retryPolicy", "retryDelay"],
        "\"30s\"",
        ONE_ATTEMPT,
    ),
    of(
        &["executionConfig", "retryPolicy", "retryableErrors"],
        "[]",
        ONE_ATTEMPT,
    ),
    of(
        &[
            "executionConfig",
            "validationConfig",
            "postExecutionValidation",
        ],
        "true",
        ALWAYS_PROVES,
    ),
    of(
        &[
            "executionConfig",
            "validationConfig",
            "preExecutionValidation",
        ],
        "true",
        ALWAYS_VALIDATES,
    ),
];

const fn of(
    path: &'static [&'static str],
    default: &'static str,
    why: &'static str,
) -> Unperformed {
    Unperformed { path, default, why }
}

impl Unperformed {
    /// The field, as in `spec.executionConfig.retryPolicy.retryDelay`.
    #[must_use]
    pub fn field(&self) -> String {
        format!("spec.{}", self.path.join("."))
    }

    /// The sentence for whoever set it.
    #[must_use]
    pub fn sentence(&self) -> String {
        format!("{} has no effect: {}", self.field(), self.why)
    }

    fn is_set_in(&self, spec: &Value) -> bool {
        let value = self
            .path
            .iter()
            .try_fold(spec, |object, field| object.get(field));
        let default: Option<Value> = serde_json::from_str(self.default).ok();
        value.is_some_and(|value| Some(value) != default.as_ref())
    }
}

/// One sentence for each switch without effect that a spec sets.
#[must_use]
pub fn unperformed(spec: &KubernetesExecutionSpec) -> Vec<String> {
    let Ok(spec) = spec.serialize(serde_json::value::Serializer) else {
        return Vec::new();
    };
    UNPERFORMED
        .iter()
        .filter(|switch| switch.is_set_in(&spec))
        .map(Unperformed::sentence)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A value that is not the default of the switch.
    fn other(switch: &Unperformed) -> Value {
        match serde_json::from_str(switch.default).expect("a default is JSON") {
            Value::Bool(default) => json!(!default),
            Value::Number(_) => json!(7),
            Value::Array(_) => json!(["quota"]),
            Value::String(text) if text == "core" => json!("custom"),
            Value::String(_) => json!("45s"),
            default => panic!("{default} is the default of {}", switch.field()),
        }
    }

    fn told(changes: &[(&Unperformed, Value)]) -> Vec<String> {
        let mut spec = json!({
            "actionDefinition": {
                "actionType": "scale_deployment",
                "targetResource": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            },
        });
        for (switch, value) in changes {
            let mut place = &mut spec;
            for field in switch.path {
                place = &mut place[*field];
            }
            *place = value.clone();
        }
        unperformed(&serde_json::from_value(spec).expect("a spec"))
    }

    #[test]
    fn each_switch_without_effect_is_told_of_when_it_is_set_and_only_then() {
        assert_eq!(told(&[]), [""; 0]);
        for switch in &UNPERFORMED {
            assert_eq!(told(&[(switch, other(switch))]), [switch.sentence()]);
            let default = serde_json::from_str(switch.default).expect("a default is JSON");
            assert_eq!(told(&[(switch, default)]), [""; 0], "{}", switch.field());
        }
        let all: Vec<_> = UNPERFORMED.iter().map(|one| (one, other(one))).collect();
        assert_eq!(told(&all).len(), UNPERFORMED.len());
    }
}

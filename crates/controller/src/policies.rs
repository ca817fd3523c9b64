//! The operator acts only while the admission policies are on the cluster as they are shipped: without them anybody who
//! may create an execution could act with its rights.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use kexec_api::names;
use kexec_core::facts::Kind;
use serde::Deserialize;
use serde_json::Value;

use crate::cluster::{CallError, Cluster, LivePolicy, PolicyObject};
use crate::metrics::Metrics;

/// The policies and their bindings, as shipped.
const SHIPPED: [&str; 5] = [
    include_str!("../../../config/policies/authorize-execution.yaml"),
    include_str!("../../../config/policies/authorize-rollback.yaml"),
    include_str!("../../../config/policies/runner-fence.yaml"),
    include_str!("../../../config/policies/stamp-requester.yaml"),
    include_str!("../../../config/policies/status-by-controller.yaml"),
];
/// How often they are looked at while all is well, and while it is not.
const LOOK_EVERY: Duration = Duration::from_mins(1);
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Why the shipped policies cannot be read; a bug.
#[derive(Debug, thiserror::Error)]
pub enum PoliciesError {
    /// Not YAML.
    #[error("failed to read the shipped admission policies")]
    Parse(#[source] serde_yaml::Error),
    /// Without kind or name.
    #[error(
        "failed to read the shipped admission policies: an object lacks its kind, name or spec"
    )]
    ReadObject,
}

/// One shipped object.
#[derive(Clone, Debug)]
struct Shipped {
    object: PolicyObject,
    spec: Value,
}

/// Whether the policies are in force, as last seen.
#[derive(Clone)]
pub struct Policies {
    problem: Arc<RwLock<Option<String>>>,
}

impl Policies {
    /// Not looked at yet: nothing is done until they were; or never looked at, when the installation opts out.
    #[must_use]
    pub fn new(opted_out: bool) -> Self {
        let problem =
            (!opted_out).then(|| "the admission policies have not been read yet".to_owned());
        Self {
            problem: Arc::new(RwLock::new(problem)),
        }
    }

    /// Why the operator may not act; `None` when it may.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.problem
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Looks at the policies again and again, until dropped.
    pub async fn watch(
        self,
        cluster: Cluster,
        metrics: Arc<Metrics>,
        installation: Installation,
    ) -> Result<(), PoliciesError> {
        let shipped = shipped(&installation)?;
        loop {
            let problem = look(&cluster, &shipped)
                .await
                .unwrap_or_else(|error| Some(error.to_string()));
            if problem != self.problem() {
                if let Some(problem) = &problem {
                    tracing::warn!(
                        problem,
                        "nothing is executed: the admission policies are not in force"
                    );
                } else {
                    tracing::info!("the admission policies are in force");
                }
            }
            metrics.policies_in_force.set(i64::from(problem.is_none()));
            let pause = if problem.is_none() {
                LOOK_EVERY
            } else {
                LOOK_AGAIN
            };
            *self.problem.write().unwrap_or_else(PoisonError::into_inner) = problem;
            tokio::time::sleep(pause).await;
        }
    }
}

/// What tells one installation's objects from another's.
#[derive(Clone, Debug)]
pub struct Installation {
    /// Its system namespace.
    pub system_namespace: String,
    /// What its cluster-scoped objects' names end with, after a dash; empty for the only installation.
    pub suffix: String,
}

fn shipped(installation: &Installation) -> Result<Vec<Shipped>, PoliciesError> {
    let mut all = Vec::new();
    for file in SHIPPED {
        let text = file.replace(
            names::DEFAULT_SYSTEM_NAMESPACE,
            &installation.system_namespace,
        );
        for document in serde_yaml::Deserializer::from_str(&text) {
            let object = Value::deserialize(document).map_err(PoliciesError::Parse)?;
            if !object.is_null() {
                all.push(read(&object, &installation.suffix)?);
            }
        }
    }
    Ok(all)
}

fn read(object: &Value, suffix: &str) -> Result<Shipped, PoliciesError> {
    let text = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .ok_or(PoliciesError::ReadObject)
    };
    let kind = text("/kind")?;
    let suffix = if suffix.is_empty() {
        String::new()
    } else {
        format!("-{suffix}")
    };
    let mut spec = object
        .get("spec")
        .cloned()
        .ok_or(PoliciesError::ReadObject)?;
    if let Some(Value::String(policy)) = spec.get_mut("policyName") {
        policy.push_str(&suffix);
    }
    Ok(Shipped {
        object: PolicyObject {
            kind: Kind::new(text("/apiVersion")?, kind, &plural(kind)),
            name: format!("{}{suffix}", text("/metadata/name")?),
        },
        spec,
    })
}

fn plural(kind: &str) -> String {
    let lower = kind.to_lowercase();
    lower
        .strip_suffix('y')
        .map_or_else(|| format!("{lower}s"), |stem| format!("{stem}ies"))
}

async fn look(cluster: &Cluster, shipped: &[Shipped]) -> Result<Option<String>, CallError> {
    if !cluster.has_crd().await? {
        return Ok(Some(
            "the KubernetesExecution CRD is not established: install the chart's CRDs".to_owned(),
        ));
    }
    for one in shipped {
        let (kind, name) = (&one.object.kind.kind, &one.object.name);
        let missing = || {
            Ok(Some(format!(
                "{kind} \"{name}\" is missing: install it as the chart ships it"
            )))
        };
        match cluster.policy_spec(&one.object).await? {
            // Where nothing stamps the requester, the validating policy demands that it is named truly.
            LivePolicy::NotServed if kind.starts_with("Mutating") => {}
            LivePolicy::NotServed | LivePolicy::Absent => return missing(),
            LivePolicy::Spec(live) if !holds(&live, &one.spec) => {
                return Ok(Some(format!(
                    "{kind} \"{name}\" was altered: restore it as the chart ships it"
                )));
            }
            LivePolicy::Spec(_) => {}
        }
    }
    Ok(None)
}

/// Whether the live value holds all that is shipped; what the API server adds by default does not matter.
fn holds(live: &Value, shipped: &Value) -> bool {
    match (live, shipped) {
        (Value::Object(live), Value::Object(shipped)) => shipped
            .iter()
            .all(|(key, value)| live.get(key).is_some_and(|live| holds(live, value))),
        (Value::Array(live), Value::Array(shipped)) => {
            live.len() == shipped.len()
                && live
                    .iter()
                    .zip(shipped)
                    .all(|(live, shipped)| holds(live, shipped))
        }
        (live, shipped) => live == shipped,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_shipped_object_can_be_looked_for() {
        let installation = Installation {
            system_namespace: "elsewhere".to_owned(),
            suffix: "two".to_owned(),
        };
        let objects = shipped(&installation).unwrap();
        assert!(!objects.is_empty());
        for one in &objects {
            assert!(one.object.name.ends_with("-two"), "{:?}", one.object);
            assert!(
                !one.spec
                    .to_string()
                    .contains(names::DEFAULT_SYSTEM_NAMESPACE)
            );
        }
    }

    #[test]
    fn defaults_added_by_the_server_are_no_alteration_and_anything_else_is() {
        let shipped = json!({"failurePolicy": "Fail", "validations": [{"expression": "a"}]});
        let defaulted = json!({"failurePolicy": "Fail", "validations": [{"expression": "a"}], "matchPolicy": "Equivalent"});
        assert!(holds(&defaulted, &shipped));
        assert!(!holds(
            &json!({"failurePolicy": "Ignore", "validations": [{"expression": "a"}]}),
            &shipped
        ));
        assert!(!holds(
            &json!({"failurePolicy": "Fail", "validations": []}),
            &shipped
        ));
        assert!(!holds(
            &json!({"failurePolicy": "Fail", "validations": [{"expression": "true"}]}),
            &shipped
        ));
    }
}

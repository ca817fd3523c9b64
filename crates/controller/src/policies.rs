//! The operator acts only while the admission policies are on the cluster as they are shipped: without them anybody who
//! may create an execution could act with its rights.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::StreamExt;
use kexec_api::names;
use kexec_core::facts::Kind;
use kube::runtime::{WatchStreamExt, watcher};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::cluster::{CallError, Cluster, LivePolicy, PolicyObject, reads};
use crate::metrics::Metrics;

/// The policies and their bindings, as shipped.
const SHIPPED: [&str; 5] = [
    include_str!("../../../config/policies/authorize-execution.yaml"),
    include_str!("../../../config/policies/authorize-rollback.yaml"),
    include_str!("../../../config/policies/runner-fence.yaml"),
    include_str!("../../../config/policies/stamp-requester.yaml"),
    include_str!("../../../config/policies/status-by-controller.yaml"),
];
/// The policy about our own namespace, whatever other installations there are.
const FENCE: &str = "kexec-runner-fence";
/// How often they are looked at while not all is well.
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
    looked: Arc<watch::Sender<bool>>,
    /// How often they are looked at while all is well, whatever the watch tells.
    look_every: Duration,
}

impl Policies {
    /// Not looked at yet: nothing is done until they were; or never looked at, when the installation opts out.
    #[must_use]
    pub fn new(opted_out: bool, look_every: Duration) -> Self {
        let problem =
            (!opted_out).then(|| "the admission policies have not been read yet".to_owned());
        Self {
            problem: Arc::new(RwLock::new(problem)),
            looked: Arc::new(watch::Sender::new(opted_out)),
            look_every,
        }
    }

    /// Waits until they were looked at once: before that, every execution would be told that it has to wait.
    pub async fn wait_until_looked_at(&self) {
        let mut looked = self.looked.subscribe();
        // The sender is gone only when the operator is ending.
        drop(looked.wait_for(|looked| *looked).await);
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
        let shipped = shipped(&installation).inspect_err(|_| {
            self.looked.send_replace(true);
        })?;
        let changed = Arc::new(Notify::new());
        // Ends the watches when this future is dropped.
        let mut watches = JoinSet::new();
        let kinds: BTreeSet<Kind> = shipped.iter().map(|one| one.object.kind.clone()).collect();
        for kind in kinds {
            watches.spawn(notify_of(cluster.clone(), kind, Arc::clone(&changed)));
        }
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
                self.look_every
            } else {
                LOOK_AGAIN
            };
            *self.problem.write().unwrap_or_else(PoisonError::into_inner) = problem;
            self.looked.send_replace(true);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = changed.notified() => {}
            }
        }
    }
}

/// Tells of every change of the objects of a kind, whatever it is.
async fn notify_of(cluster: Cluster, kind: Kind, changed: Arc<Notify>) {
    let objects = reads::api(cluster.watches(), &kind, None);
    let mut events = watcher(objects, watcher::Config::default())
        .default_backoff()
        .boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(_) => changed.notify_one(),
            Err(error) => tracing::debug!(%error, kind = kind.kind, "watch of policies failed"),
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
    let (kind, name) = (text("/kind")?, text("/metadata/name")?);
    let ending = if suffix.is_empty() {
        String::new()
    } else {
        format!("-{suffix}")
    };
    let mut spec = object
        .get("spec")
        .cloned()
        .ok_or(PoliciesError::ReadObject)?;
    if let Some(Value::String(policy)) = spec.get_mut("policyName") {
        policy.push_str(&ending);
        if !suffix.is_empty() && name != FENCE {
            set(&mut spec, "matchResources", executions_of(suffix));
        }
    }
    Ok(Shipped {
        object: PolicyObject {
            kind: Kind::new(text("/apiVersion")?, kind, &plural(kind)),
            name: format!("{name}{ending}"),
        },
        spec,
    })
}

fn set(spec: &mut Value, field: &str, value: Value) {
    if let Some(spec) = spec.as_object_mut() {
        spec.insert(field.to_owned(), value);
    }
}

/// What the bindings of one installation beside others are about: the executions in namespaces that bear its label.
fn executions_of(suffix: &str) -> Value {
    json!({
        "matchPolicy": "Equivalent",
        "namespaceSelector": {"matchLabels": {names::LABEL_INSTALLATION: suffix}},
        "objectSelector": {},
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
            // Whatever is added may take from what they deny: conditions, exceptions, a narrower selection. So the
            // API server's own defaults are written out in what is shipped.
            LivePolicy::Spec(live) if live != one.spec => {
                return Ok(Some(format!(
                    "{kind} \"{name}\" was altered: restore it as the chart ships it"
                )));
            }
            LivePolicy::Spec(_) => {}
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
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
    fn the_bindings_of_an_installation_beside_others_are_about_its_own_executions_but_for_the_fence()
     {
        let about = |suffix: &str| -> Vec<(String, bool)> {
            let installation = Installation {
                system_namespace: "elsewhere".to_owned(),
                suffix: suffix.to_owned(),
            };
            let objects = shipped(&installation).unwrap().into_iter();
            let bindings = objects.filter(|one| one.spec.get("policyName").is_some());
            bindings
                .map(|one| {
                    let selected = one
                        .spec
                        .pointer("/matchResources/namespaceSelector/matchLabels");
                    let own = json!({names::LABEL_INSTALLATION: suffix});
                    (one.object.name, selected == Some(&own))
                })
                .collect()
        };
        assert!(about("").iter().all(|(_, narrowed)| !narrowed));
        assert!(
            about("two")
                .iter()
                .all(|(name, narrowed)| *narrowed == (name != "kexec-runner-fence-two"))
        );
    }
}

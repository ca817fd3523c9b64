//! What an installation decides for every execution: where Jobs run, with which image, how many at once.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Toleration;
use serde::Deserialize;

/// Bytes of JSON a plan may have to live in status and in the Job's annotation; a larger one lives in a ConfigMap.
pub const MAX_PLAN_BYTES: usize = 24 * 1024;
/// Bytes of JSON a plan may have at all; the API server takes about a mebibyte.
pub const MAX_STORED_PLAN_BYTES: usize = 900 * 1024;
/// Bytes of JSON that parameters may have; the API server itself takes about a megabyte.
pub const MAX_PARAMETER_BYTES: usize = 256 * 1024;

/// The settings of one installation.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Namespace of the Jobs and their claims (ADR-10).
    pub system_namespace: String,
    /// Image of the runner.
    pub runner_image: String,
    /// What the installation adds to the runner's pods.
    pub runner_pod: RunnerPod,
    /// Namespaces no execution may be aimed at, beside the system namespace.
    pub protected_namespaces: Vec<String>,
    /// Executions that may work at once (BR-PERF-006).
    pub max_concurrent: usize,
    /// How long a Job may take to start its container.
    pub start_timeout: SignedDuration,
    /// How long a finished Job is kept, from its finish (ADR-14).
    pub job_ttl: SignedDuration,
    /// How long a finished execution is kept when it does not say so itself; zero keeps it.
    pub execution_ttl: SignedDuration,
}

/// What an installation adds to the pods of its Jobs. Nothing in it can take from what makes a pod safe.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RunnerPod {
    /// Secrets in the system namespace with which the image is pulled.
    pub image_pull_secrets: Vec<String>,
    /// Labels of the nodes it may come to.
    pub node_selector: BTreeMap<String, String>,
    /// Beside those for nodes that are lost.
    pub tolerations: Vec<Toleration>,
    /// Its priority class; none when empty.
    pub priority_class_name: String,
    /// Requests and limits by action type, in place of the action's own (ADR-23).
    pub resources: BTreeMap<String, ContainerResources>,
}

/// Requests and limits of a container, as far as they are set.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct ContainerResources {
    /// What it is given for certain.
    pub requests: Amounts,
    /// What it may not exceed.
    pub limits: Amounts,
}

/// Amounts in Kubernetes' notation, such as `100m` and `64Mi`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Amounts {
    /// CPU.
    pub cpu: Option<String>,
    /// Memory.
    pub memory: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            system_namespace: kexec_api::names::DEFAULT_SYSTEM_NAMESPACE.to_owned(),
            runner_image: "kubernaut-runner:dev".to_owned(),
            runner_pod: RunnerPod::default(),
            protected_namespaces: ["kube-system", "kube-public", "kube-node-lease"]
                .map(str::to_owned)
                .to_vec(),
            max_concurrent: 100,
            start_timeout: SignedDuration::from_secs(60),
            job_ttl: SignedDuration::from_secs(300),
            execution_ttl: SignedDuration::from_hours(7 * 24),
        }
    }
}

impl Settings {
    /// Whether executions may not be aimed at this namespace.
    #[must_use]
    pub fn protects(&self, namespace: &str) -> bool {
        namespace == self.system_namespace
            || self.protected_namespaces.iter().any(|one| one == namespace)
    }
}

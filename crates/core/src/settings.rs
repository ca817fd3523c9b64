//! What an installation decides for every execution: where Jobs run, with which image, how many at once.

use jiff::SignedDuration;

/// Bytes of canonical JSON a plan may have to live in status and in the Job's annotation.
pub const MAX_PLAN_BYTES: usize = 24 * 1024;
/// Bytes of JSON that parameters may have; the API server itself takes about a megabyte.
pub const MAX_PARAMETER_BYTES: usize = 256 * 1024;

/// The settings of one installation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Namespace of the Jobs and their claims (ADR-10).
    pub system_namespace: String,
    /// Image of the runner.
    pub runner_image: String,
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

impl Default for Settings {
    fn default() -> Self {
        Self {
            system_namespace: kexec_api::names::DEFAULT_SYSTEM_NAMESPACE.to_owned(),
            runner_image: "kubernaut-runner:dev".to_owned(),
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

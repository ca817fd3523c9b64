//! What the operator is told on its command line.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use jiff::SignedDuration;
use kexec_api::names;
use kexec_core::Registry;
use kexec_core::settings::{RunnerPod, Settings};

use crate::leadership::{Place, Timing, TimingError};

/// Runs remediation actions asked for as `KubernetesExecutions`, each as one Job under its own ServiceAccount.
#[derive(Clone, Debug, Parser)]
#[command(name = "kubernaut-executor", version, args_override_self = true)]
pub struct Options {
    /// Namespace of the Jobs, their claims and this operator.
    #[arg(long, env = "KEXEC_SYSTEM_NAMESPACE", default_value = names::DEFAULT_SYSTEM_NAMESPACE)]
    pub system_namespace: String,

    /// Image of the runner.
    #[arg(long, env = "KEXEC_RUNNER_IMAGE")]
    pub runner_image: String,

    /// What to add to the runners' pods, as JSON: imagePullSecrets, nodeSelector, tolerations, priorityClassName, and
    /// resources by action.
    #[arg(long, env = "KEXEC_RUNNER_POD", default_value = "{}", value_parser = runner_pod, value_name = "JSON")]
    pub runner_pod: RunnerPod,

    /// Namespace whose executions are run; may be given several times. All of them when not given.
    #[arg(
        long = "execution-namespace",
        env = "KEXEC_EXECUTION_NAMESPACES",
        value_delimiter = ','
    )]
    pub execution_namespaces: Vec<String>,

    /// Namespace that no execution may be aimed at, beside the system namespace; may be given several times.
    #[arg(
        long = "protected-namespace",
        env = "KEXEC_PROTECTED_NAMESPACES",
        value_delimiter = ',',
        default_value = "kube-system,kube-public,kube-node-lease"
    )]
    pub protected_namespaces: Vec<String>,

    /// Executions that may work at once.
    #[arg(long, env = "KEXEC_MAX_CONCURRENT", default_value_t = 100)]
    pub max_concurrent: u16,

    /// Seconds a Job may take to start its container.
    #[arg(long, env = "KEXEC_START_TIMEOUT_SECONDS", default_value_t = 60)]
    pub start_timeout_seconds: u32,

    /// Seconds a finished Job is kept, from its finish.
    #[arg(long, env = "KEXEC_JOB_TTL_SECONDS", default_value_t = 300)]
    pub job_ttl_seconds: u32,

    /// Seconds a finished execution is kept that does not say so itself; 0 keeps it.
    #[arg(long, env = "KEXEC_EXECUTION_TTL_SECONDS", default_value_t = 7 * 24 * 3600)]
    pub execution_ttl_seconds: u32,

    /// Suffix of the names of the installation's cluster-scoped objects, where several share a cluster.
    #[arg(long, env = "KEXEC_INSTALLATION_SUFFIX", default_value = "")]
    pub installation_suffix: String,

    /// Acts even when the admission policies are absent or altered.
    #[arg(long, env = "KEXEC_WITHOUT_POLICIES")]
    pub without_policies: bool,

    /// Seconds between looks at the admission policies while all is well; their changes are watched besides.
    #[arg(long, env = "KEXEC_POLICY_LOOK_SECONDS", default_value_t = 60)]
    pub policy_look_seconds: u32,

    /// Acts only while it holds the leader Lease: to be set where several replicas run, on each of them.
    #[arg(long, alias = "leader-elect", env = "KEXEC_LEADER_ELECTION")]
    pub leader_election: bool,

    /// Name of the leader Lease. Operators of one system namespace that run the executions of different namespaces need
    /// different ones.
    #[arg(long, env = "KEXEC_LEADER_LEASE_NAME", default_value = names::LEADER_LEASE)]
    pub leader_lease_name: String,

    /// Namespace of the leader Lease; the system namespace when not given.
    #[arg(long, env = "KEXEC_LEADER_LEASE_NAMESPACE")]
    pub leader_lease_namespace: Option<String>,

    /// Seconds without a renewal after which another replica takes the leader Lease.
    #[arg(long, env = "KEXEC_LEADER_LEASE_SECONDS", default_value_t = 15)]
    pub leader_lease_seconds: u32,

    /// Seconds without a renewal after which the leader does nothing any more, and ends; at least 5 less than the Lease.
    #[arg(
        long,
        env = "KEXEC_LEADER_RENEW_DEADLINE_SECONDS",
        default_value_t = 10
    )]
    pub leader_renew_deadline_seconds: u32,

    /// Seconds between two renewals of the leader Lease, or two looks at it.
    #[arg(long, env = "KEXEC_LEADER_RETRY_SECONDS", default_value_t = 2)]
    pub leader_retry_seconds: u32,

    /// Address of health, readiness and metrics.
    #[arg(long, env = "KEXEC_LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
}

impl Options {
    /// The settings every decision takes.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let seconds = |seconds: u32| SignedDuration::from_secs(i64::from(seconds));
        Settings {
            system_namespace: self.system_namespace.clone(),
            runner_image: self.runner_image.clone(),
            runner_pod: self.runner_pod.clone(),
            protected_namespaces: self.protected_namespaces.clone(),
            max_concurrent: usize::from(self.max_concurrent),
            start_timeout: seconds(self.start_timeout_seconds),
            job_ttl: seconds(self.job_ttl_seconds),
            execution_ttl: seconds(self.execution_ttl_seconds),
        }
    }

    /// Which Lease the leader holds.
    #[must_use]
    pub fn leader_lease(&self) -> Place {
        let namespace = self.leader_lease_namespace.as_ref();
        Place {
            namespace: namespace.unwrap_or(&self.system_namespace).clone(),
            name: self.leader_lease_name.clone(),
        }
    }

    /// How long a leadership lasts.
    pub fn timing(&self) -> Result<Timing, TimingError> {
        let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
        Timing::new(
            seconds(self.leader_lease_seconds),
            seconds(self.leader_renew_deadline_seconds),
            seconds(self.leader_retry_seconds),
        )
    }
}

/// Reads what to add to the runners' pods; a resource for an action that does not exist is a typo.
fn runner_pod(text: &str) -> Result<RunnerPod, String> {
    let pod: RunnerPod = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let known = Registry::built_in().action_types();
    match pod
        .resources
        .keys()
        .find(|name| !known.contains(&name.as_str()))
    {
        Some(name) => Err(format!(
            "resources are set for \"{name}\", which is no action: there are {}",
            known.join(", ")
        )),
        None => Ok(pod),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(runner_pod: &str) -> Result<Options, clap::Error> {
        Options::try_parse_from([
            "kubernaut-executor",
            "--runner-image",
            "runner:1",
            "--runner-pod",
            runner_pod,
        ])
    }

    #[test]
    fn what_is_added_to_the_runners_pods_reaches_the_settings() {
        let options = parse(
            r#"{"imagePullSecrets": ["registry"], "nodeSelector": {"pool": "jobs"}, "priorityClassName": "high",
                "tolerations": [{"key": "jobs", "operator": "Exists"}],
                "resources": {"restart_pod": {"limits": {"cpu": "500m"}}}}"#,
        );
        let pod = options.unwrap().settings().runner_pod;
        assert_eq!(pod.image_pull_secrets, ["registry"]);
        assert_eq!(pod.node_selector["pool"], "jobs");
        assert_eq!(pod.priority_class_name, "high");
        assert_eq!(pod.tolerations[0].key.as_deref(), Some("jobs"));
        let limits = &pod.resources["restart_pod"].limits;
        assert_eq!(
            (limits.cpu.as_deref(), limits.memory.as_deref()),
            (Some("500m"), None)
        );
        assert_eq!(
            parse("{}").unwrap().settings().runner_pod,
            RunnerPod::default()
        );
    }

    #[test]
    fn a_field_or_an_action_that_does_not_exist_is_refused_by_name() {
        let refusal = |text: &str| parse(text).unwrap_err().to_string();
        let typo = refusal(r#"{"resources": {"restart_pods": {}}}"#);
        assert!(
            typo.contains("\"restart_pods\", which is no action: there are"),
            "{typo}"
        );
        let typo = refusal(r#"{"tolerances": []}"#);
        assert!(typo.contains("unknown field `tolerances`"), "{typo}");
    }
}

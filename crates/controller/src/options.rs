//! What the operator is told on its command line.

use std::net::SocketAddr;

use clap::Parser;
use jiff::SignedDuration;
use kexec_api::names;
use kexec_core::settings::Settings;

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
            protected_namespaces: self.protected_namespaces.clone(),
            max_concurrent: usize::from(self.max_concurrent),
            start_timeout: seconds(self.start_timeout_seconds),
            job_ttl: seconds(self.job_ttl_seconds),
            execution_ttl: seconds(self.execution_ttl_seconds),
        }
    }
}

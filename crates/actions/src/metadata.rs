//! What an action says of itself (BR-EXEC-018): version, risk, target kinds, the rights its ServiceAccount needs and
//! why, and the resources of its Job.

use kexec_api::execution::spec::{Category, RiskLevel};
use kexec_api::names;

use crate::facts::Kind;

/// A kind an action can be aimed at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TargetKind {
    /// API version, such as `apps/v1`.
    pub api_version: &'static str,
    /// Kind, such as `Deployment`.
    pub kind: &'static str,
    /// Plural resource name, such as `deployments`.
    pub resource: &'static str,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

impl TargetKind {
    /// `apps/v1` Deployment.
    pub const DEPLOYMENT: Self = Self::namespaced("apps/v1", "Deployment", "deployments");
    /// `apps/v1` ReplicaSet.
    pub const REPLICA_SET: Self = Self::namespaced("apps/v1", "ReplicaSet", "replicasets");
    /// `apps/v1` StatefulSet.
    pub const STATEFUL_SET: Self = Self::namespaced("apps/v1", "StatefulSet", "statefulsets");
    /// `apps/v1` DaemonSet.
    pub const DAEMON_SET: Self = Self::namespaced("apps/v1", "DaemonSet", "daemonsets");
    /// `v1` `ReplicationController`.
    pub const REPLICATION_CONTROLLER: Self =
        Self::namespaced("v1", "ReplicationController", "replicationcontrollers");
    /// `v1` Pod.
    pub const POD: Self = Self::namespaced("v1", "Pod", "pods");
    /// `v1` Service.
    pub const SERVICE: Self = Self::namespaced("v1", "Service", "services");
    /// `discovery.k8s.io/v1` `EndpointSlice`.
    pub const ENDPOINT_SLICE: Self =
        Self::namespaced("discovery.k8s.io/v1", "EndpointSlice", "endpointslices");
    /// `apps/v1` `ControllerRevision`.
    pub const CONTROLLER_REVISION: Self =
        Self::namespaced("apps/v1", "ControllerRevision", "controllerrevisions");
    /// `policy/v1` `PodDisruptionBudget`.
    pub const POD_DISRUPTION_BUDGET: Self =
        Self::namespaced("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets");
    /// `autoscaling/v2` `HorizontalPodAutoscaler`.
    pub const HORIZONTAL_POD_AUTOSCALER: Self = Self::namespaced(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
    );
    /// `v1` `LimitRange`.
    pub const LIMIT_RANGE: Self = Self::namespaced("v1", "LimitRange", "limitranges");
    /// `v1` `ResourceQuota`.
    pub const RESOURCE_QUOTA: Self = Self::namespaced("v1", "ResourceQuota", "resourcequotas");
    /// `v1` ConfigMap.
    pub const CONFIG_MAP: Self = Self::namespaced("v1", "ConfigMap", "configmaps");
    /// `v1` `PersistentVolumeClaim`.
    pub const PERSISTENT_VOLUME_CLAIM: Self =
        Self::namespaced("v1", "PersistentVolumeClaim", "persistentvolumeclaims");
    /// `batch/v1` `CronJob`.
    pub const CRON_JOB: Self = Self::namespaced("batch/v1", "CronJob", "cronjobs");
    /// `batch/v1` Job.
    pub const JOB: Self = Self::namespaced("batch/v1", "Job", "jobs");
    /// `v1` Node.
    pub const NODE: Self = Self {
        api_version: "v1",
        kind: "Node",
        resource: "nodes",
        namespaced: false,
    };

    /// The kinds that an action which only looks can be aimed at: those that the controller reads.
    pub const READABLE: &'static [Self] = &[
        Self::DEPLOYMENT,
        Self::STATEFUL_SET,
        Self::DAEMON_SET,
        Self::REPLICA_SET,
        Self::REPLICATION_CONTROLLER,
        Self::POD,
        Self::JOB,
        Self::CRON_JOB,
        Self::SERVICE,
        Self::CONFIG_MAP,
        Self::PERSISTENT_VOLUME_CLAIM,
        Self::POD_DISRUPTION_BUDGET,
        Self::NODE,
    ];

    const fn namespaced(
        api_version: &'static str,
        kind: &'static str,
        resource: &'static str,
    ) -> Self {
        Self {
            api_version,
            kind,
            resource,
            namespaced: true,
        }
    }

    /// The kind as needs name it.
    #[must_use]
    pub fn to_kind(self) -> Kind {
        Kind::new(self.api_version, self.kind, self.resource)
    }
}

/// One RBAC rule of an action's `ClusterRole`, with the reason it is needed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rule {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Resource, with its subresource after a slash.
    pub resource: &'static str,
    /// Verb.
    pub verb: &'static str,
    /// Why the action needs it; stands beside the rule in the generated role.
    pub reason: &'static str,
}

/// Requests and limits of a Job's containers (ADR-23, ADR-40).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Resources {
    /// CPU request.
    pub cpu_request: &'static str,
    /// Memory request.
    pub memory_request: &'static str,
    /// CPU limit.
    pub cpu_limit: &'static str,
    /// Memory limit.
    pub memory_limit: &'static str,
}

impl Resources {
    /// ADR-23: what an action gets that says nothing else.
    pub const DEFAULT: Self = Self {
        cpu_request: "100m",
        memory_request: "64Mi",
        cpu_limit: "200m",
        memory_limit: "128Mi",
    };
}

/// What an action says of itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metadata {
    /// Name, in snake case (SP-09).
    pub action_type: &'static str,
    /// Other names it is asked for by; resolved at planning time.
    pub aliases: &'static [&'static str],
    /// Version, `vMAJOR.MINOR` (BR-EXEC-019).
    pub version: &'static str,
    /// One sentence on what it does.
    pub description: &'static str,
    /// Category (SP-39).
    pub category: Category,
    /// Risk before anything is known about the target (BR-SAFE-006).
    pub risk: RiskLevel,
    /// Whether its plan carries inverse steps (BR-EXEC-014).
    pub reversible: bool,
    /// Whether a repetition of the whole action changes nothing more.
    pub idempotent: bool,
    /// The kinds it can be aimed at.
    pub targets: &'static [TargetKind],
    /// The rules of its `ClusterRole`, and no more.
    pub rules: &'static [Rule],
    /// Name of its ServiceAccount and `ClusterRole` when ADR-002 gives it one of its own.
    pub service_account: Option<&'static str>,
    /// Requests and limits of its Job's containers.
    pub resources: Resources,
}

impl Metadata {
    /// Whether the action never writes: what it expects is all there is to it.
    #[must_use]
    pub fn only_looks(&self) -> bool {
        self.rules.is_empty()
    }

    /// Name of the action's ServiceAccount and `ClusterRole` (ADR-39).
    #[must_use]
    pub fn service_account_name(&self) -> String {
        self.service_account.map_or_else(
            || format!("kexec-{}", names::dashed(self.action_type)),
            str::to_owned,
        )
    }
}

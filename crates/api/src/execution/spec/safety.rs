//! Risk, approval, checks and rollback (SP-76…SP-84). Nothing here can loosen what the cluster's policy demands.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::closed_enum::closed_enum;
use crate::execution::duration::DurationText;
use crate::execution::schema;

/// What must hold for the action to be allowed, and what is done when it fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SafetyConfig {
    /// Risk level to assume at least. It can raise the assessed risk, never lower it; absent means as assessed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk_level: Option<RiskLevel>,
    /// Whether a person must approve the plan before it is executed, false by default. Policy may demand it anyway.
    /// Not performed by this version: an execution with true is refused.
    pub require_approval: bool,
    /// Checks to perform. The three defaults cluster-connectivity, resource-existence and permission-check are always
    /// performed, listed or not. A check that is listed and does not pass, or cannot be performed, blocks the execution.
    /// This version can perform all but business-rules and compliance-rules.
    #[schemars(length(max = 32))]
    pub safety_checks: Vec<SafetyCheckType>,
    /// When and how the action is undone.
    pub rollback_config: RollbackConfig,
}

impl Default for SafetyConfig {
    fn default() -> Self {
        Self {
            risk_level: None,
            require_approval: false,
            safety_checks: vec![
                SafetyCheckType::ClusterConnectivity,
                SafetyCheckType::ResourceExistence,
                SafetyCheckType::PermissionCheck,
            ],
            rollback_config: RollbackConfig::default(),
        }
    }
}

closed_enum! {
    /// How much harm an action may do (BR-SAFE-006).
    pub enum RiskLevel {
        /// Little harm, easily undone.
        Low = "low",
        /// Some harm, confined and undone in minutes.
        Medium = "medium",
        /// Much harm, or hard to undo.
        High = "high",
        /// Harm to the cluster or to what cannot be restored.
        Critical = "critical",
    }
}

closed_enum! {
    /// The safety checks (SP-78).
    pub enum SafetyCheckType {
        /// The API server answers a live read in time.
        ClusterConnectivity = "cluster-connectivity",
        /// The target exists, is not being deleted and matches the guards.
        ResourceExistence = "resource-existence",
        /// What the target depends on, and what depends on it, is fit for the action.
        DependencyValidation = "dependency-validation",
        /// The action's ServiceAccount may do every rule of the plan, and the requester may execute the action.
        PermissionCheck = "permission-check",
        /// The target's lock is ours or free.
        ResourceLock = "resource-lock",
        /// Every matching business rule allows the action.
        BusinessRules = "business-rules",
        /// Every matching compliance rule allows the action.
        ComplianceRules = "compliance-rules",
        /// The versions of action, cluster and API fit each other.
        VersionCompatibility = "version-compatibility",
        /// Nobody who manages the target would undo the action.
        ResourceOwnership = "resource-ownership",
    }
}

/// When and how an action is undone. Only the fields that the action changed are restored, and only those that nobody
/// has changed since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RollbackConfig {
    /// Whether one of `rollbackTriggers` undoes the action without being asked, true by default. An action that wrote
    /// nothing, or that nothing can undo, is never rolled back; the condition `RolledBack` says what came of it.
    pub enable_auto_rollback: bool,
    /// Time a rollback may take: a whole number and one unit (s, m or h), from 1s to 24h, 5m by default. It counts from
    /// the creation of the rollback's Job.
    #[schemars(transform = schema::positive_duration)]
    pub rollback_timeout: DurationText,
    /// Whether the state to return to is kept in the status before the first write, true by default. False keeps the
    /// inverse plan out of the status, so that the action cannot be undone from it.
    pub preserve_rollback_state: bool,
    /// What sets off an automatic rollback: execution-failure and validation-failure by default. side-effect-detected
    /// never does in this version, which does not look for side effects.
    #[schemars(length(max = 16))]
    pub rollback_triggers: Vec<RollbackTrigger>,
}

impl Default for RollbackConfig {
    fn default() -> Self {
        Self {
            enable_auto_rollback: true,
            rollback_timeout: DurationText::from_seconds(300),
            preserve_rollback_state: true,
            rollback_triggers: vec![
                RollbackTrigger::ExecutionFailure,
                RollbackTrigger::ValidationFailure,
            ],
        }
    }
}

impl RollbackConfig {
    /// How long a rollback may take.
    #[must_use]
    pub fn rollback_timeout(&self) -> Duration {
        self.rollback_timeout.value()
    }
}

closed_enum! {
    /// What sets off an automatic rollback (SP-83).
    pub enum RollbackTrigger {
        /// A write failed, or the runner did not live to make them all.
        ExecutionFailure = "execution-failure",
        /// The writes were made and their outcome was refuted, or did not show within `healthCheckTimeout`.
        ValidationFailure = "validation-failure",
        /// The execution's time-out passed after something was written.
        Timeout = "timeout",
        /// A side effect was detected.
        SideEffectDetected = "side-effect-detected",
        /// The outcome did not show within `healthCheckTimeout`.
        HealthCheckFailed = "health-check-failed",
    }
}

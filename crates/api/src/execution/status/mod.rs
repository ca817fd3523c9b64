//! What was checked, planned, done and proven (ST-01…ST-96). Every field is optional, so that a part of a status reads
//! as well as a whole one, and what is absent is not written. The bounds here keep a status below 64 KiB only
//! together with whoever fills it.

mod condition;
mod details;
mod performance;
mod plan;
mod progress;
mod retry;
mod summary;
mod validation;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use condition::Condition;
pub use details::{
    ChangeType, ExecutionDetails, KubernetesOperation, OperationResult, ResourceChange,
    RollbackAction, RollbackCause, RollbackInfo,
};
pub use performance::{KubernetesApiCalls, PerformanceMetrics, ResourceUtilization};
pub use plan::{PlanStatus, PlanStorage, PlannedOperation, PlannedTarget};
pub use progress::{ApprovalStatus, ExecutionJob, QueueStatus, StepResult};
pub use retry::{AttemptResult, RetryAttempt, RetryInfo};
pub use summary::{ActionRegistryStatus, ExecutionSummary};
pub use validation::{
    HealthCheckResult, OutcomeVerification, PostExecutionValidation, PreExecutionValidation,
    RiskAssessment, SafetyCheckResult, SideEffect, ValidationResults,
};

use crate::condition::ConditionType;
use crate::execution::schema::MESSAGE_MAX;
use crate::phase::Phase;

/// What was checked, planned, done and proven. Only the operator writes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct KubernetesExecutionStatus {
    /// Where the execution stands. The terminal phases are completed, failed, cancelled and rolled-back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Generation of the spec that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The user on whose behalf the action is executed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub requester: Option<String>,
    /// The result in short: times, progress, exit code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_summary: Option<ExecutionSummary>,
    /// What the registry says of the action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action_registry: Option<ActionRegistryStatus>,
    /// Place in the queue, while the execution waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueStatus>,
    /// The plan that was made: what will be written, or was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanStatus>,
    /// Whether the plan needs an approval, and who gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalStatus>,
    /// The Job of the current or last attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<ExecutionJob>,
    /// What was validated before and proven after the action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_results: Option<ValidationResults>,
    /// What was done, call by call, and how it can be undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_details: Option<ExecutionDetails>,
    /// What the execution cost and how well it worked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub performance_metrics: Option<PerformanceMetrics>,
    /// The attempts so far and those left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_info: Option<RetryInfo>,
    /// The small, stable object that a parent workflow reads: how its step ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_result: Option<StepResult>,
    /// When the operator last worked on this execution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_reconciled: Option<Time>,
    /// Why the execution failed and what to do about it, in one sentence. Absent when it did not fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MESSAGE_MAX))]
    pub error: Option<String>,
    /// The conditions. `Completed` turns True in every terminal phase: it is the one to wait on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

impl KubernetesExecutionStatus {
    /// The condition of this type, if it is set.
    #[must_use]
    pub fn condition(&self, condition_type: ConditionType) -> Option<&Condition> {
        self.conditions
            .iter()
            .find(|condition| condition.type_ == condition_type.as_str())
    }

    /// Puts a condition in place of the one of its type, or adds it. The time of the last transition is kept where
    /// the status did not change.
    pub fn set_condition(&mut self, mut condition: Condition) {
        match self
            .conditions
            .iter_mut()
            .find(|present| present.type_ == condition.type_)
        {
            Some(present) => {
                if present.status == condition.status {
                    condition.last_transition_time = present.last_transition_time.clone();
                }
                *present = condition;
            }
            None => self.conditions.push(condition),
        }
    }
}

//! What an execution waits for, what runs for it, and what its parent is told.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::execution::schema::{MESSAGE_MAX, NAME_MAX, WORD_MAX};
use crate::phase::Outcome;

/// The Job of an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ExecutionJob {
    /// Name of the Job in the operator's namespace. It follows from the execution's UID and the attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = NAME_MAX))]
    pub name: Option<String>,
    /// Number of the attempt, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// UID of the Job. Absent until the Job was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = WORD_MAX))]
    pub uid: Option<String>,
}

/// Place in the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct QueueStatus {
    /// Place in the queue, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// What the execution waits for, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MESSAGE_MAX))]
    pub reason: Option<String>,
    /// Since when it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

/// How the step ended, for a parent workflow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StepResult {
    /// Id of the step, as the spec's `workflowExecutionRef` has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = NAME_MAX))]
    pub step_id: Option<String>,
    /// How the step ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Whether the outcome was proven on the live cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
    /// How the step ended, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MESSAGE_MAX))]
    pub message: Option<String>,
    /// Whether the step can still be undone by `control.rollback`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback_available: Option<bool>,
}

/// Whether the plan needs an approval, and who gave it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ApprovalStatus {
    /// Whether the plan needs an approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// Who approved the plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub by: Option<String>,
    /// When the plan was approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    /// Hash of the plan that was approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub plan_hash: Option<String>,
}

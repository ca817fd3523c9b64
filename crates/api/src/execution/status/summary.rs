//! The result in short (ST-02…ST-13).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::execution::schema::WORD_MAX;
use crate::phase::ActionResult;

/// The result in short.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ExecutionSummary {
    /// When the operator began to work on the execution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When the execution reached its terminal phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// Time from start to completion, such as `3m` or `1m30s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = WORD_MAX))]
    pub duration: Option<String>,
    /// What became of the action as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action_result: Option<ActionResult>,
    /// Exit code of the runner of the last attempt; 0 means that it made its writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Number of objects the action changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources_affected: Option<u32>,
    /// Progress in percent, 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub progress: Option<u32>,
    /// Whether the action type is registered and enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action_supported: Option<bool>,
}

/// What the registry says of the action.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ActionRegistryStatus {
    /// Whether the action type is registered and enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action_supported: Option<bool>,
    /// The action types that are registered, when the one asked for is not; at most 256 of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = WORD_MAX)))]
    pub supported_actions: Vec<String>,
    /// Version of the action that made the plan, such as `v1.2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = WORD_MAX))]
    pub action_version: Option<String>,
    /// Version of the registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = WORD_MAX))]
    pub registry_version: Option<String>,
}

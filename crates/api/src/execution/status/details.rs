//! What was done, call by call, and how it can be undone (ST-41…ST-65). States hold only the fields concerned, and
//! hashes in place of secrets.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::closed_enum::closed_enum;
use crate::execution::schema::{self, MESSAGE_MAX, NAME_MAX, REFERENCE_MAX, WORD_MAX};

/// What was done, call by call, and how it can be undone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ExecutionDetails {
    /// The calls that were made to the Kubernetes API, in order; at most 128.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    pub kubernetes_operations: Vec<KubernetesOperation>,
    /// Number of calls left out of `kubernetesOperations`. Absent means none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operations_omitted: Option<u32>,
    /// The objects that were changed; at most 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub resource_changes: Vec<ResourceChange>,
    /// Number of objects left out of `resourceChanges`. Absent means none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes_omitted: Option<u32>,
    /// Whether and how the action was, or can be, undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback_info: Option<RollbackInfo>,
}

closed_enum! {
    /// How one operation ended.
    pub enum OperationResult {
        /// It was done.
        Success = "success",
        /// It was refused or failed.
        Failure = "failure",
        /// It was not tried.
        Skipped = "skipped",
    }
}

/// One call to the Kubernetes API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct KubernetesOperation {
    /// The operation, such as `PATCH` or `DELETE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = WORD_MAX))]
    pub operation: Option<String>,
    /// The object, in the form `Kind/namespace/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = REFERENCE_MAX))]
    pub resource: Option<String>,
    /// How the operation ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<OperationResult>,
    /// When the call was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Time>,
    /// Time until the answer, such as `45ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = WORD_MAX))]
    pub duration: Option<String>,
    /// The API server's answer, when the operation failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MESSAGE_MAX))]
    pub error: Option<String>,
    /// API version that was called, such as `apps/v1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 317))]
    pub api_version: Option<String>,
    /// HTTP status code of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_code: Option<i32>,
}

closed_enum! {
    /// What was done to an object.
    pub enum ChangeType {
        /// It was created.
        Created = "created",
        /// It was replaced by a new version of itself.
        Updated = "updated",
        /// It was deleted.
        Deleted = "deleted",
        /// Its number of replicas was changed.
        Scaled = "scaled",
        /// It, or its pods, were started anew.
        Restarted = "restarted",
        /// Some of its fields were changed.
        Patched = "patched",
    }
}

/// An object that was changed, before and after.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceChange {
    /// Kind of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = NAME_MAX))]
    pub resource_type: Option<String>,
    /// Name of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = NAME_MAX))]
    pub resource_name: Option<String>,
    /// What was done to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_type: Option<ChangeType>,
    /// The fields concerned, before the change.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::free_object")]
    pub before_state: Option<Map<String, Value>>,
    /// The fields concerned, after the change.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::free_object")]
    pub after_state: Option<Map<String, Value>>,
    /// When the change was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Time>,
    /// Hash of the change, to recognise it in other records.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub change_hash: Option<String>,
}

closed_enum! {
    /// What set off a rollback.
    pub enum RollbackCause {
        /// A write failed.
        ExecutionFailure = "execution-failure",
        /// The outcome was not proven.
        ValidationFailure = "validation-failure",
        /// The execution's time-out passed.
        Timeout = "timeout",
        /// A side effect was detected.
        SideEffectDetected = "side-effect-detected",
        /// A health check failed.
        HealthCheckFailed = "health-check-failed",
        /// A person asked for it.
        Manual = "manual",
    }
}

/// Whether and how the action was, or can be, undone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RollbackInfo {
    /// Whether a rollback was begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback_triggered: Option<bool>,
    /// Why a rollback was begun, or why there was none, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MESSAGE_MAX))]
    pub rollback_reason: Option<String>,
    /// What set off the rollback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback_trigger: Option<RollbackCause>,
    /// The steps of the rollback, in order; at most 128.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    pub rollback_actions: Vec<RollbackAction>,
    /// What is needed to return to the state before the action.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::free_object")]
    pub rollback_state: Option<Map<String, Value>>,
    /// When the rollback ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback_completion_time: Option<Time>,
}

/// One step of a rollback.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RollbackAction {
    /// What was done, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MESSAGE_MAX))]
    pub action: Option<String>,
    /// How the step ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<OperationResult>,
    /// When the step was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Time>,
    /// Time the step took, such as `45ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = WORD_MAX))]
    pub duration: Option<String>,
    /// The API server's answer, when the step failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MESSAGE_MAX))]
    pub error: Option<String>,
}

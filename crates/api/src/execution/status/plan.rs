//! The plan as people read it. The plan as it is executed is `crate::plan`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::closed_enum::closed_enum;
use crate::execution::schema::{LABEL_MAX, MESSAGE_MAX, NAME_MAX, REFERENCE_MAX, WORD_MAX};

/// The plan that was made: what will be written, or was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PlanStatus {
    /// SHA-256 of the plan. An approval, the Job and the result carry the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub hash: Option<String>,
    /// What the plan does, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MESSAGE_MAX))]
    pub summary: Option<String>,
    /// The writes of the plan, in order; at most 128.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    pub operations: Vec<PlannedOperation>,
    /// Number of writes left out of `operations`. Absent means none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operations_omitted: Option<u32>,
    /// The objects the plan was made for; at most 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub targets: Vec<PlannedTarget>,
    /// How the plan can be undone, in one sentence, or why it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MESSAGE_MAX))]
    pub rollback_summary: Option<String>,
    /// The permissions the plan needs, such as `patch deployments/scale.apps in web`; at most 64.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = REFERENCE_MAX)))]
    pub permissions: Vec<String>,
    /// What the plan is expected to lead to, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MESSAGE_MAX))]
    pub forecast: Option<String>,
    /// Where the steps that undo the plan are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored: Option<PlanStorage>,
}

closed_enum! {
    /// Where the steps that undo a plan are kept.
    pub enum PlanStorage {
        /// In this status.
        Status = "status",
        /// In a ConfigMap in the operator's namespace; the status holds hashes in place of values.
        ConfigMap = "configMap",
    }
}

/// One write of the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PlannedOperation {
    /// What is done, such as `patch` or `delete`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = WORD_MAX))]
    pub verb: Option<String>,
    /// The object, in the form `Kind/namespace/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = REFERENCE_MAX))]
    pub resource: Option<String>,
    /// What changes, field by field, such as `spec.replicas: 2 -> 5`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub diff: Option<String>,
}

/// One object the plan was made for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PlannedTarget {
    /// API version of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 317))]
    pub api_version: Option<String>,
    /// Kind of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = LABEL_MAX))]
    pub kind: Option<String>,
    /// Namespace of the object. Absent for kinds without a namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = LABEL_MAX))]
    pub namespace: Option<String>,
    /// Name of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = NAME_MAX))]
    pub name: Option<String>,
    /// UID of the object. Another object of the same name is not written to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = WORD_MAX))]
    pub uid: Option<String>,
}

//! The parents of an execution (SP-01…SP-07). They are recorded, never written to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::execution::schema::{self, LABEL_MAX, NAME_MAX};

/// Names the alert remediation that an execution belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertRemediationRef {
    /// Name of the `AlertRemediation`.
    #[schemars(length(max = NAME_MAX), transform = schema::dns_subdomain)]
    pub name: String,
    /// Namespace of the `AlertRemediation`.
    #[schemars(length(max = LABEL_MAX), transform = schema::namespace)]
    pub namespace: String,
}

/// Names the workflow step that an execution is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowExecutionRef {
    /// Name of the `WorkflowExecution`.
    #[schemars(length(max = NAME_MAX), transform = schema::dns_subdomain)]
    pub name: String,
    /// Namespace of the `WorkflowExecution`.
    #[schemars(length(max = LABEL_MAX), transform = schema::namespace)]
    pub namespace: String,
    /// Id of the step within the workflow. It is repeated in `status.stepResult.stepId`.
    #[schemars(length(max = NAME_MAX), transform = schema::one_line)]
    pub step_id: String,
}

//! What an execution is asked to do (SP-01…SP-97). All of it but `control` is immutable.

mod action_definition;
mod control;
mod execution_config;
mod monitoring;
mod parameters;
mod references;
mod requester;
mod safety;
mod target;
mod unperformed;
mod validation;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use action_definition::{
    ActionDefinition, ActionMetadata, Category, ParameterSource, SecretKeyRef,
};
pub use control::Control;
pub use execution_config::{ExecutionConfig, Priority, RetryPolicy};
pub use monitoring::{MonitoringConfig, ResourceMonitoring};
pub use parameters::{Form, SHARED_PARAMETERS, SharedParameter};
pub use references::{AlertRemediationRef, WorkflowExecutionRef};
pub use requester::RequestedBy;
pub use safety::{RiskLevel, RollbackConfig, RollbackTrigger, SafetyCheckType, SafetyConfig};
pub use target::TargetResource;
pub use unperformed::{UNPERFORMED, Unperformed, unperformed};
pub use validation::{ConditionCheck, ValidationConfig};

use crate::execution::schema;
use crate::execution::status::KubernetesExecutionStatus;

/// The fields of the spec that cannot be changed once the execution exists: all but `control`.
pub(crate) const IMMUTABLE_FIELDS: [&str; 6] = [
    "alertRemediationRef",
    "workflowExecutionRef",
    "actionDefinition",
    "executionConfig",
    "requestedBy",
    "ttlSecondsAfterFinished",
];

/// The switches of `control`, each of which goes one way.
pub(crate) const ONE_WAY_SWITCHES: [&str; 2] = ["cancel", "rollback"];

/// What is to be done, to what, within which limits. It cannot be changed once the execution exists, except for
/// `control`; to try something else, create another KubernetesExecution.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "kubernetesexecution.kubernaut.io",
    version = "v1alpha1",
    kind = "KubernetesExecution",
    plural = "kubernetesexecutions",
    singular = "kubernetesexecution",
    shortname = "kexec",
    shortname = "k8sexec",
    category = "kubernaut",
    category = "executor",
    category = "kubernetes",
    namespaced,
    status = "KubernetesExecutionStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "A KubernetesExecution is one remediation action on one target: what is asked for stands in spec, what was checked, planned, done and proven in status. It runs once, in a Job under the action's own ServiceAccount.",
    annotation(
        "kubernaut.io/description",
        "Kubernetes execution CRD for safe remediation action execution with dynamic action registry"
    ),
    annotation(
        "kubernaut.io/business-requirements",
        "BR-EXEC-001,BR-EXEC-011,BR-SAFE-001,BR-K8S-001,BR-PERF-001"
    ),
    printcolumn(
        name = "Phase",
        type_ = "string",
        description = "Current execution phase",
        json_path = ".status.phase"
    ),
    printcolumn(
        name = "Action",
        type_ = "string",
        description = "Kubernetes action type",
        json_path = ".spec.actionDefinition.actionType"
    ),
    printcolumn(
        name = "Target",
        type_ = "string",
        description = "Target resource",
        json_path = ".spec.actionDefinition.targetResource.name"
    ),
    printcolumn(
        name = "Result",
        type_ = "string",
        description = "Action result",
        json_path = ".status.executionSummary.actionResult"
    ),
    printcolumn(
        name = "Duration",
        type_ = "string",
        description = "Execution duration",
        json_path = ".status.executionSummary.duration"
    ),
    printcolumn(
        name = "Risk",
        type_ = "string",
        description = "Risk level",
        json_path = ".status.validationResults.preExecutionValidation.riskAssessment.riskLevel"
    ),
    printcolumn(
        name = "Effectiveness",
        type_ = "number",
        description = "Effectiveness score",
        json_path = ".status.performanceMetrics.effectivenessScore"
    ),
    printcolumn(
        name = "Requester",
        type_ = "string",
        description = "Who asked for the execution",
        json_path = ".spec.requestedBy.username",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        description = "How the step ended, in one sentence",
        json_path = ".status.stepResult.message",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    selectable = ".status.phase",
    selectable = ".spec.actionDefinition.actionType"
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = schema::immutable)]
#[allow(
    clippy::duplicated_attributes,
    reason = "columns of one type are no duplicates"
)]
pub struct KubernetesExecutionSpec {
    /// The alert remediation this execution belongs to. Absent when a person runs an action by hand. It is recorded
    /// and has no effect on what is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert_remediation_ref: Option<AlertRemediationRef>,
    /// The workflow step this execution is. Absent when a person runs an action by hand. Its `stepId` is repeated in
    /// `status.stepResult`, which the workflow watches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_execution_ref: Option<WorkflowExecutionRef>,
    /// The action, its target and its parameters.
    pub action_definition: ActionDefinition,
    /// Limits, safety, validation and monitoring of the execution. Whatever is left out has the default of its field.
    #[serde(default)]
    pub execution_config: ExecutionConfig,
    /// The switches that may be set while the execution exists. Each goes one way: once true, it stays true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<Control>,
    /// Who asks for the execution. It is set at admission, or must equal the user who creates the object; that user's
    /// right to execute the action in the target's namespace is checked again before anything is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<RequestedBy>,
    /// Seconds after which the finished execution is deleted. 0 keeps it for ever; absent means what the operator is
    /// configured with, 7 days by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 31_536_000))]
    pub ttl_seconds_after_finished: Option<u32>,
}

impl KubernetesExecutionSpec {
    /// Whether cancelling was asked for.
    #[must_use]
    pub fn is_cancel_requested(&self) -> bool {
        self.control
            .as_ref()
            .is_some_and(|control| control.cancel == Some(true))
    }

    /// Whether a rollback was asked for by hand.
    #[must_use]
    pub fn is_rollback_requested(&self) -> bool {
        self.control
            .as_ref()
            .is_some_and(|control| control.rollback == Some(true))
    }
}

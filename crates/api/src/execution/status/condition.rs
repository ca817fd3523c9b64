//! One condition of an execution (ST-92…ST-96). Type and reason are texts here, so that a status written by a newer
//! version still reads; who makes a condition takes them from the closed enums.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::{ConditionStatus, ConditionType, Reason};
use crate::execution::schema::MESSAGE_MAX;

/// One aspect of the execution's state, as Kubernetes conditions are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Type of the condition: `Ready`, `ActionSupported`, `Validated`, `Approved`, `Executing`, `Completed` or
    /// `RolledBack`.
    #[serde(rename = "type")]
    #[schemars(length(max = 316))]
    pub type_: String,
    /// Whether the condition holds.
    pub status: ConditionStatus,
    /// Why the condition has its status, in one word for machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
    /// Why the condition has its status, in one sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MESSAGE_MAX))]
    pub message: Option<String>,
    /// When the condition's status last changed.
    pub last_transition_time: Time,
    /// Generation of the spec that the condition speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

impl Condition {
    /// A condition that took its status at this time.
    #[must_use]
    pub fn new(
        condition_type: ConditionType,
        status: ConditionStatus,
        reason: Reason,
        at: Time,
    ) -> Self {
        Self {
            type_: condition_type.as_str().to_owned(),
            status,
            reason: Some(reason.as_str().to_owned()),
            message: None,
            last_transition_time: at,
            observed_generation: None,
        }
    }

    /// The same condition with a sentence for people.
    #[must_use]
    pub fn with_message(self, message: impl Into<String>) -> Self {
        Self {
            message: Some(message.into()),
            ..self
        }
    }

    /// The same condition, speaking of this generation of the spec.
    #[must_use]
    pub fn observed_at(self, generation: Option<i64>) -> Self {
        Self {
            observed_generation: generation,
            ..self
        }
    }

    /// The reason, if it is one that this version knows.
    #[must_use]
    pub fn known_reason(&self) -> Option<Reason> {
        self.reason.as_deref().and_then(Reason::from_text)
    }
}

//! What is validated before and proven after an action (SP-85…SP-89).

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::execution::duration::DurationText;
use crate::execution::schema::{self, LABEL_MAX};

/// What is validated before and proven after the action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own in the resource"
)]
pub struct ValidationConfig {
    /// Whether to validate before the action, true by default. This version always validates: false changes nothing.
    pub pre_execution_validation: bool,
    /// Whether to prove the outcome on the live cluster after the action, true by default. This version
    /// always proves it: false changes nothing.
    pub post_execution_validation: bool,
    /// Whether to look for side effects after the action, true by default. Not performed by this version: true is
    /// answered in the status with `not performed`.
    pub side_effect_detection: bool,
    /// Time the outcome has to show: a whole number and one unit (s, m or h), at most 24h, 3m by default. When it is
    /// over, the execution ends as failed.
    #[schemars(transform = schema::duration)]
    pub health_check_timeout: DurationText,
    /// Whether to score the action's effectiveness, true by default. Not performed by this version: true is answered
    /// in the status with `not performed`.
    pub effectiveness_scoring: bool,
    /// Conditions of your own that must hold before the action. Not evaluated by this version: a required one is
    /// refused, the others are reported as not performed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub pre_conditions: Vec<ConditionCheck>,
    /// Conditions of your own that must hold after the action. Not evaluated by this version: a required one is
    /// refused, the others are reported as not performed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub post_conditions: Vec<ConditionCheck>,
}

impl Default for ValidationConfig {
    fn default() -> Self {
        Self {
            pre_execution_validation: true,
            post_execution_validation: true,
            side_effect_detection: true,
            health_check_timeout: DurationText::from_seconds(180),
            effectiveness_scoring: true,
            pre_conditions: Vec::new(),
            post_conditions: Vec::new(),
        }
    }
}

impl ValidationConfig {
    /// How long the outcome has to show (BR-EXEC-029).
    #[must_use]
    pub fn health_check_timeout(&self) -> Duration {
        self.health_check_timeout.value()
    }
}

/// A condition of the author's own, written in CEL or in Rego.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = schema::one_language)]
pub struct ConditionCheck {
    /// Name of the condition, unique in its list.
    #[schemars(length(min = 1, max = LABEL_MAX), transform = schema::one_line)]
    pub name: String,
    /// The condition as a CEL expression over the target that yields a boolean. Either this or `rego`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub cel: Option<String>,
    /// The condition as a Rego policy. Either this or `cel`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16384))]
    pub rego: Option<String>,
    /// Whether the execution is blocked, or fails, when the condition does not hold; true by default. False makes it a
    /// warning. This version evaluates none: true is refused.
    #[serde(default = "default_required")]
    pub required: bool,
    /// Time the condition has to become true: a whole number and one unit (s, m or h), at most 24h, 30s by default.
    /// Not applied by this version: it evaluates no condition.
    #[serde(default = "default_timeout")]
    #[schemars(transform = schema::duration)]
    pub timeout: DurationText,
}

const fn default_required() -> bool {
    true
}

fn default_timeout() -> DurationText {
    DurationText::from_seconds(30)
}

impl ConditionCheck {
    /// How long the condition has to become true.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout.value()
    }
}

//! Limits and order of an execution, and its retries (SP-69…SP-75). The defaults stand in the `Default` of each type;
//! the schema takes them from there.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::closed_enum::closed_enum;
use crate::execution::duration::DurationText;
use crate::execution::schema::{self, NAME_MAX};
use crate::execution::spec::monitoring::MonitoringConfig;
use crate::execution::spec::safety::SafetyConfig;
use crate::execution::spec::validation::ValidationConfig;

/// How an execution is to be run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ExecutionConfig {
    /// Time the whole executing phase may take, retries included: a whole number and one unit (s, m or h), from 1s to
    /// 24h, 10m by default. When it is over, the runner is stopped and the execution ends as failed.
    #[schemars(transform = schema::positive_duration)]
    pub timeout: DurationText,
    /// Order among waiting executions, `normal` by default.
    pub priority: Priority,
    /// How often and when a failed attempt is repeated. Not performed by this version: it makes one attempt.
    pub retry_policy: RetryPolicy,
    /// Risk, approval, checks and rollback.
    pub safety_config: SafetyConfig,
    /// What is validated before and proven after the action.
    pub validation_config: ValidationConfig,
    /// What is reported and recorded along the way.
    pub monitoring_config: MonitoringConfig,
}

impl Default for ExecutionConfig {
    fn default() -> Self {
        Self {
            timeout: DurationText::from_seconds(600),
            priority: Priority::default(),
            retry_policy: RetryPolicy::default(),
            safety_config: SafetyConfig::default(),
            validation_config: ValidationConfig::default(),
            monitoring_config: MonitoringConfig::default(),
        }
    }
}

impl ExecutionConfig {
    /// How long the whole executing phase may take (BR-EXEC-022).
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout.value()
    }
}

closed_enum! {
    /// Order among waiting executions (BR-EXEC-024).
    #[derive(Default)]
    pub enum Priority {
        /// After all others, though not for ever.
        Low = "low",
        /// The usual.
        #[default]
        Normal = "normal",
        /// Before the usual.
        High = "high",
        /// Before all others.
        Critical = "critical",
    }
}

/// How often and when a failed attempt is repeated. Not performed by this version: it makes one attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RetryPolicy {
    /// Attempts after the first, 0 to 5, 2 by default. Failures of the cluster (image, node, quota) do not count.
    /// Not performed by this version: it makes one attempt, and `status.retryInfo` says so.
    #[schemars(range(min = 0, max = 5))]
    pub max_retries: u32,
    /// Factor by which the delay grows from one retry to the next, 1.0 to 100.0, 2.0 by default. Not applied by this
    /// version: it makes one attempt.
    #[schemars(range(min = 1.0, max = 100.0))]
    pub backoff_multiplier: f64,
    /// Texts that an error must hold one of to be retried. Empty, the default, means every error of the class that
    /// may be retried. Not applied by this version: it makes one attempt.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = NAME_MAX)), transform = schema::one_line_items)]
    pub retryable_errors: Vec<String>,
    /// Delay before the first retry: a whole number and one unit (s or m), at most 1440m, 30s by default. Not applied
    /// by this version: it makes one attempt.
    #[schemars(transform = schema::short_duration)]
    pub retry_delay: DurationText,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: 2,
            backoff_multiplier: 2.0,
            retryable_errors: Vec::new(),
            retry_delay: DurationText::from_seconds(30),
        }
    }
}

impl RetryPolicy {
    /// The delay before the first retry.
    #[must_use]
    pub fn retry_delay(&self) -> Duration {
        self.retry_delay.value()
    }
}

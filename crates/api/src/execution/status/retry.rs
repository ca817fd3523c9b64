//! The attempts so far and those left (ST-80…ST-89). The first attempt is not a retry (EX-15).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::closed_enum::closed_enum;
use crate::execution::schema::{MESSAGE_MAX, WORD_MAX};

/// The attempts so far and those left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RetryInfo {
    /// Number of attempts so far, the first included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt_count: Option<u32>,
    /// When the last retry began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_retry_time: Option<Time>,
    /// When the next retry begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_retry_time: Option<Time>,
    /// Why there was, is or was no retry, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MESSAGE_MAX))]
    pub retry_reason: Option<String>,
    /// Number of retries left. The first attempt uses up none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries_remaining: Option<u32>,
    /// The attempts one by one; the last 32.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub retry_history: Vec<RetryAttempt>,
}

closed_enum! {
    /// How one attempt ended.
    pub enum AttemptResult {
        /// It made its writes.
        Success = "success",
        /// It failed.
        Failure = "failure",
        /// Its time passed.
        Timeout = "timeout",
    }
}

/// One attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RetryAttempt {
    /// Number of the attempt, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt_number: Option<u32>,
    /// When the attempt began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Time>,
    /// How the attempt ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<AttemptResult>,
    /// Why the attempt failed, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MESSAGE_MAX))]
    pub error: Option<String>,
    /// Time the attempt took, such as `12s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = WORD_MAX))]
    pub duration: Option<String>,
}

//! What the execution cost and how well it worked (ST-66…ST-79).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::execution::schema::WORD_MAX;

/// What the execution cost and how well it worked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PerformanceMetrics {
    /// Time the execution took in all, such as `3m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = WORD_MAX))]
    pub execution_time: Option<String>,
    /// The runner's calls to the Kubernetes API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes_api_calls: Option<KubernetesApiCalls>,
    /// What the runner used of the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_utilization: Option<ResourceUtilization>,
    /// How well the action worked, from 0.0 (not at all) to 1.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub effectiveness_score: Option<f64>,
    /// How well the execution performed, from 0.0 (badly) to 1.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub performance_score: Option<f64>,
}

/// The runner's calls to the Kubernetes API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct KubernetesApiCalls {
    /// Number of calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_calls: Option<u32>,
    /// Mean time until the answer, such as `25ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = WORD_MAX))]
    pub average_response_time: Option<String>,
    /// Longest time until the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = WORD_MAX))]
    pub slowest_call: Option<String>,
    /// Shortest time until the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = WORD_MAX))]
    pub fastest_call: Option<String>,
    /// Number of calls that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_calls: Option<u32>,
    /// Number of calls that were not answered in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_calls: Option<u32>,
}

/// What the runner used of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceUtilization {
    /// Highest use of CPU, such as `50m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = WORD_MAX))]
    pub peak_cpu_usage: Option<String>,
    /// Highest use of memory, such as `128Mi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = WORD_MAX))]
    pub peak_memory_usage: Option<String>,
    /// Mean use of CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = WORD_MAX))]
    pub average_cpu_usage: Option<String>,
    /// Mean use of memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = WORD_MAX))]
    pub average_memory_usage: Option<String>,
    /// Bytes sent and received, such as `2.1KB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = WORD_MAX))]
    pub network_bytes_transferred: Option<String>,
}

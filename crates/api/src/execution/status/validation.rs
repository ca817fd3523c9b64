//! What was validated before and proven after the action (ST-14…ST-40). Every requested check is listed, also those
//! that were not performed, with the reason (EX-13).

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::execution::schema::{self, MESSAGE_MAX, NAME_MAX, REFERENCE_MAX, WORD_MAX};
use crate::execution::spec::RiskLevel;

/// What was validated before and proven after the action.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ValidationResults {
    /// What was validated before the action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pre_execution_validation: Option<PreExecutionValidation>,
    /// What was proven after the action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_execution_validation: Option<PostExecutionValidation>,
}

/// What was validated before the action.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PreExecutionValidation {
    /// Whether every blocking check passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed: Option<bool>,
    /// The safety checks one by one, those not performed included.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub safety_checks: Vec<SafetyCheckResult>,
    /// How much harm the action may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk_assessment: Option<RiskAssessment>,
}

/// The result of one safety check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SafetyCheckResult {
    /// Which check it is, such as `permission-check`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = WORD_MAX))]
    pub check_type: Option<String>,
    /// Whether the check passed. Absent when it was not performed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed: Option<bool>,
    /// Whether the check was performed. Absent means that it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub performed: Option<bool>,
    /// Why the check did not pass or was not performed, in one word for machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = WORD_MAX))]
    pub reason: Option<String>,
    /// What the check found, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MESSAGE_MAX))]
    pub message: Option<String>,
    /// The facts the result rests on, such as UIDs, counts and rules; at most 32.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::facts")]
    pub facts: BTreeMap<String, String>,
    /// When the check was performed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Time>,
    /// Time the check took, such as `2s` or `15ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = WORD_MAX))]
    pub duration: Option<String>,
}

/// How much harm the action may do, and what was done about it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RiskAssessment {
    /// The assessed level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk_level: Option<RiskLevel>,
    /// What makes the risk, factor by factor; at most 32.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = REFERENCE_MAX)))]
    pub risk_factors: Vec<String>,
    /// What was done to lower the risk; at most 32.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = REFERENCE_MAX)))]
    pub mitigation_strategies: Vec<String>,
    /// The risk as a number from 0.0 (none) to 1.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub risk_score: Option<f64>,
}

/// What was proven after the action.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PostExecutionValidation {
    /// Whether the outcome was proven and every required health check passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed: Option<bool>,
    /// What was expected of the live cluster and what was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome_verification: Option<OutcomeVerification>,
    /// The side effects that were found; at most 32. Absent when nobody looked, empty when there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub side_effects: Option<Vec<SideEffect>>,
    /// The health checks one by one; at most 64.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub health_checks: Vec<HealthCheckResult>,
}

/// What was expected of the live cluster and what was found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OutcomeVerification {
    /// What was expected, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MESSAGE_MAX))]
    pub expected_outcome: Option<String>,
    /// What was found, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MESSAGE_MAX))]
    pub actual_outcome: Option<String>,
    /// Whether the two match. Absent when nobody could tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome_match: Option<bool>,
    /// The values that were looked at; only the fields concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::free_object")]
    pub verification_details: Option<Map<String, Value>>,
}

/// Something the action brought about that nobody asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SideEffect {
    /// Kind of side effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = NAME_MAX))]
    pub effect_type: Option<String>,
    /// How much harm it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<RiskLevel>,
    /// What was seen, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MESSAGE_MAX))]
    pub description: Option<String>,
    /// The objects concerned, in the form `Kind/namespace/name`; at most 32.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = REFERENCE_MAX)))]
    pub affected_resources: Vec<String>,
    /// When it was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detection_time: Option<Time>,
    /// Whether something was done about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mitigated: Option<bool>,
}

/// The result of one health check after the action.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HealthCheckResult {
    /// Name of the check, such as `pod-ready`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = NAME_MAX))]
    pub check_name: Option<String>,
    /// Whether the check passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed: Option<bool>,
    /// What the check found, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MESSAGE_MAX))]
    pub message: Option<String>,
    /// When the check had its result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Time>,
    /// Time until the result, such as `30s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = WORD_MAX))]
    pub duration: Option<String>,
    /// How often the check was repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_count: Option<u32>,
}

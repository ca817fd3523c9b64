//! The action and its metadata (SP-08…SP-50). Which parameters there are stands in `parameters`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::closed_enum::closed_enum;
use crate::execution::schema::{self, LABEL_MAX, NAME_MAX};
use crate::execution::spec::parameters;
use crate::execution::spec::safety::RiskLevel;
use crate::execution::spec::target::TargetResource;

/// What is to be done, and to what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActionDefinition {
    /// Type of the action in `snake_case`, such as `restart_pod` or `scale_deployment`. Which types exist is a matter
    /// of the registry, not of this schema; an unknown type ends the execution as failed and names the nearest.
    #[schemars(length(min = 3, max = 64), transform = schema::action_type)]
    pub action_type: String,
    /// What the author expects of the action. Left out, the registered metadata apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_metadata: Option<ActionMetadata>,
    /// What the action is done to.
    pub target_resource: TargetResource,
    /// Parameters of the action. The fields listed here are shared by several actions; every other field is checked
    /// against the action's own schema, and one that the action does not know ends the execution as failed. Defaults
    /// are those of the action.
    #[serde(default)]
    #[schemars(schema_with = "parameters::schema")]
    pub parameters: Map<String, Value>,
    /// Parameters whose values must not stand in this object. Each is read from a Secret in the operator's namespace
    /// by the runner only, and appears elsewhere by its name alone. Not performed by this version: an execution that
    /// lists any is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub parameters_from: Vec<ParameterSource>,
}

/// What the author of an execution expects of its action.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ActionMetadata {
    /// Version of the action to use, such as `v1.2`. One of another major version than the registered, or newer than
    /// it, is refused. Absent means the registered one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), transform = schema::action_version)]
    pub version: Option<String>,
    /// Category of the action, `core` by default. It serves to organise and filter, and has no effect on what is done.
    pub category: Category,
    /// Whether the author knows the action to be deprecated, false by default. It is recorded only and has no
    /// effect on what is done.
    pub deprecated: bool,
    /// Risk level the author gives to the action. It can raise the assessed risk, never lower it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk_level: Option<RiskLevel>,
    /// What the author expects to hold before the action, as short names. The name of a safety check asks for that
    /// check; any other is listed among the checks as not performed, and does not block.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = NAME_MAX)), transform = schema::one_line_items)]
    pub prerequisites: Vec<String>,
}

closed_enum! {
    /// Where an action comes from.
    #[derive(Default)]
    pub enum Category {
        /// Built in, for everyday use.
        #[default]
        Core = "core",
        /// Built in, for special cases.
        Extended = "extended",
        /// Registered by the people who run the cluster.
        Custom = "custom",
    }
}

/// A parameter whose value is read from a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParameterSource {
    /// Name of the parameter that gets the value.
    #[schemars(length(min = 1, max = LABEL_MAX), transform = schema::one_line)]
    pub name: String,
    /// Where the value is.
    pub secret_key_ref: SecretKeyRef,
}

/// One key of a Secret in the operator's namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// Name of the Secret in the operator's namespace. Whoever creates the execution must be allowed to get it.
    #[schemars(length(max = NAME_MAX), transform = schema::dns_subdomain)]
    pub name: String,
    /// Key within the Secret.
    #[schemars(length(min = 1, max = NAME_MAX), transform = schema::one_line)]
    pub key: String,
}

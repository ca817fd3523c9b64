//! The action, its metadata and its parameters (SP-08…SP-68). Whether the parameters suit the action is the action's
//! own business; here stand only the types and bounds of those that several actions share.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::closed_enum::closed_enum;
use crate::execution::schema::{self, LABEL_MAX, NAME_MAX};
use crate::execution::spec::safety::RiskLevel;
use crate::execution::spec::target::TargetResource;

/// Longest manifest that fits in parameters, in bytes: the controller takes no more parameters than that in all.
const MANIFEST_MAX: usize = 256 * 1024;

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
    #[schemars(schema_with = "parameters")]
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
    /// What the author expects to hold before the action, as short names. Not evaluated by this version: each is
    /// listed among the checks as not performed, and none blocks.
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

/// The types and bounds of the shared parameters (SP-51…SP-68), without defaults: a default would appear among every
/// action's parameters. Unknown fields are kept at every level, so that the strict check sees and names them.
fn parameters(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "default": {},
        "maxProperties": 64,
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "dryRun": { "type": "boolean", "description": "Whether to stop after the dry run, so that nothing is written. Default of the actions: false." },
            "force": { "type": "boolean", "description": "Whether to skip the checks dependency-validation and resource-ownership. The requester needs the verb `force` on the action. Default of the actions: false." },
            "gracePeriodSeconds": { "type": "integer", "minimum": 0, "maximum": 86400, "description": "Seconds a pod is given to stop. Left out, the pod's own grace period applies." },
            "replicas": { "type": "integer", "minimum": 0, "maximum": i32::MAX, "description": "Number of replicas to scale to." },
            "resourceLimits": quantities("Resource limits to set on the containers."),
            "resourceRequests": quantities("Resource requests to set on the containers."),
            "drainTimeout": drain_timeout(),
            "ignoreDaemonSets": { "type": "boolean", "description": "Whether a node counts as drained though pods of DaemonSets are left on it. Default of the actions: true." },
            "deleteLocalData": { "type": "boolean", "description": "Whether pods with emptyDir volumes may be evicted, which deletes that data. Default of the actions: false." },
            "manifest": { "type": "string", "maxLength": MANIFEST_MAX, "description": "Manifest in YAML to apply or delete, at most 256 KiB." },
            "manifestUrl": { "type": "string", "maxLength": 2048, "description": "Address to fetch the manifest from. It is off unless the people who run the cluster allow its host." },
            "expectedConditions": expected_conditions(),
            "rollbackRevision": { "type": "integer", "minimum": 1, "description": "Revision to roll back to. Left out, the previous one." },
            "customConfig": { "type": "object", "maxProperties": 64, "x-kubernetes-preserve-unknown-fields": true, "description": "Configuration for actions that declare one; it is refused for the others." },
        },
    })
}

/// Amounts of the three resources (SP-55…SP-60).
fn quantities(description: &str) -> Value {
    let quantity = |description: &str| {
        let mut quantity =
            json_schema!({ "type": "string", "maxLength": 64, "description": description });
        schema::quantity(&mut quantity);
        quantity
    };
    json!({
        "type": "object",
        "description": description,
        "maxProperties": 16,
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "cpu": quantity("Amount of CPU, such as `500m` or `2`."),
            "memory": quantity("Amount of memory, such as `512Mi` or `2Gi`."),
            "storage": quantity("Amount of storage, such as `10Gi` or `1Ti`."),
        },
    })
}

/// Time for a node's drain (SP-61).
fn drain_timeout() -> Schema {
    let mut timeout = json_schema!({
        "type": "string",
        "description": "Time a node's drain may take, in seconds, minutes or hours, at most 24h. Default of the actions: `10m`.",
    });
    schema::duration(&mut timeout);
    timeout
}

/// Conditions that prove the outcome (SP-66).
fn expected_conditions() -> Value {
    let word = |description: &str| {
        let mut word =
            json_schema!({ "type": "string", "maxLength": 317, "description": description });
        schema::one_line(&mut word);
        word
    };
    json!({
        "type": "array",
        "maxItems": 32,
        "description": "Conditions the target must show after the action, besides what the action expects itself.",
        "items": {
            "type": "object",
            "description": "One condition of the target.",
            "maxProperties": 8,
            "x-kubernetes-preserve-unknown-fields": true,
            "properties": {
                "type": word("Type of the condition, such as `Ready`."),
                "status": word("Status the condition must have: `True`, `False` or `Unknown`."),
                "reason": word("Reason the condition must have, where the live condition has one."),
            },
        },
    })
}

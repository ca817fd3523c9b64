//! The parameters that several actions share (SP-51…SP-68): their forms and bounds. Whether they suit an action is the
//! action's own business.
//!
//! A schema that gives a field a type has the API server refuse another one in words of its own, which do not say what
//! to write instead, before any rule of ours is asked. So the schema leaves the single values open, and an admission
//! policy made of [`SHARED_PARAMETERS`] refuses what does not fit.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::execution::schema;

/// Longest manifest that fits in parameters, in bytes: the controller takes no more parameters than that in all.
const MANIFEST_MAX: u32 = 256 * 1024;

/// What a single value must be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// True or false.
    Switch,
    /// A whole number within these bounds.
    Whole {
        /// The least.
        min: i32,
        /// The greatest.
        max: i32,
    },
    /// Text of at most that many characters.
    Text {
        /// The most characters.
        max: u32,
    },
    /// An amount of a resource.
    Amount,
    /// A time of at most a day.
    Duration,
}

impl Form {
    /// CEL: whether the value that `value` names has this form. It is for values of any type.
    #[must_use]
    pub fn rule(self, value: &str) -> String {
        match self {
            Self::Switch => format!("type({value}) == bool"),
            Self::Whole { min, max } => {
                format!("type({value}) == int && {value} >= {min} && {value} <= {max}")
            }
            Self::Text { max } => format!("type({value}) == string && size({value}) <= {max}"),
            Self::Amount => {
                format!("type({value}) == string && size({value}) <= 64 && isQuantity({value})")
            }
            Self::Duration => format!(
                "type({value}) == string && {value}.matches('^[0-9]{{1,6}}(s|m|h)$') && duration({value}) <= duration('24h')"
            ),
        }
    }

    /// What to write, to follow the word "write".
    #[must_use]
    pub fn instead(self) -> String {
        match self {
            Self::Switch => "true or false, without quotes".to_owned(),
            Self::Whole { min, max } => format!(
                "a whole number from {min} to {max}, without quotes and without a decimal point"
            ),
            Self::Text { max } => format!("text of at most {max} characters"),
            Self::Amount => {
                "an amount as text, in quotes where it is a bare number, such as \"500m\" or \"2\" of CPU, \"512Mi\" or \"2Gi\" of memory"
                    .to_owned()
            }
            Self::Duration => {
                "a whole number and one unit (s, m or h), at most 24h, such as 90s, 10m or 2h"
                    .to_owned()
            }
        }
    }

    /// What a description begins with, since the schema shows no type.
    #[must_use]
    pub fn shown(self) -> String {
        match self {
            Self::Switch => "True or false.".to_owned(),
            Self::Whole { min, max } => format!("Whole number from {min} to {max}."),
            Self::Text { max } => format!("Text of at most {max} characters."),
            Self::Amount => "Text.".to_owned(),
            Self::Duration => "Text: a whole number and one of the units s, m and h.".to_owned(),
        }
    }
}

/// One single value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SharedParameter {
    /// The object it lies in, when it does not lie in `parameters` itself.
    pub within: Option<&'static str>,
    /// Its name.
    pub name: &'static str,
    /// What it must be.
    pub form: Form,
    /// What it means.
    description: &'static str,
}

impl SharedParameter {
    /// Where it lies, such as `parameters.resourceLimits.cpu`.
    #[must_use]
    pub fn path(&self) -> String {
        match self.within {
            None => format!("parameters.{}", self.name),
            Some(within) => format!("parameters.{within}.{}", self.name),
        }
    }
}

const LIMITS: Option<&str> = Some("resourceLimits");
const REQUESTS: Option<&str> = Some("resourceRequests");
const CPU: &str = "Amount of CPU, such as `500m` or `2`.";
const MEMORY: &str = "Amount of memory, such as `512Mi` or `2Gi`.";
const STORAGE: &str = "Amount of storage, such as `10Gi` or `1Ti`.";

/// All single values.
pub const SHARED_PARAMETERS: [SharedParameter; 16] = [
    of(
        "dryRun",
        Form::Switch,
        "Whether to stop after the dry run, so that nothing is written. Default of the actions: false.",
    ),
    of(
        "force",
        Form::Switch,
        "Whether to skip the checks dependency-validation and resource-ownership. The requester needs the verb `force` on the action. Default of the actions: false.",
    ),
    of(
        "gracePeriodSeconds",
        Form::Whole {
            min: 0,
            max: 86_400,
        },
        "Seconds a pod is given to stop. Left out, the pod's own grace period applies.",
    ),
    of(
        "replicas",
        Form::Whole {
            min: 0,
            max: i32::MAX,
        },
        "Number of replicas to scale to.",
    ),
    within(LIMITS, "cpu", CPU),
    within(LIMITS, "memory", MEMORY),
    within(LIMITS, "storage", STORAGE),
    within(REQUESTS, "cpu", CPU),
    within(REQUESTS, "memory", MEMORY),
    within(REQUESTS, "storage", STORAGE),
    of(
        "drainTimeout",
        Form::Duration,
        "Time a node's drain may take, at most 24h. Default of the actions: `10m`.",
    ),
    of(
        "ignoreDaemonSets",
        Form::Switch,
        "Whether a node counts as drained though pods of DaemonSets are left on it. Default of the actions: true.",
    ),
    of(
        "deleteLocalData",
        Form::Switch,
        "Whether pods with emptyDir volumes may be evicted, which deletes that data. Default of the actions: false.",
    ),
    of(
        "manifest",
        Form::Text { max: MANIFEST_MAX },
        "Manifest in YAML to apply or delete.",
    ),
    of(
        "manifestUrl",
        Form::Text { max: 2048 },
        "Address to fetch the manifest from. It is off unless the people who run the cluster allow its host.",
    ),
    of(
        "rollbackRevision",
        Form::Whole {
            min: 1,
            max: i32::MAX,
        },
        "Revision to roll back to. Left out, the previous one.",
    ),
];

const fn of(name: &'static str, form: Form, description: &'static str) -> SharedParameter {
    SharedParameter {
        within: None,
        name,
        form,
        description,
    }
}

const fn within(
    within: Option<&'static str>,
    name: &'static str,
    description: &'static str,
) -> SharedParameter {
    SharedParameter {
        within,
        name,
        form: Form::Amount,
        description,
    }
}

/// The schema of all parameters, without defaults: a default would appear among every action's parameters. Unknown
/// fields are kept at every level, so that the strict check sees and names them.
pub(super) fn schema(_: &mut SchemaGenerator) -> Schema {
    let mut properties = singles(None);
    properties.extend([
        (
            "resourceLimits".to_owned(),
            amounts(LIMITS, "Resource limits to set on the containers."),
        ),
        (
            "resourceRequests".to_owned(),
            amounts(REQUESTS, "Resource requests to set on the containers."),
        ),
        ("expectedConditions".to_owned(), expected_conditions()),
        (
            "customConfig".to_owned(),
            json!({ "type": "object", "maxProperties": 64, "x-kubernetes-preserve-unknown-fields": true, "description": "Configuration for actions that declare one; it is refused for the others." }),
        ),
    ]);
    json_schema!({
        "type": "object",
        "default": {},
        "maxProperties": 64,
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": properties,
    })
}

/// The single values that lie in one object.
fn singles(within: Option<&str>) -> Map<String, Value> {
    let lie_there = SHARED_PARAMETERS
        .iter()
        .filter(|parameter| parameter.within == within);
    let property = |parameter: &SharedParameter| {
        let description = format!("{} {}", parameter.form.shown(), parameter.description);
        let open =
            json!({ "x-kubernetes-preserve-unknown-fields": true, "description": description });
        (parameter.name.to_owned(), open)
    };
    lie_there.map(property).collect()
}

/// Amounts of the three resources (SP-55…SP-60).
fn amounts(within: Option<&str>, description: &str) -> Value {
    json!({
        "type": "object",
        "description": description,
        "maxProperties": 16,
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": singles(within),
    })
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

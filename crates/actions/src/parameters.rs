//! The parameters every action has, and the strict check of all parameters against the action's own JSON schema:
//! nothing unknown, nothing mistyped, nothing null. Wording belongs to `explanation`, building the schema to `schema`.

mod explanation;
mod schema;

use jsonschema::Validator;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use explanation::nearest;

/// The parameters every action takes (SP-51, SP-52, SP-66).
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CommonParameters {
    /// Sends every write with `dryRun=All` and changes nothing (BR-EXEC-011).
    pub dry_run: bool,
    /// Skips the checks that may be skipped; needs the verb `force` on the action type.
    pub force: bool,
    /// Conditions of the target that must hold afterwards, beside what the action itself expects.
    #[schemars(length(max = 32))]
    pub expected_conditions: Vec<ExpectedCondition>,
}

/// One condition of the target that must hold afterwards.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpectedCondition {
    /// Condition type, such as `Available`.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 317))]
    pub condition_type: String,
    /// `True`, `False` or `Unknown`.
    #[schemars(extend("enum" = ["True", "False", "Unknown"]))]
    pub status: String,
    /// Reason; counts only when the live condition has one (EX-04).
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
}

/// One parameter that does not fit.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("spec.actionDefinition.{path} {message}")]
pub struct ParameterError {
    /// Where, such as `parameters.replicas`.
    pub path: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

/// The JSON schema of one action's parameters, compiled once.
pub struct ParameterSchema {
    schema: Value,
    /// The compiled schema, or why it could not be compiled: an error of ours that every check then reports.
    validator: Result<Validator, String>,
}

impl ParameterSchema {
    /// The schema of an action's own parameters and the common ones, closed to any other. An own parameter that bears
    /// a common one's name describes what that one means for the action.
    #[must_use]
    pub fn of<P: JsonSchema>() -> Self {
        let schema = schema::closed::<CommonParameters, P>();
        let validator = jsonschema::draft202012::options()
            .should_validate_formats(false)
            .build(&schema)
            .map_err(|error| error.to_string());
        Self { schema, validator }
    }

    /// The schema as JSON.
    #[must_use]
    pub fn as_json(&self) -> &Value {
        &self.schema
    }

    /// Checks all parameters and reads the common ones. The first error by path is the one reported.
    pub fn check(
        &self,
        action_type: &str,
        parameters: &Map<String, Value>,
    ) -> Result<CommonParameters, ParameterError> {
        let validator = self.validator.as_ref().map_err(|error| ParameterError {
            path: "parameters".to_owned(),
            message: format!("cannot be checked: the schema of {action_type} is broken: {error}"),
        })?;
        let document = Value::Object(parameters.clone());
        let mistakes = validator.iter_errors(&document);
        let errors = mistakes.map(|error| explanation::explain(&self.schema, action_type, &error));
        let decimals = explanation::decimal_points(&self.schema, &document);
        match errors.chain(decimals).min_by(|a, b| a.path.cmp(&b.path)) {
            Some(error) => Err(error),
            None => read(parameters),
        }
    }

    /// Names of all parameters, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        schema::property_names(&self.schema)
            .map(str::to_owned)
            .collect()
    }
}

/// Reads parameters, of which those that `T` does not have are passed over.
pub(crate) fn read<T: DeserializeOwned>(
    parameters: &Map<String, Value>,
) -> Result<T, ParameterError> {
    serde_json::from_value(Value::Object(parameters.clone())).map_err(|error| ParameterError {
        path: "parameters".to_owned(),
        message: format!("cannot be read: {error}"),
    })
}

#[cfg(test)]
mod tests;

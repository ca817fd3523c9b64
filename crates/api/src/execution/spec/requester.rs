//! Who asks for an execution, in the words of the API server's authenticator.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::execution::schema;

/// The user on whose behalf an action is executed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestedBy {
    /// Name of the user or ServiceAccount, as the API server authenticated it.
    #[schemars(length(min = 1, max = 1024), transform = schema::one_line)]
    pub username: String,
    /// UID of the user, where the API server knows one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253), transform = schema::one_line)]
    pub uid: Option<String>,
    /// Groups of the user. Without them, rights that are held by group are not seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 1024)))]
    pub groups: Vec<String>,
    /// Further properties of the user, as the API server's authenticator gives them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::requester_extra")]
    pub extra: BTreeMap<String, Vec<String>>,
}

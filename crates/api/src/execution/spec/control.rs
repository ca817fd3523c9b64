//! The only part of a spec that may change.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Switches that a person or a workflow may set while the execution exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Control {
    /// Set it to true to stop the execution. What was already written stays; absent means false. Once true it stays
    /// true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<bool>,
    /// Set it to true to undo a completed execution from its preserved rollback state; absent means false. Once true
    /// it stays true. Restored is all of it or nothing: where somebody has changed it since, the condition
    /// `RolledBack` says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<bool>,
}

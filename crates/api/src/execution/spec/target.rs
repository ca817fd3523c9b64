//! What an action is done to (SP-43…SP-49).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::execution::schema::{self, LABEL_MAX, NAME_MAX};

/// One object by its name, or a bounded selection of objects. This version takes one object by its name, and refuses
/// a target without a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = schema::target)]
pub struct TargetResource {
    /// API version of the target, such as `v1` or `apps/v1`.
    #[schemars(length(max = 317), transform = schema::api_version)]
    pub api_version: String,
    /// Kind of the target, such as `Pod` or `Deployment`.
    #[schemars(length(max = LABEL_MAX), transform = schema::kind)]
    pub kind: String,
    /// Namespace of the target. Leave it out, or empty, for kinds without a namespace, such as `Node`; whether a kind
    /// has one is asked of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = LABEL_MAX), transform = schema::namespace_or_empty)]
    pub namespace: Option<String>,
    /// Name of the target. Without it, `labels` or `fieldSelectors` select the targets. Selecting is not
    /// performed by this version: a target without a name is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = NAME_MAX))]
    pub name: Option<String>,
    /// Labels of the target. With a name they are a guard: the target must bear them, or nothing is done. Without a
    /// name they select the targets, which this version refuses.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::labels")]
    pub labels: BTreeMap<String, String>,
    /// Field selectors, such as `status.phase=Running`. With a name they are a guard: the target must match all of
    /// them, or nothing is done. Without a name they select the targets, which this version refuses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 317)), transform = schema::field_selectors)]
    pub field_selectors: Vec<String>,
    /// Most targets a selection may have, 10 by default. A selection of more is refused as a whole. Not applied by
    /// this version: it refuses a target without a name.
    #[serde(default = "default_max_targets")]
    #[schemars(range(min = 1, max = 100))]
    pub max_targets: u32,
}

const fn default_max_targets() -> u32 {
    10
}

impl Default for TargetResource {
    fn default() -> Self {
        Self {
            api_version: String::new(),
            kind: String::new(),
            namespace: None,
            name: None,
            labels: BTreeMap::new(),
            field_selectors: Vec::new(),
            max_targets: default_max_targets(),
        }
    }
}

impl TargetResource {
    /// The namespace, where one is written that is not empty.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.namespace
            .as_deref()
            .filter(|namespace| !namespace.is_empty())
    }

    /// The name, where one is written that is not empty; without it the target is a selection.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref().filter(|name| !name.is_empty())
    }
}

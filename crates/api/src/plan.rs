//! The plan of one execution: the exact writes, the preconditions under which they are still right, what proves
//! them, what undoes them and which rights they need. Plain data and its hash; making plans belongs to the actions,
//! running them to the runner.

mod expectation;
mod step;

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use expectation::{Expectation, FieldValue, ReadyOwner, ServiceEndpoints};
pub use step::{FieldChange, Step, dotted, pointer_segment};

/// One object on the cluster, as exactly as the plan's author knew it.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectRef {
    /// API version, such as `apps/v1`, or `v1` for the core group.
    pub api_version: String,
    /// Kind, such as `Deployment`.
    pub kind: String,
    /// Plural resource name, such as `deployments`: what a URL and an RBAC rule name.
    pub resource: String,
    /// Namespace; absent for cluster-scoped kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// UID the object had when the plan was made: another object under the same name is not this one.
    pub uid: String,
}

impl ObjectRef {
    /// API group; empty for the core group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.api_version
            .split_once('/')
            .map_or("", |(group, _)| group)
    }

    /// Version without the group.
    #[must_use]
    pub fn version(&self) -> &str {
        self.api_version
            .split_once('/')
            .map_or(self.api_version.as_str(), |(_, version)| version)
    }
}

/// `Kind/namespace/name`, or `Kind/name` for cluster-scoped kinds: the form of ST-42.
impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{}/{namespace}/{}", self.kind, self.name),
            None => write!(f, "{}/{}", self.kind, self.name),
        }
    }
}

/// One right the plan needs, in the form of the attributes of a `SubjectAccessReview`.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Permission {
    /// API group; empty for the core group.
    pub group: String,
    /// Plural resource name.
    pub resource: String,
    /// Subresource, when the right is on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subresource: Option<String>,
    /// Verb.
    pub verb: String,
    /// Namespace; absent for cluster scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// `patch deployments.apps/scale in "web"`.
impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if let Some(subresource) = &self.subresource {
            write!(f, "/{subresource}")?;
        }
        match &self.namespace {
            Some(namespace) => write!(f, " in \"{namespace}\""),
            None => f.write_str(" cluster-wide"),
        }
    }
}

/// Everything the hash covers: what is approved, what runs, what proves and what undoes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlanContent {
    /// Action type, its aliases resolved.
    pub action: String,
    /// Version of the action that made the plan, such as `v1.2`.
    pub version: String,
    /// The objects the plan is about; the first is the target of the execution.
    pub targets: Vec<ObjectRef>,
    /// The writes, in order.
    pub steps: Vec<Step>,
    /// What proves the outcome.
    pub expectations: Vec<Expectation>,
    /// The writes that undo the plan, in order; empty when nothing can.
    pub rollback: Vec<Step>,
    /// The rights the steps need.
    pub permissions: Vec<Permission>,
}

/// SHA-256 over the RFC 8785 canonical JSON of a [`PlanContent`], as `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlanHash(String);

impl PlanHash {
    /// The hash as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlanHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for PlanHash {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// Why a plan's hash could not be computed.
#[derive(Debug, thiserror::Error)]
#[error("failed to write the plan as canonical JSON")]
pub struct HashPlanError(#[source] serde_json::Error);

impl PlanContent {
    /// The hash that approval, Job and result carry.
    pub fn hash(&self) -> Result<PlanHash, HashPlanError> {
        let canonical = serde_json_canonicalizer::to_vec(self).map_err(HashPlanError)?;
        Ok(PlanHash(format!("sha256:{:x}", Sha256::digest(canonical))))
    }

    /// The object the execution is about.
    #[must_use]
    pub fn target(&self) -> Option<&ObjectRef> {
        self.targets.first()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment() -> ObjectRef {
        ObjectRef {
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
            resource: "deployments".into(),
            namespace: Some("web".into()),
            name: "shop".into(),
            uid: "u-1".into(),
        }
    }

    fn scale(before: i32, after: i32) -> Step {
        Step::Patch {
            target: deployment(),
            subresource: Some("scale".into()),
            changes: vec![FieldChange {
                path: "/spec/replicas".into(),
                before: Some(before.into()),
                after: Some(after.into()),
            }],
        }
    }

    fn content(after: i32) -> PlanContent {
        PlanContent {
            action: "scale_deployment".into(),
            version: "v1.2".into(),
            targets: vec![deployment()],
            steps: vec![scale(2, after)],
            expectations: vec![],
            rollback: vec![scale(after, 2)],
            permissions: vec![],
        }
    }

    #[test]
    fn a_patch_tests_uid_and_old_value_before_it_writes() {
        assert_eq!(
            scale(2, 5).json_patch(),
            Some(json!([
                {"op": "test", "path": "/metadata/uid", "value": "u-1"},
                {"op": "test", "path": "/spec/replicas", "value": 2},
                {"op": "replace", "path": "/spec/replicas", "value": 5},
            ]))
        );
    }

    #[test]
    fn an_absent_field_is_tested_as_null_and_added() {
        let step = Step::Patch {
            target: deployment(),
            subresource: None,
            changes: vec![FieldChange {
                path: "/data/a~1b".into(),
                before: None,
                after: Some("x".into()),
            }],
        };
        assert_eq!(
            step.json_patch(),
            Some(json!([
                {"op": "test", "path": "/metadata/uid", "value": "u-1"},
                {"op": "test", "path": "/data/a~1b", "value": null},
                {"op": "add", "path": "/data/a~1b", "value": "x"},
            ]))
        );
    }

    #[test]
    fn a_guard_is_tested_and_neither_written_nor_shown() {
        let change = |path: &str, before: &str, after: &str| FieldChange {
            path: path.into(),
            before: Some(before.into()),
            after: Some(after.into()),
        };
        let step = Step::Patch {
            target: deployment(),
            subresource: None,
            changes: vec![
                change("/list/0/name", "web", "web"),
                change("/list/0/image", "a", "b"),
            ],
        };
        assert_eq!(
            step.json_patch(),
            Some(json!([
                {"op": "test", "path": "/metadata/uid", "value": "u-1"},
                {"op": "test", "path": "/list/0/name", "value": "web"},
                {"op": "test", "path": "/list/0/image", "value": "a"},
                {"op": "replace", "path": "/list/0/image", "value": "b"},
            ]))
        );
        assert_eq!(step.diff(), ["list.0.image: \"a\" -> \"b\""]);
    }

    #[test]
    fn the_inverse_of_the_inverse_is_the_step() {
        let step = scale(2, 5);
        assert_eq!(
            step.inverse().and_then(|inverse| inverse.inverse()),
            Some(step)
        );
    }

    #[test]
    fn a_deletion_has_no_inverse() {
        let step = Step::Delete {
            target: deployment(),
            grace_period_seconds: None,
        };
        assert_eq!(step.inverse(), None);
    }

    #[test]
    fn an_eviction_is_a_creation_of_its_subresource_and_has_no_inverse() {
        let step = Step::Evict {
            target: deployment(),
            grace_period_seconds: None,
            drain_seconds: None,
        };
        assert_eq!(
            (step.verb(), step.subresource(), step.inverse()),
            ("create", Some("eviction"), None)
        );
        assert_eq!(step.diff(), ["Deployment/web/shop (uid u-1) is evicted"]);
    }

    #[test]
    fn the_hash_follows_the_content_and_survives_the_wire() {
        let plan = content(5);
        let copy: PlanContent =
            serde_json::from_str(&serde_json::to_string(&plan).expect("serializes"))
                .expect("parses");
        assert_eq!(plan.hash().expect("hashes"), copy.hash().expect("hashes"));
        assert_ne!(
            plan.hash().expect("hashes"),
            content(6).hash().expect("hashes")
        );
    }

    #[test]
    fn a_diff_reads_like_a_sentence() {
        assert_eq!(scale(2, 5).diff(), ["spec.replicas: 2 -> 5"]);
        assert_eq!(dotted("/data/app.properties"), "data[app.properties]");
    }
}

//! What the demo is about: the example of scaling a Deployment, asked for by a user who may do that and nothing else. It
//! is the very example that people apply by hand, so the two cannot drift apart.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use k8s_openapi::api::apps::v1::Deployment;
use kexec_api::execution::KubernetesExecution;
use kube::Resource;
use serde::{Deserialize, de::DeserializeOwned};
use serde_yaml::Value;

use crate::node::BEHAVIOR;

/// The example with the target and the execution.
const EXAMPLE: &str = "scale-deployment.yaml";

/// The example that gives the user her rights.
const RIGHTS: &str = "requester-rbac.yaml";

/// The user of that example.
pub(super) const USER: &str = "alice";

/// How the node plays the target's pods: a moment passes until they are ready, as with real ones.
const PODS: &str = "slow=0.5";

/// What kept the examples from being read.
#[derive(Debug, thiserror::Error)]
pub enum StoryError {
    /// The file.
    #[error("failed to read '{}'", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its content.
    #[error("failed to read '{}' as YAML", path.display())]
    Parse {
        /// Which.
        path: PathBuf,
        /// Why.
        source: serde_yaml::Error,
    },
    /// It lacks what the demo shows.
    #[error("failed to find a {kind} in '{}'", path.display())]
    Lacks {
        /// The file.
        path: PathBuf,
        /// What it lacks.
        kind: &'static str,
    },
}

/// The objects of the demo.
#[derive(Debug)]
pub(super) struct Story {
    /// Manifests that come first: the namespace and the user's rights.
    pub(super) rights: PathBuf,
    pub(super) deployment: Deployment,
    pub(super) execution: KubernetesExecution,
}

impl Story {
    /// Reads it from the folder of examples.
    pub(super) fn read(examples: &Path) -> Result<Self, StoryError> {
        let path = examples.join(EXAMPLE);
        let text = fs::read_to_string(&path).map_err(|source| StoryError::Read {
            path: path.clone(),
            source,
        })?;
        let documents = serde_yaml::Deserializer::from_str(&text)
            .map(Value::deserialize)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| StoryError::Parse {
                path: path.clone(),
                source,
            })?;
        let mut deployment: Deployment = object(&documents, "Deployment", &path)?;
        play(&mut deployment);
        Ok(Self {
            rights: examples.join(RIGHTS),
            deployment,
            execution: object(&documents, "KubernetesExecution", &path)?,
        })
    }

    /// What is asked for, in one line.
    pub(super) fn request(&self) -> String {
        let action = &self.execution.spec.action_definition;
        let target = &action.target_resource;
        let parameters = action.parameters.iter();
        let parameters: Vec<_> = parameters
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        format!(
            "{USER} asks for {} of {} {}/{}: {}",
            action.action_type,
            target.kind,
            target.namespace().unwrap_or_default(),
            target.name().unwrap_or_default(),
            parameters.join(", ")
        )
    }
}

/// The only object of this kind.
fn object<K: DeserializeOwned>(
    documents: &[Value],
    kind: &'static str,
    path: &Path,
) -> Result<K, StoryError> {
    let of_kind = |document: &&Value| document.get("kind").and_then(Value::as_str) == Some(kind);
    let document = documents
        .iter()
        .find(of_kind)
        .ok_or_else(|| StoryError::Lacks {
            path: path.to_owned(),
            kind,
        })?;
    serde_yaml::from_value(document.clone()).map_err(|source| StoryError::Parse {
        path: path.to_owned(),
        source,
    })
}

fn play(deployment: &mut Deployment) {
    let template = deployment.spec.as_mut().map(|spec| &mut spec.template);
    let metadata = template.map(|template| template.metadata.get_or_insert_default());
    if let Some(metadata) = metadata {
        let annotations = metadata.annotations.get_or_insert_with(BTreeMap::new);
        annotations.insert(BEHAVIOR.to_owned(), PODS.to_owned());
    }
}

/// Namespace and name of an object.
pub(super) fn place<K: Resource>(object: &K) -> (String, String) {
    let metadata = object.meta();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    (text(&metadata.namespace), text(&metadata.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_about_its_own_deployment() {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
        let story = Story::read(&examples).unwrap();
        let target = &story.execution.spec.action_definition.target_resource;
        let named = (
            target.namespace().unwrap().to_owned(),
            target.name().unwrap().to_owned(),
        );
        assert_eq!(named, place(&story.deployment));
        assert!(
            story
                .request()
                .starts_with("alice asks for scale_deployment of Deployment demo/web")
        );
        let rights = fs::read_to_string(story.rights).unwrap();
        assert!(rights.contains(USER));
    }

    #[test]
    fn a_file_without_an_execution_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let refused = Story::read(folder.path()).unwrap_err();
        assert!(matches!(refused, StoryError::Read { .. }));
        fs::write(
            folder.path().join(EXAMPLE),
            "kind: Deployment\nmetadata: {name: web}\n",
        )
        .unwrap();
        let refused = Story::read(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("KubernetesExecution"), "{refused}");
        fs::write(folder.path().join(EXAMPLE), "kind: [").unwrap();
        let refused = Story::read(folder.path()).unwrap_err();
        assert!(matches!(refused, StoryError::Parse { .. }));
    }
}

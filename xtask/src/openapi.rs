//! Whether manifests are what a version of Kubernetes takes: each object against the definition of its kind,
//! with fields that the version does not know counted as errors. Which files to check is the caller's matter.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Kinds that are no part of Kubernetes and that we ship all the same: nothing here can check them.
const FOREIGN: [&str; 1] = ["monitoring.coreos.com/v1/ServiceMonitor"];

/// Why manifests could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// A file.
    #[error("failed to read {path:?}")]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The definitions are no JSON.
    #[error("failed to read the definitions in {path:?}")]
    ReadDefinitions {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: serde_json::Error,
    },
    /// The manifests are no YAML.
    #[error("failed to read the manifests in {path:?}")]
    ReadManifests {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: serde_yaml::Error,
    },
    /// A definition is no JSON schema.
    #[error("failed to use the definition of {kind}: {cause}")]
    UseDefinition {
        /// The kind.
        kind: String,
        /// The cause, in the words of the library.
        cause: String,
    },
}

/// The kinds of one version of Kubernetes.
pub struct Kubernetes {
    definitions: Value,
    /// Names of definitions by `apiVersion/kind`.
    kinds: BTreeMap<String, String>,
}

impl Kubernetes {
    /// Reads `api/openapi-spec/swagger.json` of a version.
    pub fn read(path: &Path) -> Result<Self, CheckError> {
        let text = read(path)?;
        let document: Value =
            serde_json::from_str(&text).map_err(|source| CheckError::ReadDefinitions {
                path: path.to_owned(),
                source,
            })?;
        Ok(Self::of(document))
    }

    fn of(mut document: Value) -> Self {
        let mut definitions = document
            .get_mut("definitions")
            .map(Value::take)
            .unwrap_or_default();
        let mut kinds = BTreeMap::new();
        for (name, definition) in definitions.as_object_mut().into_iter().flatten() {
            let named = definition.get("x-kubernetes-group-version-kind");
            for one in named.and_then(Value::as_array).into_iter().flatten() {
                kinds.insert(kind_of(one), name.clone());
            }
            close(definition);
        }
        Self { definitions, kinds }
    }

    /// One sentence for each problem of the objects in a file of YAML documents.
    pub fn problems_of(&self, path: &Path) -> Result<Vec<String>, CheckError> {
        let text = read(path)?;
        let mut validators = BTreeMap::new();
        let mut problems = Vec::new();
        for document in serde_yaml::Deserializer::from_str(&text) {
            let object =
                Value::deserialize(document).map_err(|source| CheckError::ReadManifests {
                    path: path.to_owned(),
                    source,
                })?;
            if !object.is_null() {
                problems.extend(self.problems(&object, &mut validators)?);
            }
        }
        Ok(problems)
    }

    fn problems(
        &self,
        object: &Value,
        validators: &mut BTreeMap<String, Validator>,
    ) -> Result<Vec<String>, CheckError> {
        let text = |pointer: &str| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or("")
        };
        let kind = format!("{}/{}", text("/apiVersion"), text("/kind"));
        if FOREIGN.contains(&kind.as_str()) {
            return Ok(Vec::new());
        }
        let who = format!("{kind} {:?}", text("/metadata/name"));
        let Some(definition) = self.kinds.get(&kind) else {
            return Ok(vec![format!(
                "{who} is of a kind that this version does not have"
            )]);
        };
        if !validators.contains_key(&kind) {
            validators.insert(kind.clone(), self.validator(&kind, definition)?);
        }
        let errors = validators
            .get(&kind)
            .into_iter()
            .flat_map(|validator| validator.iter_errors(object));
        Ok(errors
            .map(|error| format!("{who} at \"{}\": {error}", error.instance_path()))
            .collect())
    }

    fn validator(&self, kind: &str, definition: &str) -> Result<Validator, CheckError> {
        let reference = format!("#/definitions/{definition}");
        let schema = json!({"$ref": reference, "definitions": self.definitions});
        jsonschema::draft4::options()
            .should_validate_formats(false)
            .build(&schema)
            .map_err(|error| CheckError::UseDefinition {
                kind: kind.to_owned(),
                cause: error.to_string(),
            })
    }
}

fn read(path: &Path) -> Result<String, CheckError> {
    fs::read_to_string(path).map_err(|source| CheckError::ReadFile {
        path: path.to_owned(),
        source,
    })
}

/// `apiVersion/kind` of an entry of `x-kubernetes-group-version-kind`.
fn kind_of(entry: &Value) -> String {
    let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
    match text("group") {
        "" => format!("{}/{}", text("version"), text("kind")),
        group => format!("{group}/{}/{}", text("version"), text("kind")),
    }
}

/// Makes a definition refuse fields that it does not have, and take numbers where the API server does.
fn close(definition: &mut Value) {
    let Some(definition) = definition.as_object_mut() else {
        return;
    };
    if definition.contains_key("properties") && !definition.contains_key("additionalProperties") {
        definition.insert("additionalProperties".to_owned(), json!(false));
    }
    if is_int_or_string(definition) {
        definition.insert("type".to_owned(), json!(["integer", "string"]));
    }
    let fields = definition
        .get_mut("properties")
        .and_then(Value::as_object_mut);
    fields
        .into_iter()
        .flatten()
        .for_each(|(_, field)| close(field));
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = definition.get_mut(inner) {
            close(inner);
        }
    }
}

fn is_int_or_string(definition: &Map<String, Value>) -> bool {
    definition.get("format").and_then(Value::as_str) == Some("int-or-string")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(manifest: &str) -> Vec<String> {
        let gvk =
            |group: &str, kind: &str| json!([{"group": group, "version": "v1", "kind": kind}]);
        let kubernetes = Kubernetes::of(json!({"definitions": {
            "Budget": {
                "type": "object", "required": ["spec"],
                "x-kubernetes-group-version-kind": gvk("policy", "Budget"),
                "properties": {
                    "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"},
                    "spec": {"$ref": "#/definitions/Spec"},
                },
            },
            "Spec": {"type": "object", "properties": {
                "least": {"type": "string", "format": "int-or-string"},
                "names": {"type": "array", "items": {"type": "string"}},
            }},
        }}));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifests.yaml");
        fs::write(&path, manifest).unwrap();
        kubernetes.problems_of(&path).unwrap()
    }

    fn budget(spec: &str) -> Vec<String> {
        problems(&format!(
            "apiVersion: policy/v1\nkind: Budget\nmetadata: {{name: a}}\nspec: {spec}\n"
        ))
    }

    #[test]
    fn an_object_that_fits_its_definition_has_no_problem() {
        assert_eq!(budget("{least: 1, names: [a]}"), Vec::<String>::new());
        assert_eq!(budget("{least: 50%}"), Vec::<String>::new());
    }

    #[test]
    fn a_field_that_does_not_exist_a_wrong_type_and_an_absent_field_are_named_with_their_place() {
        let found = budget("{lest: 1}");
        assert!(
            found[0].starts_with("policy/v1/Budget \"a\" at \"/spec\": "),
            "{found:?}"
        );
        assert!(found[0].contains("lest"), "{found:?}");
        let found = budget("{names: [1]}");
        assert!(found[0].contains("\"/spec/names/0\""), "{found:?}");
        let found = problems("apiVersion: policy/v1\nkind: Budget\nmetadata: {name: a}\n");
        assert!(
            found[0].contains("\"spec\" is a required property"),
            "{found:?}"
        );
    }

    #[test]
    fn a_kind_that_the_version_does_not_have_is_a_problem_unless_it_is_known_to_be_foreign() {
        let found =
            problems("---\n---\napiVersion: policy/v2\nkind: Budget\nmetadata: {name: a}\n");
        assert_eq!(
            found,
            ["policy/v2/Budget \"a\" is of a kind that this version does not have"]
        );
        let foreign = problems("apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\n");
        assert_eq!(foreign, Vec::<String>::new());
    }

    #[test]
    fn a_file_that_is_not_there_is_an_error() {
        let kubernetes = Kubernetes::of(json!({}));
        assert!(matches!(
            kubernetes.problems_of(Path::new("absent.yaml")),
            Err(CheckError::ReadFile { .. })
        ));
        assert!(matches!(
            Kubernetes::read(Path::new("absent.json")),
            Err(CheckError::ReadFile { .. })
        ));
    }
}

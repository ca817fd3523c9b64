//! The environment of one container, in the order and with the rules of a kubelet: `envFrom` first, then `env`, each
//! value expanded with what stands before it.

use std::{collections::BTreeMap, net::Ipv4Addr};

use k8s_openapi::api::core::v1::{Container, EnvFromSource, EnvVarSource, Pod};

use super::{
    expansion::expand,
    fields,
    sources::{Data, Sources},
};

/// What keeps a container's environment from being made; a container waits on it as `CreateContainerConfigError`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum EnvironmentError {
    #[error("{kind} '{name}' not found")]
    ObjectMissing { kind: &'static str, name: String },
    #[error("couldn't find key '{key}' in {kind} '{name}'")]
    KeyMissing {
        kind: &'static str,
        name: String,
        key: String,
    },
    #[error("field path '{path}' is not part of the downward API")]
    UnknownField { path: String },
    #[error("'{variable}' takes its value from a source that a process node does not have")]
    UnknownSource { variable: String },
}

/// Where values come from.
pub(super) struct Values<'a> {
    pub(super) pod: &'a Pod,
    pub(super) address: Ipv4Addr,
    pub(super) sources: &'a Sources,
}

impl Values<'_> {
    /// The variables of `container`, after those in `base`.
    pub(super) fn environment(
        &self,
        container: &Container,
        base: BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, EnvironmentError> {
        let mut environment = base;
        for source in container.env_from.iter().flatten() {
            environment.extend(self.all_of(source)?);
        }
        for variable in container.env.iter().flatten() {
            let value = match &variable.value_from {
                None => {
                    let text = variable.value.as_deref().unwrap_or_default();
                    Some(expand(text, &environment))
                }
                Some(source) => self.one_of(&variable.name, source)?,
            };
            if let Some(value) = value {
                environment.insert(variable.name.clone(), value);
            }
        }
        Ok(environment)
    }

    fn all_of(&self, source: &EnvFromSource) -> Result<BTreeMap<String, String>, EnvironmentError> {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        let secret = source.secret_ref.as_ref().map(|it| {
            let found = self.sources.secrets.get(&it.name);
            ("secret", &it.name, it.optional, found)
        });
        let map = source.config_map_ref.as_ref().map(|it| {
            let found = self.sources.config_maps.get(&it.name);
            ("configmap", &it.name, it.optional, found)
        });
        let mut values = BTreeMap::new();
        for (kind, name, optional, found) in secret.into_iter().chain(map) {
            let data = required(found, optional, || missing(kind, name))?;
            let data = data.into_iter().flatten();
            values.extend(data.map(|(key, value)| (format!("{prefix}{key}"), text(value))));
        }
        Ok(values)
    }

    fn one_of(
        &self,
        variable: &str,
        source: &EnvVarSource,
    ) -> Result<Option<String>, EnvironmentError> {
        if let Some(field) = &source.field_ref {
            return fields::value(self.pod, self.address, &field.field_path)
                .map(Some)
                .ok_or_else(|| EnvironmentError::UnknownField {
                    path: field.field_path.clone(),
                });
        }
        if let Some(it) = &source.secret_key_ref {
            let found = self.sources.secrets.get(&it.name);
            return key_of(("secret", &it.name, &it.key), it.optional, found);
        }
        if let Some(it) = &source.config_map_key_ref {
            let found = self.sources.config_maps.get(&it.name);
            return key_of(("configmap", &it.name, &it.key), it.optional, found);
        }
        Err(EnvironmentError::UnknownSource {
            variable: variable.to_owned(),
        })
    }
}

fn key_of(
    (kind, name, key): (&'static str, &str, &str),
    optional: Option<bool>,
    found: Option<&Data>,
) -> Result<Option<String>, EnvironmentError> {
    let Some(data) = required(found, optional, || missing(kind, name))? else {
        return Ok(None);
    };
    let value = required(data.get(key), optional, || EnvironmentError::KeyMissing {
        kind,
        name: name.to_owned(),
        key: key.to_owned(),
    })?;
    Ok(value.map(|value| text(value)))
}

fn required<T>(
    found: Option<T>,
    optional: Option<bool>,
    error: impl FnOnce() -> EnvironmentError,
) -> Result<Option<T>, EnvironmentError> {
    match (found, optional.unwrap_or_default()) {
        (Some(found), _) => Ok(Some(found)),
        (None, true) => Ok(None),
        (None, false) => Err(error()),
    }
}

fn missing(kind: &'static str, name: &str) -> EnvironmentError {
    EnvironmentError::ObjectMissing {
        kind,
        name: name.to_owned(),
    }
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn environment(
        container: serde_json::Value,
    ) -> Result<BTreeMap<String, String>, EnvironmentError> {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "u", "annotations": {"plan": "{\"$(A)\":1}"}},
        }))
        .unwrap();
        let sources = Sources {
            secrets: BTreeMap::from([(
                "s".to_owned(),
                BTreeMap::from([("k".to_owned(), b"v".to_vec())]),
            )]),
            config_maps: BTreeMap::new(),
        };
        let values = Values {
            pod: &pod,
            address: Ipv4Addr::new(10, 244, 0, 2),
            sources: &sources,
        };
        values.environment(&serde_json::from_value(container).unwrap(), BTreeMap::new())
    }

    #[test]
    fn values_are_expanded_with_what_stands_before_them_but_fields_are_not() {
        let made = environment(json!({"name": "c", "env": [
            {"name": "A", "value": "1"},
            {"name": "B", "value": "$(A)$(C)"},
            {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['plan']"}}},
        ]}))
        .unwrap();
        assert_eq!(made["B"], "1$(C)");
        assert_eq!(made["C"], "{\"$(A)\":1}");
    }

    #[test]
    fn a_secret_key_is_read_and_an_optional_missing_one_is_left_out() {
        let made = environment(json!({"name": "c", "env": [
            {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "x", "optional": true}}},
        ]}))
        .unwrap();
        assert_eq!(made, BTreeMap::from([("A".to_owned(), "v".to_owned())]));
    }

    #[test]
    fn a_missing_key_and_a_missing_object_are_told_apart() {
        let key = environment(json!({"name": "c", "env": [
            {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "x"}}}]}));
        assert!(matches!(key, Err(EnvironmentError::KeyMissing { .. })));
        let object =
            environment(json!({"name": "c", "envFrom": [{"configMapRef": {"name": "m"}}]}));
        assert!(matches!(
            object,
            Err(EnvironmentError::ObjectMissing { .. })
        ));
    }

    #[test]
    fn a_field_that_the_downward_api_does_not_have_is_an_error() {
        let made = environment(json!({"name": "c", "env": [
            {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.selfLink"}}}]}));
        assert!(matches!(made, Err(EnvironmentError::UnknownField { .. })));
    }

    #[test]
    fn a_resource_field_is_a_source_that_this_node_does_not_have() {
        let made = environment(json!({"name": "c", "env": [
            {"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}]}));
        assert!(matches!(made, Err(EnvironmentError::UnknownSource { .. })));
    }
}

//! The objects an installation consists of beside the CRD: its namespace, RBAC and admission policies. Each file is a
//! template beside this one, filled in with what the registry says of the actions; what an action needs is decided in
//! its metadata, and why a rule of the others is needed stands above it in the template.

mod bindings;
pub mod chart;
mod names;
mod parameters;
mod template;
mod unperformed;

#[cfg(test)]
mod tests;

use kexec_actions::Registry;
use kexec_actions::metadata::{Metadata, Rule};
use kexec_api::names::{DEFAULT_SYSTEM_NAMESPACE, dashed};
use serde::Deserialize;
use serde_json::Value;

use bindings::Reach;
use names::Names;
pub use template::TemplateError;
use template::Values;

/// One installation in a cluster.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Installation<'a> {
    /// Namespace of the controller, the Jobs and their claims.
    pub system_namespace: &'a str,
    /// What tells the cluster-scoped objects of several installations apart: it is added to their names after a dash,
    /// and the policies then concern only executions in namespaces that bear the label [`LABEL_INSTALLATION`] with
    /// this value. Empty for the only installation, whose policies concern all executions.
    ///
    /// It is for tests that share a cluster. Whoever may label a namespace could leave such policies behind, and an
    /// installation without a suffix tolerates no other in its cluster.
    pub suffix: &'a str,
}

pub use kexec_api::names::LABEL_INSTALLATION;

impl Default for Installation<'_> {
    fn default() -> Self {
        Self {
            system_namespace: DEFAULT_SYSTEM_NAMESPACE,
            suffix: "",
        }
    }
}

/// One file of manifests.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Manifest {
    /// Where it belongs, from the root of the workspace.
    pub path: String,
    /// YAML documents with their comments; in the chart, a template of them.
    pub text: String,
}

/// Why manifests could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// A template does not fit its values.
    #[error("failed to fill in the template of {path:?}")]
    FillTemplate {
        /// The file.
        path: String,
        /// The cause.
        source: TemplateError,
    },
    /// An object cannot be written as YAML.
    #[error("failed to write {path:?} as YAML")]
    WriteYaml {
        /// The file.
        path: String,
        /// The cause.
        source: serde_yaml::Error,
    },
    /// What was generated is no YAML.
    #[error("failed to read the generated {path:?} as YAML")]
    ReadYaml {
        /// The file.
        path: String,
        /// The cause.
        source: serde_yaml::Error,
    },
}

impl Manifest {
    fn new(path: String, template: &str, values: &Values) -> Result<Self, InstallError> {
        match template::fill(template, values) {
            Ok(text) => Ok(Self { path, text }),
            Err(source) => Err(InstallError::FillTemplate { path, source }),
        }
    }

    /// The objects in it, in order.
    pub fn objects(&self) -> Result<Vec<Value>, InstallError> {
        serde_yaml::Deserializer::from_str(&self.text)
            .map(Value::deserialize)
            .collect::<Result<_, _>>()
            .map_err(|source| InstallError::ReadYaml {
                path: self.path.clone(),
                source,
            })
    }
}

/// Every manifest of an installation, in an order in which they can be applied.
pub fn manifests(installation: &Installation<'_>) -> Result<Vec<Manifest>, InstallError> {
    let registry = Registry::built_in();
    let actions = actions(&registry);
    let names = Names::of(installation, Reach::Cluster, &actions);
    let mut all = vec![Manifest::new(
        "config/operator/namespace.yaml".to_owned(),
        include_str!("operator/namespace.yaml"),
        &names.values(),
    )?];
    all.extend(policies("config", &names)?);
    all.extend(roles("config", &names)?);
    Ok(all)
}

/// What the actions say of themselves, by name.
fn actions(registry: &Registry) -> Vec<&Metadata> {
    let mut actions: Vec<_> = registry
        .planners()
        .iter()
        .map(kexec_actions::Planner::metadata)
        .collect();
    actions.sort_by_key(|metadata| metadata.action_type);
    actions
}

/// The admission policies, in the folder `policies` of this one.
fn policies(folder: &str, names: &Names<'_>) -> Result<Vec<Manifest>, InstallError> {
    let one = |(name, template): (&str, &str)| {
        Manifest::new(
            format!("{folder}/policies/{name}.yaml"),
            template,
            &names.values(),
        )
    };
    POLICIES.into_iter().map(one).collect()
}

/// Accounts, roles and bindings, in the folder `rbac` of this one.
fn roles(folder: &str, names: &Names<'_>) -> Result<Vec<Manifest>, InstallError> {
    let of_actions = names
        .actions()
        .iter()
        .map(|metadata| role_of(folder, metadata, names));
    let others = ROLES.into_iter().map(|(name, template)| {
        Manifest::new(
            format!("{folder}/rbac/{name}.yaml"),
            template,
            &names.values(),
        )
    });
    of_actions.chain(others).collect()
}

/// Every object of an installation, the CRD excepted, in an order in which they can be applied.
pub fn install_objects(installation: &Installation<'_>) -> Result<Vec<Value>, InstallError> {
    let objects: Vec<Vec<Value>> = manifests(installation)?
        .iter()
        .map(Manifest::objects)
        .collect::<Result<_, _>>()?;
    Ok(objects.into_iter().flatten().collect())
}

const POLICIES: [(&str, &str); 7] = [
    (
        "authorize-execution",
        include_str!("policies/authorize-execution.yaml"),
    ),
    (
        "authorize-rollback",
        include_str!("policies/authorize-rollback.yaml"),
    ),
    (
        "check-parameters",
        include_str!("policies/check-parameters.yaml"),
    ),
    ("runner-fence", include_str!("policies/runner-fence.yaml")),
    (
        "stamp-requester",
        include_str!("policies/stamp-requester.yaml"),
    ),
    (
        "status-by-controller",
        include_str!("policies/status-by-controller.yaml"),
    ),
    (
        "tell-unperformed",
        include_str!("policies/tell-unperformed.yaml"),
    ),
];

const ROLES: [(&str, &str); 4] = [
    ("claim", include_str!("rbac/claim.yaml")),
    ("controller", include_str!("rbac/controller.yaml")),
    ("reader", include_str!("rbac/reader.yaml")),
    ("users", include_str!("rbac/users.yaml")),
];

/// ServiceAccount, `ClusterRole` and binding of one action (BR-SECURITY-001, ADR-39).
fn role_of(folder: &str, metadata: &Metadata, names: &Names<'_>) -> Result<Manifest, InstallError> {
    let dashed = dashed(metadata.action_type);
    let mut values = names.values();
    values.insert("bindings", names.bindings_of(metadata));
    values.insert("action", metadata.action_type.to_owned());
    values.insert("account", metadata.service_account_name());
    values.insert("rules", rules(metadata.rules));
    let path = format!("{folder}/rbac/action-{dashed}.yaml");
    values.insert("dashed-action", dashed);
    Manifest::new(path, include_str!("rbac/action.yaml"), &values)
}

/// Text in double quotes, as YAML reads it.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The rules of a role, each below the reason it is needed for.
fn rules(rules: &[Rule]) -> String {
    if rules.is_empty() {
        return "rules: []".to_owned();
    }
    let rules = rules.iter().map(|rule| {
        format!(
            "\n# {}\n- apiGroups: [{:?}]\n  resources: [{:?}]\n  verbs: [{:?}]",
            rule.reason, rule.group, rule.resource, rule.verb
        )
    });
    format!("rules:{}", rules.collect::<String>())
}

//! The part of the Helm chart that is made from the templates beside this file: the same objects as in `config/`, with
//! Helm's expressions where the installer decides. What a chart has beside them (Deployment, values, notes) is written
//! by hand in `charts/`.

use kexec_actions::Registry;
use kexec_api::execution;

use super::bindings::Reach;
use super::names::Names;
use super::{InstallError, Installation, Manifest, actions, policies, roles};

/// Where the chart lies, from the root of the workspace.
pub const CHART: &str = "charts/kubernaut-executor";

/// Where the chart's generated templates lie, from the root of the workspace.
const FOLDER: &str = "charts/kubernaut-executor/templates";

/// The system namespace in a template, also within a loop.
const NAMESPACE: &str = "{{ $.Release.Namespace }}";

/// The policy of a kind that only clusters from 1.36 on serve.
const STAMP: &str = "stamp-requester";

/// The generated templates of the chart.
pub fn templates() -> Result<Vec<Manifest>, InstallError> {
    let installation = Installation {
        system_namespace: NAMESPACE,
        suffix: "",
    };
    let registry = Registry::built_in();
    let actions = actions(&registry);
    let names = Names::of(&installation, Reach::ChartValue, &actions);
    let policies = policies(FOLDER, &names)?.into_iter().map(|policy| {
        let condition = if policy.path.ends_with(&format!("/{STAMP}.yaml")) {
            "and .Values.policies.enabled (include \"kubernaut-executor.stampsRequester\" .)"
        } else {
            ".Values.policies.enabled"
        };
        only_if(condition, policy)
    });
    let mut all = vec![only_if(".Values.crds.install", crd()?)];
    all.extend(policies);
    all.extend(roles(FOLDER, &names)?);
    Ok(all)
}

/// What the chart's values may be: `actions` by the names that there are.
pub fn values_schema() -> Result<Manifest, InstallError> {
    let registry = Registry::built_in();
    let names: Vec<_> = actions(&registry)
        .iter()
        .map(|action| format!("{:?}", action.action_type))
        .collect();
    let values = [("action-names", names.join(", "))].into();
    let path = format!("{CHART}/values.schema.json");
    Manifest::new(path, include_str!("chart/values.schema.json"), &values)
}

/// The CRD, which Helm upgrades with the chart and leaves behind when the chart goes: its objects would go with it.
fn crd() -> Result<Manifest, InstallError> {
    let path = format!("{FOLDER}/crds/kubernetesexecutions.yaml");
    let mut crd = execution::crd();
    crd.metadata
        .annotations
        .get_or_insert_default()
        .insert("helm.sh/resource-policy".to_owned(), "keep".to_owned());
    match serde_yaml::to_string(&crd) {
        Ok(text) => Ok(Manifest { path, text }),
        Err(source) => Err(InstallError::WriteYaml { path, source }),
    }
}

/// The template, rendered only where the condition holds.
fn only_if(condition: &str, manifest: Manifest) -> Manifest {
    let text = manifest.text.trim_end();
    Manifest {
        text: format!("{{{{- if {condition} }}}}\n{text}\n{{{{- end }}}}\n"),
        path: manifest.path,
    }
}

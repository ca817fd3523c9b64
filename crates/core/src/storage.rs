//! Where a plan is kept: in status, where whoever may read the target's namespace may read it; or, when it is too large for
//! that or about another namespace, whole and immutable in a ConfigMap beside the Jobs.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kexec_api::execution::KubernetesExecution;
use kexec_api::execution::status::PlanStorage;
use kexec_api::names;
use kexec_api::plan::{PlanContent, PlanHash};

use crate::request::is_dry_run;
use crate::settings::{MAX_PLAN_BYTES, Settings};
use crate::status::is_foreign;

/// Where the plan of an execution is kept.
#[must_use]
pub fn storage(execution: &KubernetesExecution, content: &PlanContent) -> PlanStorage {
    let namespace = execution.metadata.namespace.as_deref().unwrap_or_default();
    // What was only tried is not undone, nor looked at later.
    let is_apart = is_foreign(content, namespace) && !is_dry_run(&execution.spec);
    let bytes = serde_json::to_vec(content).map_or(usize::MAX, |json| json.len());
    if is_apart || bytes > MAX_PLAN_BYTES {
        PlanStorage::ConfigMap
    } else {
        PlanStorage::Status
    }
}

/// The ConfigMap that keeps a plan.
#[must_use]
pub fn config_map(
    execution: &KubernetesExecution,
    (content, hash): (&PlanContent, &PlanHash),
    settings: &Settings,
) -> ConfigMap {
    let metadata = &execution.metadata;
    let uid = metadata.uid.as_deref().unwrap_or_default();
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let name = metadata.name.as_deref().unwrap_or_default();
    let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    };
    let json = serde_json::to_string(content).unwrap_or_default();
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(names::plan_name(uid)),
            namespace: Some(settings.system_namespace.clone()),
            labels: Some(pairs(&[
                (names::LABEL_APP_NAME, names::APP_NAME),
                (names::LABEL_PLAN, "true"),
                (names::LABEL_EXECUTION_UID, uid),
            ])),
            annotations: Some(pairs(&[
                (names::ANNOTATION_PLAN_HASH, hash.as_str()),
                (names::LABEL_EXECUTION_NAMESPACE, namespace),
                (names::LABEL_EXECUTION, name),
            ])),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([(names::PLAN_KEY.to_owned(), json)])),
        immutable: Some(true),
        ..ConfigMap::default()
    }
}

/// The plan that a ConfigMap keeps, if it is the one with that hash.
#[must_use]
pub fn read(config_map: &ConfigMap, hash: &str) -> Option<PlanContent> {
    let json = config_map.data.as_ref()?.get(names::PLAN_KEY)?;
    let content: PlanContent = serde_json::from_str(json).ok()?;
    let computed = content.hash().ok()?;
    (computed.as_str() == hash).then_some(content)
}

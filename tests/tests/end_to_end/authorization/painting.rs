//! An execution that paints a ConfigMap, in whichever namespace that is, and how it ends.

use k8s_openapi::api::core::v1::ConfigMap;
use kexec_api::condition::{ConditionType, Reason};
use kexec_api::execution::KubernetesExecution;
use kexec_api::phase::Phase;
use kexec_tests::harness::Scene;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

/// A second namespace of the scene, where nobody but administrators may do anything yet.
pub(super) async fn foreign_namespace(scene: &Scene) -> String {
    let name = format!("{}-shop", scene.namespace);
    scene
        .apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
        .await;
    name
}

pub(super) async fn config_map(scene: &Scene, namespace: &str) {
    let metadata = json!({"name": "settings", "namespace": namespace});
    scene.apply(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"color": "red"}})).await;
}

pub(super) async fn color(scene: &Scene, namespace: &str) -> Option<String> {
    let maps: Api<ConfigMap> = Api::namespaced(scene.client.clone(), namespace);
    maps.get("settings")
        .await
        .expect("a ConfigMap")
        .data
        .and_then(|data| data.get("color").cloned())
}

/// An execution in the scene's namespace that changes a ConfigMap in another.
pub(super) fn painting(scene: &Scene, name: &str, action: &str, namespace: &str) -> Value {
    let target = ("v1", "ConfigMap", "settings");
    let mut execution = scene.execution(name, action, target, &json!({"data": {"color": "blue"}}));
    execution["spec"]["actionDefinition"]["targetResource"]["namespace"] = json!(namespace);
    execution
}

/// Asserts that the execution ended for that reason, before it was started.
pub(super) async fn assert_refused(scene: &Scene, name: &str, reason: Reason) -> String {
    let status = scene.ended(name).await.status.expect("a status");
    let completed = status
        .condition(ConditionType::Completed)
        .expect("a condition");
    assert_eq!(completed.known_reason(), Some(reason), "{status:#?}");
    assert_eq!(status.phase, Some(Phase::Failed));
    assert_eq!(status.job, None, "it was started");
    status.error.expect("an error")
}

pub(super) async fn assert_completed(scene: &Scene, name: &str) {
    let status = scene.ended(name).await.status.expect("a status");
    assert_eq!(status.phase, Some(Phase::Completed), "{status:#?}");
}

pub(super) async fn patch(
    client: &Client,
    scene: &Scene,
    name: &str,
    patch: Value,
) -> Result<KubernetesExecution, kube::Error> {
    let executions: Api<KubernetesExecution> = Api::namespaced(client.clone(), &scene.namespace);
    executions
        .patch(name, &PatchParams::default(), &Patch::Merge(patch))
        .await
}

//! Each action once, from its request to its proof, with real pods on both sides.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod};
use kexec_api::execution::KubernetesExecution;
use kexec_tests::harness::{Ending, Scene};
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};
use serde_json::json;

use super::turns;

#[tokio::test(flavor = "multi_thread")]
async fn scale_deployment_makes_pods_that_run() {
    let _turn = turns::shared().await;
    let scene = Scene::real("scale").await;
    scene.deployment("web", 1).await;
    let mut execution = scene.scaling("up", "web", 3);
    execution["spec"]["executionConfig"]["monitoringConfig"] =
        json!({"resourceMonitoring": {"enableNetworkMonitoring": true}});
    scene.create(&execution).await;
    let execution = scene.ends("up", Ending::COMPLETED).await;
    assert_eq!(scene.replicas("web").await, 3);
    assert_was_measured(&execution);
}

/// The runner reads what it used from its own cgroup, which only a real container has.
fn assert_was_measured(execution: &KubernetesExecution) {
    let status = execution.status.as_ref().expect("a status");
    let metrics = status.performance_metrics.as_ref().expect("metrics");
    let used = metrics.resource_utilization.as_ref().expect("figures");
    for figure in [
        &used.peak_memory_usage,
        &used.average_cpu_usage,
        &used.network_bytes_transferred,
    ] {
        assert!(figure.is_some(), "{used:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn restart_pod_has_its_owner_replace_it() {
    let _turn = turns::shared().await;
    let scene = Scene::real("restart").await;
    scene.deployment("web", 1).await;
    let before = pods(&scene).await;
    let pod = before.first().expect("a pod");
    let execution = scene.execution("restart", "restart_pod", ("v1", "Pod", pod), &json!({}));
    scene.create(&execution).await;
    scene.ends("restart", Ending::COMPLETED).await;
    assert!(!pods(&scene).await.contains(pod));
}

/// Names of the scene's pods.
async fn pods(scene: &Scene) -> BTreeSet<String> {
    let pods: Api<Pod> = scene.api();
    let found = pods.list(&ListParams::default()).await.expect("pods");
    let stay = found
        .iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none());
    stay.map(ResourceExt::name_any).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn modify_configmap_sets_a_key() {
    let _turn = turns::shared().await;
    let scene = Scene::real("configmap").await;
    let metadata = json!({"name": "settings", "namespace": scene.namespace});
    scene
        .apply(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"mode": "slow"}}))
        .await;
    let execution = scene.execution(
        "tune",
        "modify_configmap",
        ("v1", "ConfigMap", "settings"),
        &json!({"data": {"mode": "fast"}}),
    );
    scene.create(&execution).await;
    scene.ends("tune", Ending::COMPLETED).await;
    let maps: Api<ConfigMap> = scene.api();
    let data = maps.get("settings").await.expect("a ConfigMap").data;
    assert_eq!(data.expect("data")["mode"], "fast");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_cordoned_from_the_other_one_and_uncordoned() {
    let _turn = turns::alone().await;
    let scene = Scene::real("cordon").await;
    let target = scene.cluster.real_nodes()[1].name();
    for (action, cordoned) in [("cordon_node", true), ("uncordon_node", false)] {
        let name = action.replace('_', "-");
        let execution = scene.execution(&name, action, ("v1", "Node", target), &json!({}));
        let created = scene.create(&execution).await;
        let is_placed = |pod: &Pod| node_of(pod).is_some();
        let pod = scene
            .pod(&created, "the runner's pod to be placed", is_placed)
            .await;
        assert_ne!(node_of(&pod).as_deref(), Some(target));
        scene.ends(&name, Ending::COMPLETED).await;
        assert_eq!(is_cordoned(&scene.client, target).await, cordoned);
    }
}

fn node_of(pod: &Pod) -> Option<String> {
    pod.spec.as_ref()?.node_name.clone()
}

async fn is_cordoned(client: &Client, node: &str) -> bool {
    let nodes: Api<Node> = Api::all(client.clone());
    let node = nodes.get(node).await.expect("a node");
    node.spec.and_then(|spec| spec.unschedulable) == Some(true)
}

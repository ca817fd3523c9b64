//! Drains of a node without a machine: its pods are placed on it by name, and go as soon as they may.

use k8s_openapi::api::core::v1::Pod;
use kexec_api::condition::Reason;
use kexec_api::phase::Phase;
use kexec_tests::harness::{Scene, eventually};
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::json;

use super::SpareNode;
use super::case::{Case, assert_ended};
use super::evictions::budget;

/// A Deployment whose pods are all on that node, and wherever else they are replaced.
async fn placed(scene: &Scene, node: &str, app: &str, replicas: usize) -> Vec<Pod> {
    scene
        .apply(&json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": app, "namespace": scene.namespace},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": app}},
                "template": {
                    "metadata": {"labels": {"app": app}},
                    "spec": {
                        "nodeName": node, "terminationGracePeriodSeconds": 0,
                        "tolerations": [{"operator": "Exists"}],
                        "containers": [{"name": "main", "image": "played"}],
                    },
                },
            },
        }))
        .await;
    let all: Api<Pod> = scene.api();
    let of_app = ListParams::default().labels(&format!("app={app}"));
    eventually("the pods to be placed", || async {
        let pods = all.list(&of_app).await.ok()?.items;
        (pods.len() == replicas).then_some(pods)
    })
    .await
}

/// Moves what is on the node, and keeps new pods off.
pub(super) async fn drain_node(action: &str) {
    let scene = Scene::new("drain").await;
    let node = SpareNode::new(&scene, &json!({})).await;
    let before = placed(&scene, &node.name, "web", 2).await;
    let _operator = scene.operator().await;
    let case = Case::new(&scene, action, &node.name, json!({"drainTimeout": "50s"}));

    case.tries().await;
    assert_eq!(node.unschedulable().await, None);
    case.reaches_its_goal().await;
    assert_eq!(node.unschedulable().await, Some(true));
    for pod in &before {
        assert_eq!(scene.effects_on("pods", &pod.name_any()), 1, "evicted once");
    }
    case.makes_just_the_calls_it_was_granted().await;
    node.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_a_budget_forbids_names_it_and_is_uncordoned() {
    let scene = Scene::new("stuck").await;
    let node = SpareNode::new(&scene, &json!({})).await;
    let held = placed(&scene, &node.name, "web", 1).await[0].name_any();
    runs(&scene, &held).await;
    budget(&scene, "web", 0).await;
    let _operator = scene.operator().await;

    let parameters = json!({"drainTimeout": "5s"});
    let target = ("v1", "Node", node.name.as_str());
    let mut drain = scene.execution("drain", "drain_node", target, &parameters);
    drain["spec"]["executionConfig"]["safetyConfig"] = json!({});
    scene.create(&drain).await;

    let status = scene.ended("drain").await.status.expect("a status");
    assert_ended(&status, Phase::RolledBack, Reason::RollbackCompleted);
    let error = status.error.expect("an error");
    assert!(
        error.contains("The disruption budget web-budget"),
        "{error}"
    );
    assert_eq!(node.unschedulable().await, None);
    assert_eq!(scene.effects_on("pods", &held), 0);
    node.remove().await;
}

/// Has a pod run and be ready, as nobody on its node will say.
async fn runs(scene: &Scene, pod: &str) {
    let pods: Api<Pod> = scene.api();
    let status = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
    pods.patch_status(pod, &PatchParams::default(), &Patch::Merge(&status))
        .await
        .expect("patched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_a_pod_that_nothing_owns_is_not_drained() {
    let scene = Scene::new("unowned").await;
    let node = SpareNode::new(&scene, &json!({})).await;
    scene
        .apply(&json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "alone", "namespace": scene.namespace},
            "spec": {
                "nodeName": node.name, "terminationGracePeriodSeconds": 0,
                "tolerations": [{"operator": "Exists"}],
                "containers": [{"name": "main", "image": "played"}],
            },
        }))
        .await;
    let _operator = scene.operator().await;

    let target = ("v1", "Node", node.name.as_str());
    scene
        .create(&scene.execution("drain", "drain_node", target, &json!({})))
        .await;

    let status = scene.ended("drain").await.status.expect("a status");
    assert_ended(&status, Phase::Failed, Reason::InvalidTarget);
    let error = status.error.expect("an error");
    assert!(
        error.contains(&format!(
            "1 pod ({}/alone) without an owner",
            scene.namespace
        )),
        "{error}"
    );
    assert_eq!((status.job, node.unschedulable().await), (None, None));
    node.remove().await;
}

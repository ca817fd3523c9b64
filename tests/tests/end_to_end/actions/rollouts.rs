//! The actions that have a workload roll out another pod template, on the cluster's own controllers.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use kexec_api::condition::Reason;
use kexec_api::phase::Phase;
use kexec_tests::harness::Scene;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::case::{Case, assert_ended};
use super::pods;

/// Replicas of a workload that has any.
const REPLICAS: usize = 2;

/// A workload `web` of a kind, with all its pods ready: two, or one for the node that plays pods.
async fn workload(scene: &Scene, kind: &str) -> Vec<Pod> {
    scene.apply(&manifest(scene, kind)).await;
    pods(scene, "web", count(kind)).await
}

fn count(kind: &str) -> usize {
    if kind == "DaemonSet" { 1 } else { REPLICAS }
}

fn manifest(scene: &Scene, kind: &str) -> Value {
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": kind,
        "metadata": {"name": "web", "namespace": scene.namespace},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "nodeSelector": {"kubernetes.io/os": "linux"},
                    "containers": [{"name": "main", "image": "played"}],
                },
            },
        },
    });
    if kind != "DaemonSet" {
        object["spec"]["replicas"] = REPLICAS.into();
    }
    if kind == "StatefulSet" {
        object["spec"]["serviceName"] = "web".into();
    }
    object
}

fn uids(pods: &[Pod]) -> BTreeSet<Option<String>> {
    pods.iter().map(ResourceExt::uid).collect()
}

/// Has every pod of a workload replaced, once for each execution.
async fn restarts(action: &str, kind: &str) {
    let scene = Scene::new("rollout").await;
    let before = uids(&workload(&scene, kind).await);
    let _operator = scene.operator().await;
    let case = Case::new(&scene, action, "web", json!({}));

    case.tries().await;
    assert_eq!(uids(&pods(&scene, "web", count(kind)).await), before);
    case.reaches_its_goal().await;
    let after = uids(&pods(&scene, "web", count(kind)).await);
    assert!(after.is_disjoint(&before), "{after:?} {before:?}");

    let again = case.run("again").await;
    assert_ended(&again, Phase::Completed, Reason::ExecutionCompleted);
    let later = uids(&pods(&scene, "web", count(kind)).await);
    assert!(later.is_disjoint(&after), "{later:?} {after:?}");
    assert_eq!(case.writes(), (3, 2), "each execution restarts once");
    case.makes_just_the_calls_it_was_granted().await;
}

pub(super) async fn restart_deployment(action: &str) {
    restarts(action, "Deployment").await;
}

pub(super) async fn restart_statefulset(action: &str) {
    restarts(action, "StatefulSet").await;
}

pub(super) async fn restart_daemonset(action: &str) {
    restarts(action, "DaemonSet").await;
}

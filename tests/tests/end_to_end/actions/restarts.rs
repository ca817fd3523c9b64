//! Restarts of a pod beyond the plain one: whose endpoints come back or do not, of a StatefulSet, without an owner.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kexec_api::condition::Reason;
use kexec_api::execution::KubernetesExecutionStatus;
use kexec_api::phase::Phase;
use kexec_tests::harness::{Scene, eventually};
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::case::assert_ended;
use super::pods;

/// A Service of the scene that selects these labels.
async fn service(scene: &Scene, selector: &Value) {
    scene
        .apply(&json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "web", "namespace": scene.namespace},
            "spec": {"selector": selector, "ports": [{"port": 80}]},
        }))
        .await;
}

/// Waits until the Service's ready endpoints lead to just these pods.
async fn endpoints_lead_to(scene: &Scene, expected: &BTreeSet<Option<String>>) {
    let slices: Api<EndpointSlice> = scene.api();
    let of_service = ListParams::default().labels("kubernetes.io/service-name=web");
    eventually("the endpoints", || async {
        let slices = slices.list(&of_service).await.ok()?;
        let endpoints = slices.items.into_iter().flat_map(|slice| slice.endpoints);
        let ready = endpoints.filter(|one| {
            let conditions = one.conditions.as_ref();
            conditions.and_then(|conditions| conditions.ready) == Some(true)
        });
        let led_to: BTreeSet<_> = ready
            .map(|one| one.target_ref.and_then(|pod| pod.uid))
            .collect();
        (led_to == *expected).then_some(())
    })
    .await;
}

/// What the proof found on the cluster.
fn found(status: &KubernetesExecutionStatus) -> String {
    let results = status.validation_results.as_ref();
    let after = results.and_then(|results| results.post_execution_validation.as_ref());
    let outcome = after.and_then(|after| after.outcome_verification.as_ref());
    outcome
        .and_then(|outcome| outcome.actual_outcome.clone())
        .expect("an outcome")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_is_proven_when_the_endpoints_are_back() {
    let scene = Scene::new("back").await;
    scene.deployment("web", 2).await;
    service(&scene, &json!({"app": "web"})).await;
    let before = pods(&scene, "web", 2).await;
    endpoints_lead_to(&scene, &before.iter().map(ResourceExt::uid).collect()).await;
    let _operator = scene.operator().await;

    let target = before[0].name_any();
    scene
        .create(&scene.execution("restart", "restart_pod", ("v1", "Pod", &target), &json!({})))
        .await;

    let status = scene.ended("restart").await.status.expect("a status");
    assert_ended(&status, Phase::Completed, Reason::ExecutionCompleted);
    let found = found(&status);
    assert!(
        found.ends_with("; Service \"web\" has 2 of 2 ready endpoints, at least one new"),
        "{found}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_whose_replacement_no_service_leads_to_is_not_completed() {
    let scene = Scene::new("dark").await;
    scene.deployment("web", 2).await;
    let before = pods(&scene, "web", 2).await;
    let target = before[0].name_any();
    let by_hand = json!({"metadata": {"labels": {"serves": "yes"}}});
    let all: Api<Pod> = scene.api();
    all.patch(&target, &PatchParams::default(), &Patch::Merge(&by_hand))
        .await
        .expect("labelled");
    service(&scene, &json!({"app": "web", "serves": "yes"})).await;
    endpoints_lead_to(&scene, &BTreeSet::from([before[0].uid()])).await;
    let _operator = scene.operator().await;

    let mut restart = scene.execution("restart", "restart_pod", ("v1", "Pod", &target), &json!({}));
    restart["spec"]["executionConfig"]["validationConfig"] = json!({"healthCheckTimeout": "10s"});
    scene.create(&restart).await;

    let status = scene.ended("restart").await.status.expect("a status");
    assert_ended(&status, Phase::Failed, Reason::HealthCheckTimeout);
    assert_eq!(
        found(&status),
        "2 of 2 ready pods, at least one new; the old pod is gone; Service \"web\" has 0 of 1 ready endpoints, none of \
         them new"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pod_of_a_stateful_set_is_replaced_by_one_of_the_same_name_and_another_uid() {
    let scene = Scene::new("stateful").await;
    scene
        .apply(&json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": "db", "namespace": scene.namespace},
            "spec": {
                "replicas": 2, "serviceName": "db",
                "selector": {"matchLabels": {"app": "db"}},
                "template": {
                    "metadata": {"labels": {"app": "db"}},
                    "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "main", "image": "played"}]},
                },
            },
        }))
        .await;
    let before = pods(&scene, "db", 2).await;
    let _operator = scene.operator().await;

    scene
        .create(&scene.execution("restart", "restart_pod", ("v1", "Pod", "db-0"), &json!({})))
        .await;

    let status = scene.ended("restart").await.status.expect("a status");
    assert_ended(&status, Phase::Completed, Reason::ExecutionCompleted);
    let after = pods(&scene, "db", 2).await;
    let uid = |pods: &[Pod]| {
        pods.iter()
            .find(|pod| pod.name_any() == "db-0")
            .and_then(ResourceExt::uid)
    };
    assert!(uid(&after).is_some() && uid(&after) != uid(&before));
    assert_eq!(scene.effects_on("pods", "db-0"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_pod_is_not_restarted_unless_it_is_forced() {
    let scene = Scene::new("bare").await;
    let metadata =
        json!({"name": "alone", "namespace": scene.namespace, "labels": {"app": "alone"}});
    let spec = json!({"terminationGracePeriodSeconds": 1, "containers": [{"name": "main", "image": "played"}]});
    scene
        .apply(&json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}))
        .await;
    pods(&scene, "alone", 1).await;
    let _operator = scene.operator().await;
    let restart = |name, parameters| {
        scene.execution(name, "restart_pod", ("v1", "Pod", "alone"), &parameters)
    };

    scene.create(&restart("refused", json!({}))).await;
    let status = scene.ended("refused").await.status.expect("a status");
    assert_ended(&status, Phase::Failed, Reason::InvalidTarget);
    let error = status.error.expect("an error");
    assert!(
        error.contains("has no owner, so nothing would replace it: create it by a Deployment"),
        "{error}"
    );
    assert_eq!((status.job, scene.effects_on("pods", "alone")), (None, 0));

    scene
        .create(&restart("forced", json!({"force": true})))
        .await;
    let status = scene.ended("forced").await.status.expect("a status");
    assert_ended(&status, Phase::Completed, Reason::ExecutionCompleted);
    let pods: Api<Pod> = scene.api();
    assert_eq!(pods.get_opt("alone").await.expect("an answer"), None);
}

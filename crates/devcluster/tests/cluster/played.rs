//! Pods without a process: they do what their annotation says.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod, discovery::v1::EndpointSlice};
use kexec_devcluster::node::BEHAVIOR;
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use serde_json::{Value, json};

use crate::harness::{Space, create, until, wait_for, waiting};

fn deployment(behavior: &str) -> Value {
    json!({"metadata": {"name": "web"}, "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}, "annotations": {BEHAVIOR: behavior}},
            "spec": {"containers": [{"name": "web", "image": "web:1", "ports": [{"containerPort": 80}]}]},
        },
    }})
}

fn pod(behavior: &str, image: &str) -> Value {
    json!({"metadata": {"name": "pod", "annotations": {BEHAVIOR: behavior}},
           "spec": {"containers": [{"name": "c", "image": image}]}})
}

fn available(deployment: &Deployment) -> bool {
    let status = deployment.status.as_ref();
    status.is_some_and(|status| status.available_replicas == Some(2))
}

#[tokio::test]
async fn a_deployment_becomes_available_and_its_service_gets_endpoints() {
    let space = Space::new("played-ready").await;
    let service = json!({"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}});
    create(&space.api::<k8s_openapi::api::core::v1::Service>(), service).await;
    create(&space.api::<Deployment>(), deployment("ready")).await;
    wait_for(
        &space.api(),
        "metadata.name=web",
        "an available Deployment",
        available,
    )
    .await;
    let slices: Api<EndpointSlice> = space.api();
    until("two endpoints", || async {
        let slices = slices.list(&ListParams::default()).await.unwrap();
        slices
            .iter()
            .map(|slice| slice.endpoints.len())
            .sum::<usize>()
            == 2
    })
    .await;
}

#[tokio::test]
async fn a_slow_pod_is_ready_after_its_time() {
    let space = Space::new("played-slow").await;
    create(&space.api::<Deployment>(), deployment("slow=0.5")).await;
    wait_for(
        &space.api(),
        "metadata.name=web",
        "an available Deployment",
        available,
    )
    .await;
}

#[tokio::test]
async fn a_never_ready_pod_runs_and_is_not_ready() {
    let space = Space::new("played-never").await;
    create(&space.api::<Pod>(), pod("never-ready", "web:1")).await;
    let pod = wait_for(
        &space.api::<Pod>(),
        "metadata.name=pod",
        "a running pod",
        |pod| {
            pod.status
                .as_ref()
                .is_some_and(|status| status.phase.as_deref() == Some("Running"))
        },
    )
    .await;
    let containers = pod.status.unwrap().container_statuses.unwrap();
    assert!(!containers[0].ready);
}

#[tokio::test]
async fn a_crashing_pod_backs_off_and_counts_its_restarts() {
    let space = Space::new("played-crash").await;
    create(&space.api::<Pod>(), pod("crash-loop", "web:1")).await;
    wait_for(
        &space.api::<Pod>(),
        "metadata.name=pod",
        "two restarts",
        |pod| {
            let status = pod.status.clone().unwrap_or_default();
            let restarts = status
                .container_statuses
                .iter()
                .flatten()
                .map(|it| it.restart_count);
            restarts.sum::<i32>() >= 2
                && waiting(&status, "c").as_deref() == Some("CrashLoopBackOff")
        },
    )
    .await;
}

#[tokio::test]
async fn an_image_that_no_registry_has_keeps_its_pod_pending() {
    let space = Space::new("played-image").await;
    create(&space.api::<Pod>(), pod("ready", "web:missing")).await;
    wait_for(
        &space.api::<Pod>(),
        "metadata.name=pod",
        "ImagePullBackOff",
        |pod| {
            let status = pod.status.clone().unwrap_or_default();
            status.phase.as_deref() == Some("Pending")
                && waiting(&status, "c").as_deref() == Some("ImagePullBackOff")
        },
    )
    .await;
}

#[tokio::test]
async fn a_pod_that_ends_by_itself_says_how() {
    let space = Space::new("played-ends").await;
    let mut failing = pod("fails=0", "job:1");
    failing["spec"]["restartPolicy"] = json!("Never");
    create(&space.api::<Pod>(), failing).await;
    wait_for(
        &space.api::<Pod>(),
        "metadata.name=pod",
        "a failed pod",
        |pod| {
            pod.status
                .as_ref()
                .is_some_and(|status| status.phase.as_deref() == Some("Failed"))
        },
    )
    .await;
}

#[tokio::test]
async fn a_deleted_pod_and_one_that_goes_by_itself_are_gone() {
    let space = Space::new("played-gone").await;
    let pods: Api<Pod> = space.api();
    for behavior in ["slow-to-go=0.2", "gone=0.2"] {
        create(&pods, pod(behavior, "web:1")).await;
        wait_for(&pods, "metadata.name=pod", "a ready pod", |pod| {
            let status = pod.status.as_ref();
            status.is_some_and(|status| status.phase.as_deref() == Some("Running"))
        })
        .await;
        if behavior.starts_with("slow") {
            pods.delete("pod", &DeleteParams::default()).await.unwrap();
        }
        until("no pod", || async {
            pods.get_opt("pod").await.unwrap().is_none()
        })
        .await;
    }
}

//! Watches that are late, broken or begun anew: what an operator has not seen is not taken for gone, and what went while
//! it did not look is not taken for there.

use http::StatusCode;
use kexec_api::execution::KubernetesExecution;
use kexec_api::phase::Phase;
use kexec_tests::fault_proxy::{Fault, FaultProxy, RequestInfo, WatchFault, pass};
use kexec_tests::harness::{Operator, Scene, eventually, phase};
use kube::Api;
use kube::api::DeleteParams;

/// An operator whose way to the API server leads through a proxy.
async fn operator_behind_a_proxy(scene: &Scene) -> (Operator, FaultProxy) {
    let proxy = FaultProxy::start(scene.cluster.admin())
        .await
        .expect("a proxy");
    let mut config = scene.operator_config().await;
    config.cluster_url = proxy.url();
    config.root_cert = None;
    (scene.operator_by(config, &[]), proxy)
}

fn is_watch_of(request: &RequestInfo, resource: &str) -> bool {
    request.attributes.resource == resource && request.attributes.verb == "watch"
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_has_not_seen_an_execution_leaves_its_job_alone() {
    let scene = Scene::new("behind").await;
    let targets: Vec<String> = (0..4).map(|number| format!("web-{number}")).collect();
    for target in &targets {
        scene.deployment(target, 1).await;
    }
    let (_behind, proxy) = operator_behind_a_proxy(&scene).await;
    proxy
        .wait_for_request(|seen| is_watch_of(&seen.request, "jobs"))
        .await;
    proxy.set_watch_script(|event| match event.resource.as_str() {
        "kubernetesexecutions" => WatchFault::Hold,
        _ => WatchFault::Pass,
    });
    let _operator = scene.operator().await;

    for target in &targets {
        scene.create(&scene.scaling(target, target, 2)).await;
    }

    for target in &targets {
        let ended = scene.ended(target).await;
        assert_eq!(phase(&ended), Some(Phase::Completed), "{:#?}", ended.status);
        assert_eq!(scene.effects_on("deployments", target), 1, "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_deleted_while_the_watch_was_broken_gives_its_target_back() {
    let scene = Scene::new("relist").await;
    scene.apply_deployment("web", 1, "never-ready").await;
    let (_operator, proxy) = operator_behind_a_proxy(&scene).await;
    scene.create(&scene.scaling("first", "web", 2)).await;
    let is_monitored =
        |execution: &KubernetesExecution| phase(execution) == Some(Phase::Monitoring);
    scene.reaches("first", "monitoring", is_monitored).await;

    proxy.kill();
    let executions: Api<KubernetesExecution> = scene.api();
    executions
        .delete("first", &DeleteParams::default())
        .await
        .expect("deleted");
    eventually("the deletion", || async {
        executions
            .get_opt("first")
            .await
            .ok()?
            .is_none()
            .then_some(())
    })
    .await;
    proxy.set_script(|request| {
        if is_watch_of(request, "kubernetesexecutions") {
            Fault::answer(StatusCode::GONE)
        } else {
            Fault::Pass
        }
    });
    proxy.revive().await;
    let is_told = |seen: &kexec_tests::fault_proxy::Seen| {
        is_watch_of(&seen.request, "kubernetesexecutions") && seen.answered == Some(410)
    };
    proxy.wait_for_request(is_told).await;
    proxy.set_script(pass());
    scene.create(&scene.scaling("second", "web", 3)).await;

    scene.reaches("second", "its turn", is_monitored).await;
}

//! Executions that are cancelled at any moment: the runner is stopped, and what it had written is not denied.

use kexec_api::execution::KubernetesExecution;
use kexec_devcluster::node::Fault;
use kexec_tests::harness::{
    Ending, HELD_AFTER_THE_WRITE, HELD_BEFORE_THE_WRITE, Scene, StandIn, error_of, fault_on,
};
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use super::deletion::{FIRST_IS_HELD, ahead_of_others, goes_on, leaves_nothing, queued, running};

/// Asks as its user that an execution be cancelled.
async fn cancel(scene: &Scene, name: &str) {
    let by_user: Api<KubernetesExecution> = Api::namespaced(scene.user.clone(), &scene.namespace);
    let cancelled = Patch::Merge(json!({"spec": {"control": {"cancel": true}}}));
    by_user
        .patch(name, &PatchParams::default(), &cancelled)
        .await
        .expect("cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_cancelled_before_anybody_saw_it_does_nothing() {
    let scene = Scene::new("cancel-new").await;
    scene.deployment("web", 2).await;
    let execution = scene.create(&scene.scaling("up", "web", 4)).await;
    cancel(&scene, "up").await;
    let _operator = scene.operator().await;
    scene.ends("up", Ending::CANCELLED).await;
    leaves_nothing(&scene, &execution).await;
    goes_on(&scene, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_cancelled_in_the_queue_frees_its_place() {
    let scene = Scene::new("cancel-place").await;
    scene.deployment("web", 2).await;
    let _operator = scene.operator().await;
    let stand_in = StandIn::new(&scene, FIRST_IS_HELD);
    scene.create(&scene.scaling("first", "web", 4)).await;
    stand_in.says("holding").await;
    let second = ahead_of_others(scene.scaling("second", "web", 6));
    scene.create(&second).await;
    queued(&scene, "second").await;
    scene.create(&scene.scaling("third", "web", 3)).await;
    queued(&scene, "third").await;

    cancel(&scene, "second").await;

    scene.ends("second", Ending::CANCELLED).await;
    stand_in.say("go");
    scene.ends("first", Ending::COMPLETED).await;
    scene.ends("third", Ending::COMPLETED).await;
    assert_eq!(
        (
            scene.effects_on("deployments", "web"),
            scene.replicas("web").await
        ),
        (2, 3)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_cancelled_before_its_pod_starts_writes_nothing() {
    let scene = Scene::new("cancel-start").await;
    scene.deployment("web", 2).await;
    let _operator = scene.operator().await;
    let fault = fault_on(&scene, Fault::NeverStart);
    let execution = scene.create(&scene.scaling("up", "web", 4)).await;
    scene.pod(&execution, "the runner's pod", |_| true).await;

    cancel(&scene, "up").await;

    let execution = scene.ends("up", Ending::CANCELLED).await;
    assert!(
        error_of(&execution).contains("nothing was written"),
        "{}",
        error_of(&execution)
    );
    drop(fault);
    assert_eq!(scene.effects_on("deployments", "web"), 0);
    scene.goes_on_after(&execution, "web").await;
}

/// Cancels an execution whose runner does this instead; how it ends.
async fn cancelled_while(name: &str, body: &str, word: &str, expected: Ending) {
    let scene = Scene::new(name).await;
    let _operator = scene.operator().await;
    let (_, stand_in) = running(&scene, body, word).await;

    cancel(&scene, "up").await;

    let execution = scene.ends("up", expected).await;
    drop(stand_in);
    let written = expected == Ending::COMPLETED;
    assert_eq!(scene.effects_on("deployments", "web"), usize::from(written));
    scene.goes_on_after(&execution, "web").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_cancelled_while_its_runner_works_is_cancelled() {
    let body = "trap 'answer interrupted skipped; exit 1' TERM; say holding; await go";
    cancelled_while("cancel", body, "holding", Ending::CANCELLED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_whose_cancelled_runner_says_nothing_is_cancelled() {
    cancelled_while(
        "cancel-mute",
        HELD_BEFORE_THE_WRITE,
        "holding",
        Ending::CANCELLED,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_whose_cancelled_runner_is_deaf_is_cancelled() {
    let body = "trap '' TERM; say holding; while :; do sleep 1; done";
    cancelled_while("cancel-deaf", body, "holding", Ending::CANCELLED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_cancelled_after_its_write_tells_that_it_was_done() {
    cancelled_while(
        "cancel-late",
        HELD_AFTER_THE_WRITE,
        "written",
        Ending::COMPLETED,
    )
    .await;
}

//! What a kubelet, a kernel and an administrator do to a runner: it runs out of memory, has no image, is evicted, deleted,
//! or will not stop. Nothing is written, the end says why, and the target's next execution has its turn (I4, I5).

use k8s_openapi::api::core::v1::Pod;
use kexec_api::condition::{FailureClass, Reason};
use kexec_api::execution::KubernetesExecution;
use kexec_tests::harness::{Ending, Scene, error_of};
use kube::ResourceExt;
use kube::api::{Api, EvictParams};
use serde_json::json;

use super::altered::{alter_no_more, alter_runners, stand_in};
use super::turns;

/// A scene whose runner's pod is altered, and the execution that it is for.
async fn begin(name: &str, operations: &str, timeout: &str) -> (Scene, KubernetesExecution) {
    let scene = Scene::real(name).await;
    scene.deployment("web", 1).await;
    alter_runners(&scene, operations).await;
    let mut execution = scene.scaling("up", "web", 2);
    execution["spec"]["executionConfig"]["timeout"] = json!(timeout);
    let execution = scene.create(&execution).await;
    (scene, execution)
}

/// Waits until the container that writes runs.
pub async fn runs(scene: &Scene, execution: &KubernetesExecution) -> Pod {
    let is_running = |pod: &Pod| {
        let containers = pod
            .status
            .iter()
            .flat_map(|status| &status.container_statuses);
        let state = containers.flatten().find_map(|it| it.state.clone());
        state.is_some_and(|state| state.running.is_some())
    };
    scene.pod(execution, "the runner to run", is_running).await
}

/// Waits for the end, unwritten, and for the next execution's; what the end said.
async fn ends_unwritten(scene: &Scene, reason: Reason, class: FailureClass) -> String {
    let execution = scene.ends("up", Ending::failed(reason, class)).await;
    assert_eq!(scene.replicas("web").await, 1);
    alter_no_more(scene).await;
    scene.goes_on_after(&execution, "web").await;
    error_of(&execution)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_out_of_memory_is_named_so() {
    let _turn = turns::shared().await;
    let (scene, _) = begin("memory", &stand_in("glutton"), "1m").await;
    let error = ends_unwritten(&scene, Reason::OutOfMemory, FailureClass::Infrastructure).await;
    assert!(error.contains("memory"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_no_node_can_pull_is_named() {
    let _turn = turns::shared().await;
    let image = "registry.invalid/kubernaut-runner:missing";
    let operations = format!(
        r#"JSONPatch{{op: "replace", path: "/spec/initContainers/0/image", value: "{image}"}}"#
    );
    let scene = Scene::real("image").await;
    scene.deployment("web", 1).await;
    alter_runners(&scene, &operations).await;
    let mut execution = scene.scaling("up", "web", 2);
    execution["spec"]["executionConfig"]["timeout"] = json!("3m");
    scene.create(&execution).await;
    let error = ends_unwritten(
        &scene,
        Reason::ImagePullFailed,
        FailureClass::Infrastructure,
    )
    .await;
    assert!(error.contains(image), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evicted_runner_ends_the_execution_unwritten() {
    let _turn = turns::shared().await;
    let (scene, execution) = begin("evicted", &stand_in("hold"), "1m").await;
    let pod = runs(&scene, &execution).await.name_any();
    let pods: Api<Pod> = scene.system_api();
    let evicted = pods.evict(&pod, &EvictParams::default()).await;
    evicted.expect("an eviction");
    ends_unwritten(&scene, Reason::RunnerKilled, FailureClass::Infrastructure).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_runner_ends_the_execution_unwritten() {
    let _turn = turns::shared().await;
    let (scene, execution) = begin("deleted", &stand_in("hold"), "1m").await;
    let pod = runs(&scene, &execution).await.name_any();
    let system = scene.system_namespace.clone();
    scene.kubectl(&["-n", &system, "delete", "pod", &pod]).await;
    ends_unwritten(&scene, Reason::RunnerKilled, FailureClass::Infrastructure).await;
}

/// The kubelet sends SIGTERM at the deadline, waits out the grace period and kills. Pod and log stay to be read: it is the
/// pod's deadline that ends it, not the Job's, which would delete them.
#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_ignores_sigterm_is_killed_after_its_deadline_and_its_log_is_kept() {
    let _turn = turns::shared().await;
    let (scene, execution) = begin("deaf", &stand_in("deaf"), "15s").await;
    let pod = runs(&scene, &execution).await.name_any();
    ends_unwritten(&scene, Reason::DeadlineExceeded, FailureClass::Timeout).await;
    let system = scene.system_namespace.clone();
    let log = scene.kubectl(&["-n", &system, "logs", &pod]).await;
    assert_eq!(log.trim(), "deaf");
    let killed = |pod: &Pod| {
        let containers = pod
            .status
            .iter()
            .flat_map(|status| &status.container_statuses);
        let ends = containers
            .flatten()
            .filter_map(|it| it.state.as_ref()?.terminated.as_ref());
        ends.into_iter().any(|end| end.exit_code == 137)
    };
    scene
        .pod(&execution, "the runner to be killed", killed)
        .await;
}

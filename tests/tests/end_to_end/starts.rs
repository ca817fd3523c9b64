//! Jobs and pods that never come to run: said by name, within the start time-out, nothing written, nothing left, and
//! the target's turn handed on.

use std::fmt::Debug;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ResourceQuota, ServiceAccount};
use kexec_api::condition::{FailureClass, Reason};
use kexec_api::execution::KubernetesExecution;
use kexec_api::names;
use kexec_api::phase::Phase;
use kexec_devcluster::node::Fault;
use kexec_tests::audit::Call;
use kexec_tests::harness::{Ending, Scene, error_of, eventually, fault_on, phase};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams};
use serde_json::{Value, json};

/// What makes an operator give up soon on a Job that does not start.
const SOON: [&str; 2] = ["--start-timeout-seconds", "3"];

/// Creates an execution that cannot start, and waits for its end; what it says.
async fn fails_to_start(
    scene: &Scene,
    name: &str,
    reason: Reason,
) -> (KubernetesExecution, String) {
    scene.create(&scene.scaling(name, "web", 4)).await;
    let expected = Ending::failed(reason, FailureClass::Infrastructure);
    let execution = scene.ends(name, expected).await;
    assert_eq!(
        (
            scene.effects_on("deployments", "web"),
            scene.replicas("web").await
        ),
        (0, 2)
    );
    scene.job_expires(&execution).await;
    let error = error_of(&execution);
    (execution, error)
}

/// The target is free again: another execution gets its turn, whatever becomes of it.
async fn hands_the_target_on(scene: &Scene) {
    scene.create(&scene.scaling("next", "web", 3)).await;
    let at_work = |execution: &KubernetesExecution| {
        phase(execution).is_some_and(|phase| phase == Phase::Executing || phase.is_terminal())
    };
    let next = scene.reaches("next", "its turn", at_work).await;
    assert_eq!(phase(&next), Some(Phase::Executing), "{}", error_of(&next));
}

fn assert_has(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{text:?} does not say {word:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_cannot_be_pulled_is_named() {
    let scene = Scene::new("image").await;
    scene.deployment("web", 2).await;
    let image = ["--runner-image", "registry.example/missing:v1"];
    let _operator = scene.operator_with(&[image, SOON].concat()).await;
    let (_, error) = fails_to_start(&scene, "up", Reason::ImagePullFailed).await;
    assert_has(&error, &["image", "registry.example/missing:v1"]);
    hands_the_target_on(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_never_starts_is_given_up() {
    let scene = Scene::new("never").await;
    scene.deployment("web", 2).await;
    let _operator = scene.operator_with(&SOON).await;
    let _fault = fault_on(&scene, Fault::NeverStart);
    let (_, error) = fails_to_start(&scene, "up", Reason::RunnerNeverStarted).await;
    assert_has(&error, &["had no running pod"]);
    hands_the_target_on(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_service_account_is_named() {
    let scene = Scene::isolated("account").await;
    scene.deployment("web", 2).await;
    let accounts: Api<ServiceAccount> = scene.system_api();
    accounts
        .delete("kexec-scale-deployment", &DeleteParams::default())
        .await
        .expect("deleted");
    let _operator = scene.operator_with(&SOON).await;
    let (_, error) = fails_to_start(&scene, "up", Reason::RunnerNeverStarted).await;
    assert_has(
        &error,
        &["serviceaccount", "kexec-scale-deployment", "not found"],
    );
    hands_the_target_on(&scene).await;
}

/// A quota in the system namespace that the API server enforces by now.
async fn quota(scene: &Scene, hard: &Value) {
    scene
        .apply(&json!({
            "apiVersion": "v1", "kind": "ResourceQuota",
            "metadata": {"name": "full", "namespace": scene.system_namespace},
            "spec": {"hard": hard},
        }))
        .await;
    let quotas: Api<ResourceQuota> = scene.system_api();
    eventually("the quota to be enforced", || async {
        quotas.get("full").await.ok()?.status?.hard.map(drop)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_leaves_no_room_for_the_job_is_named() {
    let scene = Scene::isolated("jobs-quota").await;
    scene.deployment("web", 2).await;
    quota(&scene, &json!({"count/jobs.batch": "0"})).await;
    let _operator = scene.operator_with(&SOON).await;
    let (_, error) = fails_to_start(&scene, "up", Reason::QuotaExceeded).await;
    assert_has(&error, &["exceeded quota", "count/jobs.batch"]);
    hands_the_target_on(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_leaves_no_room_for_the_pod_is_named() {
    let scene = Scene::isolated("pods-quota").await;
    scene.deployment("web", 2).await;
    quota(&scene, &json!({"pods": "0"})).await;
    let _operator = scene.operator_with(&SOON).await;
    let (_, error) = fails_to_start(&scene, "up", Reason::QuotaExceeded).await;
    assert_has(&error, &["exceeded quota", "pods"]);
    hands_the_target_on(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_is_lifted_in_time_only_delays_the_job() {
    let scene = Scene::isolated("lifted").await;
    scene.deployment("web", 2).await;
    quota(&scene, &json!({"count/jobs.batch": "0"})).await;
    let _operator = scene.operator().await;
    scene.create(&scene.scaling("up", "web", 4)).await;
    eventually("the Job to be refused", || async {
        let is_refusal = |call: &Call| {
            (call.verb.as_str(), call.resource.as_str(), call.code) == ("create", "jobs", 403)
                && call.namespace == scene.system_namespace
        };
        scene.calls().iter().any(is_refusal).then_some(())
    })
    .await;
    let quotas: Api<ResourceQuota> = scene.system_api();
    quotas
        .delete("full", &DeleteParams::default())
        .await
        .expect("deleted");

    scene.ends("up", Ending::COMPLETED).await;

    assert_eq!(
        (
            scene.effects_on("deployments", "web"),
            scene.replicas("web").await
        ),
        (1, 4)
    );
}

/// A Job that somebody else made, with the name that the execution's Job needs.
async fn foreign_job(scene: &Scene, execution: &KubernetesExecution, labels: &Value) -> Job {
    let name = scene.job_name(execution);
    let pod =
        json!({"restartPolicy": "Never", "containers": [{"name": "main", "image": "played"}]});
    scene
        .apply(&json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": name, "namespace": scene.system_namespace, "labels": labels},
            "spec": {"suspend": true, "template": {"spec": pod}},
        }))
        .await;
    let jobs: Api<Job> = scene.system_api();
    jobs.get(&name).await.expect("a Job")
}

/// An execution whose Job's name is taken fails, and the Job that has it stays as it is.
async fn name_is_taken(name: &str, labels: &Value) {
    let scene = Scene::new(name).await;
    scene.deployment("web", 2).await;
    let execution = scene.create(&scene.scaling("up", "web", 4)).await;
    let job = foreign_job(&scene, &execution, labels).await;
    let operator = scene.operator().await;

    let taken = Ending::failed(Reason::NameConflict, FailureClass::Infrastructure);
    let execution = scene.ends("up", taken).await;

    assert_has(
        &error_of(&execution),
        &[&job.name_any(), "is not ours", "remove it"],
    );
    assert_eq!(
        (
            scene.effects_on("deployments", "web"),
            scene.replicas("web").await
        ),
        (0, 2)
    );
    scene.create(&scene.scaling("next", "web", 3)).await;
    scene.ends("next", Ending::COMPLETED).await;
    drop(operator);
    let jobs: Api<Job> = scene.system_api();
    let left = jobs.get(&job.name_any()).await.expect("the foreign Job");
    assert_same(&left.spec, &job.spec);
    assert_same(&left.metadata.deletion_timestamp, &None);
    jobs.delete(&job.name_any(), &DeleteParams::background())
        .await
        .expect("deleted");
}

#[track_caller]
fn assert_same<T: PartialEq + Debug>(left: &T, right: &T) {
    assert_eq!(left, right);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_somebody_else_is_not_adopted() {
    name_is_taken("foreign", &json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_another_execution_is_not_adopted() {
    let labels = json!({names::LABEL_EXECUTION_UID: "01234567-89ab-cdef-0123-456789abcdef"});
    name_is_taken("stranger", &labels).await;
}

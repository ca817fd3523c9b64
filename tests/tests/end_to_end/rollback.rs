//! Actions that are undone: by themselves when they fail, or on request; only what is still theirs, and never half
//! without saying so (BR-EXEC-014, BR-SAFE-011, I7).

mod interrupted;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kexec_api::condition::{ConditionStatus, ConditionType, FailureClass, Reason};
use kexec_api::execution::KubernetesExecution;
use kexec_api::execution::status::{Condition, RollbackCause, RollbackInfo};
use kexec_api::phase::{Outcome, Phase};
use kexec_tests::harness::{Ending, HELD_AFTER_THE_WRITE, Scene, StandIn, error_of};
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

/// Undone, and proven to be.
const ROLLED_BACK: Ending = Ending {
    phase: Some(Phase::RolledBack),
    reason: Some(Reason::RollbackCompleted),
    class: None,
    outcome: Some(Outcome::RolledBack),
    verified: Some(true),
};

/// With automatic rollback, and a proof that is given up soon.
fn rolled_back_soon(mut execution: Value) -> Value {
    execution["spec"]["executionConfig"] = json!({
        "timeout": "60s",
        "validationConfig": {"healthCheckTimeout": "3s"},
        "safetyConfig": {"rollbackConfig": {"rollbackTimeout": "20s"}},
    });
    execution
}

/// A Deployment whose pods never get ready, which an execution is to scale from 1 to 3.
async fn never_ready(name: &str) -> (Scene, Value) {
    let scene = Scene::new(name).await;
    scene.apply_deployment("web", 1, "never-ready").await;
    let execution = rolled_back_soon(scene.scaling("up", "web", 3));
    (scene, execution)
}

/// Asks as the scene's user that a completed execution be undone.
async fn ask(scene: &Scene, name: &str) {
    let by_user: Api<KubernetesExecution> = Api::namespaced(scene.user.clone(), &scene.namespace);
    let asked = Patch::Merge(json!({"spec": {"control": {"rollback": true}}}));
    by_user
        .patch(name, &PatchParams::default(), &asked)
        .await
        .expect("asked");
}

fn condition(execution: &KubernetesExecution, kind: ConditionType) -> Condition {
    let status = execution.status.as_ref().expect("a status");
    status.condition(kind).expect("the condition").clone()
}

fn info(execution: &KubernetesExecution) -> RollbackInfo {
    let details = execution
        .status
        .as_ref()
        .and_then(|status| status.execution_details.as_ref());
    let info = details.and_then(|details| details.rollback_info.clone());
    info.expect("rollback info")
}

/// Waits until it is said of the execution why it is not, or not yet, undone.
async fn said(scene: &Scene, name: &str, reason: Reason) -> KubernetesExecution {
    let what = format!("RolledBack to be {}", reason.as_str());
    scene
        .reaches(name, &what, |execution| {
            let status = execution.status.as_ref();
            let said = status.and_then(|status| status.condition(ConditionType::RolledBack));
            said.and_then(Condition::known_reason) == Some(reason)
        })
        .await
}

/// Sets the replicas as somebody else.
async fn scale(scene: &Scene, deployment: &str, replicas: i32) {
    let deployments: Api<Deployment> = scene.api();
    let scaled = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    deployments
        .patch(deployment, &PatchParams::default(), &scaled)
        .await
        .expect("scaled");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_whose_outcome_does_not_show_is_undone_and_says_all_of_it() {
    let (scene, execution) = never_ready("undo").await;
    let _operator = scene.operator().await;
    scene.create(&execution).await;

    let execution = scene.ends("up", ROLLED_BACK).await;

    let effects = scene.effects_on("deployments", "web");
    assert_eq!((effects, scene.replicas("web").await), (2, 1));
    let info = info(&execution);
    assert_eq!(
        info.rollback_trigger,
        Some(RollbackCause::ValidationFailure)
    );
    assert_eq!(info.rollback_triggered, Some(true));
    assert!(info.rollback_completion_time.is_some());
    let action = info
        .rollback_actions
        .first()
        .and_then(|one| one.action.clone());
    assert!(action.is_some_and(|action| action.contains("spec.replicas: 3 -> 1")));
    let undone = condition(&execution, ConditionType::RolledBack);
    assert_eq!(undone.status, ConditionStatus::True);
    let ready = condition(&execution, ConditionType::Ready);
    assert_eq!(ready.known_reason(), Some(Reason::HealthCheckTimeout));
    assert!(error_of(&execution).contains("did not show within 3 s"));
    scene.goes_on_with_played(&execution, "web").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_died_after_its_write_has_it_undone() {
    let (scene, execution) = never_ready("undo-died").await;
    let _operator = scene.operator().await;
    let body = r#"case $stage in execute) "$runner" "$@"; : > "$KEXEC_TERMINATION_LOG"; exit 137 ;; esac
        exec "$runner" "$@""#;
    let stand_in = StandIn::new(&scene, body);
    scene.create(&execution).await;

    let execution = scene.ends("up", ROLLED_BACK).await;

    drop(stand_in);
    assert_eq!(
        info(&execution).rollback_trigger,
        Some(RollbackCause::ExecutionFailure)
    );
    assert_eq!(scene.replicas("web").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_nobody_changed_since_is_restored() {
    let scene = Scene::new("undo-foreign").await;
    let settings = |a: &str, b: &str| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "settings", "namespace": scene.namespace},
            "data": {"a": a, "b": b, "c": "kept"},
        })
    };
    scene.apply(&settings("old", "old")).await;
    let _operator = scene.operator().await;
    let stand_in = StandIn::new(
        &scene,
        &format!(r#"case $stage in rollback) exec "$runner" "$@" ;; esac; {HELD_AFTER_THE_WRITE}"#),
    );
    let target = ("v1", "ConfigMap", "settings");
    let change = json!({"data": {"a": "new", "b": "new"}});
    let execution = scene.execution("change", "modify_configmap", target, &change);
    scene.create(&rolled_back_soon(execution)).await;
    stand_in.says("written").await;
    scene.apply(&settings("new", "theirs")).await;
    stand_in.say("go");

    let incomplete = Ending::failed(Reason::RollbackIncomplete, FailureClass::Action);
    let execution = scene.ends("change", incomplete).await;

    let config_maps: Api<ConfigMap> = scene.api();
    let data = config_maps.get("settings").await.expect("it is there").data;
    let data = serde_json::to_value(data).expect("JSON");
    assert_eq!(data, json!({"a": "old", "b": "theirs", "c": "kept"}));
    let error = error_of(&execution);
    assert!(
        error.contains("data.b was changed by somebody else"),
        "{error}"
    );
    let undone = condition(&execution, ConditionType::RolledBack);
    assert_eq!(undone.status, ConditionStatus::False);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completed_execution_is_undone_on_request_and_completed_only_once() {
    let scene = Scene::new("undo-asked").await;
    scene.deployment("web", 2).await;
    let _operator = scene.operator().await;
    scene.create(&scene.scaling("up", "web", 4)).await;
    let completed = scene.ends("up", Ending::COMPLETED).await;
    let step = completed
        .status
        .as_ref()
        .and_then(|status| status.step_result.clone());
    assert_eq!(step.and_then(|step| step.rollback_available), Some(true));

    ask(&scene, "up").await;

    let what = "phase rolled-back";
    let execution = scene
        .reaches("up", what, |execution| Ending::of(execution) == ROLLED_BACK)
        .await;
    assert_eq!(scene.replicas("web").await, 2);
    assert_eq!(
        info(&execution).rollback_trigger,
        Some(RollbackCause::Manual)
    );
    let at = |execution| condition(execution, ConditionType::Completed).last_transition_time;
    assert_eq!(at(&completed), at(&execution), "Completed turned True once");
    scene.goes_on_after(&execution, "web").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_on_request_waits_for_the_target_and_overwrites_nothing_newer() {
    let scene = Scene::new("undo-queued").await;
    scene.deployment("web", 2).await;
    let _operator = scene.operator().await;
    scene.create(&scene.scaling("up", "web", 4)).await;
    scene.ends("up", Ending::COMPLETED).await;
    let stand_in = StandIn::new(&scene, r#"say holding; await go; exec "$runner" "$@""#);
    scene.create(&scene.scaling("other", "web", 3)).await;
    stand_in.says("holding").await;

    ask(&scene, "up").await;
    said(&scene, "up", Reason::Queued).await;
    stand_in.say("go");
    scene.ends("other", Ending::COMPLETED).await;

    let execution = said(&scene, "up", Reason::RollbackRefused).await;
    assert_eq!(
        Ending::of(&execution),
        Ending::COMPLETED,
        "it stays as it ended"
    );
    assert_eq!(scene.replicas("web").await, 3);
    let message = condition(&execution, ConditionType::RolledBack).message;
    let message = message.unwrap_or_default();
    assert!(
        message.contains("somebody changed Deployment/"),
        "{message}"
    );
    // Its turn was given back.
    scene.create(&scene.scaling("last", "web", 1)).await;
    scene.ends("last", Ending::COMPLETED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_by_hand_is_not_overwritten_on_request() {
    let scene = Scene::new("undo-by-hand").await;
    scene.deployment("web", 1).await;
    let _operator = scene.operator().await;
    scene.create(&scene.scaling("up", "web", 3)).await;
    scene.ends("up", Ending::COMPLETED).await;
    scale(&scene, "web", 2).await;

    ask(&scene, "up").await;

    said(&scene, "up", Reason::RollbackRefused).await;
    assert_eq!(scene.replicas("web").await, 2);
    assert_eq!(scene.effects_on("deployments", "web"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_not_to_be_undone_is_not() {
    let (scene, mut execution) = never_ready("undo-off").await;
    execution["spec"]["executionConfig"]["safetyConfig"]["rollbackConfig"]["rollbackTriggers"] =
        json!(["timeout"]);
    let _operator = scene.operator().await;
    scene.create(&execution).await;

    let failed = Ending::failed(Reason::HealthCheckTimeout, FailureClass::Timeout);
    let execution = scene.ends("up", failed).await;

    assert_eq!(scene.replicas("web").await, 3);
    let undone = condition(&execution, ConditionType::RolledBack);
    assert_eq!(undone.known_reason(), Some(Reason::NotPerformed));
    let message = undone.message.unwrap_or_default();
    assert!(
        message.contains("rollbackTriggers does not list"),
        "{message}"
    );
}

//! Actions that only look: no Job, no write, and a proof that is waited for.

use k8s_openapi::api::core::v1::Event;
use kexec_api::condition::Reason;
use kexec_api::phase::Phase;
use kexec_tests::harness::{Scene, eventually, phase};
use kube::api::Api;
use serde_json::{Value, json};

use super::case::{Case, assert_ended};

/// Has the action look at the Deployment `web`, as which nothing is written and no Job is made.
async fn looks(scene: &Scene, action: &str, parameters: Value) {
    let case = Case::new(scene, action, "web", parameters);
    let status = case.run("look").await;
    assert_ended(&status, Phase::Completed, Reason::ExecutionCompleted);
    assert_eq!(status.job, None, "nothing is to be done by a Job");
    assert_eq!(case.writes(), (0, 0));
}

/// Waits until what is not so yet has become so.
pub(super) async fn wait_for_condition(action: &str) {
    let scene = Scene::new("wait").await;
    scene.apply_deployment("web", 1, "never-ready").await;
    let _operator = scene.operator().await;
    let parameters = json!({"expectedConditions": [{"type": "Available", "status": "True"}]});
    let target = ("apps/v1", "Deployment", "web");
    scene
        .create(&scene.execution("wait", action, target, &parameters))
        .await;
    scene
        .reaches("wait", "phase monitoring", |execution| {
            phase(execution) == Some(Phase::Monitoring)
        })
        .await;
    scene.apply_deployment("web", 1, "ready").await;

    let status = scene.ended("wait").await.status.expect("a status");
    assert_ended(&status, Phase::Completed, Reason::ExecutionCompleted);
    looks(&scene, action, parameters).await;
}

/// Finds a Deployment healthy.
pub(super) async fn validate_resource(action: &str) {
    let scene = Scene::new("validate").await;
    scene.deployment("web", 2).await;
    let _operator = scene.operator().await;
    looks(&scene, action, json!({})).await;
}

/// Tells its message by an event of the execution.
pub(super) async fn notify_only(action: &str) {
    let scene = Scene::new("notify").await;
    scene.deployment("web", 1).await;
    let _operator = scene.operator().await;
    looks(&scene, action, json!({"message": "look at its logs"})).await;

    let events: Api<Event> = scene.api();
    eventually("an event with the message", || async {
        let events = events
            .list(&kube::api::ListParams::default())
            .await
            .ok()?
            .items;
        let told = events.iter().any(|event| {
            event.involved_object.name.as_deref() == Some("look")
                && event
                    .message
                    .as_deref()
                    .is_some_and(|message| message.ends_with("/web: look at its logs"))
        });
        told.then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_that_never_comes_fails_the_wait_at_its_time_out() {
    let scene = Scene::new("vain").await;
    scene.apply_deployment("web", 1, "never-ready").await;
    let _operator = scene.operator().await;
    let parameters = json!({"expectedConditions": [{"type": "Available", "status": "True"}]});
    let target = ("apps/v1", "Deployment", "web");
    let mut wait = scene.execution("wait", "wait_for_condition", target, &parameters);
    wait["spec"]["executionConfig"]["timeout"] = json!("10s");
    scene.create(&wait).await;

    let status = scene.ended("wait").await.status.expect("a status");
    assert_ended(&status, Phase::Failed, Reason::HealthCheckTimeout);
}

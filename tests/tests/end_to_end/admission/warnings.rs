//! Switches that have no effect in this version: whoever sets one is warned by the API server, and the plan says so.

use kexec_api::condition::Reason;
use kexec_api::execution::spec::UNPERFORMED;
use kexec_api::phase::Phase;
use kexec_tests::harness::Scene;
use serde_json::{Value, json};

use super::table::set;
use crate::actions::assert_ended;

const METADATA: &str = "/spec/actionDefinition/actionMetadata";
const TARGET: &str = "/spec/actionDefinition/targetResource";
const RETRIES: &str = "/spec/executionConfig/retryPolicy";
const MONITORING: &str = "/spec/executionConfig/monitoringConfig";
const VALIDATION: &str = "/spec/executionConfig/validationConfig";

/// The parent of a switch, the switch, a value that is not its default, and why it has no effect.
fn switches() -> [(&'static str, &'static str, Value, &'static str); 10] {
    let recorded = "it is recorded only";
    let once = "this version makes one attempt";
    [
        (METADATA, "category", json!("custom"), recorded),
        (METADATA, "deprecated", json!(true), recorded),
        (
            TARGET,
            "maxTargets",
            json!(3),
            "this version takes one target",
        ),
        (RETRIES, "backoffMultiplier", json!(3), once),
        (RETRIES, "retryDelay", json!("45s"), once),
        (RETRIES, "retryableErrors", json!(["quota"]), once),
        (
            MONITORING,
            "progressInterval",
            json!("20s"),
            "this version reports no progress",
        ),
        (
            MONITORING,
            "enableAuditLogging",
            json!(false),
            "the API server's audit log is the audit",
        ),
        (
            VALIDATION,
            "preExecutionValidation",
            json!(false),
            "this version always validates",
        ),
        (
            VALIDATION,
            "postExecutionValidation",
            json!(false),
            "this version always proves",
        ),
    ]
}

/// The object at a JSON pointer, made if it is not there.
fn made(execution: &mut Value, parent: &str) {
    let mut place = execution;
    for key in parent.split('/').skip(1) {
        place = &mut place[key];
    }
    if place.is_null() {
        *place = json!({});
    }
}

/// What the API server warns of when the scene's user would create the execution.
async fn warnings(scene: &Scene, execution: &Value) -> Vec<String> {
    let path = format!(
        "/apis/kubernetesexecution.kubernaut.io/v1alpha1/namespaces/{}/kubernetesexecutions?dryRun=All",
        scene.namespace
    );
    let body = serde_json::to_vec(execution).expect("JSON");
    let request = http::Request::post(path)
        .header("content-type", "application/json")
        .body(body.into())
        .expect("a request");
    let answer = scene.user.send(request).await.expect("an answer");
    assert!(answer.status().is_success(), "{:?}", answer.status());
    let given = answer.headers().get_all("warning").into_iter();
    given
        .map(|header| header.to_str().expect("text").to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_switch_without_effect_is_warned_of_when_it_is_set() {
    let scene = Scene::new("warned").await;
    let plain = scene.scaling("plain", "web", 2);
    assert_eq!(warnings(&scene, &plain).await, [""; 0]);
    assert_eq!(switches().len(), UNPERFORMED.len(), "each has a row");
    for (parent, switch, value, why) in switches() {
        let mut execution = plain.clone();
        made(&mut execution, parent);
        set(&mut execution, parent, switch, value);
        let warnings = warnings(&scene, &execution).await;
        let field = format!(
            "{}.{switch}",
            parent.trim_start_matches('/').replace('/', ".")
        );
        assert_eq!(warnings.len(), 1, "{field}: {warnings:?}");
        let told = format!("{field} has no effect: {why}");
        assert!(warnings[0].contains(&told), "{told:?}: {warnings:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_says_which_switches_have_no_effect() {
    let scene = Scene::new("noted").await;
    scene.deployment("web", 1).await;
    let _operator = scene.operator().await;
    let mut execution = scene.scaling("noted", "web", 2);
    execution["spec"]["executionConfig"]["retryPolicy"] = json!({"retryDelay": "45s"});
    scene.create(&execution).await;

    let status = scene.ended("noted").await.status.expect("a status");
    assert_ended(&status, Phase::Completed, Reason::ExecutionCompleted);
    let summary = status
        .plan
        .and_then(|plan| plan.summary)
        .expect("a summary");
    assert!(
        summary.ends_with("; spec.executionConfig.retryPolicy.retryDelay has no effect: this version makes one attempt"),
        "{summary}"
    );
}

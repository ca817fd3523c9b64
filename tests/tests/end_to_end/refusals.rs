//! Executions that only the controller can tell to be wrong: each ends failed with a reason and one sentence that says
//! where, what and what to write instead; nothing is started, and the others go on.

mod table;

use k8s_openapi::api::batch::v1::Job;
use kexec_api::condition::{ConditionType, Reason};
use kexec_api::execution::KubernetesExecution;
use kexec_api::names::LABEL_EXECUTION_UID;
use kexec_api::phase::Phase;
use kexec_tests::harness::{Scene, create, eventually};
use kube::ResourceExt;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, PostParams};
use serde_json::{Value, json};

use table::{PARAMETERS, WRONG, config, nested, parameters, set};

async fn settings(scene: &Scene) {
    let metadata =
        json!({"name": "settings", "namespace": scene.namespace, "labels": {"app": "settings"}});
    scene.apply(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"color": "red"}})).await;
}

fn painting(scene: &Scene, name: &str) -> Value {
    scene.execution(
        name,
        "modify_configmap",
        ("v1", "ConfigMap", "settings"),
        &json!({"data": {"color": "blue"}}),
    )
}

async fn assert_completes(scene: &Scene, name: &str) {
    let status = scene.ended(name).await.status.expect("a status");
    assert_eq!(status.phase, Some(Phase::Completed), "{status:#?}");
}

/// Asserts that the execution ended for that reason, said so in one sentence, and was not started.
async fn assert_refused(
    scene: &Scene,
    name: &str,
    reason: Reason,
    words: &[&str],
) -> KubernetesExecution {
    let execution = scene.ended(name).await;
    let status = execution.status.clone().expect("a status");
    let completed = status
        .condition(ConditionType::Completed)
        .expect("a condition");
    assert_eq!(
        completed.known_reason(),
        Some(reason),
        "{name}: {status:#?}"
    );
    assert_eq!(status.phase, Some(Phase::Failed), "{name}");
    let error = status.error.expect("an error");
    for word in words {
        assert!(error.contains(word), "{name}: {word:?} is not in {error:?}");
    }
    assert!(
        !error.contains('\n') && !error.ends_with('.'),
        "{name}: {error:?} is not one sentence"
    );
    let jobs: Api<Job> = scene.system_api();
    let of_it = format!("{LABEL_EXECUTION_UID}={}", execution.uid().expect("a UID"));
    let jobs = jobs
        .list(&ListParams::default().labels(&of_it))
        .await
        .expect("Jobs");
    assert!(jobs.items.is_empty(), "{name} was started");
    execution
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_controller_can_tell_is_refused_in_one_sentence_and_the_others_go_on() {
    let scene = Scene::new("wrong").await;
    settings(&scene).await;
    let _operator = scene.operator().await;
    for (name, fault, _, _) in WRONG {
        let mut execution = painting(&scene, name);
        fault(&mut execution);
        create(&scene.client, &execution)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }
    scene.create(&painting(&scene, "right")).await;

    for (name, _, reason, words) in WRONG {
        assert_refused(&scene, name, reason, words).await;
    }
    assert_completes(&scene, "right").await;
    assert_eq!(
        scene.effects_on("configmaps", "settings"),
        1,
        "only the right one wrote"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_check_that_was_asked_for_is_reported_and_one_that_cannot_run_blocks() {
    let scene = Scene::new("checks").await;
    settings(&scene).await;
    let _operator = scene.operator().await;
    let unavailable = ["business-rules", "compliance-rules"];
    for check in unavailable {
        let mut execution = painting(&scene, check);
        config(
            &mut execution,
            "safetyConfig",
            json!({"safetyChecks": [check, "resource-lock"]}),
        );
        scene.create(&execution).await;
    }

    for check in unavailable {
        let words = [
            "spec.executionConfig.safetyConfig.safetyChecks asks for",
            check,
            "leave it out",
        ];
        let execution = assert_refused(&scene, check, Reason::CheckUnavailable, &words).await;
        let results = execution
            .status
            .and_then(|status| status.validation_results);
        let report = results
            .and_then(|results| results.pre_execution_validation)
            .expect("a report")
            .safety_checks;
        let told: Vec<(&str, bool, bool)> = report
            .iter()
            .map(|one| {
                let name = one.check_type.as_deref().unwrap_or_default();
                (
                    name,
                    one.performed.unwrap_or_default(),
                    one.passed.unwrap_or_default(),
                )
            })
            .collect();
        let expected = [
            ("cluster-connectivity", true, true),
            ("resource-existence", true, true),
            ("permission-check", true, true),
            (check, false, false),
            ("resource-lock", true, true),
        ];
        assert_eq!(told, expected, "{check}");
        let blocked = report
            .iter()
            .find(|one| one.check_type.as_deref() == Some(check))
            .expect("reported");
        assert_eq!(blocked.reason.as_deref(), Some("CheckUnavailable"));
        assert_eq!(
            blocked.message.as_deref(),
            Some("not performed: this version cannot run it")
        );
    }
    assert_eq!(scene.effects_on("configmaps", "settings"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_names_serve_and_those_alike_in_their_first_63_characters_are_told_apart() {
    let scene = Scene::new("names").await;
    settings(&scene).await;
    let _operator = scene.operator().await;
    let alike = "a".repeat(252);
    let names = [format!("{alike}1"), format!("{alike}2")];
    for (name, color) in names.iter().zip(["green", "yellow"]) {
        let mut execution = painting(&scene, name);
        parameters(&mut execution, json!({"data": {color: "yes"}}));
        scene.create(&execution).await;
    }

    for name in &names {
        assert_completes(&scene, name).await;
    }
    assert_eq!(scene.effects_on("configmaps", "settings"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_that_cannot_be_decoded_is_refused_and_the_others_go_on() {
    let scene = Scene::new("undecodable").await;
    settings(&scene).await;
    let mut odd = painting(&scene, "odd");
    // The schema of the tests' cluster lets it pass.
    config(
        &mut odd,
        "monitoringConfig",
        json!({"progressInterval": "soon"}),
    );
    let mut also_odd = odd.clone();
    also_odd["metadata"]["name"] = json!("also-odd");
    create_unread(&scene, &odd).await;
    let _operator = scene.operator().await;
    scene.create(&painting(&scene, "right")).await;
    create_unread(&scene, &also_odd).await;

    for name in ["odd", "also-odd"] {
        let refused = eventually("the refusal", || async {
            let status = raw(&scene, name).await["status"].clone();
            (status["phase"] == "failed").then_some(status)
        })
        .await;
        let error = refused["error"].as_str().expect("an error");
        assert!(error.contains("this execution cannot be read"), "{error}");
        assert!(
            error.contains("failed to read duration \"soon\""),
            "{error}"
        );
        assert!(error.contains("delete it and create it anew"), "{error}");
        let reasons = refused["conditions"]
            .as_array()
            .expect("conditions")
            .iter()
            .map(|one| &one["reason"]);
        assert!(
            reasons.clone().count() > 0
                && reasons.clone().all(|reason| reason == "UndecodableObject"),
            "{refused}"
        );
    }
    assert_completes(&scene, "right").await;
}

fn unread(scene: &Scene) -> Api<DynamicObject> {
    let resource = ApiResource::erase::<KubernetesExecution>(&());
    Api::namespaced_with(scene.client.clone(), &scene.namespace, &resource)
}

/// Creates an execution without reading it back as one.
async fn create_unread(scene: &Scene, execution: &Value) {
    let object = serde_json::from_value(execution.clone()).expect("an object");
    unread(scene)
        .create(&PostParams::default(), &object)
        .await
        .expect("it is let");
}

async fn raw(scene: &Scene, name: &str) -> Value {
    serde_json::to_value(unread(scene).get(name).await.expect("an execution")).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_nested_deeper_than_they_can_be_decoded_are_refused_and_stop_nobody() {
    let scene = Scene::new("deep").await;
    settings(&scene).await;
    let create_deep = async |name: &str| {
        let mut deep = painting(&scene, name);
        set(&mut deep, PARAMETERS, "customConfig", nested(500));
        let object: DynamicObject = serde_json::from_value(deep).expect("an object");
        // The test cannot decode the answer either.
        let created = unread(&scene).create(&PostParams::default(), &object).await;
        assert!(
            matches!(created, Err(kube::Error::SerdeError(_))),
            "{created:?}"
        );
    };
    create_deep("listed").await;
    let _operator = scene.operator().await;
    scene.create(&painting(&scene, "right")).await;
    create_deep("watched").await;

    assert_completes(&scene, "right").await;
    for name in ["listed", "watched"] {
        let wait = [
            "wait",
            "--for=condition=Completed",
            "--timeout=90s",
            "-n",
            &scene.namespace,
        ];
        scene.kubectl(&[&wait[..], &["kexec", name]].concat()).await;
        let shown = "jsonpath={.status.phase}: {.status.error}";
        let told = scene
            .kubectl(&["get", "kexec", name, "-n", &scene.namespace, "-o", shown])
            .await;
        assert!(
            told.starts_with(
                "failed: spec.actionDefinition.parameters.customConfig is not a parameter"
            ),
            "{told}"
        );
    }
}

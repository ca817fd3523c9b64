//! The resource as people see it by kubectl: the example that its design document prints, columns, explanations, waiting
//! and selecting.

use kexec_api::phase::Phase;
use kexec_tests::harness::{Scene, create};
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, PostParams};
use serde_json::{Map, Value, json};

const PRINTED: &str = include_str!("../../../crates/api/tests/fixtures/printed-example.yaml");

/// The value with whole numbers written without a decimal point, as the API server gives them.
fn whole(value: &Value) -> Value {
    match value {
        Value::Number(number) => {
            let whole = number.as_f64().filter(|number| number.fract() == 0.0);
            whole.map_or_else(
                || value.clone(),
                |whole| serde_json::from_str(&whole.to_string()).expect("a number"),
            )
        }
        Value::Array(items) => items.iter().map(whole).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, field)| (name.clone(), whole(field)))
            .collect::<Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

/// Creates the printed example and has the controller write its status; gives it as printed and as the API server keeps
/// it.
async fn store_printed(scene: &Scene) -> (Value, Value) {
    let mut printed: Value = serde_yaml::from_str(PRINTED).expect("YAML");
    printed["metadata"]["namespace"] = json!(scene.namespace);
    create(&scene.client, &printed).await.expect("it is let");
    let controller = Client::try_from(scene.operator_config().await).expect("a client");
    let resource = ApiResource::erase::<kexec_api::execution::KubernetesExecution>(&());
    let executions: Api<DynamicObject> =
        Api::namespaced_with(controller, &scene.namespace, &resource);
    let name = printed["metadata"]["name"]
        .as_str()
        .expect("a name")
        .to_owned();
    let mut stored = executions.get(&name).await.expect("an execution");
    stored.data["status"] = printed["status"].clone();

    let written = executions
        .replace_status(&name, &PostParams::default(), &stored)
        .await
        .expect("it is let");
    (printed, written.data)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_example_is_kept_as_it_is_printed() {
    let scene = Scene::new("printed").await;
    let (printed, mut kept) = store_printed(&scene).await;
    let target = kept["spec"]["actionDefinition"]["targetResource"]
        .as_object_mut()
        .expect("a target");
    assert_eq!(target.remove("maxTargets"), Some(json!(10)));
    assert!(
        kept["spec"]
            .as_object_mut()
            .expect("a spec")
            .remove("requestedBy")
            .is_some()
    );
    assert_eq!(whole(&kept["spec"]), whole(&printed["spec"]));
    assert_eq!(whole(&kept["status"]), whole(&printed["status"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_example_is_shown_in_its_columns() {
    let scene = Scene::new("columns").await;
    let (printed, _) = store_printed(&scene).await;
    let name = printed["metadata"]["name"].as_str().expect("a name");
    let shown = scene
        .kubectl(&["get", "kexec", name, "-n", &scene.namespace])
        .await;
    let words: Vec<Vec<&str>> = shown
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let columns = [
        "NAME",
        "PHASE",
        "ACTION",
        "TARGET",
        "RESULT",
        "DURATION",
        "RISK",
        "EFFECTIVENESS",
        "AGE",
    ];
    assert_eq!(words[0], columns);
    let text = |pointer: &str| {
        printed
            .pointer(pointer)
            .and_then(Value::as_str)
            .expect(pointer)
    };
    let expected = [
        name,
        text("/status/phase"),
        "restart_pod",
        "web-server-1-7d8f9c-xyz",
        text("/status/executionSummary/actionResult"),
        text("/status/executionSummary/duration"),
        text("/status/validationResults/preExecutionValidation/riskAssessment/riskLevel"),
    ];
    assert_eq!(words[1][..7], expected);
    let effectiveness = printed
        .pointer("/status/performanceMetrics/effectivenessScore")
        .and_then(Value::as_f64);
    assert_eq!(words[1][7].parse::<f64>().ok(), effectiveness);
    let wide = scene
        .kubectl(&["get", "kubernaut", "-o", "wide", "-n", &scene.namespace])
        .await;
    assert!(
        wide.contains("REQUESTER") && wide.contains("MESSAGE"),
        "{wide}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_explains_waits_for_and_selects_executions() {
    let scene = Scene::new("kubectl").await;
    scene.deployment("web", 1).await;
    let _operator = scene.operator().await;
    scene.create(&scene.scaling("up", "web", 2)).await;
    scene.create(&scene.scaling("lost", "absent", 2)).await;
    let namespace = format!("--namespace={}", scene.namespace);

    let explained = scene
        .kubectl(&["explain", "kexec.spec.executionConfig"])
        .await;
    for word in [
        "DESCRIPTION",
        "timeout",
        "retryPolicy",
        "safetyConfig",
        "validationConfig",
        "monitoringConfig",
    ] {
        assert!(explained.contains(word), "{explained}");
    }
    assert!(!explained.contains("<empty>"), "{explained}");
    let all = ["kexec/up", "kexec/lost", "--timeout=90s"];
    let waited = scene
        .kubectl(&[&["wait", "--for=condition=Completed", &namespace], &all[..]].concat())
        .await;
    assert_eq!(waited.lines().count(), 2, "{waited}");
    let phase = "--for=jsonpath={.status.phase}=completed";
    scene
        .kubectl(&["wait", phase, &namespace, "kexec/up", "--timeout=90s"])
        .await;
    let selector = format!(
        "--field-selector=status.phase={}",
        Phase::Completed.as_str()
    );
    let done = scene
        .kubectl(&["get", "kexec", "-o", "name", &namespace, &selector])
        .await;
    assert_eq!(
        done.trim(),
        "kubernetesexecution.kubernetesexecution.kubernaut.io/up"
    );
    let executions: Api<kexec_api::execution::KubernetesExecution> = scene.api();
    let by_type =
        ListParams::default().fields("spec.actionDefinition.actionType!=scale_deployment");
    assert_eq!(
        executions.list(&by_type).await.expect("a list").items.len(),
        0
    );
}

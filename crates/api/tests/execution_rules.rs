//! The CEL rules of the schema, evaluated here as the API server evaluates them: what is refused, by which field, and
//! with what advice. Types, bounds and patterns of the schema itself are not looked at by this evaluation.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use kexec_api::execution::crd;
use kube::core::cel::Validator;
use serde_json::{Value, json};

fn execution() -> Value {
    json!({
        "apiVersion": "kubernetesexecution.kubernaut.io/v1alpha1",
        "kind": "KubernetesExecution",
        "metadata": { "name": "scale-shop", "namespace": "team" },
        "spec": {
            "actionDefinition": {
                "actionType": "scale_deployment",
                "targetResource": { "apiVersion": "apps/v1", "kind": "Deployment", "namespace": "web", "name": "shop" },
                "parameters": { "replicas": 3, "own": { "list": [1, { "key": "value" }] } },
            },
            "executionConfig": { "timeout": "10m" },
        },
    })
}

/// The messages with which the rules refuse an object, or its change from an old one.
fn refusals(new: &Value, old: Option<&Value>) -> Vec<String> {
    let crd = serde_json::to_value(crd()).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    match Validator::new().validate(schema, new, old) {
        Ok(()) => Vec::new(),
        Err(errors) => errors
            .iter()
            .map(|error| format!("{}: {}", error.field_path, error.message))
            .collect(),
    }
}

/// The execution with one value set, or removed by `None`.
fn with(pointer: &str, value: impl Into<Option<Value>>) -> Value {
    let mut execution = execution();
    set(&mut execution, pointer, value.into());
    execution
}

fn set(object: &mut Value, pointer: &str, value: Option<Value>) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = parent
        .split('/')
        .skip(1)
        .fold(object, |at, key| &mut at[key]);
    match value {
        Some(value) => parent[key] = value,
        None => drop(parent.as_object_mut().unwrap().remove(key)),
    }
}

#[track_caller]
fn assert_accepted(execution: &Value) {
    assert_eq!(refusals(execution, None), Vec::<String>::new());
}

/// One refusal, at this field and with this advice.
#[track_caller]
fn assert_refused(execution: &Value, field: &str, advice: &str) {
    let refusals = refusals(execution, None);
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    assert!(
        refusals[0].contains(field) && refusals[0].contains(advice),
        "{refusals:?}"
    );
}

const TARGET: &str = "/spec/actionDefinition/targetResource";

#[test]
fn an_ordinary_execution_is_accepted() {
    assert_accepted(&execution());
    assert_eq!(
        refusals(&execution(), Some(&execution())),
        Vec::<String>::new()
    );
}

#[test]
fn nothing_but_control_can_be_changed_added_or_removed() {
    let changes = [
        (
            "actionDefinition",
            "/spec/actionDefinition/parameters/replicas",
            Some(json!(4)),
        ),
        (
            "actionDefinition",
            "/spec/actionDefinition/parameters/own/list",
            Some(json!([2])),
        ),
        (
            "actionDefinition",
            "/spec/actionDefinition/parameters/more",
            Some(json!(1)),
        ),
        (
            "actionDefinition",
            "/spec/actionDefinition/parameters/own",
            None,
        ),
        (
            "actionDefinition",
            "/spec/actionDefinition/targetResource/name",
            Some(json!("other")),
        ),
        (
            "executionConfig",
            "/spec/executionConfig/timeout",
            Some(json!("11m")),
        ),
        ("executionConfig", "/spec/executionConfig", None),
        (
            "requestedBy",
            "/spec/requestedBy",
            Some(json!({ "username": "somebody" })),
        ),
        (
            "ttlSecondsAfterFinished",
            "/spec/ttlSecondsAfterFinished",
            Some(json!(60)),
        ),
        (
            "alertRemediationRef",
            "/spec/alertRemediationRef",
            Some(json!({ "name": "a", "namespace": "b" })),
        ),
        (
            "workflowExecutionRef",
            "/spec/workflowExecutionRef",
            Some(json!({ "name": "a", "namespace": "b", "stepId": "c" })),
        ),
    ];
    for (field, pointer, value) in changes {
        let edited = with(pointer, value);
        for (new, old) in [(&edited, &execution()), (&execution(), &edited)] {
            let refusals = refusals(new, Some(old));
            assert_eq!(refusals.len(), 1, "{pointer}: {refusals:?}");
            assert!(
                refusals[0].contains(field)
                    && refusals[0].contains("create a new KubernetesExecution"),
                "{refusals:?}"
            );
        }
    }
}

#[test]
fn every_field_of_the_spec_is_either_immutable_or_control() {
    let crd = serde_json::to_value(crd()).unwrap();
    let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let rules = spec["x-kubernetes-validations"].as_array().unwrap();
    for field in spec["properties"]
        .as_object()
        .unwrap()
        .keys()
        .filter(|field| *field != "control")
    {
        let guard = format!("has(self.{field}) == has(oldSelf.{field})");
        assert!(
            rules
                .iter()
                .any(|rule| rule["rule"].as_str().unwrap().contains(&guard)),
            "{field} can be changed"
        );
    }
}

#[test]
fn the_switches_of_control_can_be_set_but_not_taken_back() {
    for switch in ["cancel", "rollback"] {
        let pointer = format!("/spec/control/{switch}");
        let (on, off) = (with(&pointer, json!(true)), with(&pointer, json!(false)));
        for (new, old) in [
            (&on, &execution()),
            (&on, &off),
            (&off, &execution()),
            (&execution(), &off),
            (&on, &on),
        ] {
            assert_eq!(refusals(new, Some(old)), Vec::<String>::new());
        }
        for new in [&off, &execution(), &with("/spec/control", json!({}))] {
            let refusals = refusals(new, Some(&on));
            assert_eq!(refusals.len(), 1, "{refusals:?}");
            assert!(
                refusals[0].contains(switch) && refusals[0].contains("leave it true"),
                "{refusals:?}"
            );
        }
    }
}

#[test]
fn a_target_needs_a_name_or_a_selector() {
    let mut selection = with(&format!("{TARGET}/name"), None);
    assert_refused(
        &selection,
        "targetResource",
        "write the object's name in name, or select",
    );
    set(&mut selection, &format!("{TARGET}/labels"), Some(json!({})));
    assert_refused(
        &selection,
        "targetResource",
        "write the object's name in name, or select",
    );
    set(
        &mut selection,
        &format!("{TARGET}/labels"),
        Some(json!({ "app.kubernetes.io/name": "shop" })),
    );
    assert_accepted(&selection);
    set(&mut selection, &format!("{TARGET}/labels"), None);
    set(
        &mut selection,
        &format!("{TARGET}/fieldSelectors"),
        Some(json!(["status.phase=Running"])),
    );
    assert_accepted(&selection);
    assert_refused(
        &with(&format!("{TARGET}/name"), json!("")),
        "targetResource",
        "write the object's name",
    );
}

#[test]
fn names_that_no_object_can_have_are_refused() {
    for name in ["Shop", "a/b", "a b", "a\nb", "-a", "a-", "a..b", "ä"] {
        assert_refused(
            &with(&format!("{TARGET}/name"), json!(name)),
            "name",
            "write lower-case letters",
        );
    }
    for name in ["a", "web-0", "a.b.c", "1"] {
        assert_accepted(&with(&format!("{TARGET}/name"), json!(name)));
    }
}

#[test]
fn kinds_that_are_named_freely_may_have_names_that_others_may_not() {
    let mut role = with(&format!("{TARGET}/kind"), json!("ClusterRole"));
    set(
        &mut role,
        &format!("{TARGET}/name"),
        Some(json!("system:Node")),
    );
    assert_accepted(&role);
    set(
        &mut role,
        &format!("{TARGET}/name"),
        Some(json!("system/node")),
    );
    assert_refused(&role, "name", "as kubectl get shows it");
}

#[test]
fn namespaces_kinds_versions_and_types_that_cannot_be_are_refused_with_an_example() {
    for (pointer, value, example) in [
        (format!("{TARGET}/namespace"), "Web", "production-web"),
        (format!("{TARGET}/kind"), "Deploy ment", "Deployment"),
        (format!("{TARGET}/apiVersion"), "apps/v1/x", "apps/v1"),
        (
            "/spec/actionDefinition/actionType".to_owned(),
            "Restart-Pod",
            "scale_deployment",
        ),
        (
            "/spec/actionDefinition/actionMetadata/version".to_owned(),
            "1.2",
            "v1.2",
        ),
    ] {
        assert_refused(
            &with(&pointer, json!(value)),
            pointer.rsplit('/').next().unwrap(),
            example,
        );
    }
}

#[test]
fn a_namespace_may_be_empty_or_absent_for_kinds_without_one() {
    assert_accepted(&with(&format!("{TARGET}/namespace"), json!("")));
    assert_accepted(&with(&format!("{TARGET}/namespace"), None));
}

#[test]
fn selectors_and_labels_that_cannot_be_are_refused() {
    assert_refused(
        &with(
            &format!("{TARGET}/fieldSelectors"),
            json!(["phase Running"]),
        ),
        "fieldSelectors",
        "path=value",
    );
    assert_refused(
        &with(&format!("{TARGET}/labels"), json!({ "app": "a b" })),
        "labels",
        "letters, digits",
    );
    assert_refused(
        &with(&format!("{TARGET}/labels"), json!({ "a b": "x" })),
        "labels",
        "app.kubernetes.io/name",
    );
}

#[test]
fn durations_have_a_form_and_bounds() {
    let timeout = "/spec/executionConfig/timeout";
    for text in ["1s", "10m", "24h", "1440m", "86400s"] {
        assert_accepted(&with(timeout, json!(text)));
    }
    for text in [
        "",
        "0s",
        "10 minutes",
        "25h",
        "86401s",
        "99999999999999999999h",
        "-1s",
        "1h30m",
    ] {
        assert_refused(
            &with(timeout, json!(text)),
            "timeout",
            "from 1s to 24h, such as 90s, 10m or 2h",
        );
    }
    let delay = "/spec/executionConfig/retryPolicy/retryDelay";
    assert_accepted(&with(delay, json!("0s")));
    assert_refused(
        &with(delay, json!("1h")),
        "retryDelay",
        "(s or m), at most 1440m",
    );
}

#[test]
fn control_characters_and_changes_of_direction_are_refused_and_other_scripts_are_not() {
    for step in [
        "a\tb",
        "a\nb",
        "a\u{7f}",
        "a\u{85}",
        "a\u{202e}b",
        "a\u{2066}b",
    ] {
        let reference = json!({ "name": "w", "namespace": "n", "stepId": step });
        assert_refused(
            &with("/spec/workflowExecutionRef", reference),
            "stepId",
            "write it on one line",
        );
    }
    let reference = json!({ "name": "w", "namespace": "n", "stepId": "Schritt für 日本" });
    assert_accepted(&with("/spec/workflowExecutionRef", reference));
    assert_refused(
        &with(
            "/spec/executionConfig/retryPolicy/retryableErrors",
            json!(["fine", "not\u{0}fine"]),
        ),
        "retryableErrors",
        "write it on one line",
    );
}

#[test]
fn a_condition_is_written_in_one_language() {
    let conditions = "/spec/executionConfig/validationConfig/preConditions";
    assert_accepted(&with(
        conditions,
        json!([{ "name": "a", "cel": "true" }, { "name": "b", "rego": "allow" }]),
    ));
    for check in [
        json!({ "name": "a" }),
        json!({ "name": "a", "cel": "true", "rego": "allow" }),
    ] {
        assert_refused(
            &with(conditions, json!([check])),
            "preConditions",
            "write either cel or rego",
        );
    }
}

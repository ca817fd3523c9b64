//! The schema of KubernetesExecution as a whole: everything is described and bounded, and what the design document
//! printed is still valid.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;

use kexec_api::execution::spec::{ExecutionConfig, SHARED_PARAMETERS};
use kexec_api::execution::{KubernetesExecution, crd};
use serde_json::{Map, Value, json};

/// The schema of the one version.
fn schema() -> Value {
    let crd = serde_json::to_value(crd()).unwrap();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// Every schema below this one with its path, each field once.
fn walk<'s>(path: &str, schema: &'s Value, found: &mut Vec<(String, &'s Value)>) {
    found.push((path.to_owned(), schema));
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), field, found);
    }
    for (key, part) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[key].is_object() {
            walk(&format!("{path}{part}"), &schema[key], found);
        }
    }
}

fn problems(fault: impl Fn(&str, &Value) -> bool) -> Vec<String> {
    let schema = schema();
    let mut found = Vec::new();
    walk("", &schema, &mut found);
    assert!(
        found.len() > 200,
        "only {} schemas were looked at",
        found.len()
    );
    found
        .into_iter()
        .filter(|(path, schema)| fault(path, schema))
        .map(|(path, _)| path)
        .collect()
}

fn none() -> Vec<String> {
    Vec::new()
}

#[test]
fn every_field_is_described_by_a_full_sentence() {
    let undescribed = problems(|path, schema| {
        let is_field = !path.ends_with("[]") && !path.ends_with("{}");
        is_field
            && !schema["description"]
                .as_str()
                .is_some_and(|text| text.ends_with('.') && text.len() > 10)
    });
    assert_eq!(undescribed, none());
}

#[test]
fn descriptions_hold_no_links_of_the_source_and_no_line_breaks() {
    let odd = problems(|_, schema| {
        schema["description"]
            .as_str()
            .is_some_and(|text| text.contains("[`") || text.contains("::") || text.contains('\n'))
    });
    assert_eq!(odd, none());
}

#[test]
fn every_list_is_bounded() {
    assert_eq!(
        problems(|_, schema| schema["type"] == "array" && !schema["maxItems"].is_u64()),
        none()
    );
}

#[test]
fn every_text_is_bounded() {
    let unbounded = problems(|_, schema| {
        let closed = schema["enum"].is_array() || schema["format"] == "date-time";
        schema["type"] == "string" && !closed && !schema["maxLength"].is_u64()
    });
    assert_eq!(unbounded, none());
}

#[test]
fn every_map_and_every_free_object_is_bounded() {
    let unbounded = problems(|_, schema| {
        let open = schema["additionalProperties"].is_object()
            || schema["x-kubernetes-preserve-unknown-fields"] == true;
        open && schema["type"] == "object" && !schema["maxProperties"].is_u64()
    });
    assert_eq!(unbounded, none());
}

#[test]
fn only_what_admission_checks_by_its_form_is_without_a_type_and_says_its_form() {
    let form = |path: &str| {
        let mut all = SHARED_PARAMETERS.iter();
        all.find(|one| path == format!(".spec.actionDefinition.{}", one.path()))
            .map(|one| one.form.shown())
    };
    let unchecked = problems(|path, schema| {
        let description = schema["description"].as_str().unwrap_or_default();
        schema["type"].is_null() && form(path).is_none_or(|form| !description.starts_with(&form))
    });
    assert_eq!(unchecked, none());
    let open = problems(|_, schema| schema["type"].is_null());
    assert_eq!(open.len(), SHARED_PARAMETERS.len());
}

#[test]
fn no_field_takes_null_so_that_the_api_server_drops_it() {
    let nullable = problems(|_, schema| {
        !schema["nullable"].is_null()
            || schema["enum"]
                .as_array()
                .is_some_and(|values| values.contains(&Value::Null))
    });
    assert_eq!(nullable, none());
}

#[test]
fn the_api_server_invents_nothing_in_the_status() {
    assert_eq!(
        problems(|path, schema| path.starts_with(".status") && !schema["default"].is_null()),
        none()
    );
}

#[test]
fn parameters_have_no_defaults_and_keep_what_is_unknown_at_every_level() {
    let parameters = ".spec.actionDefinition.parameters";
    let defaulted = problems(|path, schema| {
        path.strip_prefix(parameters)
            .is_some_and(|rest| rest.starts_with('.'))
            && !schema["default"].is_null()
    });
    assert_eq!(defaulted, none());
    let pruned = problems(|path, schema| {
        let inside = path == parameters
            || path
                .strip_prefix(parameters)
                .is_some_and(|rest| rest.starts_with('.'));
        inside
            && schema["type"] == "object"
            && schema["x-kubernetes-preserve-unknown-fields"] != true
    });
    assert_eq!(pruned, none());
}

#[test]
fn integers_have_no_format_that_the_api_server_does_not_know() {
    let odd = problems(|_, schema| {
        !matches!(
            schema["format"].as_str(),
            None | Some("int32" | "int64" | "double" | "date-time")
        )
    });
    assert_eq!(odd, none());
}

#[test]
fn the_resource_is_named_as_the_design_names_it() {
    let crd = serde_json::to_value(crd()).unwrap();
    assert_eq!(
        crd["metadata"]["name"],
        "kubernetesexecutions.kubernetesexecution.kubernaut.io"
    );
    assert_eq!(crd["spec"]["scope"], "Namespaced");
    assert_eq!(crd["spec"]["names"]["singular"], "kubernetesexecution");
    assert_eq!(
        crd["spec"]["names"]["shortNames"],
        json!(["kexec", "k8sexec"])
    );
    assert_eq!(
        crd["spec"]["names"]["categories"],
        json!(["kubernaut", "executor", "kubernetes"])
    );
    let versions = crd["spec"]["versions"].as_array().unwrap();
    assert_eq!(versions.len(), 1);
    assert_eq!(versions[0]["name"], "v1alpha1");
    assert_eq!(
        (&versions[0]["served"], &versions[0]["storage"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(versions[0]["subresources"], json!({ "status": {} }));
    assert_eq!(
        versions[0]["selectableFields"],
        json!([{ "jsonPath": ".status.phase" }, { "jsonPath": ".spec.actionDefinition.actionType" }])
    );
}

#[test]
fn the_printed_columns_are_shown_in_their_order_and_two_more_on_request() {
    let crd = serde_json::to_value(crd()).unwrap();
    let columns = crd["spec"]["versions"][0]["additionalPrinterColumns"]
        .as_array()
        .unwrap()
        .clone();
    let names = |wide: bool| {
        let of_width = columns
            .iter()
            .filter(|column| (column["priority"] == 1) == wide);
        of_width
            .map(|column| column["name"].as_str().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(false),
        [
            "Phase",
            "Action",
            "Target",
            "Result",
            "Duration",
            "Risk",
            "Effectiveness",
            "Age"
        ]
    );
    assert_eq!(names(true), ["Requester", "Message"]);
    assert_eq!(
        columns
            .iter()
            .find(|column| column["name"] == "Effectiveness")
            .unwrap()["type"],
        "number"
    );
}

#[test]
fn every_column_and_selectable_field_exists_in_the_schema() {
    let schema = schema();
    let mut found = Vec::new();
    walk("", &schema, &mut found);
    let crd = serde_json::to_value(crd()).unwrap();
    let version = &crd["spec"]["versions"][0];
    let shown = version["additionalPrinterColumns"]
        .as_array()
        .unwrap()
        .iter();
    for field in shown.chain(version["selectableFields"].as_array().unwrap()) {
        let path = field["jsonPath"].as_str().unwrap();
        assert!(
            path.starts_with(".metadata") || found.iter().any(|(present, _)| present == path),
            "{path}"
        );
    }
}

#[test]
fn only_what_the_design_makes_required_is_required() {
    let schema = schema();
    let mut found = Vec::new();
    walk("", &schema, &mut found);
    let required: BTreeMap<_, _> = found
        .iter()
        .filter(|(_, schema)| schema["required"].is_array())
        .map(|(path, schema)| (path.as_str(), &schema["required"]))
        .collect();
    assert_eq!(
        serde_json::to_value(required).unwrap(),
        json!({
            "": ["spec"],
            ".spec": ["actionDefinition"],
            ".spec.actionDefinition": ["actionType", "targetResource"],
            ".spec.actionDefinition.parametersFrom[]": ["name", "secretKeyRef"],
            ".spec.actionDefinition.parametersFrom[].secretKeyRef": ["key", "name"],
            ".spec.actionDefinition.targetResource": ["apiVersion", "kind"],
            ".spec.alertRemediationRef": ["name", "namespace"],
            ".spec.executionConfig.validationConfig.postConditions[]": ["name"],
            ".spec.executionConfig.validationConfig.preConditions[]": ["name"],
            ".spec.requestedBy": ["username"],
            ".spec.workflowExecutionRef": ["name", "namespace", "stepId"],
            ".status.conditions[]": ["lastTransitionTime", "status", "type"],
        })
    );
}

/// What the API server makes of an object: it puts in the defaults of the fields that are absent, outermost first.
fn fill_in_defaults(value: &mut Value, schema: &Value) {
    let Some(object) = value.as_object_mut() else {
        return;
    };
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        if !object.contains_key(name) && !field["default"].is_null() {
            object.insert(name.clone(), field["default"].clone());
        }
        if let Some(part) = object.get_mut(name) {
            fill_in_defaults(part, field);
        }
    }
}

#[test]
fn the_defaults_of_the_schema_are_those_of_the_types_and_of_the_design() {
    let mut filled_in = json!({});
    fill_in_defaults(&mut filled_in, &schema()["properties"]["spec"]);
    let by_types = serde_json::to_value(ExecutionConfig::default()).unwrap();
    assert_eq!(filled_in["executionConfig"], by_types);
    assert_eq!(
        by_types,
        json!({
            "timeout": "10m",
            "priority": "normal",
            "retryPolicy": { "maxRetries": 2, "backoffMultiplier": 2.0, "retryDelay": "30s" },
            "safetyConfig": {
                "requireApproval": false,
                "safetyChecks": ["cluster-connectivity", "resource-existence", "permission-check"],
                "rollbackConfig": {
                    "enableAutoRollback": true,
                    "rollbackTimeout": "5m",
                    "preserveRollbackState": true,
                    "rollbackTriggers": ["execution-failure", "validation-failure"],
                },
            },
            "validationConfig": {
                "preExecutionValidation": true,
                "postExecutionValidation": true,
                "sideEffectDetection": true,
                "healthCheckTimeout": "3m",
                "effectivenessScoring": true,
            },
            "monitoringConfig": {
                "enableProgressReporting": true,
                "progressInterval": "10s",
                "enableMetricsCollection": true,
                "enableAuditLogging": true,
                "resourceMonitoring": {
                    "enableCpuMonitoring": true,
                    "enableMemoryMonitoring": true,
                    "enableNetworkMonitoring": false,
                },
            },
        })
    );
}

#[test]
fn an_object_that_the_api_server_filled_nothing_into_has_the_defaults_all_the_same() {
    let execution: KubernetesExecution = serde_json::from_value(json!({
        "apiVersion": "kubernetesexecution.kubernaut.io/v1alpha1",
        "kind": "KubernetesExecution",
        "metadata": { "name": "bare" },
        "spec": {
            "actionDefinition": {
                "actionType": "cordon_node",
                "targetResource": { "apiVersion": "v1", "kind": "Node", "name": "worker-1", "namespace": "" },
            },
            "executionConfig": { "retryPolicy": { "maxRetries": 0 } },
        },
    }))
    .unwrap();
    let config = &execution.spec.execution_config;
    assert_eq!(config.timeout().as_secs(), 600);
    assert_eq!(config.retry_policy.max_retries, 0);
    assert_eq!(config.retry_policy.retry_delay().as_secs(), 30);
    assert_eq!(
        config
            .safety_config
            .rollback_config
            .rollback_timeout()
            .as_secs(),
        300
    );
    assert_eq!(
        config.validation_config.health_check_timeout().as_secs(),
        180
    );
    assert_eq!(config.monitoring_config.progress_interval().as_secs(), 10);
    assert_eq!(execution.spec.action_definition.parameters, Map::new());
    let target = &execution.spec.action_definition.target_resource;
    assert_eq!(
        (target.name(), target.namespace(), target.max_targets),
        (Some("worker-1"), None, 10)
    );
    assert!(!execution.spec.is_cancel_requested() && !execution.spec.is_rollback_requested());
}

#[test]
fn the_printed_example_is_read_and_written_back_as_it_was() {
    let text = include_str!("fixtures/printed-example.yaml");
    let printed: Value = serde_yaml::from_str(text).unwrap();
    let execution: KubernetesExecution = serde_yaml::from_str(text).unwrap();
    let mut written = serde_json::to_value(&execution).unwrap();
    // The one default that the example does not spell out.
    let target = written["spec"]["actionDefinition"]["targetResource"]
        .as_object_mut()
        .unwrap();
    assert_eq!(target.remove("maxTargets"), Some(json!(10)));
    assert_eq!(written, printed);
}

#[test]
fn an_empty_status_is_written_as_an_empty_object_and_a_part_of_one_reads() {
    let part: KubernetesExecution = serde_json::from_value(json!({
        "apiVersion": "kubernetesexecution.kubernaut.io/v1alpha1",
        "kind": "KubernetesExecution",
        "metadata": {},
        "spec": { "actionDefinition": { "actionType": "x_y", "targetResource": { "apiVersion": "v1", "kind": "Pod" } } },
        "status": { "executionDetails": { "rollbackInfo": {} } },
    }))
    .unwrap();
    assert_eq!(
        serde_json::to_value(part.status.unwrap()).unwrap(),
        json!({ "executionDetails": { "rollbackInfo": {} } })
    );
    let empty = kexec_api::execution::KubernetesExecutionStatus::default();
    assert_eq!(serde_json::to_value(empty).unwrap(), json!({}));
}

#[test]
fn a_duration_that_is_none_is_reported_with_what_to_write() {
    let error =
        serde_json::from_value::<ExecutionConfig>(json!({ "timeout": "soon" })).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("write a whole number and one unit"),
        "{error}"
    );
}

//! Each CEL rule of the schema, one by one: what only that rule refuses, with its own message, is let in once the rule is
//! taken out of the schema. A rule without a case here, and a case without a rule, fail the test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use kexec_api::execution::crd;
use kube::core::cel::Validator;
use serde_json::{Value, json};

const ONE_LINE: &str = "a\tb";
const TARGET: &str = "/spec/actionDefinition/targetResource";

/// One rule, and what it alone refuses.
struct Case {
    /// Where the rule stands: field names, `*` for the items of a list and `{}` for the values of a map.
    at: String,
    /// What tells it from other rules of that place: words of its field path or message.
    words: &'static str,
    /// What makes the execution [`whole`] one that the rule refuses.
    changes: Vec<(String, Value)>,
}

/// A rule as it stands in the schema.
struct Rule {
    at: String,
    number: usize,
    field: String,
    message: String,
}

/// An execution that says something at every place that has a rule.
fn whole() -> Value {
    let limits = json!({"cpu": "500m", "memory": "1Gi", "storage": "1Gi"});
    let condition = json!([{"name": "a", "cel": "true", "timeout": "5s"}]);
    json!({
        "apiVersion": "kubernetesexecution.kubernaut.io/v1alpha1",
        "kind": "KubernetesExecution",
        "metadata": {"name": "scale-shop", "namespace": "team"},
        "spec": {
            "actionDefinition": {
                "actionType": "scale_deployment",
                "actionMetadata": {"version": "v1.2", "prerequisites": ["namespace-access"]},
                "targetResource": {
                    "apiVersion": "apps/v1", "kind": "Deployment", "namespace": "web", "name": "shop",
                    "labels": {"app": "shop"}, "fieldSelectors": ["status.phase=Running"],
                },
                "parameters": {
                    "replicas": 3, "drainTimeout": "5m", "resourceLimits": limits, "resourceRequests": limits,
                    "expectedConditions": [{"type": "Ready", "status": "True", "reason": "Fine"}],
                },
                "parametersFrom": [{"name": "token", "secretKeyRef": {"name": "secret", "key": "token"}}],
            },
            "executionConfig": {
                "timeout": "10m",
                "monitoringConfig": {"progressInterval": "10s"},
                "retryPolicy": {"retryDelay": "30s", "retryableErrors": ["timeout"]},
                "safetyConfig": {"rollbackConfig": {"rollbackTimeout": "5m"}},
                "validationConfig": {
                    "healthCheckTimeout": "5m", "preConditions": condition, "postConditions": condition,
                },
            },
            "control": {"cancel": true, "rollback": true},
            "alertRemediationRef": {"name": "alert", "namespace": "team"},
            "workflowExecutionRef": {"name": "workflow", "namespace": "team", "stepId": "one"},
            "requestedBy": {"username": "somebody", "uid": "1"},
            "ttlSecondsAfterFinished": 60,
        },
    })
}

/// Everything that a single wrong value breaks at the place of the rule itself.
fn at_its_place() -> Vec<Case> {
    let action = |field: &str| format!("/spec/actionDefinition/{field}");
    let config = |field: &str| format!("/spec/executionConfig/{field}");
    let places = [
        (action("actionType"), json!("Scale-It")),
        (action("actionMetadata/prerequisites/*"), json!(ONE_LINE)),
        (action("actionMetadata/version"), json!("1.2")),
        (
            action("parameters/expectedConditions/*/reason"),
            json!(ONE_LINE),
        ),
        (
            action("parameters/expectedConditions/*/status"),
            json!(ONE_LINE),
        ),
        (
            action("parameters/expectedConditions/*/type"),
            json!(ONE_LINE),
        ),
        (action("parametersFrom/*/name"), json!(ONE_LINE)),
        (action("parametersFrom/*/secretKeyRef/key"), json!(ONE_LINE)),
        (
            action("parametersFrom/*/secretKeyRef/name"),
            json!("My_Secret"),
        ),
        (format!("{TARGET}/apiVersion"), json!("apps/v1/x")),
        (format!("{TARGET}/fieldSelectors/*"), json!("phase Running")),
        (format!("{TARGET}/kind"), json!("Deploy ment")),
        (format!("{TARGET}/labels"), json!({"a b": "x"})),
        (format!("{TARGET}/labels/{{}}"), json!("a b")),
        (format!("{TARGET}/namespace"), json!("My_Shop")),
        (
            "/spec/alertRemediationRef/name".to_owned(),
            json!("My_Alert"),
        ),
        (
            "/spec/alertRemediationRef/namespace".to_owned(),
            json!("My_Team"),
        ),
        (config("monitoringConfig/progressInterval"), json!("1h")),
        (config("retryPolicy/retryDelay"), json!("1h")),
        (config("retryPolicy/retryableErrors/*"), json!(ONE_LINE)),
        (
            config("safetyConfig/rollbackConfig/rollbackTimeout"),
            json!("25h"),
        ),
        (config("timeout"), json!("0s")),
        (config("validationConfig/healthCheckTimeout"), json!("25h")),
        (
            config("validationConfig/preConditions/*"),
            json!({"name": "a"}),
        ),
        (
            config("validationConfig/preConditions/*/name"),
            json!(ONE_LINE),
        ),
        (
            config("validationConfig/preConditions/*/timeout"),
            json!("25h"),
        ),
        (
            config("validationConfig/postConditions/*"),
            json!({"name": "a", "cel": "true", "rego": "a"}),
        ),
        (
            config("validationConfig/postConditions/*/name"),
            json!(ONE_LINE),
        ),
        (
            config("validationConfig/postConditions/*/timeout"),
            json!("25h"),
        ),
        ("/spec/requestedBy/uid".to_owned(), json!(ONE_LINE)),
        ("/spec/requestedBy/username".to_owned(), json!(ONE_LINE)),
        (
            "/spec/workflowExecutionRef/name".to_owned(),
            json!("My_Workflow"),
        ),
        (
            "/spec/workflowExecutionRef/namespace".to_owned(),
            json!("My_Team"),
        ),
        (
            "/spec/workflowExecutionRef/stepId".to_owned(),
            json!(ONE_LINE),
        ),
    ];
    let case = |(at, value): (String, Value)| {
        let pointer = at.replace('*', "0").replace("{}", "app");
        Case {
            at,
            words: "",
            changes: vec![(pointer, value)],
        }
    };
    places.into_iter().map(case).collect()
}

/// Places with several rules.
fn of_places_with_several_rules() -> Vec<Case> {
    let spec = |field: &'static str, pointer: &str, value: Value| Case {
        at: "/spec".to_owned(),
        words: field,
        changes: vec![(format!("/spec/{pointer}"), value)],
    };
    let target = |words: &'static str, changes: Vec<(&str, Value)>| Case {
        at: TARGET.to_owned(),
        words,
        changes: changes
            .into_iter()
            .map(|(field, value)| (format!("{TARGET}{field}"), value))
            .collect(),
    };
    let nameless = json!({"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "web"});
    vec![
        spec(
            ".alertRemediationRef",
            "alertRemediationRef/name",
            json!("other"),
        ),
        spec(
            ".workflowExecutionRef",
            "workflowExecutionRef/stepId",
            json!("two"),
        ),
        spec(
            ".actionDefinition",
            "actionDefinition/parameters/replicas",
            json!(4),
        ),
        spec(".executionConfig", "executionConfig/timeout", json!("11m")),
        spec(".requestedBy", "requestedBy/username", json!("other")),
        spec(
            ".ttlSecondsAfterFinished",
            "ttlSecondsAfterFinished",
            json!(61),
        ),
        spec(".control.cancel", "control/cancel", json!(false)),
        spec(".control.rollback", "control/rollback", json!(false)),
        target("names no target", vec![("", nameless)]),
        target("is no object name", vec![("/name", json!("My_Shop"))]),
        target(
            "as kubectl get shows it",
            vec![
                ("/kind", json!("ClusterRole")),
                ("/name", json!("system/node")),
            ],
        ),
    ]
}

fn cases() -> Vec<Case> {
    let mut cases = at_its_place();
    cases.extend(of_places_with_several_rules());
    cases
}

impl Case {
    fn is_of(&self, rule: &Rule) -> bool {
        self.at == rule.at && format!("{} {}", rule.field, rule.message).contains(self.words)
    }

    /// The messages that refuse the case. What stands at `/spec` speaks of changes, the rest of what is new.
    fn refusals(&self, schema: &Value) -> Vec<String> {
        let mut new = whole();
        for (pointer, value) in &self.changes {
            let place = new.pointer_mut(pointer);
            *place.expect("a place in the whole execution") = value.clone();
        }
        let old = (self.at == "/spec").then(whole);
        refusals(schema, &new, old.as_ref())
    }
}

fn refusals(schema: &Value, new: &Value, old: Option<&Value>) -> Vec<String> {
    match Validator::new().validate(schema, new, old) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.iter().map(|error| error.message.clone()).collect(),
    }
}

fn schema() -> Value {
    let crd = serde_json::to_value(crd()).unwrap();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// The parts of a schema node, each with its step in the path.
fn parts(node: &mut Value) -> Vec<(String, &mut Value)> {
    let mut parts = Vec::new();
    for (keyword, part) in node.as_object_mut().into_iter().flatten() {
        match (keyword.as_str(), part) {
            ("properties", Value::Object(fields)) => {
                parts.extend(fields.iter_mut().map(|(name, field)| (name.clone(), field)));
            }
            ("items", items @ Value::Object(_)) => parts.push(("*".to_owned(), items)),
            ("additionalProperties", values @ Value::Object(_)) => {
                parts.push(("{}".to_owned(), values));
            }
            (_, _) => {}
        }
    }
    parts
}

/// Visits every node of the schema that has rules.
fn visit(node: &mut Value, at: &str, see: &mut impl FnMut(&str, &mut Vec<Value>)) {
    if let Some(rules) = node["x-kubernetes-validations"].as_array_mut() {
        see(at, rules);
    }
    for (step, part) in parts(node) {
        visit(part, &format!("{at}/{step}"), see);
    }
}

fn rules(schema: &Value) -> Vec<Rule> {
    let mut found = Vec::new();
    visit(&mut schema.clone(), "", &mut |at, rules| {
        let text = |rule: &Value, field: &str| rule[field].as_str().unwrap_or_default().to_owned();
        found.extend(rules.iter().enumerate().map(|(number, rule)| Rule {
            at: at.to_owned(),
            number,
            field: text(rule, "fieldPath"),
            message: text(rule, "message"),
        }));
    });
    found
}

/// The schema with one rule taken out.
fn without(schema: &Value, rule: &Rule) -> Value {
    let mut schema = schema.clone();
    visit(&mut schema, "", &mut |at, rules| {
        if at == rule.at {
            rules.remove(rule.number);
        }
    });
    schema
}

#[test]
fn the_whole_execution_is_let_in() {
    let schema = schema();
    assert_eq!(refusals(&schema, &whole(), None), Vec::<String>::new());
    assert_eq!(
        refusals(&schema, &whole(), Some(&whole())),
        Vec::<String>::new()
    );
}

#[test]
fn each_rule_alone_refuses_its_case_with_its_own_message() {
    let (schema, cases) = (schema(), cases());
    let rules = rules(&schema);
    assert!(!rules.is_empty());
    for rule in &rules {
        let what = format!("{} {} \"{}\"", rule.at, rule.field, rule.message);
        let claimed: Vec<&Case> = cases.iter().filter(|case| case.is_of(rule)).collect();
        let [case] = claimed.as_slice() else {
            panic!("{} cases are about the rule {what}", claimed.len());
        };
        assert_eq!(
            case.refusals(&schema),
            std::slice::from_ref(&rule.message),
            "{what}"
        );
        let without = without(&schema, rule);
        assert_eq!(
            case.refusals(&without),
            Vec::<String>::new(),
            "without {what}"
        );
    }
    for case in &cases {
        let of = rules.iter().filter(|rule| case.is_of(rule)).count();
        assert_eq!(of, 1, "{} {:?} is about {of} rules", case.at, case.words);
    }
}

//! Executions that are wrong in one way each, and how they are refused.

use kexec_api::condition::Reason;
use serde_json::{Value, json};

/// What is wrong with an execution that would otherwise paint the ConfigMap.
pub(super) type Fault = fn(&mut Value);

const TARGET: &str = "/spec/actionDefinition/targetResource";
pub(super) const PARAMETERS: &str = "/spec/actionDefinition/parameters";

pub(super) fn set(execution: &mut Value, parent: &str, field: &str, value: Value) {
    execution.pointer_mut(parent).expect("the parent")[field] = value;
}

fn action(execution: &mut Value, name: &str) {
    set(
        execution,
        "/spec/actionDefinition",
        "actionType",
        json!(name),
    );
}

pub(super) fn parameters(execution: &mut Value, parameters: Value) {
    set(
        execution,
        "/spec/actionDefinition",
        "parameters",
        parameters,
    );
}

fn scaling(execution: &mut Value, replicas: Value) {
    action(execution, "scale_deployment");
    set(execution, TARGET, "apiVersion", json!("apps/v1"));
    set(execution, TARGET, "kind", json!("Deployment"));
    parameters(execution, replicas);
}

fn node(execution: &mut Value) {
    action(execution, "cordon_node");
    set(execution, TARGET, "kind", json!("Node"));
    parameters(execution, json!({}));
}

pub(super) fn config(execution: &mut Value, section: &str, value: Value) {
    set(execution, "/spec/executionConfig", section, value);
}

/// Nested as deep as the API server takes and a program that reads it naively does not.
pub(super) fn nested(depth: usize) -> Value {
    (0..depth).fold(json!("deep"), |inner, _| json!({ "a": inner }))
}

/// Name, what is wrong, the reason, and words of the sentence.
pub(super) const WRONG: [(&str, Fault, Reason, &[&str]); 31] = [
    (
        "unknown-action",
        |it| action(it, "modify_confgmap"),
        Reason::UnknownAction,
        &[
            "spec.actionDefinition.actionType",
            "\"modify_confgmap\" is not an action",
            "did you mean \"modify_configmap\"?",
        ],
    ),
    (
        "action-like-none",
        |it| action(it, "xyz"),
        Reason::UnknownAction,
        &["\"xyz\" is not an action", "use one of "],
    ),
    (
        "action-not-built",
        |it| action(it, "gitops_pr_create"),
        Reason::NotSupported,
        &[
            "spec.actionDefinition.actionType \"gitops_pr_create\" is not built into this version",
            "use one of ",
        ],
    ),
    (
        "newer-version",
        |it| {
            set(
                it,
                "/spec/actionDefinition",
                "actionMetadata",
                json!({"version": "v1.99"}),
            );
        },
        Reason::NotSupported,
        &[
            "spec.actionDefinition.actionMetadata.version is v1.99",
            "here in v1.2",
            "leave the field out",
        ],
    ),
    (
        "unknown-parameter",
        |it| parameters(it, json!({"dta": {}})),
        Reason::InvalidParameter,
        &[
            "spec.actionDefinition.parameters.dta",
            "is not a parameter of modify_configmap",
            "did you mean \"data\"?",
        ],
    ),
    (
        "parameter-like-none",
        |it| set(it, PARAMETERS, "xyz", json!(1)),
        Reason::InvalidParameter,
        &["parameters.xyz", "it takes binaryData, data"],
    ),
    (
        "null-in-unknown-parameter",
        |it| set(it, PARAMETERS, "nothing", Value::Null),
        Reason::InvalidParameter,
        &["parameters.nothing", "is not a parameter"],
    ),
    (
        "parameter-of-another-action",
        |it| set(it, PARAMETERS, "replicas", json!(3)),
        Reason::InvalidParameter,
        &[
            "parameters.replicas",
            "is not a parameter of modify_configmap",
        ],
    ),
    (
        "wrong-type",
        |it| parameters(it, json!({"data": {"color": 7}})),
        Reason::InvalidParameter,
        &[
            "spec.actionDefinition.parameters.data.color",
            "is 7",
            "write",
        ],
    ),
    (
        "null-for-a-map",
        |it| parameters(it, json!({"data": null})),
        Reason::InvalidParameter,
        &[
            "spec.actionDefinition.parameters.data",
            "is null",
            "leave it out",
        ],
    ),
    (
        "bad-key",
        |it| parameters(it, json!({"data": {"a b": "x"}})),
        Reason::InvalidParameter,
        &[
            "a b",
            "has a name that does not fit",
            "a key of letters, digits",
        ],
    ),
    (
        "bad-base64",
        |it| parameters(it, json!({"binaryData": {"a": "%"}})),
        Reason::InvalidParameter,
        &["parameters.binaryData.a", "standard base64"],
    ),
    (
        "missing-parameter",
        |it| scaling(it, json!({})),
        Reason::InvalidParameter,
        &[
            "spec.actionDefinition.parameters.replicas is missing",
            "write",
        ],
    ),
    (
        "null-parameter",
        |it| scaling(it, json!({"replicas": null})),
        Reason::InvalidParameter,
        &["spec.actionDefinition.parameters.replicas is", "write"],
    ),
    (
        "no-parameters",
        |it| parameters(it, json!({})),
        Reason::InvalidParameter,
        &[
            "spec.actionDefinition.parameters.data",
            "names no key",
            "write at least one key",
        ],
    ),
    (
        "a-megabyte",
        |it| {
            set(
                it,
                "/spec/actionDefinition/parameters",
                "data",
                json!({"color": "x".repeat(1024 * 1024)}),
            );
        },
        Reason::InvalidParameter,
        &[
            "spec.actionDefinition.parameters has 1048",
            "bytes of JSON",
            "write at most 262144",
        ],
    ),
    (
        "nested",
        |it| set(it, PARAMETERS, "customConfig", nested(40)),
        Reason::InvalidParameter,
        &[
            "parameters.customConfig",
            "is not a parameter of modify_configmap",
        ],
    ),
    (
        "absent-target",
        |it| set(it, TARGET, "name", json!("absent")),
        Reason::TargetNotFound,
        &[
            "/absent\" does not exist",
            "check spec.actionDefinition.targetResource",
        ],
    ),
    (
        "absent-namespace",
        |it| set(it, TARGET, "namespace", json!("no-such-namespace")),
        Reason::TargetNotFound,
        &["ConfigMap \"no-such-namespace/settings\" does not exist"],
    ),
    (
        "absent-api",
        |it| set(it, TARGET, "apiVersion", json!("foo.example.com/v1")),
        Reason::TargetKindMismatch,
        &[
            "spec.actionDefinition.targetResource is foo.example.com/v1 ConfigMap",
            "name a target of kind v1 ConfigMap",
        ],
    ),
    (
        "unfit-kind",
        |it| set(it, TARGET, "kind", json!("Secret")),
        Reason::TargetKindMismatch,
        &["is v1 Secret, which modify_configmap cannot be aimed at"],
    ),
    (
        "namespace-missing",
        |it| {
            drop(
                it.pointer_mut(TARGET)
                    .and_then(Value::as_object_mut)
                    .expect("a target")
                    .remove("namespace"),
            );
        },
        Reason::InvalidTarget,
        &[
            "spec.actionDefinition.targetResource.namespace is missing",
            "a ConfigMap lives in a namespace, name it",
        ],
    ),
    (
        "namespace-superfluous",
        node,
        Reason::InvalidTarget,
        &[
            "spec.actionDefinition.targetResource.namespace is \"",
            "a Node lives in no namespace: leave it out",
        ],
    ),
    (
        "selection",
        |it| {
            set(it, TARGET, "labels", json!({"app": "web"}));
            drop(
                it.pointer_mut(TARGET)
                    .and_then(Value::as_object_mut)
                    .expect("a target")
                    .remove("name"),
            );
        },
        Reason::NotSupported,
        &[
            "spec.actionDefinition.targetResource.name is missing",
            "name one target",
        ],
    ),
    (
        "protected",
        |it| set(it, TARGET, "namespace", json!("kube-system")),
        Reason::ProtectedNamespace,
        &[
            "spec.actionDefinition.targetResource.namespace is \"kube-system\"",
            "name a target in another namespace",
        ],
    ),
    (
        "label-guard",
        |it| set(it, TARGET, "labels", json!({"app": "web"})),
        Reason::TargetGuardMismatch,
        &[
            "does not have the label app=web",
            "correct the guard or the target",
        ],
    ),
    (
        "field-guard",
        |it| {
            set(
                it,
                TARGET,
                "fieldSelectors",
                json!(["metadata.name!=settings"]),
            );
        },
        Reason::TargetGuardMismatch,
        &[
            "does not have the field metadata.name!=settings",
            "correct the guard or the target",
        ],
    ),
    (
        "approval",
        |it| config(it, "safetyConfig", json!({"requireApproval": true})),
        Reason::ApprovalUnavailable,
        &[
            "spec.executionConfig.safetyConfig.requireApproval is true",
            "leave it out",
        ],
    ),
    (
        "parameters-from",
        |it| {
            let source = json!([{"name": "data", "secretKeyRef": {"name": "a", "key": "b"}}]);
            set(it, "/spec/actionDefinition", "parametersFrom", source);
        },
        Reason::NotSupported,
        &[
            "spec.actionDefinition.parametersFrom is not built into this version",
            "leave it out",
        ],
    ),
    (
        "pre-condition",
        |it| {
            config(
                it,
                "validationConfig",
                json!({"preConditions": [{"name": "calm", "cel": "true"}]}),
            );
        },
        Reason::CheckUnavailable,
        &[
            "spec.executionConfig.validationConfig.preConditions asks for \"calm\"",
            "set its required to false",
        ],
    ),
    (
        "post-condition",
        |it| {
            config(
                it,
                "validationConfig",
                json!({"postConditions": [{"name": "calm", "rego": "allow"}]}),
            );
        },
        Reason::CheckUnavailable,
        &[
            "spec.executionConfig.validationConfig.postConditions asks for \"calm\"",
            "leave it out",
        ],
    ),
];

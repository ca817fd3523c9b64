//! Values that no execution may have, each with words of its refusal.

use serde_json::{Value, json};

pub(super) const TARGET: &str = "/spec/actionDefinition/targetResource";
pub(super) const PARAMETERS: &str = "/spec/actionDefinition/parameters";
pub(super) const CONFIG: &str = "/spec/executionConfig";
pub(super) const AN_OBJECT_NAME: &str =
    "is no object name: write lower-case letters, digits, '-' and '.'";
pub(super) const A_TIMEOUT: &str =
    "is no valid duration: write a whole number and one unit (s, m or h), from 1s to 24h";
const A_COUNT: &str =
    "write a whole number from 0 to 2147483647, without quotes and without a decimal point";
pub(super) const ONE_LINE: &str = "holds a control character (such as a tab, a line break or a change of direction): write it on one line";

/// The parent of a field, the field, its value, and words of the refusal.
pub(super) type Row = (&'static str, &'static str, Value, &'static [&'static str]);

pub(super) fn set(execution: &mut Value, parent: &str, field: &str, value: Value) {
    execution.pointer_mut(parent).expect("the parent")[field] = value;
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
pub(super) fn targets() -> Vec<Row> {
    vec![
        (
            TARGET,
            "name",
            json!("Web"),
            &["targetResource.name", AN_OBJECT_NAME],
        ),
        (
            TARGET,
            "name",
            json!("a\nb"),
            &["targetResource.name", AN_OBJECT_NAME],
        ),
        (
            TARGET,
            "name",
            json!("a".repeat(254)),
            &["targetResource.name", "253"],
        ),
        (
            TARGET,
            "name",
            json!(""),
            &[
                "targetResource",
                "write the object's name in name, or select objects by labels",
            ],
        ),
        (
            TARGET,
            "namespace",
            json!("My_Shop"),
            &[
                "targetResource.namespace",
                "is no namespace: write lower-case letters",
            ],
        ),
        (
            TARGET,
            "kind",
            json!("Deploy ment"),
            &["targetResource.kind", "write it as the API spells it"],
        ),
        (
            TARGET,
            "apiVersion",
            json!("apps/v1/x"),
            &["targetResource.apiVersion", "such as v1 or apps/v1"],
        ),
        (
            TARGET,
            "apiVersion",
            Value::Null,
            &["targetResource.apiVersion", "Required value"],
        ),
        (
            TARGET,
            "labels",
            json!({"app": "a b"}),
            &[
                "targetResource.labels",
                "is no label value: write letters, digits",
            ],
        ),
        (
            TARGET,
            "labels",
            json!({"a b": "x"}),
            &[
                "targetResource.labels",
                "has a key that is no label: write a name",
            ],
        ),
        (
            TARGET,
            "fieldSelectors",
            json!(["phase Running"]),
            &["fieldSelectors[0]", "write path=value or path!=value"],
        ),
        (
            TARGET,
            "maxTargets",
            json!(0),
            &["targetResource.maxTargets", "greater than or equal to 1"],
        ),
        (
            "/spec",
            "actionDefinition",
            json!({}),
            &["spec.actionDefinition", "Required value"],
        ),
        (
            "/spec/actionDefinition",
            "actionType",
            json!("Scale-It"),
            &["actionType", "is no action type: write 3 to 64"],
        ),
        (
            "/spec/actionDefinition",
            "actionMetadata",
            json!({"version": "1.2"}),
            &[
                "actionMetadata.version",
                "is no action version: write v, a number, a dot and a number",
            ],
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
pub(super) fn parameters() -> Vec<Row> {
    let too_many: Value = (0..65)
        .map(|number| (format!("p{number}"), json!(number)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    vec![
        (
            PARAMETERS,
            "replicas",
            json!(-1),
            &["spec.actionDefinition.parameters.replicas is -1: ", A_COUNT],
        ),
        (
            PARAMETERS,
            "replicas",
            json!(2.5),
            &[
                "spec.actionDefinition.parameters.replicas is 2.5: ",
                A_COUNT,
            ],
        ),
        (
            PARAMETERS,
            "replicas",
            json!("3"),
            &[
                "spec.actionDefinition.parameters.replicas is \"3\": ",
                A_COUNT,
            ],
        ),
        (
            PARAMETERS,
            "replicas",
            json!(2_147_483_648_u64),
            &[
                "spec.actionDefinition.parameters.replicas is 2147483648: ",
                A_COUNT,
            ],
        ),
        (
            PARAMETERS,
            "replicas",
            json!(1e12),
            &[
                "spec.actionDefinition.parameters.replicas is 1000000000000: ",
                A_COUNT,
            ],
        ),
        (
            PARAMETERS,
            "replicas",
            json!(true),
            &[
                "spec.actionDefinition.parameters.replicas is true: ",
                A_COUNT,
            ],
        ),
        (
            PARAMETERS,
            "replicas",
            json!([3]),
            &[
                "spec.actionDefinition.parameters.replicas is a list or an object: ",
                A_COUNT,
            ],
        ),
        (
            PARAMETERS,
            "replicas",
            json!("x".repeat(65)),
            &[
                "spec.actionDefinition.parameters.replicas is text of 65 characters: ",
                A_COUNT,
            ],
        ),
        (
            PARAMETERS,
            "replicas",
            json!("a\nb"),
            &[
                "spec.actionDefinition.parameters.replicas is text of 3 characters: ",
                A_COUNT,
            ],
        ),
        (
            PARAMETERS,
            "replicas",
            json!(1e30),
            &["parameters.replicas is 1e+30: ", A_COUNT],
        ),
        (
            PARAMETERS,
            "dryRun",
            json!("yes"),
            &["parameters.dryRun is \"yes\": write true or false, without quotes"],
        ),
        (
            PARAMETERS,
            "force",
            json!("true"),
            &["parameters.force is \"true\": write true or false, without quotes"],
        ),
        (
            PARAMETERS,
            "gracePeriodSeconds",
            json!(86_401),
            &["parameters.gracePeriodSeconds is 86401: write a whole number from 0 to 86400"],
        ),
        (
            PARAMETERS,
            "gracePeriodSeconds",
            json!(true),
            &["parameters.gracePeriodSeconds is true: write a whole number from 0 to 86400"],
        ),
        (
            PARAMETERS,
            "resourceLimits",
            json!({"cpu": "lots"}),
            &["parameters.resourceLimits.cpu is \"lots\": write an amount as text"],
        ),
        (
            PARAMETERS,
            "resourceRequests",
            json!({"memory": 5}),
            &["parameters.resourceRequests.memory is 5: write an amount as text"],
        ),
        (
            PARAMETERS,
            "drainTimeout",
            json!("soon"),
            &["parameters.drainTimeout is \"soon\": write a whole number and one unit (s, m or h)"],
        ),
        (
            PARAMETERS,
            "drainTimeout",
            json!("25h"),
            &["parameters.drainTimeout is \"25h\": write", "at most 24h"],
        ),
        (
            PARAMETERS,
            "drainTimeout",
            json!(600),
            &["parameters.drainTimeout is 600: write"],
        ),
        (
            PARAMETERS,
            "manifest",
            json!({"kind": "Pod"}),
            &["parameters.manifest is a list or an object: write text"],
        ),
        (
            PARAMETERS,
            "rollbackRevision",
            json!(0),
            &["parameters.rollbackRevision is 0: write a whole number from 1"],
        ),
        (
            PARAMETERS,
            "expectedConditions",
            json!([{"type": "a\tb"}]),
            &["expectedConditions[0].type", ONE_LINE],
        ),
        (
            "/spec/actionDefinition",
            "parameters",
            json!([1]),
            &["actionDefinition.parameters", "must be of type object"],
        ),
        (
            "/spec/actionDefinition",
            "parameters",
            too_many,
            &["actionDefinition.parameters", "64"],
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
pub(super) fn configuration() -> Vec<Row> {
    let step = |step: &str| json!({"name": "w", "namespace": "n", "stepId": step});
    vec![
        (
            CONFIG,
            "timeout",
            json!(""),
            &["executionConfig.timeout", A_TIMEOUT],
        ),
        (
            CONFIG,
            "timeout",
            json!("0s"),
            &["executionConfig.timeout", A_TIMEOUT],
        ),
        (
            CONFIG,
            "timeout",
            json!("25h"),
            &["executionConfig.timeout", A_TIMEOUT],
        ),
        (
            CONFIG,
            "timeout",
            json!("10 minutes"),
            &["executionConfig.timeout", A_TIMEOUT],
        ),
        (
            CONFIG,
            "timeout",
            json!("99999999999999999999h"),
            &["executionConfig.timeout", A_TIMEOUT],
        ),
        (
            CONFIG,
            "timeout",
            json!(60),
            &["executionConfig.timeout", "must be of type string"],
        ),
        (
            CONFIG,
            "priority",
            json!("urgent"),
            &[
                "executionConfig.priority",
                "\"low\", \"normal\", \"high\", \"critical\"",
            ],
        ),
        (
            CONFIG,
            "retryPolicy",
            json!({"maxRetries": 6}),
            &["retryPolicy.maxRetries", "less than or equal to 5"],
        ),
        (
            CONFIG,
            "retryPolicy",
            json!({"retryDelay": "1h"}),
            &["retryPolicy.retryDelay", "(s or m), at most 1440m"],
        ),
        (
            CONFIG,
            "safetyConfig",
            json!({"safetyChecks": ["luck"]}),
            &["safetyChecks[0]", "\"cluster-connectivity\""],
        ),
        (
            CONFIG,
            "safetyConfig",
            json!({"riskLevel": "none"}),
            &["safetyConfig.riskLevel", "\"medium\""],
        ),
        (
            CONFIG,
            "validationConfig",
            json!({"preConditions": [{"name": "a", "cel": "true", "rego": "allow"}]}),
            &[
                "preConditions[0]",
                "must be written in one language: write either cel or rego",
            ],
        ),
        (
            "/spec",
            "workflowExecutionRef",
            step("a\u{202e}b"),
            &["workflowExecutionRef.stepId", ONE_LINE],
        ),
        (
            "/spec",
            "workflowExecutionRef",
            json!({"name": "w"}),
            &["workflowExecutionRef.namespace", "Required value"],
        ),
        (
            "/spec",
            "ttlSecondsAfterFinished",
            json!(-1),
            &["ttlSecondsAfterFinished", "greater than or equal to 0"],
        ),
        (
            "/spec",
            "control",
            json!({"cancel": "now"}),
            &["spec.control.cancel", "must be of type boolean"],
        ),
        ("", "spec", Value::Null, &["spec", "Required value"]),
    ]
}

//! What there is to tell of an execution, of its pod and of its target. Each object becomes the list of all that is
//! known by now; what was told before is left out by [`super::screen`].

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ContainerState, ContainerStatus, Pod},
};
use kexec_api::{
    condition::{ConditionStatus, ConditionType},
    execution::{
        KubernetesExecution, KubernetesExecutionStatus,
        status::{
            KubernetesOperation, OperationResult, PostExecutionValidation, PreExecutionValidation,
            SafetyCheckResult,
        },
    },
};
use kube::ResourceExt;

/// How a fact is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Tone {
    Plain,
    Good,
    Bad,
}

impl Tone {
    fn of(good: bool) -> Self {
        if good { Self::Good } else { Self::Bad }
    }
}

/// One thing to tell.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Fact {
    /// What it is about, in one word.
    pub(super) topic: &'static str,
    pub(super) text: String,
    pub(super) tone: Tone,
}

impl Fact {
    pub(super) fn new(topic: &'static str, text: impl Into<String>) -> Self {
        Self {
            topic,
            text: text.into(),
            tone: Tone::Plain,
        }
    }

    fn toned(self, good: bool) -> Self {
        Self {
            tone: Tone::of(good),
            ..self
        }
    }
}

/// What the execution's status says, in the order in which it came about.
pub(super) fn of_execution(execution: &KubernetesExecution) -> Vec<Fact> {
    let Some(status) = &execution.status else {
        return Vec::new();
    };
    let results = status.validation_results.as_ref();
    let mut facts = Vec::new();
    let phase = status.phase.filter(|phase| !phase.is_terminal());
    facts.extend(phase.map(|phase| Fact::new("phase", phase.as_str())));
    if let Some(queue) = &status.queue {
        facts.push(Fact::new(
            "waits for",
            queue.reason.as_deref().unwrap_or_default(),
        ));
    }
    if let Some(before) = results.and_then(|results| results.pre_execution_validation.as_ref()) {
        facts.extend(before.safety_checks.iter().map(check));
        facts.extend(risk(before));
    }
    facts.extend(plan(status));
    if let Some(job) = status.job.as_ref().and_then(|job| job.name.as_deref()) {
        facts.push(Fact::new("job", job));
    }
    if let Some(details) = &status.execution_details {
        facts.extend(details.kubernetes_operations.iter().map(operation));
    }
    if let Some(after) = results.and_then(|results| results.post_execution_validation.as_ref()) {
        facts.extend(proof(after));
    }
    facts.extend(end(status));
    facts
}

fn check(check: &SafetyCheckResult) -> Fact {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let passed = check.passed == Some(true);
    let verdict = match (check.performed, check.passed) {
        (Some(false), _) | (_, None) => "not performed",
        (_, Some(true)) => "passed",
        (_, Some(false)) => "failed",
    };
    let time = check
        .duration
        .as_ref()
        .map(|time| format!(" in {time}"))
        .unwrap_or_default();
    let (name, message) = (text(&check.check_type), text(&check.message));
    Fact::new("check", format!("{name}: {verdict}{time}: {message}")).toned(passed)
}

fn risk(validation: &PreExecutionValidation) -> Option<Fact> {
    let risk = validation.risk_assessment.as_ref()?;
    let score = risk
        .risk_score
        .map(|score| format!("{score:.2} of 1"))
        .into_iter();
    let reasons: Vec<String> = score.chain(risk.risk_factors.iter().cloned()).collect();
    let level = risk.risk_level?;
    Some(Fact::new(
        "risk",
        format!("{level} ({})", reasons.join("; ")),
    ))
}

fn plan(status: &KubernetesExecutionStatus) -> Vec<Fact> {
    let Some(plan) = &status.plan else {
        return Vec::new();
    };
    let line = |topic, text: &Option<String>| text.as_ref().map(|text| Fact::new(topic, text));
    let mut facts: Vec<Fact> = line("plan", &plan.summary).into_iter().collect();
    for operation in &plan.operations {
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        let what = format!("{} {}", part(&operation.verb), part(&operation.resource));
        facts.push(Fact::new(
            "diff",
            format!("{what}: {}", part(&operation.diff)),
        ));
    }
    facts.extend(
        plan.permissions
            .iter()
            .map(|right| Fact::new("needs", right)),
    );
    facts.extend(line("inverse", &plan.rollback_summary));
    facts
}

fn operation(operation: &KubernetesOperation) -> Fact {
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    let code = operation
        .status_code
        .map(|code| format!(" answered {code}"))
        .unwrap_or_default();
    let time = operation
        .duration
        .as_ref()
        .map(|time| format!(" in {time}"))
        .unwrap_or_default();
    let error = operation
        .error
        .as_ref()
        .map(|error| format!(": {error}"))
        .unwrap_or_default();
    let what = format!(
        "{} {}",
        part(&operation.operation),
        part(&operation.resource)
    );
    Fact::new("write", format!("{what}{code}{time}{error}"))
        .toned(operation.result == Some(OperationResult::Success))
}

fn proof(validation: &PostExecutionValidation) -> Vec<Fact> {
    let Some(outcome) = &validation.outcome_verification else {
        return Vec::new();
    };
    let expected = outcome.expected_outcome.as_ref();
    let actual = outcome.actual_outcome.as_ref();
    let proven = outcome.outcome_match == Some(true);
    let tone = if proven { Tone::Good } else { Tone::Plain };
    expected
        .map(|expected| Fact::new("expected", expected))
        .into_iter()
        .chain(actual.map(|actual| Fact {
            tone,
            ..Fact::new("found", actual)
        }))
        .collect()
}

fn end(status: &KubernetesExecutionStatus) -> Vec<Fact> {
    let Some(phase) = status.phase.filter(|phase| phase.is_terminal()) else {
        return Vec::new();
    };
    let good = status
        .condition(ConditionType::Ready)
        .is_some_and(|ready| ready.status == ConditionStatus::True);
    let completed = status.condition(ConditionType::Completed);
    let reason = completed
        .and_then(|it| it.reason.as_deref())
        .unwrap_or_default();
    let message = completed
        .and_then(|it| it.message.as_deref())
        .unwrap_or_default();
    let mut facts = vec![Fact::new("phase", format!("{phase} ({reason}): {message}")).toned(good)];
    facts.extend(result(status).map(|text| Fact::new("result", text).toned(good)));
    facts
}

/// What a parent workflow is told, and what it cost.
fn result(status: &KubernetesExecutionStatus) -> Option<String> {
    let step = status.step_result.as_ref()?;
    let verified = if step.verified == Some(true) {
        "verified"
    } else {
        "not verified"
    };
    let calls = status
        .performance_metrics
        .as_ref()
        .and_then(|metrics| metrics.kubernetes_api_calls.as_ref()?.total_calls)
        .map(|calls| format!(", {calls} API calls by the runner"));
    Some(format!(
        "{}, {verified}{}",
        step.outcome?,
        calls.unwrap_or_default()
    ))
}

/// What the runner's pod does.
pub(super) fn of_pod(pod: &Pod) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(spec) = &pod.spec
        && let Some(node) = &spec.node_name
    {
        let account = spec.service_account_name.as_deref().unwrap_or_default();
        let name = pod.name_any();
        facts.push(Fact::new(
            "pod",
            format!("{name} on {node}, ServiceAccount {account}"),
        ));
    }
    let status = pod.status.as_ref();
    let initial = status.and_then(|status| status.init_container_statuses.as_deref());
    let main = status.and_then(|status| status.container_statuses.as_deref());
    let containers = initial
        .unwrap_or_default()
        .iter()
        .chain(main.unwrap_or_default());
    facts.extend(containers.filter_map(container));
    facts
}

fn container(container: &ContainerStatus) -> Option<Fact> {
    let name = &container.name;
    match container.state.as_ref()? {
        ContainerState {
            terminated: Some(end),
            ..
        } => {
            let text = format!("{name}: ended with exit code {}", end.exit_code);
            Some(Fact::new("pod", text).toned(end.exit_code == 0))
        }
        ContainerState {
            running: Some(_), ..
        } => Some(Fact::new("pod", format!("{name}: runs"))),
        ContainerState { .. } => None,
    }
}

/// How many of the target's replicas are ready.
pub(super) fn of_deployment(deployment: &Deployment) -> Vec<Fact> {
    let wanted = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1);
    let ready = ready_replicas(deployment);
    vec![Fact::new(
        "target",
        format!("{ready} of {wanted} replicas ready"),
    )]
}

/// The Deployment's ready replicas.
pub(super) fn ready_replicas(deployment: &Deployment) -> i32 {
    let status = deployment.status.as_ref();
    status.and_then(|status| status.ready_replicas).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(status: &Value) -> Vec<String> {
        let execution = serde_json::from_value(json!({
            "apiVersion": "kubernetesexecution.kubernaut.io/v1alpha1",
            "kind": "KubernetesExecution",
            "metadata": {"name": "e"},
            "spec": {"actionDefinition": {
                "actionType": "scale_deployment",
                "targetResource": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            }},
            "status": status,
        }));
        let facts = of_execution(&execution.unwrap());
        facts
            .into_iter()
            .map(|fact| format!("{} {}", fact.topic, fact.text))
            .collect()
    }

    #[test]
    fn a_plan_is_told_with_its_checks_its_diff_and_its_job() {
        let told = told(&json!({
            "phase": "executing",
            "job": {"name": "kexec-1"},
            "plan": {
                "summary": "scale web",
                "operations": [{"verb": "patch", "resource": "Deployment/demo/web/scale", "diff": "2 -> 5"}],
                "rollbackSummary": "scale back",
            },
            "validationResults": {"preExecutionValidation": {
                "safetyChecks": [{
                    "checkType": "cluster-connectivity", "passed": true, "performed": true,
                    "duration": "4ms", "message": "it answers",
                }],
                "riskAssessment": {"riskLevel": "low", "riskScore": 0.125, "riskFactors": ["a", "b"]},
            }},
        }));
        assert_eq!(
            told,
            [
                "phase executing",
                "check cluster-connectivity: passed in 4ms: it answers",
                "risk low (0.12 of 1; a; b)",
                "plan scale web",
                "diff patch Deployment/demo/web/scale: 2 -> 5",
                "inverse scale back",
                "job kexec-1",
            ]
        );
    }

    #[test]
    fn an_end_is_told_last_after_what_was_written_and_found() {
        let told = told(&json!({
            "phase": "completed",
            "executionDetails": {"kubernetesOperations": [{
                "operation": "PATCH", "resource": "Deployment/demo/web",
                "result": "success", "statusCode": 200, "duration": "9ms",
            }]},
            "validationResults": {"postExecutionValidation": {"outcomeVerification": {
                "expectedOutcome": "5 ready", "actualOutcome": "5 are", "outcomeMatch": true,
            }}},
            "stepResult": {"outcome": "succeeded", "verified": true},
            "conditions": [{
                "type": "Completed", "status": "True", "reason": "ExecutionCompleted", "message": "done",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }],
        }));
        assert_eq!(
            told,
            [
                "write PATCH Deployment/demo/web answered 200 in 9ms",
                "expected 5 ready",
                "found 5 are",
                "phase completed (ExecutionCompleted): done",
                "result succeeded, verified",
            ]
        );
    }

    #[test]
    fn a_container_that_has_not_started_is_not_told() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p"},
            "spec": {"nodeName": "n", "serviceAccountName": "a", "containers": []},
            "status": {
                "initContainerStatuses": [status("dry-run", &json!({"terminated": {"exitCode": 3}}))],
                "containerStatuses": [status("execute", &json!({"waiting": {"reason": "PodInitializing"}}))],
            },
        }))
        .unwrap();
        let facts = of_pod(&pod);
        let texts: Vec<&str> = facts.iter().map(|fact| fact.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "p on n, ServiceAccount a",
                "dry-run: ended with exit code 3"
            ]
        );
        assert_eq!(facts[1].tone, Tone::Bad);
    }

    fn status(name: &str, state: &Value) -> Value {
        json!({"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state})
    }
}

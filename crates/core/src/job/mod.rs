//! The Job of one attempt (ADR-10…ADR-28, ADR-36…ADR-40): built from a work order, and unable to fail. Its name is
//! deterministic, and it runs once.

mod pod;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{
    Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement,
    PodFailurePolicyOnPodConditionsPattern, PodFailurePolicyRule,
};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kexec_actions::metadata::Metadata;
use kexec_api::names;
use kexec_api::work::WorkOrder;

use crate::settings::Settings;

/// How long after the pod's deadline the Job's own, which deletes the pod, is a backstop.
const JOB_DEADLINE_MARGIN_SECONDS: i64 = 120;

/// What a Job is built from.
#[derive(Clone, Debug)]
pub struct JobOrder<'a> {
    /// What the runner is told.
    pub order: &'a WorkOrder,
    /// The work order as JSON: what the runner reads.
    pub order_json: String,
    /// Whether the plan is kept in a ConfigMap, which the runner finds as a file.
    pub plan_is_kept: bool,
    /// What the action says of itself.
    pub metadata: &'a Metadata,
    /// Whether the Job only tries the writes (BR-EXEC-011).
    pub dry_run: bool,
    /// Now.
    pub now: Timestamp,
    /// When the pod is killed.
    pub deadline: Timestamp,
}

/// When the runner stops before its next write: 30 s, or a tenth if that is less, before the pod's deadline.
#[must_use]
pub fn runner_deadline(start: Timestamp, timeout: SignedDuration) -> Timestamp {
    let early = (timeout / 10).min(SignedDuration::from_secs(30));
    start
        .saturating_add(timeout - early)
        .unwrap_or(Timestamp::MAX)
}

/// The Job of an attempt.
#[must_use]
pub fn build(job: &JobOrder<'_>, settings: &Settings) -> Job {
    let order = job.order;
    let seconds = job.deadline.duration_since(job.now).as_secs().max(1);
    let (labels, annotations) = (labels(order), long_names(order));
    Job {
        metadata: ObjectMeta {
            name: Some(names::job_name(
                &order.execution.uid,
                order.attempt,
                order.stage,
            )),
            namespace: Some(settings.system_namespace.clone()),
            labels: Some(labels.clone()),
            annotations: Some(annotations.clone()).filter(|annotations| !annotations.is_empty()),
            ..ObjectMeta::default()
        },
        spec: Some(JobSpec {
            backoff_limit: Some(0),
            completions: Some(1),
            parallelism: Some(1),
            pod_replacement_policy: Some("Failed".to_owned()),
            pod_failure_policy: Some(failure_policy()),
            active_deadline_seconds: Some(seconds.saturating_add(JOB_DEADLINE_MARGIN_SECONDS)),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels),
                    annotations: Some(pod_annotations(job, annotations)),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod::spec(job, settings, seconds)),
            },
            ..JobSpec::default()
        }),
        status: None,
    }
}

/// Neither a disruption nor a failed exit starts a second pod: the next attempt is the controller's decision.
fn failure_policy() -> PodFailurePolicy {
    let fail_job = |rule: PodFailurePolicyRule| PodFailurePolicyRule {
        action: "FailJob".to_owned(),
        ..rule
    };
    PodFailurePolicy {
        rules: vec![
            fail_job(PodFailurePolicyRule {
                on_pod_conditions: Some(vec![PodFailurePolicyOnPodConditionsPattern {
                    type_: "DisruptionTarget".to_owned(),
                    status: "True".to_owned(),
                }]),
                ..PodFailurePolicyRule::default()
            }),
            fail_job(PodFailurePolicyRule {
                on_exit_codes: Some(PodFailurePolicyOnExitCodesRequirement {
                    container_name: None,
                    operator: "NotIn".to_owned(),
                    values: vec![0],
                }),
                ..PodFailurePolicyRule::default()
            }),
        ],
    }
}

/// ADR-11…ADR-13 and the labels by which a Job finds its execution.
fn labels(order: &WorkOrder) -> BTreeMap<String, String> {
    BTreeMap::from([
        (names::LABEL_APP_NAME.to_owned(), names::APP_NAME.to_owned()),
        (
            names::LABEL_ACTION.to_owned(),
            names::label_value(&names::dashed(&order.plan.action)),
        ),
        (
            names::LABEL_EXECUTION.to_owned(),
            names::label_value(&order.execution.name),
        ),
        (
            names::LABEL_EXECUTION_NAMESPACE.to_owned(),
            names::label_value(&order.execution.namespace),
        ),
        (
            names::LABEL_EXECUTION_UID.to_owned(),
            order.execution.uid.clone(),
        ),
        (names::LABEL_ATTEMPT.to_owned(), order.attempt.to_string()),
        (
            names::LABEL_STAGE.to_owned(),
            order.stage.as_str().to_owned(),
        ),
    ])
}

/// The full name of an execution whose label value had to be shortened, under the label's own key.
fn long_names(order: &WorkOrder) -> BTreeMap<String, String> {
    let name = &order.execution.name;
    let shortened = names::label_value(name) != *name;
    shortened
        .then(|| (names::LABEL_EXECUTION.to_owned(), name.clone()))
        .into_iter()
        .collect()
}

/// The work order, and switches that keep service meshes from adding containers that never end.
fn pod_annotations(
    job: &JobOrder<'_>,
    mut annotations: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    annotations.insert(
        names::ANNOTATION_WORK_ORDER.to_owned(),
        job.order_json.clone(),
    );
    for (key, value) in [
        ("sidecar.istio.io/inject", "false"),
        ("linkerd.io/inject", "disabled"),
        ("kuma.io/sidecar-injection", "disabled"),
    ] {
        annotations.insert(key.to_owned(), value.to_owned());
    }
    annotations
}

//! The Job of one attempt (ADR-10…ADR-28, ADR-36…ADR-40): built from a work order, and unable to fail. Its name is
//! deterministic, it runs once, and its pod may do nothing but its work.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{
    Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement,
    PodFailurePolicyOnPodConditionsPattern, PodFailurePolicyRule,
};
use k8s_openapi::api::core::v1::{
    Affinity, Capabilities, ConfigMapProjection, Container, DownwardAPIProjection,
    DownwardAPIVolumeFile, EnvVar, EnvVarSource, KeyToPath, NodeAffinity, NodeSelector,
    NodeSelectorRequirement, NodeSelectorTerm, ObjectFieldSelector, PodSecurityContext, PodSpec,
    PodTemplateSpec, ProjectedVolumeSource, ResourceRequirements, SeccompProfile, SecurityContext,
    ServiceAccountTokenProjection, Toleration, Volume, VolumeMount, VolumeProjection,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kexec_actions::metadata::{Metadata, Resources};
use kexec_api::names;
use kexec_api::work::WorkOrder;

use crate::request::container;
use crate::settings::Settings;

/// Where in-cluster clients look for the token, the CA and the namespace.
const TOKEN_MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Name of the volume that holds them.
const TOKEN_VOLUME: &str = "api-access";
/// Shortest lifetime of the token, in seconds, that the API server takes.
const MIN_TOKEN_SECONDS: i64 = 600;
/// By how much the token outlives the deadline, in seconds.
const TOKEN_MARGIN_SECONDS: i64 = 60;
/// How long after the pod's deadline the Job's own, which deletes the pod, is a backstop.
const JOB_DEADLINE_MARGIN_SECONDS: i64 = 120;
/// How long a pod stays bound to a node that went away, in seconds.
const NODE_LOSS_TOLERATION_SECONDS: i64 = 30;
/// How long the runner may take to stop, in seconds: longer than its longest call, and over before an end that was not
/// seen is judged.
const STOP_SECONDS: i64 = 7;
/// User and group of the runner; distinct from those of ordinary workloads.
const RUNNER_UID: i64 = 65_532;

/// What a Job is built from.
#[derive(Clone, Debug)]
pub struct JobOrder<'a> {
    /// What the runner is told.
    pub order: &'a WorkOrder,
    /// The work order as JSON: what the runner reads.
    pub order_json: String,
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
                spec: Some(pod(job, settings, seconds)),
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

fn pod(job: &JobOrder<'_>, settings: &Settings, seconds: i64) -> PodSpec {
    let dry_run = runner(
        job,
        settings,
        names::CONTAINER_DRY_RUN,
        &["execute", "--dry-run"],
    );
    let execute = runner(job, settings, names::CONTAINER_EXECUTE, &["execute"]);
    let (init_containers, containers) = if container(job.dry_run) == names::CONTAINER_DRY_RUN {
        (None, vec![dry_run])
    } else {
        (Some(vec![dry_run]), vec![execute])
    };
    PodSpec {
        service_account_name: Some(job.metadata.service_account_name()),
        automount_service_account_token: Some(false),
        restart_policy: Some("Never".to_owned()),
        active_deadline_seconds: Some(seconds),
        termination_grace_period_seconds: Some(STOP_SECONDS),
        enable_service_links: Some(false),
        affinity: away_from_target(job.order),
        tolerations: Some(vec![
            node_loss("node.kubernetes.io/not-ready"),
            node_loss("node.kubernetes.io/unreachable"),
        ]),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(RUNNER_UID),
            run_as_group: Some(RUNNER_UID),
            fs_group: Some(RUNNER_UID),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..PodSecurityContext::default()
        }),
        volumes: Some(vec![api_access(seconds)]),
        init_containers,
        containers,
        ..PodSpec::default()
    }
}

fn runner(job: &JobOrder<'_>, settings: &Settings, name: &str, arguments: &[&str]) -> Container {
    Container {
        name: name.to_owned(),
        image: Some(settings.runner_image.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        args: Some(
            arguments
                .iter()
                .map(|argument| (*argument).to_owned())
                .collect(),
        ),
        env: Some(vec![
            from_field(
                names::ENV_WORK_ORDER,
                &format!("metadata.annotations['{}']", names::ANNOTATION_WORK_ORDER),
            ),
            literal(names::ENV_PLAN_HASH, job.order.plan_hash.as_str()),
            from_field(names::ENV_POD_NAMESPACE, "metadata.namespace"),
            from_field(names::ENV_POD_UID, "metadata.uid"),
            from_field(
                names::ENV_JOB_UID,
                "metadata.labels['batch.kubernetes.io/controller-uid']",
            ),
        ]),
        resources: Some(resources(&job.metadata.resources)),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                add: None,
            }),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(vec![VolumeMount {
            name: TOKEN_VOLUME.to_owned(),
            mount_path: TOKEN_MOUNT.to_owned(),
            read_only: Some(true),
            ..VolumeMount::default()
        }]),
        ..Container::default()
    }
}

fn literal(name: &str, value: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        value_from: None,
    }
}

fn from_field(name: &str, path: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(field(path)),
            ..EnvVarSource::default()
        }),
    }
}

fn field(path: &str) -> ObjectFieldSelector {
    ObjectFieldSelector {
        api_version: Some("v1".to_owned()),
        field_path: path.to_owned(),
    }
}

fn resources(resources: &Resources) -> ResourceRequirements {
    let amounts = |cpu: &str, memory: &str| {
        BTreeMap::from([
            ("cpu".to_owned(), Quantity(cpu.to_owned())),
            ("memory".to_owned(), Quantity(memory.to_owned())),
        ])
    };
    ResourceRequirements {
        requests: Some(amounts(resources.cpu_request, resources.memory_request)),
        limits: Some(amounts(resources.cpu_limit, resources.memory_limit)),
        claims: None,
    }
}

/// A runner does not run on the node it works on.
fn away_from_target(order: &WorkOrder) -> Option<Affinity> {
    let node = order.plan.target().filter(|target| target.kind == "Node")?;
    Some(Affinity {
        node_affinity: Some(NodeAffinity {
            required_during_scheduling_ignored_during_execution: Some(NodeSelector {
                node_selector_terms: vec![NodeSelectorTerm {
                    match_fields: Some(vec![NodeSelectorRequirement {
                        key: "metadata.name".to_owned(),
                        operator: "NotIn".to_owned(),
                        values: Some(vec![node.name.clone()]),
                    }]),
                    match_expressions: None,
                }],
            }),
            ..NodeAffinity::default()
        }),
        ..Affinity::default()
    })
}

fn node_loss(key: &str) -> Toleration {
    Toleration {
        key: Some(key.to_owned()),
        operator: Some("Exists".to_owned()),
        effect: Some("NoExecute".to_owned()),
        toleration_seconds: Some(NODE_LOSS_TOLERATION_SECONDS),
        value: None,
    }
}

/// A token bound to the pod, the cluster's CA and the namespace, where in-cluster clients look for them.
fn api_access(seconds: i64) -> Volume {
    let token = ServiceAccountTokenProjection {
        audience: None,
        expiration_seconds: Some(
            seconds
                .saturating_add(TOKEN_MARGIN_SECONDS)
                .max(MIN_TOKEN_SECONDS),
        ),
        path: "token".to_owned(),
    };
    let ca = ConfigMapProjection {
        name: "kube-root-ca.crt".to_owned(),
        items: Some(vec![KeyToPath {
            key: "ca.crt".to_owned(),
            path: "ca.crt".to_owned(),
            mode: None,
        }]),
        optional: None,
    };
    let namespace = DownwardAPIProjection {
        items: Some(vec![DownwardAPIVolumeFile {
            path: "namespace".to_owned(),
            field_ref: Some(field("metadata.namespace")),
            ..DownwardAPIVolumeFile::default()
        }]),
    };
    let sources = vec![
        VolumeProjection {
            service_account_token: Some(token),
            ..VolumeProjection::default()
        },
        VolumeProjection {
            config_map: Some(ca),
            ..VolumeProjection::default()
        },
        VolumeProjection {
            downward_api: Some(namespace),
            ..VolumeProjection::default()
        },
    ];
    Volume {
        name: TOKEN_VOLUME.to_owned(),
        projected: Some(ProjectedVolumeSource {
            sources: Some(sources),
            default_mode: None,
        }),
        ..Volume::default()
    }
}

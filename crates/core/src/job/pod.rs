//! The pod of a Job: the dry run before the container that writes, one bound token, and no right on its node.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, Capabilities, ConfigMapProjection, ConfigMapVolumeSource, Container,
    DownwardAPIProjection, DownwardAPIVolumeFile, EnvVar, EnvVarSource, KeyToPath,
    LocalObjectReference, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm,
    ObjectFieldSelector, PodSecurityContext, PodSpec, ProjectedVolumeSource, ResourceRequirements,
    SeccompProfile, SecurityContext, ServiceAccountTokenProjection, Toleration, Volume,
    VolumeMount, VolumeProjection,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kexec_actions::metadata::Resources;
use kexec_api::names;
use kexec_api::work::{Stage, WorkOrder};

use super::JobOrder;
use crate::request::container;
use crate::settings::{Amounts, RunnerPod, Settings};

/// Where in-cluster clients look for the token, the CA and the namespace.
const TOKEN_MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Name of the volume that holds them.
const TOKEN_VOLUME: &str = "api-access";
/// Name of the volume that holds a plan which is kept in a ConfigMap.
const PLAN_VOLUME: &str = "plan";
/// Shortest lifetime of the token, in seconds, that the API server takes.
const MIN_TOKEN_SECONDS: i64 = 600;
/// By how much the token outlives the deadline, in seconds.
const TOKEN_MARGIN_SECONDS: i64 = 60;
/// How long a pod stays bound to a node that went away, in seconds.
const NODE_LOSS_TOLERATION_SECONDS: i64 = 30;
/// How long the runner may take to stop, in seconds: longer than its longest call, and over before an end that was not
/// seen is judged.
const STOP_SECONDS: i64 = 7;
/// User and group of the runner; distinct from those of ordinary workloads.
const RUNNER_UID: i64 = 65_532;

pub(super) fn spec(job: &JobOrder<'_>, settings: &Settings, seconds: i64) -> PodSpec {
    let dry_run = runner(
        job,
        settings,
        names::CONTAINER_DRY_RUN,
        &["execute", "--dry-run"],
    );
    let execute = runner(job, settings, names::CONTAINER_EXECUTE, &["execute"]);
    let (init_containers, containers) = match job.order.stage {
        // An inverse step tests every value itself, and one that is refused must not keep the others from their turn.
        Stage::Rollback => (None, vec![execute]),
        Stage::Execute if container(job.dry_run) == names::CONTAINER_DRY_RUN => {
            (None, vec![dry_run])
        }
        Stage::Execute => (Some(vec![dry_run]), vec![execute]),
    };
    let installed = &settings.runner_pod;
    PodSpec {
        image_pull_secrets: pull_secrets(installed),
        node_selector: Some(installed.node_selector.clone()).filter(|labels| !labels.is_empty()),
        priority_class_name: Some(installed.priority_class_name.clone())
            .filter(|name| !name.is_empty()),
        service_account_name: Some(job.metadata.service_account_name()),
        automount_service_account_token: Some(false),
        restart_policy: Some("Never".to_owned()),
        active_deadline_seconds: Some(seconds),
        termination_grace_period_seconds: Some(STOP_SECONDS),
        enable_service_links: Some(false),
        affinity: away_from_target(job.order),
        tolerations: Some(tolerations(installed)),
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
        volumes: Some(volumes(job, seconds)),
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
        env: Some(environment(job)),
        resources: Some(resources(job, &settings.runner_pod)),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                add: None,
            }),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(mounts(job)),
        ..Container::default()
    }
}

fn environment(job: &JobOrder<'_>) -> Vec<EnvVar> {
    let mut environment = vec![
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
    ];
    if job.plan_is_kept {
        let file = format!("{}/{}", names::PLAN_FOLDER, names::PLAN_KEY);
        environment.push(literal(names::ENV_PLAN_FILE, &file));
    }
    environment
}

fn mounts(job: &JobOrder<'_>) -> Vec<VolumeMount> {
    let mount = |name: &str, path: &str| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    };
    let plan = job
        .plan_is_kept
        .then(|| mount(PLAN_VOLUME, names::PLAN_FOLDER));
    std::iter::once(mount(TOKEN_VOLUME, TOKEN_MOUNT))
        .chain(plan)
        .collect()
}

fn volumes(job: &JobOrder<'_>, seconds: i64) -> Vec<Volume> {
    let plan = job.plan_is_kept.then(|| Volume {
        name: PLAN_VOLUME.to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: names::plan_name(&job.order.execution.uid),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    });
    std::iter::once(api_access(seconds)).chain(plan).collect()
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

/// The action's own resources, and the installation's in place of them where it names any.
fn resources(job: &JobOrder<'_>, installed: &RunnerPod) -> ResourceRequirements {
    let of_action: &Resources = &job.metadata.resources;
    let chosen = installed
        .resources
        .get(job.metadata.action_type)
        .cloned()
        .unwrap_or_default();
    let amounts = |chosen: Amounts, cpu: &str, memory: &str| {
        let either =
            |chosen: Option<String>, own: &str| Quantity(chosen.unwrap_or_else(|| own.to_owned()));
        BTreeMap::from([
            ("cpu".to_owned(), either(chosen.cpu, cpu)),
            ("memory".to_owned(), either(chosen.memory, memory)),
        ])
    };
    ResourceRequirements {
        requests: Some(amounts(
            chosen.requests,
            of_action.cpu_request,
            of_action.memory_request,
        )),
        limits: Some(amounts(
            chosen.limits,
            of_action.cpu_limit,
            of_action.memory_limit,
        )),
        claims: None,
    }
}

fn pull_secrets(installed: &RunnerPod) -> Option<Vec<LocalObjectReference>> {
    let references = installed.image_pull_secrets.iter();
    let references: Vec<_> = references
        .map(|name| LocalObjectReference { name: name.clone() })
        .collect();
    Some(references).filter(|references| !references.is_empty())
}

/// Those for lost nodes come first, so that the installation's cannot make a runner stay with one.
fn tolerations(installed: &RunnerPod) -> Vec<Toleration> {
    let own = [
        node_loss("node.kubernetes.io/not-ready"),
        node_loss("node.kubernetes.io/unreachable"),
    ];
    own.into_iter()
        .chain(installed.tolerations.iter().cloned())
        .collect()
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

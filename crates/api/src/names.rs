//! Names that cross a process boundary: labels, annotations, environment variables, Job and claim names.
//! How a value is chosen stands here once; nothing here talks to a cluster.

use sha2::{Digest, Sha256};

use crate::work::Stage;

/// Namespace the operator, its Jobs and their claims live in by default (ADR-10).
pub const DEFAULT_SYSTEM_NAMESPACE: &str = "kubernaut-system";
/// Label of a namespace whose executions belong to the installation of that suffix, where several share a cluster.
pub const LABEL_INSTALLATION: &str = "kubernaut.io/installation";
/// ServiceAccount of the controller in the system namespace.
pub const CONTROLLER_SERVICE_ACCOUNT: &str = "kubernaut-executor";
/// Lease in the system namespace that the replica of the controller holds that acts.
pub const LEADER_LEASE: &str = "kubernaut-executor";
/// Server-side field manager of the controller's writes.
pub const CONTROLLER_FIELD_MANAGER: &str = "kubernaut-executor";
/// Server-side field manager of the runner's writes.
pub const RUNNER_FIELD_MANAGER: &str = "kexec-runner";

/// ADR-11: what the object belongs to.
pub const LABEL_APP_NAME: &str = "app.kubernetes.io/name";
/// ADR-11: value of [`LABEL_APP_NAME`] on our Jobs and pods.
pub const APP_NAME: &str = "kubernetes-executor";
/// ADR-12: the action type with dashes.
pub const LABEL_ACTION: &str = "kubernaut.io/action";
/// ADR-13: name of the KubernetesExecution, see [`label_value`].
pub const LABEL_EXECUTION: &str = "kubernaut.io/kubernetes-execution";
/// Namespace of the KubernetesExecution.
pub const LABEL_EXECUTION_NAMESPACE: &str = "kubernaut.io/execution-namespace";
/// UID of the KubernetesExecution.
pub const LABEL_EXECUTION_UID: &str = "kubernaut.io/execution-uid";
/// Number of the attempt, from 1.
pub const LABEL_ATTEMPT: &str = "kubernaut.io/attempt";
/// Stage of the Job: `execute` or `rollback`.
pub const LABEL_STAGE: &str = "kubernaut.io/stage";
/// Marks a claim Lease that the controller made to keep a lost attempt from ever writing.
pub const LABEL_TOMBSTONE: &str = "kubernaut.io/tombstone";
/// Pod-template annotation that holds the work order as JSON.
pub const ANNOTATION_WORK_ORDER: &str = "kubernaut.io/work-order";

/// Marks a ConfigMap that keeps a plan.
pub const LABEL_PLAN: &str = "kubernaut.io/plan";
/// Annotation of such a ConfigMap: hash of the plan.
pub const ANNOTATION_PLAN_HASH: &str = "kubernaut.io/plan-hash";
/// Key of such a ConfigMap that holds the plan as JSON, and name of the file a runner finds it in.
pub const PLAN_KEY: &str = "plan.json";
/// Folder in which a runner finds such a plan.
pub const PLAN_FOLDER: &str = "/etc/kexec/plan";

/// The runner's work order as JSON, read from [`ANNOTATION_WORK_ORDER`].
pub const ENV_WORK_ORDER: &str = "KEXEC_WORK_ORDER";
/// Hash the plan in the work order must have; a literal, so that an edited annotation is noticed.
pub const ENV_PLAN_HASH: &str = "KEXEC_PLAN_HASH";
/// Namespace of the runner's pod, where its claim lives.
pub const ENV_POD_NAMESPACE: &str = "KEXEC_POD_NAMESPACE";
/// UID of the runner's pod, the holder of its claim.
pub const ENV_POD_UID: &str = "KEXEC_POD_UID";
/// UID of the runner's Job, the owner of its claim, read from the pod's label [`LABEL_JOB_UID`].
pub const ENV_JOB_UID: &str = "KEXEC_JOB_UID";
/// Label the Job controller puts on a Job's pods: UID of the Job.
pub const LABEL_JOB_UID: &str = "batch.kubernetes.io/controller-uid";
/// File that takes the termination message instead of `/dev/termination-log`.
pub const ENV_TERMINATION_LOG: &str = "KEXEC_TERMINATION_LOG";

/// File that holds the plan, where the work order leaves it out because it is kept in a ConfigMap.
pub const ENV_PLAN_FILE: &str = "KEXEC_PLAN_FILE";
/// Folder that stands for the root of the container's file system where a process has none of its own, as on the process
/// node of a development cluster.
pub const ENV_ROOT: &str = "KEXEC_ROOT";

/// Name of the container that writes.
pub const CONTAINER_EXECUTE: &str = "execute";
/// Name of the container that sends every write with `dryRun=All` (ADR-38).
pub const CONTAINER_DRY_RUN: &str = "dry-run";

/// Longest label value Kubernetes takes, in bytes.
const LABEL_VALUE_MAX: usize = 63;
/// Bytes of the name kept in a shortened label value.
const LABEL_VALUE_KEPT: usize = 52;
/// Hexadecimal digits of the name's SHA-256 in a shortened label value.
const LABEL_VALUE_DIGITS: usize = 10;

/// Name of the Job, and of the claim Lease, of one attempt: deterministic, at most 57 characters (I1).
#[must_use]
pub fn job_name(execution_uid: &str, attempt: u32, stage: Stage) -> String {
    let letter = match stage {
        Stage::Execute => 'x',
        Stage::Rollback => 'r',
    };
    format!("kexec-{execution_uid}-{attempt}-{letter}")
}

/// Name of the ConfigMap that keeps the plan of an execution.
#[must_use]
pub fn plan_name(execution_uid: &str) -> String {
    format!("kexec-plan-{execution_uid}")
}

/// An action type as label value and name part: `scale_deployment` becomes `scale-deployment` (ADR-12).
#[must_use]
pub fn dashed(action_type: &str) -> String {
    action_type.replace('_', "-")
}

/// ADR-13: `name` as a label value; one over 63 characters becomes its first 52, a dash and 10 digits of its SHA-256.
#[must_use]
pub fn label_value(name: &str) -> String {
    if name.len() <= LABEL_VALUE_MAX {
        return name.to_owned();
    }
    let kept: String = name.chars().take(LABEL_VALUE_KEPT).collect();
    let digest = format!("{:x}", Sha256::digest(name));
    let digits: String = digest.chars().take(LABEL_VALUE_DIGITS).collect();
    format!("{kept}-{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_names_fit_into_a_pod_name_with_its_suffix() {
        let name = job_name("01234567-89ab-cdef-0123-456789abcdef", 6, Stage::Rollback);
        assert_eq!(name, "kexec-01234567-89ab-cdef-0123-456789abcdef-6-r");
        assert!(name.len() <= 57);
    }

    #[test]
    fn names_equal_in_their_first_63_characters_get_different_label_values() {
        let (one, other) = (
            format!("{}-a", "n".repeat(63)),
            format!("{}-b", "n".repeat(63)),
        );
        assert_ne!(label_value(&one), label_value(&other));
        assert_eq!(label_value(&one).len(), 63);
        assert_eq!(label_value("short"), "short");
    }
}

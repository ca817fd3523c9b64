//! Which attempt an execution is at, by its status: its number, the name of its Job, and that of the attempt before.

use kexec_api::execution::KubernetesExecution;
use kexec_api::names;
use kexec_api::work::Stage;

/// Number of the attempt that is no retry (EX-15).
pub const FIRST_ATTEMPT: u32 = 1;

/// Names of the Jobs of an execution's latest attempts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Jobs {
    /// The attempt that status names, or the first.
    pub current: String,
    /// The attempt before that one.
    pub previous: Option<String>,
}

/// Number of the attempt that status names, or of the first.
#[must_use]
pub fn attempt_of(execution: &KubernetesExecution) -> u32 {
    let job = execution
        .status
        .as_ref()
        .and_then(|status| status.job.as_ref());
    job.and_then(|job| job.attempt).unwrap_or(FIRST_ATTEMPT)
}

/// The Jobs of an execution as its status has it: once a rollback was begun, that is its latest attempt, and the one
/// before is what it undoes; before a retry there is the attempt that failed.
#[must_use]
pub fn jobs_of(execution: &KubernetesExecution) -> Jobs {
    let uid = execution.metadata.uid.as_deref().unwrap_or_default();
    let attempt = attempt_of(execution);
    let (execute, rollback) = (
        names::job_name(uid, attempt, Stage::Execute),
        names::job_name(uid, attempt, Stage::Rollback),
    );
    let named = execution
        .status
        .as_ref()
        .and_then(|status| status.job.as_ref()?.name.as_deref());
    if named == Some(rollback.as_str()) {
        return Jobs {
            current: rollback,
            previous: Some(execute),
        };
    }
    let before = (attempt > FIRST_ATTEMPT).then(|| attempt.saturating_sub(1));
    Jobs {
        current: execute,
        previous: before.map(|attempt| names::job_name(uid, attempt, Stage::Execute)),
    }
}

//! Which attempt an execution is at, by its status: the name of its Job, and that of the attempt before.

use kexec_api::execution::KubernetesExecution;
use kexec_api::names;
use kexec_api::work::Stage;

use crate::decide::FIRST_ATTEMPT;

/// Names of the Jobs of an execution's latest attempts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Jobs {
    /// The attempt that status names, or the first.
    pub current: String,
    /// The attempt before that one.
    pub previous: Option<String>,
}

/// The Jobs of an execution as its status has it: once a rollback was begun, that is its latest attempt.
#[must_use]
pub fn jobs_of(execution: &KubernetesExecution) -> Jobs {
    let uid = execution.metadata.uid.as_deref().unwrap_or_default();
    let (execute, rollback) = (
        names::job_name(uid, FIRST_ATTEMPT, Stage::Execute),
        names::job_name(uid, FIRST_ATTEMPT, Stage::Rollback),
    );
    let named = execution
        .status
        .as_ref()
        .and_then(|status| status.job.as_ref()?.name.as_deref());
    if named == Some(rollback.as_str()) {
        Jobs {
            current: rollback,
            previous: Some(execute),
        }
    } else {
        Jobs {
            current: execute,
            previous: None,
        }
    }
}

//! Whether an end sets off a rollback by itself (SP-80, SP-83).

use kexec_api::condition::{FailureClass, Reason};
use kexec_api::execution::spec::{RollbackConfig, RollbackTrigger};
use kexec_api::execution::status::RollbackCause;

use super::{config, restorable_plan};
use crate::proof::restoration::{Holds, restorables};
use crate::status::Finish;
use crate::view::View;

/// What sets off an automatic rollback after this end, or why there is none; the inner `None` when there is nothing to
/// say about one.
pub(in crate::decide) fn due(
    view: &View<'_>,
    finish: &Finish,
) -> Result<RollbackCause, Option<String>> {
    if !finish.leaves_writes() {
        return Err(None);
    }
    let config = config(view);
    let Some((cause, trigger)) = cause(finish.reason(), config) else {
        return Err(match finish.reason().failure_class() {
            None => None,
            Some(FailureClass::Cancelled) => Some("it was cancelled".to_owned()),
            Some(_) => {
                Some("rollbackConfig.rollbackTriggers does not list what ended it".to_owned())
            }
        });
    };
    if !config.enable_auto_rollback {
        return Err(Some(
            "rollbackConfig.enableAutoRollback is false".to_owned(),
        ));
    }
    if !config.rollback_triggers.contains(&trigger) {
        return Err(Some(format!(
            "rollbackConfig.rollbackTriggers does not list {}",
            trigger.as_str()
        )));
    }
    let plan = restorable_plan(view).map_err(|why| Some(why.to_owned()))?;
    let facts = view.gathered.proof.as_ref();
    let is_over = facts.is_some_and(|facts| {
        let left = restorables(plan, facts);
        left.iter()
            .all(|one| matches!(one.holds, Holds::AsBefore | Holds::Foreign))
    });
    if is_over {
        return Err(Some("nothing of it is left to undo".to_owned()));
    }
    Ok(cause)
}

/// What an end is called among the triggers; of two that fit, the one that is listed.
fn cause(reason: Reason, config: &RollbackConfig) -> Option<(RollbackCause, RollbackTrigger)> {
    let health = (
        RollbackCause::HealthCheckFailed,
        RollbackTrigger::HealthCheckFailed,
    );
    let validation = (
        RollbackCause::ValidationFailure,
        RollbackTrigger::ValidationFailure,
    );
    match (reason, reason.failure_class()?) {
        (_, FailureClass::Cancelled) => None,
        (Reason::HealthCheckTimeout, _) if config.rollback_triggers.contains(&validation.1) => {
            Some(validation)
        }
        (Reason::HealthCheckTimeout, _) => Some(health),
        (Reason::OutcomeRefuted, _) => Some(validation),
        (_, FailureClass::Timeout) => Some((RollbackCause::Timeout, RollbackTrigger::Timeout)),
        (
            _,
            FailureClass::Infrastructure
            | FailureClass::Action
            | FailureClass::Precondition
            | FailureClass::Unknown,
        ) => Some((
            RollbackCause::ExecutionFailure,
            RollbackTrigger::ExecutionFailure,
        )),
        (_, FailureClass::Validation | FailureClass::Denied | FailureClass::Internal) => None,
    }
}

//! Undoing (BR-EXEC-014, BR-SAFE-011, I7): when it is due, when it may be asked for, and the second Job that does it. Only
//! what the action changed is restored, and only where nobody has changed it since; the live target says what was.

mod due;
mod on_request;
mod undo;

pub(super) use due::due;
pub(super) use on_request::on_request;
pub(super) use undo::decide;

use kexec_api::execution::spec::RollbackConfig;
use kexec_api::plan::PlanContent;

use crate::proof::restoration::{Holds, Restorable};
use crate::view::View;

/// Most fields named in a message.
const NAMED: usize = 5;

fn config<'a>(view: &View<'a>) -> &'a RollbackConfig {
    let safety = &view.execution.spec.execution_config.safety_config;
    &safety.rollback_config
}

/// The plan whose inverse steps can be run, or why there is none.
fn restorable_plan<'a>(view: &'a View<'a>) -> Result<&'a PlanContent, &'static str> {
    if !config(view).preserve_rollback_state {
        return Err(
            "rollbackConfig.preserveRollbackState is false, so what to return to was not kept",
        );
    }
    match view.plan() {
        None => Err("what to return to is out of reach: its Job is gone"),
        Some(plan) if plan.rollback.is_empty() => Err("nothing can undo this action"),
        Some(plan) => Ok(plan),
    }
}

/// The fields of which that is true, by name.
fn named(found: &[Restorable], holds: Holds) -> String {
    let all: Vec<&str> = found
        .iter()
        .filter(|one| one.holds == holds)
        .map(|one| one.what.as_str())
        .collect();
    let shown = all.iter().take(NAMED).copied().collect::<Vec<_>>();
    match all.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

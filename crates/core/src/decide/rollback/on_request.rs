//! A rollback that a person asks for with `control.rollback` after the execution completed (I3).

use kexec_api::condition::{ConditionType, Reason};
use kexec_api::phase::Phase;
use kexec_api::plan::PlanContent;

use super::{named, restorable_plan};
use crate::decide::{Decision, look_for_plan};
use crate::proof::restoration::{Holds, Restorable, needs, restorables};
use crate::queue::{Ticket, Turn};
use crate::status;
use crate::view::View;

/// What is next after `control.rollback` was set on an execution that ended; `None` when nothing is.
pub(in crate::decide) fn on_request(view: &View<'_>) -> Option<Decision> {
    if !view.execution.spec.is_rollback_requested() {
        return None;
    }
    let said = view
        .execution
        .status
        .as_ref()
        .and_then(|status| status.condition(ConditionType::RolledBack))
        .and_then(kexec_api::execution::status::Condition::known_reason);
    match said {
        None | Some(Reason::Queued) => {}
        Some(_) => return None,
    }
    // What is kept of a finished execution is pruned: the whole of it is read before anything is written into it.
    if !view.gathered.is_fresh {
        return Some(Decision::Refresh);
    }
    let refuse = |reason, why: &str| {
        let status = status::rollback_refused(view, reason, why);
        Some(Decision::Record(Box::new(status)))
    };
    if view.phase() != Some(Phase::Completed) {
        return refuse(
            Reason::NotPerformed,
            "only an execution that completed can be rolled back on request",
        );
    }
    if !status::has_written(view) {
        return refuse(
            Reason::NotPerformed,
            "it wrote nothing that could be undone",
        );
    }
    if let Some(decision) = look_for_plan(view) {
        return Some(decision);
    }
    match restorable_plan(view) {
        Err(why) => refuse(Reason::NotPerformed, why),
        Ok(plan) => Some(request_turn(view, plan, said)),
    }
}

fn request_turn(view: &View<'_>, plan: &PlanContent, said: Option<Reason>) -> Decision {
    let holder = match &view.gathered.turn {
        None => return Decision::TakeTurn(Ticket::of(view.execution)),
        Some(Turn::Granted) => return begin_on_request(view, plan),
        Some(Turn::TargetBusy { holder, .. }) => holder.as_str(),
        Some(Turn::NoSlot { .. }) => "a free slot",
    };
    if said == Some(Reason::Queued) {
        return Decision::Wait { until: None };
    }
    let message = format!("the rollback waits for {holder}");
    Decision::Record(Box::new(status::rollback_waits(view, &message)))
}

/// On request all is restored or nothing: whoever asks later need not know what others did since.
fn begin_on_request(view: &View<'_>, plan: &PlanContent) -> Decision {
    let Some(facts) = &view.gathered.proof else {
        return Decision::Watch(needs(plan));
    };
    let found = restorables(plan, facts);
    let status = match worst(&found) {
        Holds::Foreign => {
            let message = format!(
                "somebody changed {} since the action, which a rollback would overwrite",
                named(&found, Holds::Foreign)
            );
            status::rollback_refused(view, Reason::RollbackRefused, &message)
        }
        Holds::Unknown => {
            let message = format!("{} could not be read", named(&found, Holds::Unknown));
            status::rollback_refused(view, Reason::NotPerformed, &message)
        }
        Holds::AsBefore => {
            let message = "the target is as it was before the action already";
            status::rollback_refused(view, Reason::NotPerformed, message)
        }
        Holds::Ours => status::rolling_back_on_request(view),
    };
    Decision::Record(Box::new(status))
}

/// The state that keeps a rollback from being done; of several, the one that forbids most.
fn worst(found: &[Restorable]) -> Holds {
    found
        .iter()
        .map(|one| one.holds)
        .max()
        .unwrap_or(Holds::AsBefore)
}

//! While an action is being undone: the Job of the inverse steps, and what the live target says when that is over.

use jiff::{SignedDuration, Timestamp};
use kexec_api::condition::{ConditionType, Reason};
use kexec_api::names;
use kexec_api::plan::{PlanContent, PlanHash};
use kexec_api::work::{Stage, WorkResult};

use super::named;
use crate::attempt::{End, Presence, attempt_of};
use crate::decide::execute::retry_creation;
use crate::decide::finished::clean_up_previous;
use crate::decide::follow::{Attempt, Course};
use crate::decide::order::Order;
use crate::decide::{Decision, look_for_plan, wait_until};
use crate::outcome::{self, Expected};
use crate::proof::restoration::{Holds, Restorable, needs, restorables};
use crate::request;
use crate::status::{self, Undone};
use crate::view::View;

/// How long after the rollback's deadline its target may still be read.
const READ_GRACE: SignedDuration = SignedDuration::from_secs(20);
/// How soon an installation that is not fit to act is looked at again.
const POLICY_RETRY: SignedDuration = SignedDuration::from_secs(2);

/// While the action is being undone.
pub(in crate::decide) fn decide(view: &View<'_>) -> Decision {
    let Some(plan) = view.plan() else {
        if let Some(decision) = look_for_plan(view) {
            return decision;
        }
        let message = "what to return to is out of reach: look at the target";
        return failed(view, &Undone::new(Reason::RollbackFailed, message));
    };
    let attempt = Attempt {
        view,
        container: names::CONTAINER_EXECUTE,
        claims: true,
        deadline: deadline(view),
        is_cancelled: false,
    };
    let course = attempt.follow();
    if matches!(course, Course::Absent) {
        return without_job(view, plan);
    }
    if let Some(decision) = clean_up_previous(view) {
        return decision;
    }
    match course {
        Course::Goes(decision) => decision,
        Course::Absent => Decision::Refresh,
        Course::Nothing(_, message) => failed(view, &Undone::new(Reason::RollbackFailed, &message)),
        Course::NeverStarted(end) => {
            let (_, message) = outcome::settle_never_started(&end, &Err(String::new()));
            failed(view, &Undone::new(Reason::RollbackFailed, &message))
        }
        Course::Ended(end) => {
            let result = result_of(view, &end);
            let said = match &result {
                Ok(result) => result.error.clone(),
                Err(_) => Some(outcome::death_of(&end)),
            };
            judge(view, plan, &said.unwrap_or_default(), result.as_ref().ok())
        }
        Course::Unseen(_, message) => judge(view, plan, &message, None),
    }
}

/// The inverse steps run in a Job like the others, of the same ServiceAccount and with a claim of its own. Its time
/// counts from its creation: a controller that was away does not leave the action half done for that.
fn without_job(view: &View<'_>, plan: &PlanContent) -> Decision {
    if let Some(problem) = &view.gathered.create_problem {
        let again = retry_creation(view, problem, begun(view));
        return again.unwrap_or_else(|| {
            failed(view, &Undone::new(Reason::RollbackFailed, &problem.message))
        });
    }
    if !view.gathered.is_fresh {
        return Decision::Refresh;
    }
    if view.gathered.policy_problem.is_some() {
        let later = view.now.saturating_add(POLICY_RETRY);
        return wait_until(later.unwrap_or(Timestamp::MAX));
    }
    let action = view.registry.lookup(&plan.action);
    let kexec_actions::Lookup::Found(planner) = action else {
        let message = format!("the action {} is not registered any more", plan.action);
        return failed(view, &Undone::new(Reason::RollbackFailed, &message));
    };
    let hash = recorded_hash(view);
    let order = Order {
        plan: (plan, &hash),
        stage: Stage::Rollback,
        metadata: planner.metadata(),
        dry_run: false,
        time: (view.now, deadline(view)),
    };
    order
        .job(view)
        .unwrap_or_else(|refusal| failed(view, &Undone::new(refusal.reason, &refusal.message)))
}

/// What the live target says of a rollback that is over.
fn judge(view: &View<'_>, plan: &PlanContent, said: &str, result: Option<&WorkResult>) -> Decision {
    let last_read = deadline(view)
        .saturating_add(READ_GRACE)
        .unwrap_or(Timestamp::MAX);
    let is_late = view.now >= last_read;
    let Some(facts) = &view.gathered.proof else {
        if is_late {
            let message = "what was restored could not be read in time: look at the target";
            let undone = Undone::new(Reason::RollbackFailed, message).unknown();
            return failed(view, &undone);
        }
        return Decision::Watch(needs(plan));
    };
    let found = restorables(plan, facts);
    let left = left_over(&found);
    if left.is_empty() {
        let message = "what the action had changed is as it was before, proven on the live target";
        let undone = Undone::new(Reason::RollbackCompleted, message).with_result(result);
        return Decision::Record(Box::new(status::rolled_back(view, &undone)));
    }
    let is_unknown = found.iter().any(|one| one.holds == Holds::Unknown);
    if is_unknown && !is_late {
        return wait_until(last_read);
    }
    let reason = failure(&found);
    let mut message = left.join("; ");
    if !said.is_empty() {
        message = format!("{message} ({said})");
    }
    let undone = Undone::new(reason, &message).with_result(result);
    failed(view, &if is_unknown { undone.unknown() } else { undone })
}

/// What was not restored, and why, a sentence part each.
fn left_over(found: &[Restorable]) -> Vec<String> {
    let kinds = [
        (Holds::Foreign, "was changed by somebody else and left so"),
        (Holds::Ours, "was not restored"),
        (Holds::Unknown, "could not be read"),
    ];
    kinds
        .into_iter()
        .filter(|(holds, _)| found.iter().any(|one| one.holds == *holds))
        .map(|(holds, what)| format!("{} {what}", named(found, holds)))
        .collect()
}

fn failure(found: &[Restorable]) -> Reason {
    let some = found.iter().any(|one| one.holds == Holds::AsBefore);
    let all_foreign = found.iter().all(|one| one.holds == Holds::Foreign);
    match (some, all_foreign) {
        (true, _) => Reason::RollbackIncomplete,
        (false, true) => Reason::RollbackRefused,
        (false, false) => Reason::RollbackFailed,
    }
}

fn result_of(view: &View<'_>, end: &End) -> Result<WorkResult, String> {
    let hash = recorded_hash(view);
    let expected = Expected {
        execution_uid: view.uid(),
        attempt: attempt_of(view.execution),
        stage: Stage::Rollback,
        plan_hash: &hash,
        dry_run: false,
    };
    outcome::read_result(end.message.as_deref(), expected)
}

fn recorded_hash(view: &View<'_>) -> PlanHash {
    let status = view.execution.status.as_ref();
    let plan = status.and_then(|status| status.plan.as_ref());
    let hash = plan.and_then(|plan| plan.hash.clone());
    PlanHash::from(hash.unwrap_or_default())
}

/// When undoing was begun.
fn begun(view: &View<'_>) -> Timestamp {
    let status = view.execution.status.as_ref();
    let condition = status.and_then(|status| status.condition(ConditionType::RolledBack));
    condition.map_or(view.now, |condition| condition.last_transition_time.0)
}

/// When the rollback's pod is killed: counted from its Job's creation, or from now while there is none.
fn deadline(view: &View<'_>) -> Timestamp {
    let job = match &view.gathered.sighting.job {
        Presence::Never => None,
        Presence::Here(job) | Presence::Gone { last: job, .. } => Some(job),
    };
    let created = job.and_then(|job| job.metadata.creation_timestamp.as_ref());
    created
        .map_or(view.now, |time| time.0)
        .saturating_add(request::rollback_timeout(&view.execution.spec))
        .unwrap_or(Timestamp::MAX)
}

fn failed(view: &View<'_>, undone: &Undone) -> Decision {
    Decision::Record(Box::new(status::rollback_failed(view, undone)))
}

//! While the plan is meant to be executed: create the attempt's Job when it surely has none, and settle what its end
//! means.

use jiff::{SignedDuration, Timestamp};
use kexec_api::condition::{ConditionType, Reason};
use kexec_api::plan::{PlanContent, PlanHash};
use kexec_api::work::{Stage, WorkResult};

use super::follow::{self, Attempt, Course};
use super::order::Order;
use super::{Decision, prove, wait_until};
use crate::attempt::{Claim, End, LostCause, attempt_of};
use crate::outcome::{self, Expected, Settled};
use crate::planning::{Progress, plan};
use crate::request::{self, Refusal, validate};
use crate::status::Finish;
use crate::view::{CreateProblem, View};

/// How soon a Job that a quota refused is tried again.
const CREATE_RETRY: SignedDuration = SignedDuration::from_secs(2);

pub(super) fn decide(view: &View<'_>) -> Decision {
    let attempt = attempt(view);
    match attempt.follow() {
        Course::Absent => without_job(view, &attempt),
        course => conclude(view, &attempt, course),
    }
}

/// The attempt to execute the plan.
fn attempt<'a>(view: &'a View<'a>) -> Attempt<'a> {
    let dry_run = request::is_dry_run(&view.execution.spec);
    Attempt {
        view,
        container: request::container(dry_run),
        claims: !dry_run,
        deadline: deadline(view),
        is_cancelled: view.is_cancelled(),
    }
}

/// What follows from how the attempt goes. One without a Job was given up by whoever asks.
fn conclude(view: &View<'_>, attempt: &Attempt<'_>, course: Course) -> Decision {
    match course {
        Course::Goes(decision) => decision,
        Course::Absent => Decision::Refresh,
        Course::Nothing(reason, message) => fail(view, reason, &message),
        Course::NeverStarted(end) => {
            let result = result_of(view, &end);
            let (reason, message) = outcome::settle_never_started(&end, &result);
            let (reason, message) = cancelled_or(view, reason, message);
            let finish = Finish::new(reason, &message).with_end(&end);
            super::finish(view, &finish.with_result(result.as_ref().ok()))
        }
        Course::Ended(end) => ended(view, attempt, &end),
        Course::Unseen(reason, message) => {
            prove::decide(view, &prove::Ended::unseen(reason, message))
        }
    }
}

/// No Job of this attempt was seen by this process: it is about to be created, or it was before a restart.
fn without_job(view: &View<'_>, attempt: &Attempt<'_>) -> Decision {
    let given_up = || {
        let course = attempt.lost(LostCause::JobDeleted, Some(view.now));
        conclude(view, attempt, course)
    };
    if view.gathered.sighting.claim != Claim::Unread {
        return given_up();
    }
    if let Some(problem) = &view.gathered.create_problem {
        return not_created(view, problem);
    }
    if view.is_cancelled() || view.now >= attempt.deadline {
        return match &view.gathered.refused_job {
            Some(_) if view.is_cancelled() => {
                conclude(view, attempt, follow::cancelled_before_writing())
            }
            Some(problem) => fail(view, problem.reason, &problem.message),
            None => given_up(),
        };
    }
    if let Some(planned) = &view.gathered.intended {
        return create(view, &planned.content, &planned.hash);
    }
    if !view.gathered.is_fresh {
        return Decision::Refresh;
    }
    if view.gathered.policy_problem.is_some() {
        return wait_until(
            view.now
                .saturating_add(CREATE_RETRY)
                .unwrap_or(Timestamp::MAX),
        );
    }
    match plan_again(view) {
        Some(decision) => decision,
        None => given_up(),
    }
}

/// The API server refused the Job: it is asked again for as long as that may help and a start may take.
fn not_created(view: &View<'_>, problem: &CreateProblem) -> Decision {
    match retry_creation(view, problem, executing_since(view)) {
        Some(decision) => decision,
        None => fail(view, problem.reason, &problem.message),
    }
}

/// When a refused Job is asked for again; `None` when that would not help any more.
pub(super) fn retry_creation(
    view: &View<'_>,
    problem: &CreateProblem,
    since: Timestamp,
) -> Option<Decision> {
    let last = since
        .saturating_add(view.settings.start_timeout)
        .unwrap_or(Timestamp::MAX);
    let next = view.now.saturating_add(CREATE_RETRY).unwrap_or(last);
    (problem.transient && view.now < last).then(|| wait_until(next))
}

/// After a restart the plan is made again. The same hash means that the target is as it was when the intent was
/// recorded, so nothing has happened yet; `None` is an attempt out of sight.
fn plan_again(view: &View<'_>) -> Option<Decision> {
    let recorded = recorded_hash(view);
    let planned = validate(view.execution, view.registry, view.settings)
        .and_then(|request| plan(&request, &view.gathered.facts));
    match planned {
        Ok(Progress::Missing(needs)) => Some(Decision::Read(needs)),
        Ok(Progress::Ready(planned)) if Some(planned.hash.as_str()) == recorded => {
            Some(create(view, &planned.content, &planned.hash))
        }
        Ok(Progress::Ready(_)) | Err(Refusal { .. }) => None,
    }
}

fn create(view: &View<'_>, content: &PlanContent, hash: &PlanHash) -> Decision {
    let job = validate(view.execution, view.registry, view.settings).and_then(|request| {
        let order = Order {
            plan: (content, hash),
            stage: Stage::Execute,
            metadata: request.metadata(),
            dry_run: request.common.dry_run,
            time: (executing_since(view), deadline(view)),
        };
        order.job(view)
    });
    job.unwrap_or_else(|refusal| fail(view, refusal.reason, &refusal.message))
}

fn ended(view: &View<'_>, attempt: &Attempt<'_>, end: &End) -> Decision {
    let result = result_of(view, end);
    let dry_run = request::is_dry_run(&view.execution.spec);
    let hash = PlanHash::from(recorded_hash(view).unwrap_or_default().to_owned());
    let settled = outcome::settle(end, &result, expected(view, &hash));
    let result = result.ok();
    match settled {
        Settled::Written if dry_run => {
            let message =
                "every write was accepted by the API server as a dry run; nothing was changed";
            let finish = Finish::new(Reason::DryRunSucceeded, message)
                .with_end(end)
                .with_result(result.as_ref());
            super::finish(view, &finish)
        }
        Settled::Nothing { reason, message } => {
            let (reason, message) = cancelled_or(view, reason, message);
            let finish = Finish::new(reason, &message).with_end(end);
            super::finish(view, &finish.with_result(result.as_ref()))
        }
        Settled::Partly { reason, message } => {
            let (reason, message) = cancelled_or(view, reason, message);
            let finish = Finish::new(reason, &message).with_end(end);
            let finish = finish.with_result(result.as_ref()).with_writes_left();
            super::finish(view, &finish)
        }
        Settled::Unclear {
            reason: Reason::ClaimLost,
            message,
        } => {
            let ended = prove::Ended::unclear(Reason::ClaimLost, message, end);
            let quiet = attempt.until_quiet(end);
            quiet.unwrap_or_else(|| prove::decide(view, &ended))
        }
        Settled::Unclear { reason, message } => {
            let (reason, message) = cancelled_or(view, reason, message);
            let told = result.filter(|_| reason == Reason::OutcomeUnknown);
            let ended = prove::Ended::unclear(reason, message, end).reporting(told);
            prove::decide(view, &ended)
        }
        Settled::Written => prove::decide(view, &prove::Ended::written(end, result)),
    }
}

/// A pod is stopped on request by its deadline: who asked for that is the reason, and not the time.
fn cancelled_or(view: &View<'_>, reason: Reason, message: String) -> (Reason, String) {
    if reason == Reason::DeadlineExceeded && view.is_cancelled() {
        (
            Reason::Cancelled,
            format!("cancelled on request: {message}"),
        )
    } else {
        (reason, message)
    }
}

fn result_of(view: &View<'_>, end: &End) -> Result<WorkResult, String> {
    let hash = PlanHash::from(recorded_hash(view).unwrap_or_default().to_owned());
    outcome::read_result(end.message.as_deref(), expected(view, &hash))
}

fn expected<'a>(view: &View<'a>, plan_hash: &'a PlanHash) -> Expected<'a> {
    Expected {
        execution_uid: view.execution.metadata.uid.as_deref().unwrap_or_default(),
        attempt: attempt_of(view.execution),
        stage: Stage::Execute,
        plan_hash,
        dry_run: request::is_dry_run(&view.execution.spec),
    }
}

fn recorded_hash<'a>(view: &View<'a>) -> Option<&'a str> {
    view.execution
        .status
        .as_ref()?
        .plan
        .as_ref()?
        .hash
        .as_deref()
}

/// When the intent was recorded: every deadline of the attempt counts from here.
fn executing_since(view: &View<'_>) -> Timestamp {
    let status = view.execution.status.as_ref();
    let condition = status.and_then(|status| status.condition(ConditionType::Executing));
    condition.map_or(view.now, |condition| condition.last_transition_time.0)
}

/// When the pod is killed.
fn deadline(view: &View<'_>) -> Timestamp {
    let timeout = request::timeout(&view.execution.spec);
    executing_since(view)
        .saturating_add(timeout)
        .unwrap_or(Timestamp::MAX)
}

fn fail(view: &View<'_>, reason: Reason, message: &str) -> Decision {
    super::finish(view, &Finish::new(reason, message))
}

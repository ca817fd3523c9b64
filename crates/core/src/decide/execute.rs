//! While an attempt is meant to run: create its Job when it surely has none, watch it, stop it, and settle what its
//! end means. An attempt out of sight is buried by a tombstone before it is judged.

use jiff::{SignedDuration, Timestamp};
use kexec_api::condition::{ConditionType, Reason};
use kexec_api::names;
use kexec_api::plan::{PlanContent, PlanHash};
use kexec_api::work::{ExecutionRef, Stage, WorkOrder, WorkResult};

use super::{Decision, prove, wait_until};
use crate::attempt::{
    AttemptState, Claim, End, LostCause, StartTrouble, TOKEN_OUTLIVES_POD, classify,
};
use crate::job::{self, JobOrder};
use crate::outcome::{self, Expected, Settled};
use crate::planning::{Progress, plan};
use crate::request::{self, Refusal, validate};
use crate::status::{self, Finish};
use crate::view::View;

/// How long after the pod's own deadline its end must have been seen.
const DEADLINE_GRACE: SignedDuration = SignedDuration::from_secs(10);
/// How soon a Job that a quota refused is tried again.
const CREATE_RETRY: SignedDuration = SignedDuration::from_secs(2);
/// The first attempt; this version makes no other.
pub const FIRST_ATTEMPT: u32 = 1;

pub(super) fn decide(view: &View<'_>) -> Decision {
    let dry_run = request::is_dry_run(&view.execution.spec);
    match classify(
        &view.gathered.sighting,
        view.uid(),
        request::container(dry_run),
    ) {
        AttemptState::Absent => without_job(view),
        AttemptState::NameTaken => {
            let name = names::job_name(view.uid(), FIRST_ATTEMPT, Stage::Execute);
            fail(
                view,
                Reason::NameConflict,
                &format!("a Job named \"{name}\" exists and is not ours: remove it"),
            )
        }
        AttemptState::Starting { since, trouble } => starting(view, since, trouble.as_ref()),
        AttemptState::Running => running(view),
        AttemptState::NeverStarted(end) => never_started(view, &end),
        AttemptState::Ended(end) => ended(view, &end),
        AttemptState::Lost { cause, quiet_from } => lost(view, cause, quiet_from),
    }
}

/// No Job of this attempt was seen by this process: it is about to be created, or it was before a restart.
fn without_job(view: &View<'_>) -> Decision {
    let given_up = || lost(view, LostCause::JobDeleted, Some(view.now));
    if view.gathered.sighting.claim != Claim::Unread {
        return given_up();
    }
    let waited_since = executing_since(view);
    if let Some(problem) = &view.gathered.create_problem {
        let last = waited_since
            .saturating_add(view.settings.start_timeout)
            .unwrap_or(Timestamp::MAX);
        if problem.transient && view.now < last {
            return wait_until(view.now.saturating_add(CREATE_RETRY).unwrap_or(last));
        }
        return fail(view, problem.reason, &problem.message);
    }
    if view.is_cancelled() || view.now >= deadline(view) {
        return match &view.gathered.refused_job {
            Some(_) if view.is_cancelled() => cancelled_before_writing(view),
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
    plan_again(view)
}

fn cancelled_before_writing(view: &View<'_>) -> Decision {
    let message = "cancelled before the action started; nothing was written";
    fail(view, Reason::Cancelled, message)
}

/// After a restart the plan is made again. The same hash means that the target is as it was when the intent was
/// recorded, so nothing has happened yet; anything else is an attempt out of sight.
fn plan_again(view: &View<'_>) -> Decision {
    let recorded = recorded_hash(view);
    let planned = validate(view.execution, view.registry, view.settings)
        .and_then(|request| plan(&request, &view.gathered.facts));
    match planned {
        Ok(Progress::Missing(needs)) => Decision::Read(needs),
        Ok(Progress::Ready(planned)) if Some(planned.hash.as_str()) == recorded => {
            create(view, &planned.content, &planned.hash)
        }
        Ok(Progress::Ready(_)) | Err(Refusal { .. }) => {
            lost(view, LostCause::JobDeleted, Some(view.now))
        }
    }
}

fn create(view: &View<'_>, content: &PlanContent, hash: &PlanHash) -> Decision {
    let request = match validate(view.execution, view.registry, view.settings) {
        Ok(request) => request,
        Err(refusal) => return fail(view, refusal.reason, &refusal.message),
    };
    let start = executing_since(view);
    let metadata = &view.execution.metadata;
    let order = WorkOrder {
        execution: ExecutionRef {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
            uid: view.uid().to_owned(),
        },
        attempt: FIRST_ATTEMPT,
        stage: Stage::Execute,
        deadline: job::runner_deadline(start, request.timeout()),
        plan: content.clone(),
        plan_hash: hash.clone(),
    };
    match serde_json::to_string(&order) {
        Err(error) => fail(
            view,
            Reason::InternalError,
            &format!("failed to write the work order: {error}"),
        ),
        Ok(order_json) => Decision::CreateJob(Box::new(job::build(
            &JobOrder {
                order: &order,
                order_json,
                metadata: request.metadata(),
                dry_run: request.common.dry_run,
                now: view.now,
                deadline: deadline(view),
            },
            view.settings,
        ))),
    }
}

/// A Job whose container has not started: its own time-out, and never a start after it was given up.
fn starting(view: &View<'_>, since: Timestamp, trouble: Option<&StartTrouble>) -> Decision {
    let last = since
        .saturating_add(view.settings.start_timeout)
        .unwrap_or(Timestamp::MAX)
        .min(deadline(view));
    let cancel = view.is_cancelled();
    if !cancel && view.now < last {
        return wait_until(last);
    }
    match view.gathered.sighting.claim {
        Claim::Unread => Decision::Tombstone,
        Claim::Runner => lost(view, LostCause::EndNotSeen, None),
        Claim::Tombstone if cancel => cancelled_before_writing(view),
        Claim::Tombstone => match (trouble, &view.gathered.start_events) {
            (None, None) => Decision::ReadStartEvents,
            (trouble, events) => {
                let trouble = trouble.or(events.as_ref().and_then(Option::as_ref));
                let (reason, message) =
                    outcome::settle_start(trouble, view.now.duration_since(since).as_secs());
                fail(view, reason, &message)
            }
        },
    }
}

fn running(view: &View<'_>) -> Decision {
    if view.is_cancelled() && !is_stopping(view) {
        return Decision::StopPod;
    }
    let last = last_sight(view);
    if view.now < last {
        return wait_until(last);
    }
    lost(view, LostCause::EndNotSeen, Some(view.now))
}

/// Whether the pod is being stopped already.
fn is_stopping(view: &View<'_>) -> bool {
    let pod = view.gathered.sighting.pod.last();
    pod.is_some_and(|pod| {
        let seconds = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.active_deadline_seconds);
        seconds == Some(1) || pod.metadata.deletion_timestamp.is_some()
    })
}

/// A pod that ended before its writing container started. It wrote nothing; a pod before it, torn out before this
/// process looked, leaves nothing but its claim. A dry run claims nothing.
fn never_started(view: &View<'_>, end: &End) -> Decision {
    match view.gathered.sighting.claim {
        Claim::Unread if !request::is_dry_run(&view.execution.spec) => Decision::Tombstone,
        Claim::Runner => {
            let cause = end.removed.unwrap_or(LostCause::PodDeleted);
            lost(view, cause, quiet_after(end))
        }
        Claim::Unread | Claim::Tombstone => {
            let result = result_of(view, end);
            let (reason, message) = outcome::settle_never_started(end, &result);
            let (reason, message) = cancelled_or(view, reason, message);
            finish(view, reason, &message, Some(end), result.as_ref().ok())
        }
    }
}

/// From when on no pod that the ended one replaced can write: it was gone before this one came.
fn quiet_after(end: &End) -> Option<Timestamp> {
    let finished = end.finished_at?;
    Some(
        finished
            .saturating_add(TOKEN_OUTLIVES_POD)
            .unwrap_or(Timestamp::MAX),
    )
}

fn ended(view: &View<'_>, end: &End) -> Decision {
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
            Decision::Record(Box::new(status::finished(view, &finish)))
        }
        Settled::Nothing { reason, message } | Settled::Partly { reason, message } => {
            let (reason, message) = cancelled_or(view, reason, message);
            finish(view, reason, &message, Some(end), result.as_ref())
        }
        Settled::Unclear {
            reason: Reason::ClaimLost,
            message,
        } => {
            let last = last_sight(view);
            let from = quiet_after(end).map_or(last, |quiet| quiet.min(last));
            if view.now < from {
                return wait_until(from);
            }
            let ended = prove::Ended::unclear(Reason::ClaimLost, message, end);
            prove::decide(view, &ended)
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

/// An attempt out of sight: bury it. One that had not claimed its work wrote nothing and never will; of any other, wait
/// until nothing of it can write, then look at the target.
fn lost(view: &View<'_>, cause: LostCause, quiet_from: Option<Timestamp>) -> Decision {
    let last = last_sight(view);
    let (reason, what) = match cause {
        _ if view.now >= last => (
            Reason::DeadlineExceeded,
            "the runner's end was not seen by its deadline",
        ),
        LostCause::JobDeleted => (
            Reason::JobDeleted,
            "the Job was deleted before its end was seen",
        ),
        LostCause::PodDeleted => (
            Reason::RunnerLost,
            "the runner's pod was deleted before its end was seen",
        ),
        LostCause::EndNotSeen => (
            Reason::RunnerLost,
            "the runner's node was lost before its end was seen",
        ),
    };
    match view.gathered.sighting.claim {
        Claim::Unread => Decision::Tombstone,
        Claim::Tombstone if view.is_cancelled() => cancelled_before_writing(view),
        Claim::Tombstone => fail(view, reason, &format!("{what}; nothing was written")),
        Claim::Runner => {
            let from = quiet_from.map_or(last, |from| from.min(last));
            if view.now < from {
                return wait_until(from);
            }
            prove::decide(view, &prove::Ended::unseen(reason, what.to_owned()))
        }
    }
}

fn result_of(view: &View<'_>, end: &End) -> Result<WorkResult, String> {
    let hash = PlanHash::from(recorded_hash(view).unwrap_or_default().to_owned());
    outcome::read_result(end.message.as_deref(), expected(view, &hash))
}

fn expected<'a>(view: &View<'a>, plan_hash: &'a PlanHash) -> Expected<'a> {
    Expected {
        execution_uid: view.execution.metadata.uid.as_deref().unwrap_or_default(),
        attempt: FIRST_ATTEMPT,
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

/// When the end of the pod must have been seen.
fn last_sight(view: &View<'_>) -> Timestamp {
    deadline(view)
        .saturating_add(DEADLINE_GRACE)
        .unwrap_or(Timestamp::MAX)
}

fn fail(view: &View<'_>, reason: Reason, message: &str) -> Decision {
    finish(view, reason, message, None, None)
}

fn finish(
    view: &View<'_>,
    reason: Reason,
    message: &str,
    end: Option<&End>,
    result: Option<&WorkResult>,
) -> Decision {
    let mut finish = Finish::new(reason, message).with_result(result);
    if let Some(end) = end {
        finish = finish.with_end(end);
    }
    Decision::Record(Box::new(status::finished(view, &finish)))
}

//! From created to intended: policies, request, turn, checks, plan. Reads and questions only; the last decision is the
//! one write that everything before execution is recorded in.

use jiff::SignedDuration;
use kexec_api::condition::Reason;
use kexec_api::execution::spec::SafetyCheckType;
use kexec_api::execution::status::SafetyCheckResult;

use super::{Decision, refuse, wait_until};
use crate::access::{Question, questions};
use crate::checks;
use crate::planning::{Planned, Progress, plan};
use crate::queue::{Ticket, Turn};
use crate::request::{Refusal, Request, unavailable_checks, validate};
use crate::status;
use crate::view::View;

/// How soon the policies are looked at again.
const POLICY_RETRY: SignedDuration = SignedDuration::from_secs(10);

pub(super) fn decide(view: &View<'_>) -> Decision {
    if view.is_cancelled() {
        return Decision::Record(Box::new(status::cancelled_before_start(view)));
    }
    if let Some(problem) = &view.gathered.policy_problem {
        let waiting = status::waiting(view, Reason::PoliciesMissing, problem, None);
        let until = view.now.saturating_add(POLICY_RETRY).unwrap_or(view.now);
        return record_once(view, waiting).unwrap_or_else(|| wait_until(until));
    }
    match validate(view.execution, view.registry, view.settings) {
        Err(refusal) => refuse(view, &refusal),
        Ok(request) => decide_request(view, &request),
    }
}

fn decide_request(view: &View<'_>, request: &Request<'_>) -> Decision {
    match &view.gathered.turn {
        None => Decision::TakeTurn(Ticket::of(view.execution)),
        Some(Turn::TargetBusy { holder, position }) => {
            let message = format!("waits for {holder}, which works on the same target");
            queued(view, &message, *position)
        }
        Some(Turn::NoSlot { position }) => queued(
            view,
            "waits for one of the slots for concurrent executions",
            *position,
        ),
        Some(Turn::Granted) => decide_with_turn(view, request),
    }
}

/// The place in the queue is written once, not at each step forward: the others' steps are no news of this one.
fn queued(view: &View<'_>, message: &str, position: u32) -> Decision {
    record_once(
        view,
        status::waiting(view, Reason::Queued, message, Some(position)),
    )
    .unwrap_or(Decision::Wait { until: None })
}

/// The write of a waiting status, unless it stands there already for the same reason.
fn record_once(
    view: &View<'_>,
    waiting: kexec_api::execution::KubernetesExecutionStatus,
) -> Option<Decision> {
    let recorded = view
        .execution
        .status
        .as_ref()
        .and_then(|status| status.queue.as_ref());
    let same =
        recorded.map(|queue| &queue.reason) == waiting.queue.as_ref().map(|queue| &queue.reason);
    (!same).then(|| Decision::Record(Box::new(waiting)))
}

fn decide_with_turn(view: &View<'_>, request: &Request<'_>) -> Decision {
    let Some(connectivity) = &view.gathered.connectivity else {
        return Decision::Probe;
    };
    if let Some(problem) = &connectivity.problem {
        let refusal = Refusal::new(Reason::ConnectivityFailed, problem.clone());
        return refuse_checked(view, (request, None), &[], &refusal);
    }
    let planned = match plan(request, &view.gathered.facts) {
        Ok(Progress::Missing(needs)) => return Decision::Read(needs),
        Ok(Progress::Ready(planned)) => planned,
        Err(refusal) => return refuse_checked(view, (request, None), &[], &refusal),
    };
    let Some(requester) = &request.spec.requested_by else {
        let refusal = Refusal::new(
            Reason::RequesterUnknown,
            "spec.requestedBy is missing, so nobody can be asked for the right to execute: let the admission policy \
             stamp it, or set it to your own user name",
        );
        return refuse_checked(view, (request, Some(&planned)), &[], &refusal);
    };
    let questions = questions(request, &planned, requester, view.settings);
    let open: Vec<Question> = questions
        .iter()
        .filter(|question| !view.gathered.answers.contains_key(question))
        .cloned()
        .collect();
    if !open.is_empty() {
        return Decision::Ask(open);
    }
    if let Some(refusal) = checks::denied(view, &questions).or_else(|| unavailable(request)) {
        return refuse_checked(view, (request, Some(&planned)), &questions, &refusal);
    }
    let facts = &view.gathered.facts;
    let missing = checks::missing(request, &planned, facts);
    if !missing.is_empty() {
        return Decision::Read(missing);
    }
    if let Some(refusal) = checks::failed(request, &planned, facts) {
        return refuse_checked(view, (request, Some(&planned)), &questions, &refusal);
    }
    let report = checks::report(view, Some(request), Some(&planned), &questions);
    intend(view, request, planned, &report)
}

/// A check that was asked for and cannot run blocks; those of one field are named at a time.
fn unavailable(request: &Request<'_>) -> Option<Refusal> {
    let listed = &request.spec.execution_config.safety_config.safety_checks;
    let (in_list, in_prerequisites): (Vec<_>, Vec<_>) =
        unavailable_checks(request.spec).partition(|check| listed.contains(check));
    let fields = [
        ("spec.executionConfig.safetyConfig.safetyChecks", in_list),
        (
            "spec.actionDefinition.actionMetadata.prerequisites",
            in_prerequisites,
        ),
    ];
    let (field, checks) = fields.into_iter().find(|(_, checks)| !checks.is_empty())?;
    let names: Vec<&str> = checks.into_iter().map(SafetyCheckType::as_str).collect();
    Some(Refusal::new(
        Reason::CheckUnavailable,
        format!(
            "{field} asks for {}, which this version cannot run: leave it out",
            names.join(", ")
        ),
    ))
}

fn refuse_checked(
    view: &View<'_>,
    (request, planned): (&Request<'_>, Option<&Planned>),
    questions: &[Question],
    refusal: &Refusal,
) -> Decision {
    let report = checks::report(view, Some(request), planned, questions);
    Decision::Record(Box::new(status::refused(
        view,
        Some(request.metadata()),
        refusal,
        report,
    )))
}

/// A plan without writes needs no Job: its outcome is proven at once, or the dry run of nothing is done.
fn intend(
    view: &View<'_>,
    request: &Request<'_>,
    planned: Box<Planned>,
    checks: &[SafetyCheckResult],
) -> Decision {
    let status = if !planned.content.steps.is_empty() {
        status::executing(view, request, &planned, checks)
    } else if request.common.dry_run {
        status::nothing_to_try(view, request, &planned, checks)
    } else {
        status::nothing_to_write(view, request, &planned, checks)
    };
    Decision::RecordIntent(Box::new(status), planned)
}

//! Status once the attempt is over: what was done, what it cost, what was proven, and how it ended.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kexec_api::condition::{ConditionType, FailureClass, Reason};
use kexec_api::execution::KubernetesExecutionStatus;
use kexec_api::execution::duration;
use kexec_api::execution::status::{
    AttemptResult, ExecutionDetails, ExecutionSummary, KubernetesOperation, OperationResult,
    RetryAttempt, StepResult,
};
use kexec_api::phase::{ActionResult, Outcome, Phase};
use kexec_api::plan::{PlanContent, Step};
use kexec_api::work::{StepOutcome, StepRecord, WorkResult};

use super::changes::changes;
use super::{performance, plan, renewed, rollback, set, verification, within};
use crate::attempt::End;
use crate::outcome::quote;
use crate::proof::Judgement;
use crate::view::View;

/// Most operations listed.
const LISTED: usize = 50;
/// Most bytes of JSON that all operations listed have (I12).
const LISTED_BYTES: usize = 12 * 1024;

/// How an execution, or its attempt, came to its end.
#[derive(Clone, Debug)]
pub struct Finish {
    reason: Reason,
    message: String,
    end: Option<End>,
    result: Option<WorkResult>,
    judgement: Option<Judgement>,
    outcome: Option<Outcome>,
    leaves_writes: bool,
    not_undone: Option<String>,
}

impl Finish {
    /// An end for a reason, with one sentence.
    #[must_use]
    pub fn new(reason: Reason, message: &str) -> Self {
        Self {
            reason,
            message: quote(message),
            end: None,
            result: None,
            judgement: None,
            outcome: None,
            leaves_writes: false,
            not_undone: None,
        }
    }

    /// With how the container ended.
    #[must_use]
    pub fn with_end(mut self, end: &End) -> Self {
        self.end = Some(end.clone());
        self
    }

    /// With what the runner reported.
    #[must_use]
    pub fn with_result(mut self, result: Option<&WorkResult>) -> Self {
        self.result = result.cloned();
        self
    }

    /// With what was found on the live target.
    #[must_use]
    pub fn with_judgement(mut self, judgement: &Judgement) -> Self {
        self.judgement = Some(judgement.clone());
        self
    }

    /// With writes that may have been made and could not be told.
    #[must_use]
    pub fn with_unknown_effect(mut self) -> Self {
        self.outcome = Some(Outcome::Unknown);
        self
    }

    /// With nothing left unknown about the writes.
    #[must_use]
    pub fn with_known_effect(mut self) -> Self {
        self.outcome = None;
        self
    }

    /// With writes on the target.
    #[must_use]
    pub fn with_writes_left(mut self) -> Self {
        self.leaves_writes = true;
        self
    }

    /// With why they are not undone, if there is anything to say about that.
    #[must_use]
    pub fn not_undone(mut self, why: Option<String>) -> Self {
        self.not_undone = why;
        self
    }

    /// Why it ended.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Whether writes are left on the target.
    #[must_use]
    pub fn leaves_writes(&self) -> bool {
        self.leaves_writes
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn judgement(&self) -> Option<&Judgement> {
        self.judgement.as_ref()
    }

    fn phase(&self) -> Phase {
        match self.reason.failure_class() {
            None => Phase::Completed,
            Some(FailureClass::Cancelled) => Phase::Cancelled,
            Some(_) => Phase::Failed,
        }
    }

    fn wrote_some(&self) -> bool {
        let steps = self
            .result
            .iter()
            .filter(|result| !result.dry_run)
            .flat_map(|result| &result.steps);
        steps
            .into_iter()
            .any(|step| step.outcome == StepOutcome::Written)
    }

    fn action_result(&self) -> ActionResult {
        match self.reason.failure_class() {
            None => ActionResult::Success,
            Some(FailureClass::Cancelled) => ActionResult::Cancelled,
            Some(FailureClass::Timeout) => ActionResult::Timeout,
            Some(FailureClass::Action | FailureClass::Precondition) if self.wrote_some() => {
                ActionResult::PartialSuccess
            }
            Some(_) => ActionResult::Failure,
        }
    }

    fn outcome(&self) -> Outcome {
        match (self.outcome, self.phase()) {
            (_, Phase::Completed) => Outcome::Succeeded,
            (Some(outcome), _) => outcome,
            (None, Phase::Cancelled) => Outcome::Cancelled,
            (None, _) => Outcome::Failed,
        }
    }
}

/// The attempt is over, and its outcome does not show yet.
#[must_use]
pub fn monitoring(
    view: &View<'_>,
    finish: &Finish,
    unclear: Option<&(Reason, String)>,
    judgement: &Judgement,
) -> KubernetesExecutionStatus {
    let mut status = renewed(view);
    status.phase = Some(Phase::Monitoring);
    tell_attempt(&mut status, view, finish);
    verification::tell(&mut status, view, judgement);
    let waits = (
        Reason::VerifyingOutcome,
        "the writes are done; the outcome is being proven on the live target",
    );
    let ended = unclear.map_or(waits, |(reason, message)| (*reason, message.as_str()));
    set(&mut status, view, ConditionType::Executing, false, ended);
    set(&mut status, view, ConditionType::Ready, false, waits);
    set(&mut status, view, ConditionType::Completed, false, waits);
    status
}

/// The execution is over.
#[must_use]
pub fn finished(view: &View<'_>, finish: &Finish) -> KubernetesExecutionStatus {
    finished_from(renewed(view), view, finish)
}

pub(super) fn finished_from(
    mut status: KubernetesExecutionStatus,
    view: &View<'_>,
    finish: &Finish,
) -> KubernetesExecutionStatus {
    let phase = finish.phase();
    let is_success = phase == Phase::Completed;
    tell_attempt(&mut status, view, finish);
    if let Some(judgement) = &finish.judgement {
        verification::tell(&mut status, view, judgement);
    }
    if let Some(why) = &finish.not_undone {
        rollback::not_performed(&mut status, view, Reason::NotPerformed, why);
    }
    tell_result(&mut status, view, finish);
    close(&mut status, view);
    status.phase = Some(phase);
    status.queue = None;
    status.error = (!is_success).then(|| finish.message.clone());
    status.step_result = Some(step_result(&status, view, finish));
    let why = (finish.reason, finish.message.as_str());
    set(&mut status, view, ConditionType::Ready, is_success, why);
    if status.condition(ConditionType::Executing).is_some() {
        set(&mut status, view, ConditionType::Executing, false, why);
    }
    set(&mut status, view, ConditionType::Completed, true, why);
    status
}

/// The small stable object that the parent needs (BAN-05).
fn step_result(status: &KubernetesExecutionStatus, view: &View<'_>, finish: &Finish) -> StepResult {
    let spec = &view.execution.spec;
    let post = status
        .validation_results
        .as_ref()
        .and_then(|results| results.post_execution_validation.as_ref());
    StepResult {
        step_id: spec
            .workflow_execution_ref
            .as_ref()
            .map(|parent| parent.step_id.clone()),
        outcome: Some(finish.outcome()),
        // What held before as well proves nothing: only an execution that completed was verified.
        verified: Some(
            finish.phase() == Phase::Completed && post.and_then(|post| post.passed) == Some(true),
        ),
        message: Some(finish.message.clone()),
        rollback_available: Some(can_be_undone(view, finish)),
    }
}

/// Whether a person may still ask for the writes to be undone (I3).
fn can_be_undone(view: &View<'_>, finish: &Finish) -> bool {
    let config = &view.execution.spec.execution_config.safety_config;
    let is_reversible = view.plan().is_some_and(|plan| !plan.rollback.is_empty());
    finish.reason == Reason::ExecutionCompleted
        && config.rollback_config.preserve_rollback_state
        && is_reversible
}

/// What the runner did and what it cost.
pub(super) fn tell_attempt(
    status: &mut KubernetesExecutionStatus,
    view: &View<'_>,
    finish: &Finish,
) {
    if let Some(end) = &finish.end {
        summary(status).exit_code = Some(end.exit_code);
    }
    if let (Some(result), Some(content)) = (&finish.result, view.plan()) {
        let namespace = view
            .execution
            .metadata
            .namespace
            .as_deref()
            .unwrap_or_default();
        let content = plan::disclosed(content, namespace);
        let details = details(status);
        let first = result.steps.iter().take(LISTED);
        let (operations, unlisted) =
            within(LISTED_BYTES, first.map(|step| operation(step, &content)));
        details.kubernetes_operations = operations;
        let left_out = result.steps.len().saturating_sub(LISTED) + unlisted;
        let left_out = u32::try_from(left_out)
            .unwrap_or(u32::MAX)
            .saturating_add(result.omitted_steps);
        details.operations_omitted = (left_out > 0).then_some(left_out);
        let (changes, unlisted) = changes(result, &content);
        let affected = changes.len() + unlisted;
        details.resource_changes = changes;
        details.changes_omitted = u32::try_from(unlisted).ok().filter(|count| *count > 0);
        summary(status).resources_affected = u32::try_from(affected).ok();
        status.performance_metrics = performance::metrics(&result.metrics, &view.execution.spec);
    }
}

fn operation(step: &StepRecord, content: &PlanContent) -> KubernetesOperation {
    let planned = usize::try_from(step.step)
        .ok()
        .and_then(|index| content.steps.get(index));
    KubernetesOperation {
        operation: planned.map(|step| step.verb().to_uppercase()),
        resource: planned.map(|step| step.target().to_string()),
        result: Some(match step.outcome {
            StepOutcome::Written => OperationResult::Success,
            StepOutcome::Refused | StepOutcome::Unknown | StepOutcome::Foreign => {
                OperationResult::Failure
            }
            StepOutcome::Skipped | StepOutcome::Unneeded => OperationResult::Skipped,
        }),
        timestamp: step.at.map(Time),
        duration: step.millis.map(millis),
        error: step.error.as_deref().map(quote),
        api_version: planned
            .map(Step::target)
            .map(|target| target.api_version.clone()),
        status_code: step.status_code.map(i32::from),
    }
}

/// How the action ended, whatever is made of that: the figures that stay when it is undone.
pub(super) fn tell_result(
    status: &mut KubernetesExecutionStatus,
    view: &View<'_>,
    finish: &Finish,
) {
    let is_success = finish.phase() == Phase::Completed;
    let summary = summary(status);
    let started = summary.start_time.get_or_insert(Time(view.now)).0;
    summary.action_result = Some(finish.action_result());
    if is_success {
        summary.progress = Some(100);
    }
    if let Some(retries) = &mut status.retry_info {
        retries.retry_history = vec![RetryAttempt {
            attempt_number: retries.attempt_count,
            timestamp: Some(Time(started)),
            result: Some(match finish.action_result() {
                ActionResult::Success => AttemptResult::Success,
                ActionResult::Timeout => AttemptResult::Timeout,
                ActionResult::Failure | ActionResult::PartialSuccess | ActionResult::Cancelled => {
                    AttemptResult::Failure
                }
            }),
            error: (!is_success).then(|| finish.message.clone()),
            duration: Some(between(started, view.now)),
        }];
    }
}

/// When the execution was over; the first time counts, whatever is undone later.
pub(super) fn close(status: &mut KubernetesExecutionStatus, view: &View<'_>) {
    let summary = summary(status);
    let started = summary.start_time.get_or_insert(Time(view.now)).0;
    let completed = summary.completion_time.get_or_insert(Time(view.now)).0;
    summary.duration = Some(between(started, completed));
}

fn summary(status: &mut KubernetesExecutionStatus) -> &mut ExecutionSummary {
    status
        .execution_summary
        .get_or_insert_with(ExecutionSummary::default)
}

pub(super) fn details(status: &mut KubernetesExecutionStatus) -> &mut ExecutionDetails {
    status
        .execution_details
        .get_or_insert_with(ExecutionDetails::default)
}

/// In whole seconds, because that is what the times in status are kept in.
fn between(start: Timestamp, end: Timestamp) -> String {
    let seconds = end.as_second().saturating_sub(start.as_second());
    duration::format(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

pub(super) fn millis(millis: u64) -> String {
    duration::format(Duration::from_millis(millis))
}

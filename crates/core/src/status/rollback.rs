//! Status of an action that is being undone, was, or could not be (ST-56…ST-65). The reason of the failure that set a
//! rollback off stays in the condition `Ready`; what came of the rollback stands in `RolledBack`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kexec_api::condition::{ConditionStatus, ConditionType, Reason};
use kexec_api::execution::KubernetesExecutionStatus;
use kexec_api::execution::status::{
    ExecutionJob, OperationResult, RollbackAction, RollbackCause, RollbackInfo, StepResult,
};
use kexec_api::names;
use kexec_api::phase::{Outcome, Phase};
use kexec_api::plan::{PlanContent, Step};
use kexec_api::work::{Stage, StepOutcome, StepRecord, WorkResult};

use super::ending::{Finish, close, details, millis, tell_attempt, tell_result};
use super::{plan, renewed, set, verification};
use crate::attempt::attempt_of;
use crate::outcome::quote;
use crate::view::View;

/// Most steps listed.
const LISTED: usize = 50;

/// How a rollback came to its end.
#[derive(Clone, Debug)]
pub struct Undone {
    reason: Reason,
    message: String,
    result: Option<WorkResult>,
    is_unknown: bool,
}

impl Undone {
    /// An end for a reason, with one sentence.
    #[must_use]
    pub fn new(reason: Reason, message: &str) -> Self {
        Self {
            reason,
            message: quote(message),
            result: None,
            is_unknown: false,
        }
    }

    /// With what the runner reported.
    #[must_use]
    pub fn with_result(mut self, result: Option<&WorkResult>) -> Self {
        self.result = result.cloned();
        self
    }

    /// With restorations that may have been made and could not be told.
    #[must_use]
    pub fn unknown(mut self) -> Self {
        self.is_unknown = true;
        self
    }
}

/// The action failed and is undone.
#[must_use]
pub fn rolling_back(
    view: &View<'_>,
    finish: &Finish,
    cause: RollbackCause,
) -> KubernetesExecutionStatus {
    let mut status = renewed(view);
    tell_attempt(&mut status, view, finish);
    if let Some(judgement) = finish.judgement() {
        verification::tell(&mut status, view, judgement);
    }
    tell_result(&mut status, view, finish);
    status.error = Some(finish.message().to_owned());
    let why = (finish.reason(), finish.message());
    set(&mut status, view, ConditionType::Ready, false, why);
    set(&mut status, view, ConditionType::Executing, false, why);
    let waits = (Reason::RollingBack, "the action failed and is being undone");
    set(&mut status, view, ConditionType::Completed, false, waits);
    begin(&mut status, view, cause, finish.message());
    status
}

/// The action completed and is undone on request.
#[must_use]
pub fn rolling_back_on_request(view: &View<'_>) -> KubernetesExecutionStatus {
    let mut status = renewed(view);
    let why = (Reason::RollingBack, "the action is being undone on request");
    set(&mut status, view, ConditionType::Ready, false, why);
    begin(
        &mut status,
        view,
        RollbackCause::Manual,
        "spec.control.rollback was set",
    );
    status
}

/// What is recorded before the first inverse write.
fn begin(status: &mut KubernetesExecutionStatus, view: &View<'_>, cause: RollbackCause, why: &str) {
    status.phase = Some(Phase::RollingBack);
    status.queue = None;
    let attempt = attempt_of(view.execution);
    status.job = Some(ExecutionJob {
        name: Some(names::job_name(view.uid(), attempt, Stage::Rollback)),
        attempt: Some(attempt),
        uid: None,
    });
    let info = info(status);
    info.rollback_triggered = Some(true);
    info.rollback_trigger = Some(cause);
    info.rollback_reason = Some(quote(why));
    let why = (
        Reason::RollingBack,
        "the inverse steps run in a Job of their own",
    );
    let unknown = ConditionStatus::Unknown;
    set(status, view, ConditionType::RolledBack, unknown, why);
}

/// What the action changed was restored.
#[must_use]
pub fn rolled_back(view: &View<'_>, undone: &Undone) -> KubernetesExecutionStatus {
    let mut status = ended(view, undone);
    status.phase = Some(Phase::RolledBack);
    let failure = status.error.clone();
    let message = failure.map_or_else(
        || undone.message.clone(),
        |failure| format!("{}; before that: {failure}", undone.message),
    );
    conclude(&mut status, view, true, (undone.reason, &message));
    tell_parent(&mut status, Outcome::RolledBack, &message);
    status
}

/// It was not, or not wholly: somebody must look at the target.
#[must_use]
pub fn rollback_failed(view: &View<'_>, undone: &Undone) -> KubernetesExecutionStatus {
    let mut status = ended(view, undone);
    status.phase = Some(Phase::Failed);
    let message = format!("the rollback failed: {}", undone.message);
    let message = match &status.error {
        Some(failure) => format!("{message}; before that: {failure}"),
        None => message,
    };
    status.error = Some(quote(&message));
    conclude(&mut status, view, false, (undone.reason, &message));
    let outcome = if undone.is_unknown {
        Outcome::Unknown
    } else {
        Outcome::Failed
    };
    tell_parent(&mut status, outcome, &message);
    status
}

/// A rollback on request waits for its turn.
#[must_use]
pub fn rollback_waits(view: &View<'_>, message: &str) -> KubernetesExecutionStatus {
    let mut status = renewed(view);
    let why = (Reason::Queued, message);
    set(&mut status, view, ConditionType::RolledBack, false, why);
    status
}

/// A rollback on request is not performed; the execution stays as it ended.
#[must_use]
pub fn rollback_refused(
    view: &View<'_>,
    reason: Reason,
    message: &str,
) -> KubernetesExecutionStatus {
    let mut status = renewed(view);
    not_performed(&mut status, view, reason, message);
    status
}

/// Says why there is no rollback.
pub(super) fn not_performed(
    status: &mut KubernetesExecutionStatus,
    view: &View<'_>,
    reason: Reason,
    why: &str,
) {
    let message = format!("not performed: {why}");
    info(status).rollback_reason = Some(quote(&message));
    let why = (reason, message.as_str());
    set(status, view, ConditionType::RolledBack, false, why);
}

/// Whether the execution made writes that a rollback could undo.
#[must_use]
pub fn has_written(view: &View<'_>) -> bool {
    let status = view.execution.status.as_ref();
    let completed = status.and_then(|status| status.condition(ConditionType::Completed));
    let reason = completed.and_then(kexec_api::execution::status::Condition::known_reason);
    reason == Some(Reason::ExecutionCompleted)
}

fn ended(view: &View<'_>, undone: &Undone) -> KubernetesExecutionStatus {
    let mut status = renewed(view);
    let actions = undone
        .result
        .as_ref()
        .zip(view.plan())
        .map(|(result, plan)| actions(view, result, plan));
    let info = info(&mut status);
    info.rollback_completion_time = Some(Time(view.now));
    info.rollback_actions = actions.unwrap_or_default();
    close(&mut status, view);
    status
}

fn conclude(
    status: &mut KubernetesExecutionStatus,
    view: &View<'_>,
    is_undone: bool,
    why: (Reason, &str),
) {
    set(status, view, ConditionType::RolledBack, is_undone, why);
    set(status, view, ConditionType::Completed, true, why);
    let ready = status.condition(ConditionType::Ready);
    if ready.and_then(kexec_api::execution::status::Condition::known_reason)
        == Some(Reason::RollingBack)
    {
        set(status, view, ConditionType::Ready, false, why);
    }
}

fn tell_parent(status: &mut KubernetesExecutionStatus, outcome: Outcome, message: &str) {
    let step = status.step_result.get_or_insert_with(StepResult::default);
    step.outcome = Some(outcome);
    step.verified = Some(outcome == Outcome::RolledBack);
    step.message = Some(quote(message));
    step.rollback_available = Some(false);
}

/// What the runner did to each inverse step, or to one field of it.
fn actions(view: &View<'_>, result: &WorkResult, content: &PlanContent) -> Vec<RollbackAction> {
    let metadata = &view.execution.metadata;
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let content = plan::disclosed(content, namespace);
    let listed = result.steps.iter().take(LISTED);
    listed.map(|record| action(record, &content)).collect()
}

fn action(record: &StepRecord, content: &PlanContent) -> RollbackAction {
    let index = usize::try_from(record.step).unwrap_or(usize::MAX);
    let what = content.rollback.get(index).map(|step| {
        let field = record.field.and_then(|field| field_of(step, field));
        let what = field.unwrap_or_else(|| step.diff().join("; "));
        format!("{} {what}", step.target())
    });
    RollbackAction {
        action: what.map(|what| quote(&what)),
        result: Some(match record.outcome {
            StepOutcome::Written => OperationResult::Success,
            StepOutcome::Refused | StepOutcome::Unknown | StepOutcome::Foreign => {
                OperationResult::Failure
            }
            StepOutcome::Skipped | StepOutcome::Unneeded => OperationResult::Skipped,
        }),
        timestamp: record.at.map(Time),
        duration: record.millis.map(millis),
        error: record.error.as_deref().map(quote),
    }
}

/// One field of a step by the place of its change, guards counted.
fn field_of(step: &Step, field: u32) -> Option<String> {
    let index = usize::try_from(field).ok()?;
    match step {
        Step::Patch { changes, .. } => changes.get(index).map(ToString::to_string),
        Step::Delete { .. } | Step::Evict { .. } => None,
    }
}

fn info(status: &mut KubernetesExecutionStatus) -> &mut RollbackInfo {
    details(status)
        .rollback_info
        .get_or_insert_with(RollbackInfo::default)
}

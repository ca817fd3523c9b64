//! Status before anything has an effect: waiting, refused, and the intent that is recorded before the first write.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kexec_actions::REGISTRY_VERSION;
use kexec_actions::metadata::Metadata;
use kexec_api::condition::{ConditionType, Reason};
use kexec_api::execution::KubernetesExecutionStatus;
use kexec_api::execution::status::{
    ActionRegistryStatus, ExecutionDetails, ExecutionJob, ExecutionSummary, PreExecutionValidation,
    QueueStatus, RetryInfo, RollbackInfo, SafetyCheckResult, ValidationResults,
};
use kexec_api::names;
use kexec_api::phase::Phase;
use kexec_api::work::Stage;

use super::ending::{Finish, finished_from};
use super::{plan, renewed, set};
use crate::attempt::FIRST_ATTEMPT;
use crate::outcome::quote;
use crate::planning::Planned;
use crate::request::{Refusal, Request};
use crate::risk;
use crate::storage::storage;
use crate::view::View;

/// Waiting for a turn, or for the installation to be fit to act.
#[must_use]
pub fn waiting(
    view: &View<'_>,
    reason: Reason,
    message: &str,
    position: Option<u32>,
) -> KubernetesExecutionStatus {
    let mut status = renewed(view);
    status.phase = Some(Phase::Pending);
    status.queue = Some(QueueStatus {
        position,
        reason: Some(quote(message)),
        since: Some(Time(view.now)),
    });
    set(
        &mut status,
        view,
        ConditionType::Ready,
        false,
        (reason, message),
    );
    set(
        &mut status,
        view,
        ConditionType::Completed,
        false,
        (reason, message),
    );
    status
}

/// Ended before it began: what was asked for is wrong, forbidden, or cannot be done.
#[must_use]
pub fn refused(
    view: &View<'_>,
    metadata: Option<&Metadata>,
    refusal: &Refusal,
    checks: Vec<SafetyCheckResult>,
) -> KubernetesExecutionStatus {
    let mut status = renewed(view);
    let unknown = matches!(refusal.reason, Reason::UnknownAction);
    introduce(&mut status, view, metadata, !unknown);
    if !checks.is_empty() {
        status.validation_results = Some(ValidationResults {
            pre_execution_validation: Some(PreExecutionValidation {
                passed: Some(false),
                safety_checks: checks,
                risk_assessment: None,
            }),
            post_execution_validation: None,
        });
    }
    let why = (refusal.reason, refusal.message.as_str());
    set(&mut status, view, ConditionType::Validated, false, why);
    finished_from(status, view, &Finish::new(refusal.reason, &refusal.message))
}

/// Cancelled before it began.
#[must_use]
pub fn cancelled_before_start(view: &View<'_>) -> KubernetesExecutionStatus {
    finished_from(
        renewed(view),
        view,
        &Finish::new(
            Reason::Cancelled,
            "cancelled before it started; nothing was written",
        ),
    )
}

/// The intent to run a plan as a Job.
#[must_use]
pub fn executing(
    view: &View<'_>,
    request: &Request<'_>,
    planned: &Planned,
    checks: &[SafetyCheckResult],
) -> KubernetesExecutionStatus {
    let mut status = intent(view, request, planned, checks);
    status.phase = Some(Phase::Executing);
    status.job = Some(ExecutionJob {
        name: Some(names::job_name(view.uid(), FIRST_ATTEMPT, Stage::Execute)),
        attempt: Some(FIRST_ATTEMPT),
        uid: None,
    });
    let retries = request.spec.execution_config.retry_policy.max_retries;
    status.retry_info = Some(RetryInfo {
        attempt_count: Some(FIRST_ATTEMPT),
        retries_remaining: Some(0),
        retry_reason: (retries > 0)
            .then(|| "not performed: this version makes one attempt".to_owned()),
        ..RetryInfo::default()
    });
    let why = (
        Reason::JobCreated,
        "the plan is recorded and its Job is created",
    );
    set(&mut status, view, ConditionType::Executing, true, why);
    set(&mut status, view, ConditionType::Ready, false, why);
    set(&mut status, view, ConditionType::Completed, false, why);
    status
}

/// The intent of a plan that writes nothing: only its outcome is left to be proven.
#[must_use]
pub fn nothing_to_write(
    view: &View<'_>,
    request: &Request<'_>,
    planned: &Planned,
    checks: &[SafetyCheckResult],
) -> KubernetesExecutionStatus {
    let mut status = intent(view, request, planned, checks);
    status.phase = Some(Phase::Monitoring);
    let message = if request.metadata().only_looks() {
        "nothing is to be written; what is asked for is looked for on the target"
    } else {
        "the target is as asked for already; nothing is written, the outcome is proven"
    };
    let why = (Reason::VerifyingOutcome, message);
    set(&mut status, view, ConditionType::Executing, false, why);
    set(&mut status, view, ConditionType::Ready, false, why);
    set(&mut status, view, ConditionType::Completed, false, why);
    status
}

/// The end of a dry run that has nothing to try.
#[must_use]
pub fn nothing_to_try(
    view: &View<'_>,
    request: &Request<'_>,
    planned: &Planned,
    checks: &[SafetyCheckResult],
) -> KubernetesExecutionStatus {
    let status = intent(view, request, planned, checks);
    let message = "the target is as asked for already, so there is no write to try";
    finished_from(status, view, &Finish::new(Reason::DryRunSucceeded, message))
}

/// What every intent records: what was checked, what is planned, what it risks and what undoes it.
fn intent(
    view: &View<'_>,
    request: &Request<'_>,
    planned: &Planned,
    checks: &[SafetyCheckResult],
) -> KubernetesExecutionStatus {
    let mut status = renewed(view);
    introduce(&mut status, view, Some(request.metadata()), true);
    let namespace = view
        .execution
        .metadata
        .namespace
        .as_deref()
        .unwrap_or_default();
    status.queue = None;
    let stored = storage(view.execution, &planned.content);
    status.plan = Some(plan::shown(planned, namespace, stored));
    status.validation_results = Some(ValidationResults {
        pre_execution_validation: Some(PreExecutionValidation {
            passed: Some(true),
            safety_checks: checks.to_vec(),
            risk_assessment: Some(risk::assess(
                view.execution,
                request.metadata(),
                &planned.risk_factors,
            )),
        }),
        post_execution_validation: None,
    });
    let safety = &request.spec.execution_config.safety_config;
    let preserved = safety.rollback_config.preserve_rollback_state;
    status.execution_details = Some(ExecutionDetails {
        rollback_info: Some(RollbackInfo {
            rollback_triggered: Some(false),
            rollback_state: preserved.then(|| plan::kept(planned, namespace)),
            ..RollbackInfo::default()
        }),
        ..ExecutionDetails::default()
    });
    set(
        &mut status,
        view,
        ConditionType::Validated,
        true,
        (Reason::ValidationPassed, &planned.summary),
    );
    status
}

/// Names the action and says since when the execution is worked on.
fn introduce(
    status: &mut KubernetesExecutionStatus,
    view: &View<'_>,
    metadata: Option<&Metadata>,
    supported: bool,
) {
    let summary = status
        .execution_summary
        .get_or_insert_with(ExecutionSummary::default);
    summary.start_time.get_or_insert(Time(view.now));
    summary.action_supported = Some(supported);
    status.action_registry = Some(ActionRegistryStatus {
        action_supported: Some(supported),
        supported_actions: view
            .registry
            .action_types()
            .into_iter()
            .map(str::to_owned)
            .collect(),
        action_version: metadata.map(|metadata| metadata.version.to_owned()),
        registry_version: Some(REGISTRY_VERSION.to_owned()),
    });
    let asked = &view.execution.spec.action_definition.action_type;
    let why = if supported {
        let known = metadata.map_or(asked.as_str(), |metadata| metadata.action_type);
        (
            Reason::ActionRegistered,
            format!("\"{asked}\" is the action {known}"),
        )
    } else {
        (
            Reason::UnknownAction,
            format!("\"{}\" is not a registered action", quote(asked)),
        )
    };
    set(
        status,
        view,
        ConditionType::ActionSupported,
        supported,
        (why.0, &why.1),
    );
}

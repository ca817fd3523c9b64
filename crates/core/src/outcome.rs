//! What the end of an attempt means: folded from the exit code, the kubelet's words and the runner's result. A result
//! is believed only when it is about this very attempt and plan; whatever cannot be told is left to the live target.

use kexec_api::condition::Reason;
use kexec_api::plan::PlanHash;
use kexec_api::work::{Stage, StepOutcome, WorkOutcome, WorkResult};

use crate::attempt::{End, LostCause, StartTrouble};

/// Longest text quoted from outside in a message, in characters.
const QUOTE_MAX: usize = 400;
/// The same in bytes (I12).
const QUOTE_MAX_BYTES: usize = 800;

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Settled {
    /// The runner says that it wrote everything; the proof decides.
    Written,
    /// Nothing was written, and nothing will be.
    Nothing {
        /// Why.
        reason: Reason,
        /// One sentence.
        message: String,
    },
    /// Some steps were written and others surely not.
    Partly {
        /// Why.
        reason: Reason,
        /// One sentence.
        message: String,
    },
    /// It cannot be told: the target must be looked at.
    Unclear {
        /// What to say if the target does not show the outcome either.
        reason: Reason,
        /// One sentence.
        message: String,
    },
}

/// The work a result must be about to be believed.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// UID of the execution.
    pub execution_uid: &'a str,
    /// Number of the attempt.
    pub attempt: u32,
    /// Which steps.
    pub stage: Stage,
    /// Hash of the plan.
    pub plan_hash: &'a PlanHash,
    /// Whether the Job was a dry run.
    pub dry_run: bool,
}

/// The runner's result, if the termination message holds one that is about this work.
pub fn read_result(message: Option<&str>, expected: Expected<'_>) -> Result<WorkResult, String> {
    let text = message.unwrap_or_default();
    if text.trim().is_empty() {
        return Err("the runner left no result".to_owned());
    }
    let result: WorkResult = serde_json::from_str(text)
        .map_err(|error| format!("the runner's result cannot be read: {error}"))?;
    let is_ours = result.execution_uid == expected.execution_uid
        && result.attempt == expected.attempt
        && result.stage == expected.stage
        && result.plan_hash == *expected.plan_hash;
    if !is_ours {
        return Err(format!(
            "the runner's result is about other work (execution {}, attempt {}, plan {})",
            quote(&result.execution_uid),
            result.attempt,
            quote(result.plan_hash.as_str())
        ));
    }
    Ok(result)
}

/// What the end of the container that writes means. That of a dry run leaves nothing to look for on the target.
#[must_use]
pub fn settle(end: &End, result: &Result<WorkResult, String>, expected: Expected<'_>) -> Settled {
    match settle_work(end, result, expected) {
        Settled::Unclear { reason, message } if expected.dry_run => {
            Settled::Nothing { reason, message }
        }
        settled @ (Settled::Written
        | Settled::Nothing { .. }
        | Settled::Partly { .. }
        | Settled::Unclear { .. }) => settled,
    }
}

fn settle_work(end: &End, result: &Result<WorkResult, String>, expected: Expected<'_>) -> Settled {
    match result {
        Ok(result)
            if i32::from(result.outcome.exit_code()) == end.exit_code
                && result.dry_run == expected.dry_run =>
        {
            settle_result(end, result)
        }
        Ok(result) => Settled::Unclear {
            reason: Reason::InvalidResult,
            message: format!(
                "the runner reported \"{}\" but exited {}",
                outcome_text(result.outcome),
                end.exit_code
            ),
        },
        Err(why) => settle_without_result(end, why),
    }
}

fn settle_result(end: &End, result: &WorkResult) -> Settled {
    let said = quote(result.error.as_deref().unwrap_or("no reason given"));
    let partly = result
        .steps
        .iter()
        .any(|step| step.outcome == StepOutcome::Written)
        && !result.dry_run;
    let ended = |reason, message| {
        if partly {
            Settled::Partly { reason, message }
        } else {
            Settled::Nothing { reason, message }
        }
    };
    match result.outcome {
        WorkOutcome::Done => Settled::Written,
        WorkOutcome::Failed => ended(
            Reason::ActionFailed,
            format!("the API server refused a write: {said}"),
        ),
        WorkOutcome::CouldNotStart => Settled::Nothing {
            reason: Reason::ActionFailed,
            message: format!("the runner could not start: {said}"),
        },
        WorkOutcome::PreconditionFailed => ended(
            Reason::PlanStale,
            format!("the target changed after it was planned, so it was not written: {said}"),
        ),
        WorkOutcome::ClaimLost => Settled::Unclear {
            reason: Reason::ClaimLost,
            message: format!("another pod holds this attempt's claim: {said}"),
        },
        WorkOutcome::Interrupted if end.pod_reason.as_deref() == Some("DeadlineExceeded") => ended(
            Reason::DeadlineExceeded,
            format!("the runner was stopped by its deadline: {said}"),
        ),
        WorkOutcome::Interrupted => match stopped_by(end) {
            Some((reason, by)) => ended(reason, format!("{by} before it was done: {said}")),
            None => ended(
                Reason::DeadlineExceeded,
                format!("the runner was stopped: {said}"),
            ),
        },
        WorkOutcome::Unknown => Settled::Unclear {
            reason: Reason::OutcomeUnknown,
            message: format!("the answer to a write was lost: {said}"),
        },
    }
}

/// Who ended the runner, when it was neither itself nor its deadline.
fn stopped_by(end: &End) -> Option<(Reason, &'static str)> {
    if end.disrupted {
        return Some((Reason::RunnerKilled, "the runner was evicted"));
    }
    end.removed.map(|cause| match cause {
        LostCause::JobDeleted => (Reason::JobDeleted, "the Job was deleted"),
        LostCause::PodDeleted | LostCause::EndNotSeen => {
            (Reason::RunnerKilled, "the runner's pod was deleted")
        }
    })
}

/// An end without a word of the runner's own: the kubelet's reason names it, the target tells what happened.
fn settle_without_result(end: &End, why: &str) -> Settled {
    let exit = format!("it exited {}", end.exit_code);
    let (reason, message) = match (end.reason.as_deref(), end.pod_reason.as_deref()) {
        (Some("OOMKilled"), _) => (
            Reason::OutOfMemory,
            "the runner ran out of memory".to_owned(),
        ),
        (_, Some("DeadlineExceeded")) => (
            Reason::DeadlineExceeded,
            "the runner did not end within its deadline and was killed".to_owned(),
        ),
        (_, _) => match stopped_by(end) {
            Some((reason, by)) => (reason, format!("{by}; {exit}")),
            None => (Reason::InvalidResult, format!("{}; {exit}", quote(why))),
        },
    };
    Settled::Unclear { reason, message }
}

/// What became of a runner that left no result, in words.
#[must_use]
pub fn death_of(end: &End) -> String {
    match settle_without_result(end, "the runner left no result") {
        Settled::Nothing { message, .. }
        | Settled::Partly { message, .. }
        | Settled::Unclear { message, .. } => message,
        Settled::Written => String::new(),
    }
}

/// What the end of a pod means whose writing container never started: surely nothing was written.
#[must_use]
pub fn settle_never_started(end: &End, result: &Result<WorkResult, String>) -> (Reason, String) {
    if let Ok(result) = result {
        let said = quote(result.error.as_deref().unwrap_or("no reason given"));
        return match result.outcome {
            WorkOutcome::PreconditionFailed => (
                Reason::PlanStale,
                format!("the target changed after it was planned, so it was not written: {said}"),
            ),
            WorkOutcome::Failed if said.contains("does not support dry run") => (
                Reason::DryRunUnsupported,
                format!("a webhook does not support dry runs: {said}"),
            ),
            WorkOutcome::Interrupted => match stopped_by(end) {
                Some((reason, by)) => (reason, format!("{by} during the dry run: {said}")),
                None => (
                    Reason::DeadlineExceeded,
                    format!("the dry run was stopped: {said}"),
                ),
            },
            WorkOutcome::Done
            | WorkOutcome::Failed
            | WorkOutcome::CouldNotStart
            | WorkOutcome::ClaimLost
            | WorkOutcome::Unknown => (Reason::DryRunFailed, format!("the dry run failed: {said}")),
        };
    }
    let said = quote(end.message.as_deref().unwrap_or_default());
    match (end.pod_reason.as_deref(), end.reason.as_deref()) {
        (Some("DeadlineExceeded"), _) => (
            Reason::DeadlineExceeded,
            "the runner's pod reached its deadline before the action started".to_owned(),
        ),
        (_, Some("OOMKilled")) => (
            Reason::OutOfMemory,
            "the dry run ran out of memory".to_owned(),
        ),
        (_, _) if let Some((reason, by)) = stopped_by(end) => {
            (reason, format!("{by} before the action started"))
        }
        // Without a container that failed, the kubelet or the node turned the pod away.
        (Some(turned_away), None) => (
            Reason::RunnerNeverStarted,
            format!("the runner's pod failed before the action started ({turned_away}): {said}"),
        ),
        (_, _) => (
            Reason::DryRunFailed,
            format!(
                "the runner's pod failed before the action started (exit {}): {said}",
                end.exit_code
            ),
        ),
    }
}

/// What a Job that does not start means, from what its pod or its events say.
#[must_use]
pub fn settle_start(trouble: Option<&StartTrouble>, waited_seconds: i64) -> (Reason, String) {
    let Some(trouble) = trouble else {
        return (
            Reason::RunnerNeverStarted,
            format!("the Job had no running pod after {waited_seconds} s and gave no reason"),
        );
    };
    let said = format!("{}: {}", quote(&trouble.reason), quote(&trouble.message));
    match trouble.reason.as_str() {
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => (
            Reason::ImagePullFailed,
            format!("the runner's image could not be pulled in {waited_seconds} s ({said})"),
        ),
        _ if trouble.message.contains("exceeded quota") => (
            Reason::QuotaExceeded,
            format!("a quota left no room for the runner for {waited_seconds} s ({said})"),
        ),
        _ => (
            Reason::RunnerNeverStarted,
            format!("the runner's pod did not start in {waited_seconds} s ({said})"),
        ),
    }
}

/// Text from outside, shortened, on one line, without control or direction characters.
#[must_use]
pub fn quote(text: &str) -> String {
    let clean = text
        .chars()
        .map(|c| if c.is_control() || is_bidi(c) { ' ' } else { c });
    let mut shown = String::new();
    for (count, c) in clean.enumerate() {
        if count == QUOTE_MAX || shown.len() + c.len_utf8() > QUOTE_MAX_BYTES {
            shown.push_str("...");
            break;
        }
        shown.push(c);
    }
    shown
}

fn is_bidi(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn outcome_text(outcome: WorkOutcome) -> &'static str {
    match outcome {
        WorkOutcome::Done => "done",
        WorkOutcome::Failed => "failed",
        WorkOutcome::CouldNotStart => "could not start",
        WorkOutcome::PreconditionFailed => "precondition failed",
        WorkOutcome::ClaimLost => "claim lost",
        WorkOutcome::Interrupted => "interrupted",
        WorkOutcome::Unknown => "unknown",
    }
}

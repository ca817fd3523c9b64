//! The sequence: claim, then step after step until one does not succeed; what a rollback makes of its steps is decided
//! in `undo`. What a reply means is decided in `answer`, how the result is written down in `result`.

use jiff::{SignedDuration, Timestamp};
use kexec_api::plan::{ObjectRef, Step};
use kexec_api::work::{Stage, StepRecord, WorkOutcome};

use crate::claim::{self, Claim};
use crate::limits::Limits;
use crate::order::{Assignment, Mode, steps};
use crate::server::Server;
use crate::step::{StepEnd, perform, skipped};
use crate::text::{MAX_TEXT_CHARS, printable};
use crate::undo::undo;

/// How the work ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// How.
    pub outcome: WorkOutcome,
    /// One sentence on what went wrong.
    pub error: Option<String>,
    /// Every step, in order.
    pub steps: Vec<StepRecord>,
}

impl Report {
    /// Nothing was sent at all, for this reason.
    #[must_use]
    pub fn could_not_start(error: String) -> Self {
        Self {
            outcome: WorkOutcome::CouldNotStart,
            error: Some(error),
            steps: Vec::new(),
        }
    }
}

/// Does what `assignment` says, within `limits`.
pub async fn run(server: &Server, limits: &Limits, assignment: &Assignment) -> Report {
    let steps = steps(&assignment.order);
    if let Some((outcome, error)) = claim_first(server, limits, assignment, steps).await {
        return Report {
            outcome,
            error: Some(error),
            steps: (0..).zip(steps).map(|(index, _)| skipped(index)).collect(),
        };
    }
    match (assignment.order.stage, &assignment.mode) {
        (Stage::Rollback, Mode::Write(_)) => undo(server, limits, steps).await,
        (Stage::Rollback, Mode::DryRun) | (Stage::Execute, Mode::Write(_) | Mode::DryRun) => {
            perform_all(server, limits, steps, assignment.mode.is_dry_run()).await
        }
    }
}

/// Performs step after step until one does not succeed.
async fn perform_all(server: &Server, limits: &Limits, steps: &[Step], dry_run: bool) -> Report {
    let began = limits.now();
    let mut records = Vec::with_capacity(steps.len());
    let mut ended = None;
    let mut touched: Vec<&ObjectRef> = Vec::new();
    for (index, step) in (0..).zip(steps) {
        // A dry run leaves no trace, so what it says about a second write to the same object would be about an
        // object that never comes to exist.
        let unjudgeable = dry_run && touched.contains(&step.target());
        if ended.is_some() || unjudgeable {
            records.push(skipped(index));
            continue;
        }
        let limits = &patience(limits, step, began);
        let (end, record) = perform(server, limits, step, index, dry_run).await;
        records.push(record);
        touched.push(step.target());
        ended = explain(&end, step, index);
    }
    let (outcome, error) = ended.unzip();
    Report {
        outcome: outcome.unwrap_or(WorkOutcome::Done),
        error,
        steps: records,
    }
}

/// The bounds of one step of the work that `began` then: a drain has a time of its own (SP-61).
fn patience(limits: &Limits, step: &Step, began: Timestamp) -> Limits {
    let seconds = match step {
        Step::Evict { drain_seconds, .. } => *drain_seconds,
        Step::Patch { .. } | Step::Delete { .. } => None,
    };
    seconds.map_or_else(
        || limits.clone(),
        |seconds| {
            let time = SignedDuration::from_secs(seconds.into());
            limits.until(began.saturating_add(time).unwrap_or(Timestamp::MAX))
        },
    )
}

/// Takes the claim where one is needed. `Some`: nothing may be written, and why.
async fn claim_first(
    server: &Server,
    limits: &Limits,
    assignment: &Assignment,
    steps: &[Step],
) -> Option<(WorkOutcome, String)> {
    let Mode::Write(identity) = &assignment.mode else {
        return None;
    };
    if steps.is_empty() {
        return None;
    }
    match claim::take(server, limits, &assignment.order, identity).await {
        Claim::Held => None,
        Claim::Lost(why) => Some((
            WorkOutcome::ClaimLost,
            format!("this pod may not write: {why}; nothing was written"),
        )),
        Claim::Refused(why) => Some((
            WorkOutcome::CouldNotStart,
            format!("the API server refused the claim: {why}; nothing was written"),
        )),
        Claim::Interrupted(why) => Some((
            WorkOutcome::Interrupted,
            format!("stopped before the first step: {why}; nothing was written"),
        )),
    }
}

/// What the end of one step means for the whole; `None` when the next step may follow.
fn explain(end: &StepEnd, step: &Step, index: u32) -> Option<(WorkOutcome, String)> {
    let (verb, target) = (step.deed(), step.target());
    let (outcome, error) = match end {
        StepEnd::Written | StepEnd::Unneeded(_) => return None,
        StepEnd::Stale(why) => (
            WorkOutcome::PreconditionFailed,
            format!("step {index} was not written, {target} is no longer as planned: {why}"),
        ),
        StepEnd::Refused(why) => (
            WorkOutcome::Failed,
            format!(
                "step {index} was not written, the API server refused to {verb} {target}: {why}"
            ),
        ),
        StepEnd::Lost(why) => (
            WorkOutcome::Unknown,
            format!(
                "step {index} ({verb} {target}) may or may not have been written, its answer was lost: {why}"
            ),
        ),
        StepEnd::Interrupted(why) => (
            WorkOutcome::Interrupted,
            format!("stopped before step {index} ({verb} {target}) was written: {why}"),
        ),
    };
    Some((outcome, printable(&error, MAX_TEXT_CHARS)))
}

#[cfg(test)]
mod tests;

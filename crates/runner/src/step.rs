//! One step: sent, judged, recorded. Which step comes next is not decided here.

use std::time::Duration;

use kexec_api::plan::Step;
use kexec_api::work::{StepOutcome, StepRecord};

use crate::answer::{Verdict, judge};
use crate::limits::{Limits, StopReason};
use crate::request::step_request;
use crate::server::{Reply, Server, with_causes};
use crate::settle::{Interrupted, Judgement, Outcome, Sent, settle};
use crate::text::{MAX_TEXT_CHARS, printable};

/// How a step ended.
#[derive(Clone, Debug, PartialEq)]
pub enum StepEnd {
    /// The server confirmed it.
    Written,
    /// There was nothing to do any more, for this reason.
    Unneeded(String),
    /// The target is not as planned; not written.
    Stale(String),
    /// Refused, or impossible to send; not written.
    Refused(String),
    /// It may or may not have been written.
    Lost(String),
    /// The run had to stop first; not written.
    Interrupted(String),
}

/// Performs `step`, in a dry run without effect, and returns how it ended and its record as number `index`.
pub async fn perform(
    server: &Server,
    limits: &Limits,
    step: &Step,
    index: u32,
    dry_run: bool,
) -> (StepEnd, StepRecord) {
    let request = match step_request(step, dry_run) {
        Ok(request) => request,
        Err(error) => {
            let end = StepEnd::Refused(printable(&with_causes(&error), MAX_TEXT_CHARS));
            let record = record(index, &end, None);
            return (end, record);
        }
    };
    let mut seen = Seen::default();
    let Outcome { end, sent } = settle(server, limits, &request, |reply| {
        decide(step, reply, dry_run, &mut seen)
    })
    .await;
    let end = end.unwrap_or_else(|interrupted| seen.stopped(step, &interrupted));
    let record = record(index, &end, sent);
    log(step, &record);
    (end, record)
}

/// What the tries of one step showed so far.
#[derive(Default)]
struct Seen {
    /// The disruption budget that forbade the last try.
    budget: Option<String>,
    /// Whether the answer to a try was lost.
    lost: bool,
}

impl Seen {
    /// The end of a step that had to stop. A budget that never gave way, or a drain whose time is over, is a refusal.
    fn stopped(&self, step: &Step, interrupted: &Interrupted) -> StepEnd {
        let in_time = match interrupted.reason {
            StopReason::Asked => false,
            StopReason::DeadlineOver(_) => self.budget.is_some(),
            StopReason::ShareOver => true,
        };
        if self.lost {
            return StepEnd::Lost(interrupted.to_string());
        }
        if !is_eviction(step) || !in_time {
            return StepEnd::Interrupted(interrupted.to_string());
        }
        let over = match interrupted.reason {
            StopReason::ShareOver => "the time for the drain is over".to_owned(),
            reason @ (StopReason::Asked | StopReason::DeadlineOver(_)) => reason.to_string(),
        };
        StepEnd::Refused(match &self.budget {
            Some(budget) => format!("{budget}; {over}"),
            None => over,
        })
    }
}

fn is_eviction(step: &Step) -> bool {
    match step {
        Step::Evict { .. } => true,
        Step::Patch { .. } | Step::Delete { .. } => false,
    }
}

/// Whether the step is one of a drain, which may be repeated: the pod's UID goes once.
fn is_of_drain(step: &Step) -> bool {
    match step {
        Step::Evict { drain_seconds, .. } => drain_seconds.is_some(),
        Step::Patch { .. } | Step::Delete { .. } => false,
    }
}

/// The judgement on one reply. Only what has no effect to repeat is sent again after a lost answer: a dry run, and the
/// eviction of a pod that may be gone. A budget that forbids an eviction now may allow it later, so that a dry run
/// accepts it.
fn decide(step: &Step, reply: &Reply, dry_run: bool, seen: &mut Seen) -> Judgement<StepEnd> {
    seen.budget = None;
    match judge(step, reply) {
        Verdict::Written => Judgement::Settled(StepEnd::Written),
        Verdict::Stale(_) if is_of_drain(step) && seen.lost => Judgement::Settled(StepEnd::Written),
        Verdict::Stale(why) if is_of_drain(step) => Judgement::Settled(StepEnd::Unneeded(why)),
        Verdict::Stale(why) => Judgement::Settled(StepEnd::Stale(why)),
        Verdict::Refused(why) if seen.lost => Judgement::Settled(StepEnd::Lost(why)),
        Verdict::Refused(why) => Judgement::Settled(StepEnd::Refused(why)),
        Verdict::Later { why, after } => Judgement::Again { why, after },
        Verdict::Held { why, .. } if dry_run => {
            tracing::info!(why, "would have to wait");
            Judgement::Settled(StepEnd::Written)
        }
        Verdict::Held { why, after } => {
            seen.budget = Some(why.clone());
            Judgement::Again { why, after }
        }
        Verdict::Lost(why) if dry_run || is_of_drain(step) => {
            seen.lost = !dry_run;
            Judgement::Again { why, after: None }
        }
        Verdict::Lost(why) => Judgement::Settled(StepEnd::Lost(why)),
    }
}

/// The record of a step that ended so.
fn record(index: u32, end: &StepEnd, sent: Option<Sent>) -> StepRecord {
    let (outcome, error) = match end {
        StepEnd::Written => (StepOutcome::Written, None),
        StepEnd::Unneeded(why) => (StepOutcome::Unneeded, Some(why.clone())),
        StepEnd::Stale(why) | StepEnd::Refused(why) => (StepOutcome::Refused, Some(why.clone())),
        StepEnd::Lost(why) => (StepOutcome::Unknown, Some(why.clone())),
        StepEnd::Interrupted(why) if sent.is_some() => (StepOutcome::Refused, Some(why.clone())),
        StepEnd::Interrupted(_) => (StepOutcome::Skipped, None),
    };
    StepRecord {
        step: index,
        field: None,
        outcome,
        at: sent.map(|sent| sent.at),
        millis: sent.map(|sent| millis(sent.took)),
        status_code: sent.and_then(|sent| sent.code),
        error,
    }
}

/// The record of a step that was not tried.
#[must_use]
pub fn skipped(index: u32) -> StepRecord {
    StepRecord {
        step: index,
        field: None,
        outcome: StepOutcome::Skipped,
        at: None,
        millis: None,
        status_code: None,
        error: None,
    }
}

/// Whole milliseconds of `duration`.
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// One event a step; a plan's values can be large and are nobody's business in a log.
pub fn log(step: &Step, record: &StepRecord) {
    tracing::info!(
        step = record.step,
        verb = step.verb(),
        object = %step.target(),
        outcome = ?record.outcome,
        code = record.status_code,
        millis = record.millis,
        error = record.error,
        "step ended"
    );
}

//! One step: sent, judged, recorded. Which step comes next is not decided here.

use std::time::Duration;

use kexec_api::plan::Step;
use kexec_api::work::{StepOutcome, StepRecord};

use crate::answer::{Verdict, judge};
use crate::limits::Limits;
use crate::request::step_request;
use crate::server::{Reply, Server, with_causes};
use crate::settle::{Interrupted, Judgement, Outcome, Sent, settle};
use crate::text::{MAX_TEXT_CHARS, printable};

/// How a step ended.
#[derive(Clone, Debug, PartialEq)]
pub enum StepEnd {
    /// The server confirmed it.
    Written,
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
    let Outcome { end, sent } = settle(server, limits, &request, |reply| {
        decide(step, reply, dry_run)
    })
    .await;
    let end = end
        .unwrap_or_else(|interrupted: Interrupted| StepEnd::Interrupted(interrupted.to_string()));
    let record = record(index, &end, sent);
    log(step, &record);
    (end, record)
}

/// The judgement on one reply. Only a dry run may be repeated after a lost answer: it has no effect to repeat.
fn decide(step: &Step, reply: &Reply, dry_run: bool) -> Judgement<StepEnd> {
    match judge(step, reply) {
        Verdict::Written => Judgement::Settled(StepEnd::Written),
        Verdict::Stale(why) => Judgement::Settled(StepEnd::Stale(why)),
        Verdict::Refused(why) => Judgement::Settled(StepEnd::Refused(why)),
        Verdict::Later { why, after } => Judgement::Again { why, after },
        Verdict::Lost(why) if dry_run => Judgement::Again { why, after: None },
        Verdict::Lost(why) => Judgement::Settled(StepEnd::Lost(why)),
    }
}

/// The record of a step that ended so.
fn record(index: u32, end: &StepEnd, sent: Option<Sent>) -> StepRecord {
    let (outcome, error) = match end {
        StepEnd::Written => (StepOutcome::Written, None),
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

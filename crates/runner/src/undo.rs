//! The rollback stage: goes through all inverse steps in order, never ends at one that cannot be restored, and says in
//! one sentence what came of them (BR-EXEC-014). How one step is restored is decided in `restore`.

use std::fmt::Write as _;

use kexec_api::plan::Step;
use kexec_api::work::WorkOutcome;

use crate::limits::Limits;
use crate::restore::{Finding, Found, restore};
use crate::run::Report;
use crate::server::Server;
use crate::text::{MAX_TEXT_CHARS, printable};

/// Restores what is still ours of `steps`, within `limits`. The claim is held.
pub async fn undo(server: &Server, limits: &Limits, steps: &[Step]) -> Report {
    let mut tally = Tally::default();
    let mut records = Vec::with_capacity(steps.len());
    for (left, (index, step)) in (1..=steps.len()).rev().zip((0..).zip(steps)) {
        let found = restore(server, &limits.share(left), step, index).await;
        tally.add(step, &found);
        records.extend(found.iter().map(|found| found.record(index)));
    }
    Report {
        outcome: tally.outcome(),
        error: tally.error(),
        steps: records,
    }
}

/// How many changes, fields and deletions alike, ended how, and why.
#[derive(Debug, Default)]
struct Tally {
    total: usize,
    restored: usize,
    already: usize,
    foreign: usize,
    refused: usize,
    unknown: usize,
    stopped: usize,
    /// Why, by object.
    reasons: Vec<String>,
    /// Why what was not tried was not, told once.
    stop: Option<String>,
}

impl Tally {
    fn add(&mut self, step: &Step, found: &[Found]) {
        let all = match step {
            Step::Patch { changes, .. } => {
                changes.iter().filter(|change| !change.is_guard()).count()
            }
            Step::Delete { .. } | Step::Evict { .. } => 1,
        };
        self.total += all;
        let mut reasons: Vec<&str> = Vec::new();
        for one in found {
            let changes = one.field.map_or(all, |_| 1);
            *self.count(&one.finding) += changes;
            match &one.finding {
                Finding::Stopped(why) => drop(self.stop.get_or_insert_with(|| why.clone())),
                Finding::Restored
                | Finding::Already
                | Finding::Foreign(_)
                | Finding::Refused(_)
                | Finding::Unknown(_) => reasons.extend(one.finding.why()),
            }
        }
        if !reasons.is_empty() {
            let reasons = reasons.join(", ");
            self.reasons.push(format!("{}: {reasons}", step.target()));
        }
    }

    fn count(&mut self, finding: &Finding) -> &mut usize {
        match finding {
            Finding::Restored => &mut self.restored,
            Finding::Already => &mut self.already,
            Finding::Foreign(_) => &mut self.foreign,
            Finding::Refused(_) => &mut self.refused,
            Finding::Unknown(_) => &mut self.unknown,
            Finding::Stopped(_) => &mut self.stopped,
        }
    }

    /// The worst that happened: what may or may not be written, what is left to be tried, what was refused, what is not
    /// ours.
    fn outcome(&self) -> WorkOutcome {
        let worst_first = [
            (self.unknown, WorkOutcome::Unknown),
            (self.stopped, WorkOutcome::Interrupted),
            (self.refused, WorkOutcome::Failed),
            (self.foreign, WorkOutcome::PreconditionFailed),
        ];
        worst_first
            .into_iter()
            .find(|(count, _)| *count > 0)
            .map_or(WorkOutcome::Done, |(_, outcome)| outcome)
    }

    /// One sentence; none when all is restored. The figures come first, since a long sentence is cut at its end.
    fn error(&self) -> Option<String> {
        if self.outcome() == WorkOutcome::Done {
            return None;
        }
        let mut said = format!("restored {} of {} changes", self.restored, self.total);
        let others = [
            (self.already, "restored before"),
            (self.foreign, "left as somebody else made them"),
            (self.refused, "refused by the API server"),
            (self.unknown, "perhaps restored"),
            (self.stopped, "not restored in time"),
        ];
        for (count, what) in others.into_iter().filter(|(count, _)| *count > 0) {
            // Writing to a string cannot fail.
            write!(said, ", {count} {what}").ok();
        }
        let reasons: Vec<&str> = self
            .reasons
            .iter()
            .chain(&self.stop)
            .map(String::as_str)
            .collect();
        write!(said, ": {}", reasons.join("; ")).ok();
        Some(printable(&said, MAX_TEXT_CHARS))
    }
}

#[cfg(test)]
mod tests;

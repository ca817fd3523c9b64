//! One inverse step: restored whole where all of it is still ours, else field by field, each one only if it still holds
//! our value (I7, BR-EXEC-014). Which step comes next, and what they mean together, is not decided here.

use kexec_api::plan::{FieldChange, Step, dotted};
use kexec_api::work::{StepOutcome, StepRecord};

use crate::answer::{Verdict, judge};
use crate::limits::Limits;
use crate::request::step_request;
use crate::server::{Server, with_causes};
use crate::settle::{Judgement, Outcome, Sent, settle};
use crate::step::{log, millis};
use crate::text::{MAX_TEXT_CHARS, printable};

const GONE: &str = "the object does not exist any more: there is nothing to restore";
const REPLACED: &str = "another object has its name now: left as it is";

/// What came of restoring a step, or one of its fields.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// It is as it was before the action, by our write.
    Restored,
    /// It was as before the action already.
    Already,
    /// It is not ours any more; not written.
    Foreign(String),
    /// The server refused it; not written.
    Refused(String),
    /// It may or may not have been written.
    Unknown(String),
    /// The run had to stop, or to go on to the next step, first; not written.
    Stopped(String),
}

/// A finding, and what it is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// What.
    pub finding: Finding,
    /// Index of the one change that it is about; `None` for the whole step.
    pub field: Option<u32>,
    /// The last request that went into it.
    sent: Option<Sent>,
}

impl Found {
    fn whole(finding: Finding, sent: Option<Sent>) -> Self {
        Self {
            finding,
            field: None,
            sent,
        }
    }

    /// How it ended, in the words of a record.
    fn outcome(&self) -> StepOutcome {
        match &self.finding {
            Finding::Restored => StepOutcome::Written,
            Finding::Already => StepOutcome::Unneeded,
            Finding::Foreign(_) => StepOutcome::Foreign,
            Finding::Unknown(_) => StepOutcome::Unknown,
            Finding::Stopped(_) if self.sent.is_none() => StepOutcome::Skipped,
            Finding::Refused(_) | Finding::Stopped(_) => StepOutcome::Refused,
        }
    }

    /// Its record, as one of step number `step`.
    #[must_use]
    pub fn record(&self, step: u32) -> StepRecord {
        let outcome = self.outcome();
        let error = self
            .finding
            .why()
            .filter(|_| outcome != StepOutcome::Skipped);
        StepRecord {
            step,
            field: self.field,
            outcome,
            at: self.sent.map(|sent| sent.at),
            millis: self.sent.map(|sent| millis(sent.took)),
            status_code: self.sent.and_then(|sent| sent.code),
            error: error.map(str::to_owned),
        }
    }
}

impl Finding {
    /// Why it was not restored.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Restored | Self::Already => None,
            Self::Foreign(why) | Self::Refused(why) | Self::Unknown(why) | Self::Stopped(why) => {
                Some(why)
            }
        }
    }

    /// The finding of what was not written as far as its last answer tells: unknown when an earlier answer was lost.
    fn unless_lost(self, lost: bool) -> Self {
        match self {
            Self::Refused(why) | Self::Stopped(why) if lost => Self::Unknown(format!(
                "it may or may not have been restored, an answer was lost: {why}"
            )),
            other => other,
        }
    }

    /// The finding of what is as it was before the action: by whom cannot be told after a lost answer.
    fn undone(lost: bool) -> Self {
        if lost { Self::Restored } else { Self::Already }
    }
}

/// Restores what is still ours of `step`, number `index`, within `limits`: one finding for the whole step, or one for
/// each of its fields in their order.
pub async fn restore(server: &Server, limits: &Limits, step: &Step, index: u32) -> Vec<Found> {
    let sender = Sender { server, limits };
    let mut lost = false;
    let (end, sent) = sender.send(step, false, &mut lost).await;
    let whole = |finding: Finding| vec![Found::whole(finding, sent)];
    let found = match (end, step) {
        (End::Confirmed, _) => whole(Finding::Restored),
        (End::Gone, Step::Delete { .. } | Step::Evict { .. }) => whole(Finding::undone(lost)),
        (End::Gone, Step::Patch { .. }) => whole(Finding::Foreign(GONE.to_owned())),
        (End::Stale, Step::Delete { .. } | Step::Evict { .. }) => {
            whole(Finding::Foreign(REPLACED.to_owned()))
        }
        (End::Stale, Step::Patch { changes, .. }) => {
            collapse(sender.fields(step, changes, lost).await)
        }
        (End::Refused(why), _) => whole(refused("it", &why).unless_lost(lost)),
        (End::Stopped(why), _) => whole(Finding::Stopped(why).unless_lost(lost)),
    };
    for one in &found {
        log(step, &one.record(index));
    }
    found
}

/// How a request ended.
enum End {
    /// The server did as asked, or found that all tests hold.
    Confirmed,
    /// A test failed.
    Stale,
    /// There is no such object.
    Gone,
    /// Refused, or impossible to send.
    Refused(String),
    /// The run had to stop first.
    Stopped(String),
}

/// Sends what an inverse step takes.
struct Sender<'a> {
    server: &'a Server,
    limits: &'a Limits,
}

impl Sender<'_> {
    /// Sends `step` until its end is known. An inverse step tests what it changes, so it is safe to repeat after a
    /// lost answer; `lost` is set when there was one.
    async fn send(&self, step: &Step, dry_run: bool, lost: &mut bool) -> (End, Option<Sent>) {
        let request = match step_request(step, dry_run) {
            Ok(request) => request,
            Err(error) => return (End::Refused(with_causes(&error)), None),
        };
        let Outcome { end, sent } =
            settle(self.server, self.limits, &request, |reply| {
                match judge(step, reply) {
                    Verdict::Written => Judgement::Settled(End::Confirmed),
                    Verdict::Stale(_) if reply.code() == Some(404) => Judgement::Settled(End::Gone),
                    Verdict::Stale(_) => Judgement::Settled(End::Stale),
                    Verdict::Refused(why) => Judgement::Settled(End::Refused(why)),
                    Verdict::Later { why, after } | Verdict::Held { why, after } => {
                        Judgement::Again { why, after }
                    }
                    Verdict::Lost(why) => {
                        *lost = true;
                        Judgement::Again { why, after: None }
                    }
                }
            })
            .await;
        let end = end.unwrap_or_else(|interrupted| End::Stopped(interrupted.to_string()));
        (end, sent)
    }

    /// Asks whether the object of `step` has its UID and holds `changes` as they would be afterwards. Sent as a dry
    /// run, so that no webhook's own change is written either.
    async fn holds(&self, step: &Step, changes: Vec<FieldChange>) -> (End, Option<Sent>) {
        let mut any = false;
        self.send(&with_changes(step, changes), true, &mut any)
            .await
    }

    /// Goes through the `changes` of a `step` that could not be restored whole. `lost`: the answer to a try of the
    /// whole step was lost.
    async fn fields(&self, step: &Step, changes: &[FieldChange], lost: bool) -> Vec<Found> {
        let (end, sent) = self.holds(step, Vec::new()).await;
        let not_ours = match end {
            End::Gone => Some(GONE),
            End::Stale => Some(REPLACED),
            // Every field's own patch tests the UID again.
            End::Confirmed | End::Refused(_) | End::Stopped(_) => None,
        };
        if let Some(why) = not_ours {
            return vec![Found::whole(Finding::Foreign(why.to_owned()), sent)];
        }
        let written: Vec<(u32, &FieldChange)> = (0..)
            .zip(changes)
            .filter(|(_, change)| !change.is_guard())
            .collect();
        let mut found = Vec::with_capacity(written.len());
        for (left, (index, change)) in (1..=written.len()).rev().zip(written) {
            let limits = &self.limits.share(left);
            let sender = Sender { limits, ..*self };
            let part = guarded(step, changes, change);
            let was_tried = changes.len() == 1;
            let (finding, sent) = sender.field((step, &part), change, was_tried, lost).await;
            found.push(Found {
                finding,
                field: Some(index),
                sent,
            });
        }
        found
    }

    /// Restores the one field of `change` by the `part` of `step` that is about it, unless `was_tried`, and finds out why
    /// it cannot be. `lost`: the answer to an earlier try was lost.
    async fn field(
        &self,
        (step, part): (&Step, &Step),
        change: &FieldChange,
        was_tried: bool,
        mut lost: bool,
    ) -> (Finding, Option<Sent>) {
        let path = printable(&format!("\"{}\"", dotted(&change.path)), MAX_TEXT_CHARS);
        let mut sent = None;
        if !was_tried {
            let (end, latest) = self.send(part, false, &mut lost).await;
            sent = latest;
            if let Some(finding) = settled(end, Finding::Restored, &path) {
                return (finding.unless_lost(lost), sent);
            }
        }
        for held in as_restored(change) {
            let (end, latest) = self.holds(step, vec![held]).await;
            sent = latest.or(sent);
            if let Some(finding) = settled(end, Finding::undone(lost), &path) {
                return (finding.unless_lost(lost), sent);
            }
        }
        let why = format!("somebody changed {path} since the action: left as it is");
        (Finding::Foreign(why), sent)
    }
}

/// What the `end` of a request about the field `path` settles; nothing when a test failed.
fn settled(end: End, confirmed: Finding, path: &str) -> Option<Finding> {
    match end {
        End::Confirmed => Some(confirmed),
        End::Stale => None,
        End::Gone => Some(Finding::Foreign(GONE.to_owned())),
        End::Refused(why) => Some(refused(path, &why)),
        End::Stopped(why) => Some(Finding::Stopped(why)),
    }
}

fn refused(what: &str, why: &str) -> Finding {
    let why = format!("the API server refused to restore {what}: {why}");
    Finding::Refused(printable(&why, MAX_TEXT_CHARS))
}

/// The patch `step` with other changes.
fn with_changes(step: &Step, changes: Vec<FieldChange>) -> Step {
    let mut part = step.clone();
    if let Step::Patch { changes: all, .. } = &mut part {
        *all = changes;
    }
    part
}

/// The part of `step` that restores the field of `change`, with those guards among its `changes` that are about what the
/// field lies in: a list may have got other members, and a place in it another meaning.
fn guarded(step: &Step, changes: &[FieldChange], change: &FieldChange) -> Step {
    let is_about = |guard: &&FieldChange| {
        let lies_in = guard.path.rsplit_once('/').map(|(parent, _)| parent);
        guard.is_guard() && parents(&change.path).any(|parent| Some(parent) == lies_in)
    };
    let guards = changes.iter().filter(is_about);
    with_changes(step, guards.chain([change]).cloned().collect())
}

/// What must hold, any of it, for the field of `change` to be restored already. A test of an absent field fails where
/// what it lies in is absent too, so that is asked as well.
fn as_restored(change: &FieldChange) -> Vec<FieldChange> {
    let held = |path: &str| FieldChange {
        path: path.to_owned(),
        before: change.after.clone(),
        after: change.after.clone(),
    };
    let mut paths = vec![change.path.as_str()];
    if change.after.is_none() {
        paths.extend(parents(&change.path));
    }
    paths.into_iter().map(held).collect()
}

/// JSON pointers of what the field at `path` lies in, from the inside out, without the object itself.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    let slashes = path.char_indices().rev();
    slashes
        .filter(|(index, character)| *character == '/' && *index > 0)
        .filter_map(|(index, _)| path.get(..index))
}

/// One finding for the whole step where all its fields ended alike and well, or were all not tried.
fn collapse(found: Vec<Found>) -> Vec<Found> {
    let one =
        match found.first().map(Found::outcome) {
            Some(
                outcome @ (StepOutcome::Written | StepOutcome::Unneeded | StepOutcome::Skipped),
            ) if found.iter().all(|other| other.outcome() == outcome) => found.last().cloned(),
            _ => None,
        };
    one.map_or(found, |one| vec![Found { field: None, ..one }])
}

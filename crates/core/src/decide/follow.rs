//! While an attempt runs: watch it, stop it, and say how it ended. One out of sight is buried by a tombstone before it is
//! judged. Holds for the attempts of both stages; what an end means is decided by the stage.

use jiff::{SignedDuration, Timestamp};
use kexec_api::condition::Reason;

use super::{Decision, Whose, wait_until};
use crate::attempt::{
    AttemptState, Claim, End, LostCause, StartTrouble, TOKEN_OUTLIVES_POD, classify, jobs_of,
};
use crate::outcome;
use crate::view::View;

/// How long after the pod's own deadline its end must have been seen.
const DEADLINE_GRACE: SignedDuration = SignedDuration::from_secs(10);

/// The attempt that is followed.
#[derive(Clone, Copy)]
pub(super) struct Attempt<'a> {
    /// What is known.
    pub(super) view: &'a View<'a>,
    /// Name of the container that does its work.
    pub(super) container: &'static str,
    /// Whether that container claims its work: a dry run does not.
    pub(super) claims: bool,
    /// When the pod is killed.
    pub(super) deadline: Timestamp,
    /// Whether it is to be stopped.
    pub(super) is_cancelled: bool,
}

/// How an attempt goes.
#[derive(Debug)]
pub(super) enum Course {
    /// It goes on; this is next.
    Goes(Decision),
    /// It has no Job that was ever seen.
    Absent,
    /// It wrote nothing, and never will.
    Nothing(Reason, String),
    /// Its pod ended before the container that does the work started: nothing was written.
    NeverStarted(End),
    /// The container that does the work ended.
    Ended(End),
    /// Nobody saw its end, it may have written, and nothing of it can write any more.
    Unseen(Reason, String),
}

impl Attempt<'_> {
    /// How it goes.
    pub(super) fn follow(&self) -> Course {
        match classify(
            &self.view.gathered.sighting,
            self.view.uid(),
            self.container,
        ) {
            AttemptState::Absent => Course::Absent,
            AttemptState::NameTaken => Course::Nothing(
                Reason::NameConflict,
                format!(
                    "a Job named \"{}\" exists and is not ours: remove it",
                    jobs_of(self.view.execution).current
                ),
            ),
            AttemptState::Starting { since, trouble } => self.starting(since, trouble.as_ref()),
            AttemptState::Running => self.running(),
            AttemptState::NeverStarted(end) => self.never_started(end),
            AttemptState::Ended(end) => Course::Ended(end),
            AttemptState::Lost { cause, quiet_from } => self.lost(cause, quiet_from),
        }
    }

    /// A Job whose container has not started: its own time-out, and never a start after it was given up.
    fn starting(&self, since: Timestamp, trouble: Option<&StartTrouble>) -> Course {
        let view = self.view;
        let last = since
            .saturating_add(view.settings.start_timeout)
            .unwrap_or(Timestamp::MAX)
            .min(self.deadline);
        if !self.is_cancelled && view.now < last {
            return Course::Goes(wait_until(last));
        }
        match view.gathered.sighting.claim {
            Claim::Unread => Course::Goes(Decision::Tombstone(Whose::Current)),
            Claim::Runner => self.lost(LostCause::EndNotSeen, None),
            Claim::Tombstone if self.is_cancelled => cancelled_before_writing(),
            Claim::Tombstone => match (trouble, &view.gathered.start_events) {
                (None, None) => Course::Goes(Decision::ReadStartEvents),
                (trouble, events) => {
                    let trouble = trouble.or(events.as_ref().and_then(Option::as_ref));
                    let waited = view.now.duration_since(since).as_secs();
                    let (reason, message) = outcome::settle_start(trouble, waited);
                    Course::Nothing(reason, message)
                }
            },
        }
    }

    fn running(&self) -> Course {
        if self.is_cancelled && !self.is_stopping() {
            return Course::Goes(Decision::StopPod);
        }
        let last = self.last_sight();
        if self.view.now < last {
            return Course::Goes(wait_until(last));
        }
        self.lost(LostCause::EndNotSeen, Some(self.view.now))
    }

    /// Whether the pod is being stopped already.
    fn is_stopping(&self) -> bool {
        let pod = self.view.gathered.sighting.pod.last();
        pod.is_some_and(|pod| {
            let seconds = pod
                .spec
                .as_ref()
                .and_then(|spec| spec.active_deadline_seconds);
            seconds == Some(1) || pod.metadata.deletion_timestamp.is_some()
        })
    }

    /// A pod that ended before its container started. It wrote nothing; a pod before it, torn out before this process
    /// looked, leaves nothing but its claim.
    fn never_started(&self, end: End) -> Course {
        match self.view.gathered.sighting.claim {
            Claim::Unread if self.claims => Course::Goes(Decision::Tombstone(Whose::Current)),
            Claim::Runner => {
                let cause = end.removed.unwrap_or(LostCause::PodDeleted);
                self.lost(cause, quiet_after(&end))
            }
            Claim::Unread | Claim::Tombstone => Course::NeverStarted(end),
        }
    }

    /// An attempt out of sight: bury it. One that had not claimed its work wrote nothing and never will; of any other,
    /// wait until nothing of it can write.
    pub(super) fn lost(&self, cause: LostCause, quiet_from: Option<Timestamp>) -> Course {
        let last = self.last_sight();
        let (reason, what) = match cause {
            _ if self.view.now >= last => (
                Reason::DeadlineExceeded,
                "the runner's end was not seen by its deadline",
            ),
            LostCause::JobDeleted => (
                Reason::JobDeleted,
                "the Job was deleted before its end was seen",
            ),
            LostCause::PodDeleted => (
                Reason::RunnerLost,
                "the runner's pod was deleted before its end was seen",
            ),
            LostCause::EndNotSeen => (
                Reason::RunnerLost,
                "the runner's node was lost before its end was seen",
            ),
        };
        match self.view.gathered.sighting.claim {
            Claim::Unread => Course::Goes(Decision::Tombstone(Whose::Current)),
            Claim::Tombstone if self.is_cancelled => cancelled_before_writing(),
            Claim::Tombstone => Course::Nothing(reason, format!("{what}; nothing was written")),
            Claim::Runner => {
                let from = quiet_from.map_or(last, |from| from.min(last));
                if self.view.now < from {
                    return Course::Goes(wait_until(from));
                }
                Course::Unseen(reason, what.to_owned())
            }
        }
    }

    /// After an end that leaves another pod of this attempt behind: wait until that can write nothing more. `None` once
    /// it cannot.
    pub(super) fn until_quiet(&self, end: &End) -> Option<Decision> {
        let last = self.last_sight();
        let from = quiet_after(end).map_or(last, |quiet| quiet.min(last));
        (self.view.now < from).then(|| wait_until(from))
    }

    /// When the end of the pod must have been seen.
    fn last_sight(&self) -> Timestamp {
        self.deadline
            .saturating_add(DEADLINE_GRACE)
            .unwrap_or(Timestamp::MAX)
    }
}

pub(super) fn cancelled_before_writing() -> Course {
    let message = "cancelled before the action started; nothing was written";
    Course::Nothing(Reason::Cancelled, message.to_owned())
}

/// From when on no pod that the ended one replaced can write: it was gone before this one came.
fn quiet_after(end: &End) -> Option<Timestamp> {
    let finished = end.finished_at?;
    Some(
        finished
            .saturating_add(TOKEN_OUTLIVES_POD)
            .unwrap_or(Timestamp::MAX),
    )
}

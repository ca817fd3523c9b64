//! What is seen of one attempt, and where the attempt therefore stands. Only the container that writes says that the
//! work has ended; everything that hides its end makes the attempt a lost one. What follows from that is decided
//! elsewhere.

mod jobs;
mod pod;

pub use jobs::{FIRST_ATTEMPT, Jobs, attempt_of, jobs_of};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kexec_api::names;

use pod::{failed_since, pod_state};

/// A runner's token is refused 9 s after its pod object is gone; after this long it surely writes nothing more.
pub const TOKEN_OUTLIVES_POD: SignedDuration = SignedDuration::from_secs(15);

/// How an object is known to this process.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Presence<T> {
    /// Not seen by this process.
    #[default]
    Never,
    /// There.
    Here(T),
    /// Seen before, and gone since; with its last state.
    Gone {
        /// The last state seen.
        last: T,
        /// When it was noticed to be gone.
        since: Timestamp,
    },
}

impl<T> Presence<T> {
    /// The object in its last known state.
    pub fn last(&self) -> Option<&T> {
        match self {
            Self::Never => None,
            Self::Here(object) | Self::Gone { last: object, .. } => Some(object),
        }
    }
}

/// Who holds the attempt's claim, as far as it was asked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Claim {
    /// Not asked.
    #[default]
    Unread,
    /// The controller's tombstone: this attempt never writes again.
    Tombstone,
    /// A runner's, or nobody can say any more that none had it: it may have written.
    Runner,
}

/// Everything seen of one attempt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sighting {
    /// The Job of that name.
    pub job: Presence<Job>,
    /// Its pod; of several, the newest seen.
    pub pod: Presence<Pod>,
    /// Pods that the Job had before that one: a pod that vanished is replaced, and may still have a process.
    pub earlier_pods: Vec<Presence<Pod>>,
    /// Its claim.
    pub claim: Claim,
}

/// How the container that writes ended.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct End {
    /// Exit code.
    pub exit_code: i32,
    /// The kubelet's reason, such as `OOMKilled`.
    pub reason: Option<String>,
    /// Its termination message.
    pub message: Option<String>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Why the pod failed, such as `DeadlineExceeded` or `Evicted`.
    pub pod_reason: Option<String>,
    /// Whether Kubernetes itself disrupted the pod (condition `DisruptionTarget`).
    pub disrupted: bool,
    /// What was deleted around it, if anything was: its Job, or only its pod.
    pub removed: Option<LostCause>,
}

/// Why an attempt was lost sight of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LostCause {
    /// The Job was deleted.
    JobDeleted,
    /// The pod was deleted or evicted without a last word.
    PodDeleted,
    /// The pod's end was reported by somebody who had not seen it.
    EndNotSeen,
}

/// Why the container that writes has not started yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StartTrouble {
    /// Reason, such as `ImagePullBackOff`.
    pub reason: String,
    /// What Kubernetes says about it.
    pub message: String,
}

/// Where an attempt stands.
#[derive(Clone, Debug, PartialEq)]
pub enum AttemptState {
    /// No Job of that name was ever seen by this process.
    Absent,
    /// A Job of that name belongs to another execution.
    NameTaken,
    /// The Job is there and the container that writes has not started.
    Starting {
        /// When the Job was created.
        since: Timestamp,
        /// What keeps it.
        trouble: Option<StartTrouble>,
    },
    /// The container that writes runs.
    Running,
    /// It ended.
    Ended(End),
    /// The pod ended before it started: nothing was written. The end is that of the dry run, or of the pod.
    NeverStarted(End),
    /// Nobody can say how it ended.
    Lost {
        /// Why.
        cause: LostCause,
        /// From when on no process of the attempt can write; `None` while its pod exists.
        quiet_from: Option<Timestamp>,
    },
}

/// Where the attempt stands whose writing container has this name.
#[must_use]
pub fn classify(sighting: &Sighting, execution_uid: &str, container: &str) -> AttemptState {
    let job = match &sighting.job {
        Presence::Never if sighting.pod.last().is_none() => return AttemptState::Absent,
        Presence::Here(job) if !belongs_to(job, execution_uid) => return AttemptState::NameTaken,
        Presence::Never => None,
        Presence::Here(job) | Presence::Gone { last: job, .. } => Some(job),
    };
    if !sighting.earlier_pods.is_empty() {
        return AttemptState::Lost {
            cause: LostCause::PodDeleted,
            quiet_from: quiet_from(sighting, container),
        };
    }
    let from_pod = sighting
        .pod
        .last()
        .and_then(|pod| pod_state(pod, container));
    match (&sighting.job, &sighting.pod, from_pod) {
        (_, _, Some(AttemptState::Ended(end))) => AttemptState::Ended(with_removal(end, sighting)),
        (_, _, Some(AttemptState::NeverStarted(end))) => {
            AttemptState::NeverStarted(with_removal(end, sighting))
        }
        (_, Presence::Gone { since, .. }, _) => lost(LostCause::PodDeleted, Some(*since)),
        (_, Presence::Here(pod), Some(AttemptState::Lost { cause, .. })) => {
            lost(cause, failed_since(pod))
        }
        (Presence::Gone { .. } | Presence::Never, Presence::Here(_), _) => {
            lost(LostCause::JobDeleted, None)
        }
        (Presence::Gone { since, .. }, Presence::Never, _) => {
            lost(LostCause::JobDeleted, Some(*since))
        }
        (Presence::Here(_), Presence::Here(_), Some(state)) => state,
        (_, _, _) => job.map_or(AttemptState::Absent, without_pod),
    }
}

/// From when on none of several pods can write; what one of them says of itself tells nothing of the others.
fn quiet_from(sighting: &Sighting, container: &str) -> Option<Timestamp> {
    let pods = sighting.earlier_pods.iter().chain([&sighting.pod]);
    let mut quiet = pods.map(|pod| {
        let state = pod.last().and_then(|pod| pod_state(pod, container));
        match (state, pod) {
            (Some(AttemptState::Ended(_) | AttemptState::NeverStarted(_)), _)
            | (_, Presence::Never) => Some(Timestamp::MIN),
            (_, Presence::Gone { since, .. }) => Some(
                since
                    .saturating_add(TOKEN_OUTLIVES_POD)
                    .unwrap_or(Timestamp::MAX),
            ),
            (_, Presence::Here(_)) => None,
        }
    });
    quiet.try_fold(Timestamp::MIN, |all, one| one.map(|one| all.max(one)))
}

/// Says of an end whether somebody deleted the Job or the pod.
fn with_removal(end: End, sighting: &Sighting) -> End {
    let job_goes = match &sighting.job {
        Presence::Never => false,
        Presence::Here(job) => job.metadata.deletion_timestamp.is_some(),
        Presence::Gone { .. } => true,
    };
    let pod_goes = match &sighting.pod {
        Presence::Never => false,
        Presence::Here(pod) => pod.metadata.deletion_timestamp.is_some(),
        Presence::Gone { .. } => true,
    };
    let removed = match (job_goes, pod_goes) {
        (true, _) => Some(LostCause::JobDeleted),
        (false, true) => Some(LostCause::PodDeleted),
        (false, false) => None,
    };
    End { removed, ..end }
}

fn lost(cause: LostCause, gone: Option<Timestamp>) -> AttemptState {
    AttemptState::Lost {
        cause,
        quiet_from: gone.map(|gone| {
            gone.saturating_add(TOKEN_OUTLIVES_POD)
                .unwrap_or(Timestamp::MAX)
        }),
    }
}

fn belongs_to(job: &Job, execution_uid: &str) -> bool {
    let labels = job.metadata.labels.as_ref();
    labels
        .and_then(|labels| labels.get(names::LABEL_EXECUTION_UID))
        .is_some_and(|uid| uid == execution_uid)
}

/// A Job without a pod: not started, or its pod went while nobody looked.
fn without_pod(job: &Job) -> AttemptState {
    let conditions = job
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    let over = conditions
        .filter(|condition| {
            matches!(
                condition.type_.as_str(),
                "Failed" | "FailureTarget" | "Complete" | "SuccessCriteriaMet"
            ) && condition.status == "True"
        })
        .find_map(|condition| condition.last_transition_time.as_ref());
    match over {
        Some(since) => lost(LostCause::PodDeleted, Some(since.0)),
        None => AttemptState::Starting {
            since: created(job),
            trouble: None,
        },
    }
}

fn created(job: &Job) -> Timestamp {
    job.metadata
        .creation_timestamp
        .as_ref()
        .map_or(Timestamp::MIN, |time| time.0)
}

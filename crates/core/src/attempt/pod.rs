//! What a pod alone says of its attempt. Only the container that writes tells of the end of the work.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, Pod};

use super::{AttemptState, End, LostCause, StartTrouble, lost};

/// The kubelet's word for a pod whose time is over.
const DEADLINE_EXCEEDED: &str = "DeadlineExceeded";

/// What the pod alone says.
pub(super) fn pod_state(pod: &Pod, container: &str) -> Option<AttemptState> {
    let status = pod.status.as_ref()?;
    let over = matches!(status.phase.as_deref(), Some("Failed" | "Succeeded"));
    let main = status
        .container_statuses
        .iter()
        .flatten()
        .find(|one| one.name == container);
    let state = main.and_then(|main| main.state.as_ref());
    Some(match state {
        Some(ContainerState {
            terminated: Some(end),
            ..
        }) if end.started_at.is_some() => AttemptState::Ended(ended(pod, end)),
        Some(ContainerState {
            terminated: Some(_),
            ..
        }) => lost(LostCause::EndNotSeen, None),
        Some(ContainerState {
            running: Some(_), ..
        }) if over => lost(LostCause::EndNotSeen, None),
        Some(ContainerState {
            running: Some(_), ..
        }) => AttemptState::Running,
        Some(_) | None => not_started(pod, over),
    })
}

/// A pod whose writing container waits: over before its start, or still on its way.
fn not_started(pod: &Pod, over: bool) -> AttemptState {
    let inits = || {
        pod.status
            .iter()
            .flat_map(|status| status.init_container_statuses.iter().flatten())
    };
    let failed_init = inits()
        .filter_map(terminated)
        .find(|end| end.exit_code != 0);
    match failed_init {
        Some(end) => AttemptState::NeverStarted(ended(pod, end)),
        None if over && is_collected(pod) => lost(LostCause::EndNotSeen, None),
        None if over => {
            AttemptState::NeverStarted(ended(pod, &ContainerStateTerminated::default()))
        }
        None => AttemptState::Starting {
            since: pod
                .metadata
                .creation_timestamp
                .as_ref()
                .map_or(Timestamp::MIN, |time| time.0),
            trouble: trouble(pod),
        },
    }
}

/// Whether the pod was declared failed because its node is gone: what its containers did last was not told then.
fn is_collected(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    conditions
        .filter(|condition| condition.type_ == "DisruptionTarget")
        .any(|condition| condition.reason.as_deref() == Some("DeletionByPodGC"))
}

fn terminated(status: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    status.state.as_ref()?.terminated.as_ref()
}

fn ended(pod: &Pod, end: &ContainerStateTerminated) -> End {
    let status = pod.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_ref());
    End {
        exit_code: end.exit_code,
        reason: end.reason.clone(),
        message: end
            .message
            .clone()
            .or_else(|| status.and_then(|status| status.message.clone())),
        finished_at: end.finished_at.as_ref().map(|time| time.0),
        pod_reason: status
            .and_then(|status| status.reason.clone())
            .or_else(|| is_past_deadline(pod, end).then(|| DEADLINE_EXCEEDED.to_owned())),
        disrupted: conditions
            .into_iter()
            .flatten()
            .any(|condition| condition.type_ == "DisruptionTarget" && condition.status == "True"),
        removed: None,
    }
}

/// Whether the container ended when the pod's time was over. The kubelet says so of the pod about a second after it told
/// of the container's end, and that is the event to act on.
fn is_past_deadline(pod: &Pod, end: &ContainerStateTerminated) -> bool {
    let started = pod
        .status
        .as_ref()
        .and_then(|status| status.start_time.as_ref());
    let seconds = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.active_deadline_seconds);
    let finished = end.finished_at.as_ref();
    let times = started.zip(seconds).zip(finished);
    times.is_some_and(|((started, seconds), finished)| {
        finished.0.as_second().saturating_sub(started.0.as_second()) >= seconds
    })
}

/// When a pod that failed without an end that anybody saw was declared so.
pub(super) fn failed_since(pod: &Pod) -> Option<Timestamp> {
    let conditions = pod
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    conditions
        .filter(|condition| condition.type_ == "DisruptionTarget")
        .find_map(|condition| condition.last_transition_time.as_ref())
        .map(|time| time.0)
}

/// What keeps a container from starting: the image, or the scheduler.
fn trouble(pod: &Pod) -> Option<StartTrouble> {
    let status = pod.status.as_ref()?;
    let containers = status
        .init_container_statuses
        .iter()
        .chain(status.container_statuses.iter())
        .flatten();
    let waiting = containers
        .filter_map(|container| container.state.as_ref()?.waiting.as_ref())
        .find(|waiting| {
            !matches!(
                waiting.reason.as_deref(),
                None | Some("PodInitializing" | "ContainerCreating")
            )
        });
    if let Some(waiting) = waiting {
        return Some(StartTrouble {
            reason: waiting.reason.clone().unwrap_or_default(),
            message: waiting.message.clone().unwrap_or_default(),
        });
    }
    let unscheduled = status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")?;
    Some(StartTrouble {
        reason: unscheduled.reason.clone().unwrap_or_default(),
        message: unscheduled.message.clone().unwrap_or_default(),
    })
}

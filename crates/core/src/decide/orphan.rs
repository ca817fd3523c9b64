//! A Job whose execution is gone: nobody waits for its outcome any more, so it is stopped and given its time to live.
//! Nothing is undone.

use jiff::Timestamp;

use super::Decision;
use super::finished::time_to_live;
use crate::attempt::{AttemptState, Claim, Presence, Sighting, classify};
use crate::request;
use crate::settings::Settings;

/// What is to be done next about the Job of an execution with this UID that does not exist any more.
#[must_use]
pub fn decide_orphan(
    sighting: &Sighting,
    execution_uid: &str,
    settings: &Settings,
    now: Timestamp,
) -> Decision {
    let Presence::Here(job) = &sighting.job else {
        return Decision::Wait { until: None };
    };
    let expires = job
        .spec
        .as_ref()
        .is_some_and(|spec| spec.ttl_seconds_after_finished.is_some());
    if expires || job.metadata.deletion_timestamp.is_some() {
        return Decision::Wait { until: None };
    }
    let pod_spec = job
        .spec
        .as_ref()
        .and_then(|spec| spec.template.spec.as_ref());
    let dry_run = pod_spec.is_some_and(|spec| spec.init_containers.is_none());
    match classify(sighting, execution_uid, request::container(dry_run)) {
        AttemptState::Absent | AttemptState::NameTaken => Decision::Wait { until: None },
        AttemptState::Ended(end) | AttemptState::NeverStarted(end) => Decision::ExpireJob {
            seconds: time_to_live(settings, now, end.finished_at),
        },
        AttemptState::Starting { .. } => match sighting.claim {
            Claim::Unread => Decision::Tombstone,
            Claim::Tombstone | Claim::Runner => Decision::DeleteJob,
        },
        AttemptState::Running => {
            let pod = sighting.pod.last().and_then(|pod| pod.spec.as_ref());
            if pod.and_then(|spec| spec.active_deadline_seconds) == Some(1) {
                Decision::Wait { until: None }
            } else {
                Decision::StopPod
            }
        }
        AttemptState::Lost { quiet_from, .. } => match (sighting.claim, quiet_from) {
            (Claim::Unread, _) => Decision::Tombstone,
            (Claim::Tombstone | Claim::Runner, Some(from)) if now < from => {
                Decision::Wait { until: Some(from) }
            }
            // A pod whose end nobody saw may stay for good: deleting the Job is what stops it.
            (Claim::Tombstone | Claim::Runner, Some(_) | None) => Decision::DeleteJob,
        },
    }
}

//! A Job whose execution is gone: nobody waits for its outcome any more, so it is stopped and given its time to live.
//! Nothing is undone.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kexec_api::names;
use kexec_api::work::Stage;

use super::finished::time_to_live;
use super::{Decision, Whose};
use crate::attempt::{AttemptState, Claim, Presence, Sighting, classify};
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
    // One that undoes the action is left to end by itself: half undone is worse than either.
    let undoes = label(job, names::LABEL_STAGE) == Some(Stage::Rollback.as_str());
    match classify(sighting, execution_uid, container(job)) {
        AttemptState::Absent | AttemptState::NameTaken => Decision::Wait { until: None },
        AttemptState::Ended(end) | AttemptState::NeverStarted(end) => Decision::ExpireJob {
            whose: Whose::Current,
            seconds: time_to_live(settings, now, end.finished_at),
        },
        AttemptState::Starting { .. } | AttemptState::Running if undoes => {
            Decision::Wait { until: None }
        }
        AttemptState::Starting { .. } => match sighting.claim {
            Claim::Unread => Decision::Tombstone(Whose::Current),
            Claim::Tombstone | Claim::Runner => Decision::DeleteJob(Whose::Current),
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
            (Claim::Unread, _) => Decision::Tombstone(Whose::Current),
            (Claim::Tombstone | Claim::Runner, Some(from)) if now < from => {
                Decision::Wait { until: Some(from) }
            }
            // A pod whose end nobody saw may stay for good: deleting the Job is what stops it.
            (Claim::Tombstone | Claim::Runner, Some(_) | None) => {
                Decision::DeleteJob(Whose::Current)
            }
        },
    }
}

/// Name of the container whose end is the attempt's end.
fn container(job: &Job) -> &str {
    let template = job.spec.as_ref().map(|spec| &spec.template);
    let pod = template.and_then(|template| template.spec.as_ref());
    pod.and_then(|pod| pod.containers.first())
        .map_or(names::CONTAINER_EXECUTE, |container| &container.name)
}

fn label<'a>(job: &'a Job, key: &str) -> Option<&'a str> {
    let labels = job.metadata.labels.as_ref();
    labels?.get(key).map(String::as_str)
}

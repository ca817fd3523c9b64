//! After the end: nothing of the attempt goes on, its Job gets its time to live, and the execution its own.

use jiff::{SignedDuration, Timestamp};

use kexec_api::condition::ConditionType;

use super::{Decision, wait_until};
use crate::attempt::{AttemptState, Claim, Presence, classify};
use crate::request;
use crate::settings::Settings;
use crate::status;
use crate::view::View;

pub(super) fn decide(view: &View<'_>) -> Decision {
    let next = clean_up(view).or_else(|| refuse_rollback(view));
    next.unwrap_or_else(|| expire(view))
}

/// A rollback that is asked for after the end is said, once, not to be performed. What is kept of a finished execution
/// is pruned, so the whole of it is read before anything is written into it.
fn refuse_rollback(view: &View<'_>) -> Option<Decision> {
    if !view.execution.spec.is_rollback_requested() {
        return None;
    }
    if !view.gathered.is_fresh {
        return Some(Decision::Refresh);
    }
    let status = view.execution.status.as_ref();
    let is_said =
        status.is_some_and(|status| status.condition(ConditionType::RolledBack).is_some());
    (!is_said).then(|| Decision::Record(Box::new(status::rollback_not_performed(view))))
}

/// What is left to do about the attempt's Job, if anything is.
fn clean_up(view: &View<'_>) -> Option<Decision> {
    let Presence::Here(job) = &view.gathered.sighting.job else {
        return None;
    };
    let expires = job
        .spec
        .as_ref()
        .is_some_and(|spec| spec.ttl_seconds_after_finished.is_some());
    if expires || job.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let container = request::container(request::is_dry_run(&view.execution.spec));
    match classify(&view.gathered.sighting, view.uid(), container) {
        AttemptState::Ended(end) | AttemptState::NeverStarted(end) => Some(Decision::ExpireJob {
            seconds: time_to_live(view.settings, view.now, end.finished_at),
        }),
        AttemptState::NameTaken | AttemptState::Absent => None,
        AttemptState::Starting { .. } | AttemptState::Running | AttemptState::Lost { .. } => {
            match view.gathered.sighting.claim {
                Claim::Unread => Some(Decision::Tombstone),
                Claim::Tombstone | Claim::Runner => Some(Decision::DeleteJob),
            }
        }
    }
}

/// The clock of a Job's time to live runs from its finish, which may be long ago when a controller comes back.
pub(super) fn time_to_live(
    settings: &Settings,
    now: Timestamp,
    finished_at: Option<Timestamp>,
) -> i32 {
    let since = finished_at.map_or(SignedDuration::ZERO, |finished| {
        now.duration_since(finished)
    });
    let seconds = settings
        .job_ttl
        .saturating_add(since.max(SignedDuration::ZERO))
        .as_secs();
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

fn expire(view: &View<'_>) -> Decision {
    if view.execution.metadata.deletion_timestamp.is_some() {
        return Decision::Wait { until: None };
    }
    let own = view
        .execution
        .spec
        .ttl_seconds_after_finished
        .map(|seconds| SignedDuration::from_secs(i64::from(seconds)));
    let ttl = own.unwrap_or(view.settings.execution_ttl);
    let summary = view
        .execution
        .status
        .as_ref()
        .and_then(|status| status.execution_summary.as_ref());
    let completed = summary.and_then(|summary| summary.completion_time.as_ref());
    let Some(completed) = completed.filter(|_| !ttl.is_zero()) else {
        return Decision::Wait { until: None };
    };
    let until = completed.0.saturating_add(ttl).unwrap_or(Timestamp::MAX);
    if view.now < until {
        wait_until(until)
    } else {
        Decision::DeleteExecution
    }
}

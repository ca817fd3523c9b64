//! After the end: nothing of the attempt goes on, its Job gets its time to live, and the execution its own.

use jiff::{SignedDuration, Timestamp};

use super::{Decision, Whose, rollback, wait_until};
use crate::attempt::{AttemptState, Claim, Presence, Sighting, classify};
use crate::request;
use crate::settings::Settings;
use crate::view::View;

pub(super) fn decide(view: &View<'_>) -> Decision {
    let next = clean_up_previous(view)
        .or_else(|| clean_up_current(view))
        .or_else(|| rollback::on_request(view));
    next.unwrap_or_else(|| expire(view))
}

/// What is left to do about the Job of the attempt that status names, if anything is.
fn clean_up_current(view: &View<'_>) -> Option<Decision> {
    let dry_run = request::is_dry_run(&view.execution.spec);
    let container = request::container(dry_run);
    clean_up(view, &view.gathered.sighting, (Whose::Current, container))
}

/// The same about the attempt before that one.
pub(super) fn clean_up_previous(view: &View<'_>) -> Option<Decision> {
    let sighting = view.gathered.previous.as_ref()?;
    let container = request::container(request::is_dry_run(&view.execution.spec));
    clean_up(view, sighting, (Whose::Previous, container))
}

fn clean_up(
    view: &View<'_>,
    sighting: &Sighting,
    (whose, container): (Whose, &str),
) -> Option<Decision> {
    let Presence::Here(job) = &sighting.job else {
        return None;
    };
    let expires = job
        .spec
        .as_ref()
        .is_some_and(|spec| spec.ttl_seconds_after_finished.is_some());
    if expires || job.metadata.deletion_timestamp.is_some() {
        return None;
    }
    match classify(sighting, view.uid(), container) {
        AttemptState::Ended(end) | AttemptState::NeverStarted(end) => Some(Decision::ExpireJob {
            whose,
            seconds: time_to_live(view.settings, view.now, end.finished_at),
        }),
        AttemptState::NameTaken | AttemptState::Absent => None,
        AttemptState::Starting { .. } | AttemptState::Running | AttemptState::Lost { .. } => {
            match sighting.claim {
                Claim::Unread => Some(Decision::Tombstone(whose)),
                Claim::Tombstone | Claim::Runner => Some(Decision::DeleteJob(whose)),
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
    let undone = rolled_back_at(view).unwrap_or(completed.0);
    let ended = completed.0.max(undone);
    let until = ended.saturating_add(ttl).unwrap_or(Timestamp::MAX);
    if view.now < until {
        wait_until(until)
    } else {
        Decision::DeleteExecution
    }
}

/// When a rollback ended, if one did.
fn rolled_back_at(view: &View<'_>) -> Option<Timestamp> {
    let details = view.execution.status.as_ref()?.execution_details.as_ref()?;
    let ended = details
        .rollback_info
        .as_ref()?
        .rollback_completion_time
        .as_ref()?;
    Some(ended.0)
}

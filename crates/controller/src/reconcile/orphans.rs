//! Jobs whose execution is gone: stopped, given their time to live, and their tombstones removed. Looked for when an
//! execution is deleted, when such a Job changes, at the start, and every ten minutes.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kexec_api::names;
use kexec_core::attempt::{Claim, Presence};
use kexec_core::decide::{Decision, decide_orphan};
use kube::ResourceExt;
use tokio::sync::mpsc;

use super::Context;
use super::plans;
use super::record::release;
use crate::cluster::CallError;

/// How often all Jobs are looked at.
const SWEEP_EVERY: Duration = Duration::from_mins(10);
/// How soon a failed look is repeated.
const RETRY: Duration = Duration::from_secs(1);
/// How soon an execution that the watch has not shown yet is looked for again.
const SEEN_SOON: SignedDuration = SignedDuration::from_secs(5);
/// Most decisions about one Job at a time.
const MAX_DECISIONS: usize = 8;

/// Where orphans are told of.
pub struct Orphans {
    /// UIDs of executions that were deleted.
    pub gone: mpsc::UnboundedReceiver<String>,
    /// Names of Jobs without execution that changed.
    pub jobs: mpsc::UnboundedReceiver<String>,
}

impl Orphans {
    /// Looks after orphans until dropped.
    pub async fn run(mut self, context: Arc<Context>) {
        let (again, mut due) = mpsc::unbounded_channel();
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        loop {
            tokio::select! {
                Some(uid) = self.gone.recv() => {
                    forget(&uid, &context);
                    for job in context.attempts.jobs_of(&uid) {
                        look_after(job, &context, &again).await;
                    }
                    plans::forget(&uid, &context).await;
                }
                Some(job) = self.jobs.recv() => look_after(job, &context, &again).await,
                Some(job) = due.recv() => look_after(job, &context, &again).await,
                _ = sweep.tick() => {
                    for (job, _) in context.attempts.present() {
                        look_after(job, &context, &again).await;
                    }
                    if let Err(error) = sweep_tombstones(&context).await {
                        tracing::warn!(%error, "tombstones were not swept");
                    }
                    if let Err(error) = plans::sweep(&context).await {
                        tracing::warn!(%error, "plans were not swept");
                    }
                }
            }
        }
    }
}

/// Nothing waits for a deleted execution any more.
fn forget(uid: &str, context: &Context) {
    release(uid, context);
    context.proofs.end(uid);
    context.memory.forget(uid);
}

async fn look_after(job: String, context: &Context, again: &mpsc::UnboundedSender<String>) {
    let retry_in = match stop(&job, context).await {
        Ok(None) => return,
        Ok(Some(until)) => {
            Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default()
        }
        Err(error) => {
            tracing::warn!(%error, job, "the Job of a deleted execution was not stopped");
            RETRY
        }
    };
    let again = again.clone();
    tokio::spawn(async move {
        tokio::time::sleep(retry_in).await;
        drop(again.send(job));
    });
}

/// Decides about one Job until there is nothing to do now; returns when to look again.
async fn stop(job: &str, context: &Context) -> Result<Option<Timestamp>, CallError> {
    let Some(uid) = context.attempts.execution_uid(job) else {
        return Ok(None);
    };
    if context.executions.by_uid(&uid).is_some() || !is_in_scope(job, context) {
        return Ok(None);
    }
    if lives(job, &uid, context).await? {
        // The watch of executions is behind that of Jobs: whoever has made the Job looks after it.
        return Ok(Timestamp::now().saturating_add(SEEN_SOON).ok());
    }
    let mut claim = Claim::Unread;
    for _ in 0..MAX_DECISIONS {
        let now = Timestamp::now();
        let mut sighting = context.attempts.sighting(job);
        sighting.claim = claim;
        match decide_orphan(&sighting, &uid, &context.settings, now) {
            Decision::Tombstone(_) => claim = context.cluster.tombstone(job, &uid, now).await?,
            Decision::StopPod => {
                let Presence::Here(pod) = &sighting.pod else {
                    return Ok(None);
                };
                tracing::info!(
                    job,
                    "execution was deleted: its runner is stopped, nothing is undone"
                );
                context.events.orphaned(job, &uid);
                if let Some(pod) = context.cluster.stop_pod(pod).await? {
                    context.attempts.changed_pod(job, pod);
                }
                return Ok(None);
            }
            Decision::DeleteJob(_) => {
                if let Some(changed) = context.cluster.delete_job(job).await? {
                    context.attempts.changed_job(changed);
                }
                return Ok(None);
            }
            Decision::ExpireJob { seconds, .. } => {
                if let Some(changed) = context.cluster.expire_job(job, seconds).await? {
                    context.attempts.changed_job(changed);
                }
                return Ok(None);
            }
            Decision::Wait { until } => return Ok(until),
            Decision::TakeTurn(_)
            | Decision::Probe
            | Decision::Read(_)
            | Decision::Ask(_)
            | Decision::Record(_)
            | Decision::RecordIntent(..)
            | Decision::Refresh
            | Decision::KeepPlan(_)
            | Decision::ReadPlan
            | Decision::CreateJob(_)
            | Decision::ReadStartEvents
            | Decision::Watch(_)
            | Decision::DeleteExecution => return Ok(None),
        }
    }
    Ok(None)
}

/// Whether the Job's execution exists, by the API server and not by the watch.
async fn lives(job: &str, uid: &str, context: &Context) -> Result<bool, CallError> {
    let sighting = context.attempts.sighting(job);
    let Some(job) = sighting.job.last() else {
        return Ok(false);
    };
    let name = job.annotations().get(names::LABEL_EXECUTION);
    let name = name.or_else(|| job.labels().get(names::LABEL_EXECUTION));
    let namespace = job.labels().get(names::LABEL_EXECUTION_NAMESPACE);
    let Some((namespace, name)) = namespace.zip(name) else {
        return Ok(false);
    };
    let live = context.cluster.execution(namespace, name).await?;
    Ok(live.is_some_and(|live| live.uid().as_deref() == Some(uid)))
}

/// Whether the Job's execution would be among those this operator runs.
fn is_in_scope(job: &str, context: &Context) -> bool {
    let scope = &context.execution_namespaces;
    let sighting = context.attempts.sighting(job);
    let namespace = sighting
        .job
        .last()
        .and_then(|job| job.labels().get(names::LABEL_EXECUTION_NAMESPACE).cloned());
    scope.is_empty() || namespace.is_some_and(|namespace| scope.contains(&namespace))
}

/// Removes tombstones of attempts of which neither Job nor pod is left: their tokens died with the pods.
async fn sweep_tombstones(context: &Context) -> Result<(), CallError> {
    for lease in context.cluster.tombstones().await? {
        let sighting = context.attempts.sighting(&lease.name_any());
        let left =
            matches!(sighting.job, Presence::Here(_)) || matches!(sighting.pod, Presence::Here(_));
        let uid = lease
            .labels()
            .get(names::LABEL_EXECUTION_UID)
            .cloned()
            .unwrap_or_default();
        if !left && context.executions.by_uid(&uid).is_none() {
            context.cluster.remove_tombstone(&lease).await?;
        }
    }
    context
        .attempts
        .forget_gone(|uid| context.executions.by_uid(uid).is_some());
    Ok(())
}

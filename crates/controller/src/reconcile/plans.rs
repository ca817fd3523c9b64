//! What keeps a plan goes with its execution: at once when a deletion is seen, else in the next sweep.

use kexec_api::names;
use kexec_core::attempt::Presence;
use kube::ResourceExt;

use super::Context;
use crate::cluster::CallError;

/// Removes the plan of an execution that was deleted, if there may be one. A plan that a Job still needs is left to the
/// sweep.
pub(super) async fn forget(uid: &str, context: &Context) {
    if is_needed(uid, context) || !context.memory.forget_plan(uid) {
        return;
    }
    let name = names::plan_name(uid);
    if let Err(error) = context.cluster.remove_plan(&name).await {
        tracing::warn!(%error, name, "a plan was left to the next sweep");
    }
}

/// Removes the plans whose executions are gone, and learns of the others.
pub(super) async fn sweep(context: &Context) -> Result<(), CallError> {
    for plan in context.cluster.plan_names().await? {
        let uid = plan.labels().get(names::LABEL_EXECUTION_UID).cloned();
        let uid = uid.unwrap_or_default();
        if context.executions.by_uid(&uid).is_some() {
            context.memory.plan_kept(&uid);
        } else if !is_needed(&uid, context) && !lives(&plan, &uid, context).await? {
            context.cluster.remove_plan(&plan.name_any()).await?;
        }
    }
    Ok(())
}

/// Whether a Job that may read the plan is there.
fn is_needed(uid: &str, context: &Context) -> bool {
    let jobs = context.attempts.jobs_of(uid);
    jobs.iter().any(|job| {
        let sighting = context.attempts.sighting(job);
        let expires = sighting.job.last().is_some_and(|job| {
            let spec = job.spec.as_ref();
            spec.is_some_and(|spec| spec.ttl_seconds_after_finished.is_some())
        });
        matches!(sighting.job, Presence::Here(_)) && !expires
    })
}

/// Whether the plan's execution exists, by the API server: the watch may be behind, or look elsewhere.
async fn lives(plan: &impl ResourceExt, uid: &str, context: &Context) -> Result<bool, CallError> {
    let annotation = |key: &str| plan.annotations().get(key).cloned().unwrap_or_default();
    let namespace = annotation(names::LABEL_EXECUTION_NAMESPACE);
    let name = annotation(names::LABEL_EXECUTION);
    let live = context.cluster.execution(&namespace, &name).await?;
    Ok(live.is_some_and(|live| live.uid().as_deref() == Some(uid)))
}

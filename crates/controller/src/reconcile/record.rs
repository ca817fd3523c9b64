//! Writes status, and does what a phase that was just recorded brings with it: turns are given back, people told, figures
//! counted.

use std::sync::PoisonError;

use kexec_api::condition::{ConditionType, Reason};
use kexec_api::execution::KubernetesExecutionStatus;
use kexec_api::phase::Phase;
use kexec_core::Lookup;
use kexec_core::decide::Whose;
use kexec_core::planning::Planned;
use kube::ResourceExt;
use kube::runtime::controller::Action;

use super::gather::State;
use super::perform::{Step, show};
use super::{Context, ReconcileError};
use crate::cluster::Written;

pub(super) async fn record(
    status: &KubernetesExecutionStatus,
    state: &mut State,
    context: &Context,
) -> Result<Step, ReconcileError> {
    let written = context
        .cluster
        .write_status(&state.execution, status)
        .await
        .map_err(ReconcileError::Call)?;
    match written {
        Written::Gone => Ok(Step::Done(Action::await_change())),
        Written::Stale => {
            context
                .memory
                .update(&state.uid(), |remembered| remembered.intended = None);
            state.gathered.intended = None;
            refresh(state, context).await
        }
        Written::Yes(execution) => {
            let before = state.phase();
            let uid = state.uid();
            context.memory.update(&uid, |remembered| {
                remembered.written = Some(execution.clone());
            });
            state.execution = *execution;
            enter_phase(before, state, context);
            Ok(Step::Again)
        }
    }
}

/// What a phase that was just recorded brings with it.
fn enter_phase(before: Option<Phase>, state: &mut State, context: &Context) {
    let was_over = before.is_some_and(Phase::is_terminal);
    let is_over = state.phase().is_some_and(Phase::is_terminal);
    if is_over && was_over {
        give_back(&state.uid(), context);
    } else if is_over {
        finish(state, context);
    } else if state.phase() == Some(Phase::RollingBack) && before != state.phase() {
        begin_rollback(state, context);
    }
}

/// What was gathered for the attempt that is undone says nothing of the one that undoes it.
fn begin_rollback(state: &mut State, context: &Context) {
    let uid = state.uid();
    context.proofs.end(&uid);
    let gathered = &mut state.gathered;
    gathered.stored_plan = gathered
        .intended
        .take()
        .map(|planned| Box::new(planned.content))
        .or_else(|| gathered.stored_plan.take());
    gathered.proof = None;
    gathered.create_problem = None;
    gathered.start_events = None;
    gathered.refused_job = None;
    gathered.is_fresh = false;
    context.memory.update(&uid, |remembered| {
        remembered.intended = None;
        remembered.refused_job = None;
        remembered.stored_plan.clone_from(&gathered.stored_plan);
    });
    context.events.undone(&state.execution);
}

/// The write that everything before execution is recorded in; only after it may the plan have an effect.
pub(super) async fn record_intent(
    status: &KubernetesExecutionStatus,
    planned: Box<Planned>,
    state: &mut State,
    context: &Context,
) -> Result<Step, ReconcileError> {
    let before = state.execution.resource_version();
    // What an earlier conflict made us read says nothing of this write; a conflict now makes us read again.
    state.gathered.is_fresh = false;
    let step = record(status, state, context).await?;
    let is_ours = state.execution.resource_version() != before
        && state.execution.status.as_ref().map(|status| &status.plan) == Some(&status.plan)
        && !state.gathered.is_fresh;
    if is_ours && !state.phase().is_some_and(Phase::is_terminal) {
        let uid = state.uid();
        context.memory.update(&uid, |remembered| {
            remembered.intended = Some(planned.clone());
        });
        context.events.started(&state.execution, &planned.summary);
        state.gathered.intended = Some(planned);
    }
    Ok(step)
}

/// Gives back the turn, tells people and counts.
fn finish(state: &State, context: &Context) {
    let uid = state.uid();
    give_back(&uid, context);
    context.memory.update(&uid, |remembered| {
        remembered.intended = None;
        remembered.stored_plan = None;
    });
    context.events.finished(&state.execution);
    let status = state.execution.status.as_ref();
    let reason = status
        .and_then(|status| status.condition(ConditionType::Completed))
        .and_then(kexec_api::execution::status::Condition::known_reason)
        .unwrap_or(Reason::InternalError);
    let action = match context
        .registry
        .lookup(&state.execution.spec.action_definition.action_type)
    {
        Lookup::Found(planner) => planner.metadata().action_type,
        Lookup::NotSupported | Lookup::Unknown(_) => "unknown",
    };
    if let Some(phase) = state.phase() {
        tracing::info!(
            phase = phase.as_str(),
            reason = reason.as_str(),
            "execution ended"
        );
        context.metrics.finished(action, phase, reason);
    }
}

/// Nothing is worked on, nor looked at, for an execution that is over.
fn give_back(uid: &str, context: &Context) {
    release(uid, context);
    context.proofs.end(uid);
}

/// Gives back an execution's turn and wakes those whose turn it is now.
pub(super) fn release(uid: &str, context: &Context) {
    let next = {
        let mut queue = context.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let next = queue.release(uid);
        show(&queue, context);
        next
    };
    next.iter()
        .filter_map(|uid| context.executions.by_uid(uid))
        .for_each(|execution| context.waker.wake(execution));
}

/// Reads the execution and its Job from the API server: the watches may be behind.
pub(super) async fn refresh(state: &mut State, context: &Context) -> Result<Step, ReconcileError> {
    let (namespace, name) = (
        state.execution.namespace().unwrap_or_default(),
        state.execution.name_any(),
    );
    let live = context
        .cluster
        .execution(&namespace, &name)
        .await
        .map_err(ReconcileError::Call)?;
    let Some(live) = live.filter(|live| live.uid() == state.execution.uid()) else {
        return Ok(Step::Done(Action::await_change()));
    };
    if let Some(job) = context
        .cluster
        .job(state.job(Whose::Current))
        .await
        .map_err(ReconcileError::Call)?
    {
        context.attempts.note(job);
    }
    let kept = Box::new(live.clone());
    context
        .memory
        .update(&state.uid(), |remembered| remembered.written = Some(kept));
    state.execution = live;
    state.gathered.is_fresh = true;
    if state.gathered.turn.is_none() || state.phase().is_some_and(Phase::is_terminal) {
        release(&state.uid(), context);
    }
    Ok(Step::Again)
}

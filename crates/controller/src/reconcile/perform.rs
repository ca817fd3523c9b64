//! Performs one decision: the only place where a reconcile has an effect on the cluster.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use kexec_api::condition::{ConditionType, Reason};
use kexec_api::execution::KubernetesExecutionStatus;
use kexec_api::phase::Phase;
use kexec_core::Lookup;
use kexec_core::access::Question;
use kexec_core::attempt::{Claim, Presence};
use kexec_core::decide::Decision;
use kexec_core::facts::Need;
use kexec_core::planning::Planned;
use kexec_core::queue::{Ticket, Turn};
use kube::ResourceExt;
use kube::runtime::controller::Action;

use super::gather::State;
use super::{Context, ReconcileError, reference};
use crate::cluster::{CALL_TIMEOUT, Created, Written};

/// Whether the reconcile goes on.
pub(super) enum Step {
    /// Decide again.
    Again,
    /// Nothing more to do now.
    Done(Action),
}

pub(super) async fn perform(
    decision: Decision,
    state: &mut State,
    context: &Context,
    now: Timestamp,
) -> Result<Step, ReconcileError> {
    let call = ReconcileError::Call;
    let cluster = &context.cluster;
    match decision {
        Decision::TakeTurn(ticket) => take_turn(&ticket, state, context),
        Decision::Probe => probe(state, context).await,
        Decision::Read(needs) => read(needs, state, context).await?,
        Decision::Ask(questions) => ask(questions, state, context).await,
        Decision::Record(status) => return record(&status, state, context).await,
        Decision::RecordIntent(status, planned) => {
            return record_intent(&status, planned, state, context).await;
        }
        Decision::Refresh => return refresh(state, context).await,
        Decision::CreateJob(job) => create_job(&job, state, context).await?,
        Decision::ReadStartEvents => {
            state.gathered.start_events =
                Some(cluster.start_events(&state.job).await.map_err(call)?);
        }
        Decision::Tombstone => {
            let claim = cluster
                .tombstone(&state.job, &state.uid(), now)
                .await
                .map_err(call)?;
            remember_claim(claim, state, context);
        }
        Decision::StopPod => {
            if let Presence::Here(pod) = &state.gathered.sighting.pod
                && let Some(stopped) = cluster.stop_pod(pod).await.map_err(call)?
            {
                context.attempts.changed_pod(&state.job, stopped);
            }
            return Ok(Step::Done(Action::await_change()));
        }
        Decision::DeleteJob => {
            if let Some(job) = cluster.delete_job(&state.job).await.map_err(call)? {
                context.attempts.changed_job(job);
            }
            return Ok(Step::Done(Action::await_change()));
        }
        Decision::ExpireJob { seconds } => {
            if let Some(job) = cluster
                .expire_job(&state.job, seconds)
                .await
                .map_err(call)?
            {
                context.attempts.changed_job(job);
            }
        }
        Decision::Watch(needs) => watch(needs, state, context).await?,
        Decision::DeleteExecution => {
            cluster
                .delete_execution(&state.execution)
                .await
                .map_err(call)?;
            return Ok(Step::Done(Action::await_change()));
        }
        Decision::Wait { until } => return Ok(Step::Done(wait(until, now))),
    }
    Ok(Step::Again)
}

fn wait(until: Option<Timestamp>, now: Timestamp) -> Action {
    // Never a busy loop when the time has come between the decision and now.
    const SHORTEST: Duration = Duration::from_millis(50);
    until.map_or_else(Action::await_change, |until| {
        let left = Duration::try_from(until.duration_since(now)).unwrap_or_default();
        Action::requeue(left.max(SHORTEST))
    })
}

fn take_turn(ticket: &Ticket, state: &mut State, context: &Context) {
    let mut queue = context.queue.lock().unwrap_or_else(PoisonError::into_inner);
    state.gathered.turn = Some(queue.ask(ticket));
    show(&queue, context);
}

/// Shows the queue's lengths as figures.
fn show(queue: &kexec_core::queue::Queue, context: &Context) {
    context
        .metrics
        .working
        .set(i64::try_from(queue.working()).unwrap_or(i64::MAX));
    context
        .metrics
        .waiting
        .set(i64::try_from(queue.waiting()).unwrap_or(i64::MAX));
}

async fn probe(state: &mut State, context: &Context) {
    let seen = match context.memory.probe() {
        Some(seen) => seen,
        None => context.cluster.probe().await,
    };
    context.memory.keep_probe(&seen);
    state.gathered.connectivity = Some(seen);
}

async fn read(
    needs: Vec<Need>,
    state: &mut State,
    context: &Context,
) -> Result<(), ReconcileError> {
    let start = Instant::now();
    let facts = join_all(needs.iter().map(|need| context.cluster.read(need))).await;
    for (need, fact) in needs.into_iter().zip(facts) {
        state
            .gathered
            .facts
            .insert(need, fact.map_err(ReconcileError::Call)?);
    }
    state.gathered.timings.reads = state.gathered.timings.reads.saturating_add(took(start));
    Ok(())
}

async fn ask(questions: Vec<Question>, state: &mut State, context: &Context) {
    let start = Instant::now();
    state
        .gathered
        .answers
        .extend(context.memory.answers(&questions));
    let open: Vec<&Question> = questions
        .iter()
        .filter(|question| !state.gathered.answers.contains_key(question))
        .collect();
    let answers = join_all(open.iter().map(|question| context.cluster.ask(question))).await;
    for (question, answer) in open.into_iter().zip(answers) {
        context.memory.keep_answer(question, &answer);
        state.gathered.answers.insert(question.clone(), answer);
    }
    state.gathered.timings.access = state.gathered.timings.access.saturating_add(took(start));
}

fn took(start: Instant) -> SignedDuration {
    SignedDuration::try_from(start.elapsed()).unwrap_or(SignedDuration::MAX)
}

async fn record(
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
            let was_over = state.phase().is_some_and(Phase::is_terminal);
            let uid = state.uid();
            context.memory.update(&uid, |remembered| {
                remembered.written = Some(execution.clone());
            });
            state.execution = *execution;
            if !was_over && state.phase().is_some_and(Phase::is_terminal) {
                finish(state, context);
            }
            Ok(Step::Again)
        }
    }
}

/// The write that everything before execution is recorded in; only after it may the plan have an effect.
async fn record_intent(
    status: &KubernetesExecutionStatus,
    planned: Box<Planned>,
    state: &mut State,
    context: &Context,
) -> Result<Step, ReconcileError> {
    let before = state.execution.resource_version();
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
    release(&uid, context);
    context.proofs.end(&uid);
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
async fn refresh(state: &mut State, context: &Context) -> Result<Step, ReconcileError> {
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
        .job(&state.job)
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

async fn create_job(job: &Job, state: &mut State, context: &Context) -> Result<(), ReconcileError> {
    let uid = state.uid();
    let created = context.cluster.create_job(job).await;
    // An answer that is missing may hide a Job; only refusals without a gap prove that there is none.
    let refused = created.as_ref().ok().and_then(Created::problem).cloned();
    context.memory.update(&uid, |remembered| {
        remembered.refused_job.clone_from(&refused);
    });
    state.gathered.refused_job.clone_from(&refused);
    match created.map_err(ReconcileError::Call)? {
        Created::Job(created) => {
            context.attempts.note(*created);
            let planned = state.gathered.intended.take();
            let plan = planned.map(|planned| Box::new(planned.content));
            context.memory.update(&uid, |remembered| {
                remembered.intended = None;
                remembered.stored_plan.clone_from(&plan);
            });
            state.gathered.stored_plan = plan;
            state.gathered.create_problem = None;
        }
        Created::Problem(problem) => state.gathered.create_problem = Some(problem),
    }
    Ok(())
}

fn remember_claim(claim: Claim, state: &mut State, context: &Context) {
    state.gathered.sighting.claim = claim;
    context
        .memory
        .update(&state.uid(), |remembered| remembered.claim = claim);
}

async fn watch(
    needs: Vec<Need>,
    state: &mut State,
    context: &Context,
) -> Result<(), ReconcileError> {
    let uid = state.uid();
    if let Some(Turn::Granted) = state.gathered.turn {
        context
            .proofs
            .begin(&uid, &reference(&state.execution), needs);
    }
    let read = tokio::time::timeout(CALL_TIMEOUT, context.proofs.wait_until_read(&uid)).await;
    read.map_err(|_| ReconcileError::ReadProof)
}

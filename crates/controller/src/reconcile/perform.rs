//! Performs one decision: the only place where a reconcile has an effect on the cluster.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use kexec_api::names;
use kexec_core::access::Question;
use kexec_core::attempt::{Claim, Presence};
use kexec_core::decide::{Decision, Whose};
use kexec_core::facts::Need;
use kexec_core::queue::{Ticket, Turn};
use kexec_core::storage;
use kube::runtime::controller::Action;

use super::gather::State;
use super::record::{record, record_intent, refresh};
use super::{Context, ReconcileError, reference};
use crate::cluster::{CALL_TIMEOUT, Created};

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
        Decision::KeepPlan(plan) => keep_plan(&plan, state, context).await?,
        Decision::ReadPlan => read_plan(state, context).await?,
        Decision::CreateJob(job) => create_job(&job, state, context).await?,
        Decision::ReadStartEvents => {
            state.gathered.start_events = Some(
                cluster
                    .start_events(state.job(Whose::Current))
                    .await
                    .map_err(call)?,
            );
        }
        Decision::Tombstone(whose) => {
            let job = state.job(whose).to_owned();
            let claim = cluster
                .tombstone(&job, &state.uid(), now)
                .await
                .map_err(call)?;
            remember_claim(job, claim, state, context);
        }
        Decision::StopPod => {
            stop_pod(state, context).await?;
            return Ok(Step::Done(Action::await_change()));
        }
        Decision::DeleteJob(whose) => {
            let deleted = cluster.delete_job(state.job(whose)).await.map_err(call)?;
            if let Some(job) = deleted {
                context.attempts.changed_job(job);
            }
            if whose == Whose::Current {
                return Ok(Step::Done(Action::await_change()));
            }
        }
        Decision::ExpireJob { whose, seconds } => {
            if let Some(job) = cluster
                .expire_job(state.job(whose), seconds)
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
pub(super) fn show(queue: &kexec_core::queue::Queue, context: &Context) {
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

async fn keep_plan(
    plan: &ConfigMap,
    state: &mut State,
    context: &Context,
) -> Result<(), ReconcileError> {
    context.memory.plan_kept(&state.uid());
    let problem = context.cluster.keep_plan(plan).await;
    state.gathered.create_problem = problem.map_err(ReconcileError::Call)?;
    state.gathered.plan_is_kept = state.gathered.create_problem.is_none();
    Ok(())
}

async fn read_plan(state: &mut State, context: &Context) -> Result<(), ReconcileError> {
    let name = names::plan_name(&state.uid());
    let found = context.cluster.plan(&name).await;
    let found = found.map_err(ReconcileError::Call)?;
    let status = state.execution.status.as_ref();
    let hash = status.and_then(|status| status.plan.as_ref()?.hash.as_deref());
    state.gathered.stored_plan = found
        .zip(hash)
        .and_then(|(found, hash)| storage::read(&found, hash))
        .map(Box::new);
    state.gathered.plan_was_read = true;
    Ok(())
}

async fn stop_pod(state: &State, context: &Context) -> Result<(), ReconcileError> {
    if let Presence::Here(pod) = &state.gathered.sighting.pod {
        let stopped = context.cluster.stop_pod(pod).await;
        if let Some(stopped) = stopped.map_err(ReconcileError::Call)? {
            let job = state.job(Whose::Current);
            context.attempts.changed_pod(job, stopped);
        }
    }
    Ok(())
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
            if let Some(planned) = state.gathered.intended.take() {
                state.gathered.stored_plan = Some(Box::new(planned.content));
            }
            context.memory.update(&uid, |remembered| {
                remembered.intended = None;
                remembered
                    .stored_plan
                    .clone_from(&state.gathered.stored_plan);
            });
            state.gathered.create_problem = None;
        }
        Created::Problem(problem) => state.gathered.create_problem = Some(problem),
    }
    Ok(())
}

fn remember_claim(job: String, claim: Claim, state: &mut State, context: &Context) {
    state.claims.insert(job, claim);
    context.memory.update(&state.uid(), |remembered| {
        remembered.claims.clone_from(&state.claims);
    });
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

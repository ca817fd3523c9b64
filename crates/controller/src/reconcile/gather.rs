//! What a reconcile starts from: the newest execution, what is remembered of it, and what the watches show.

use std::collections::BTreeMap;

use kexec_api::execution::KubernetesExecution;
use kexec_api::names;
use kexec_api::phase::Phase;
use kexec_api::plan::PlanContent;
use kexec_api::work::WorkOrder;
use kexec_core::attempt::{Claim, Jobs, Sighting, jobs_of};
use kexec_core::decide::Whose;
use kexec_core::queue::{Ticket, Turn};
use kexec_core::view::Gathered;
use kube::ResourceExt;

use super::Context;
use super::record::release;
use crate::memory::newer;

/// One reconcile's knowledge.
pub(super) struct State {
    /// The execution as it is now.
    pub(super) execution: KubernetesExecution,
    /// What was gathered for it.
    pub(super) gathered: Gathered,
    /// Names of its Jobs.
    pub(super) jobs: Jobs,
    /// Who holds its claims, by the names of the Jobs.
    pub(super) claims: BTreeMap<String, Claim>,
}

impl State {
    pub(super) fn uid(&self) -> String {
        self.execution.uid().unwrap_or_default()
    }

    /// Name of an attempt's Job.
    pub(super) fn job(&self, whose: Whose) -> &str {
        match whose {
            Whose::Current => &self.jobs.current,
            Whose::Previous => self.jobs.previous.as_deref().unwrap_or_default(),
        }
    }

    pub(super) fn phase(&self) -> Option<Phase> {
        self.execution
            .status
            .as_ref()
            .and_then(|status| status.phase)
    }
}

/// What is remembered.
pub(super) fn begin(execution: &KubernetesExecution, context: &Context) -> State {
    let uid = execution.uid().unwrap_or_default();
    let remembered = context.memory.recall(&uid);
    let execution = newer(execution, remembered.written.as_deref());
    let mut state = State {
        jobs: jobs_of(&execution),
        execution,
        gathered: Gathered {
            policy_problem: context.policies.problem(),
            intended: remembered.intended,
            stored_plan: remembered.stored_plan,
            refused_job: remembered.refused_job,
            ..Gathered::default()
        },
        claims: remembered.claims,
    };
    if matches!(
        state.phase(),
        Some(Phase::Executing | Phase::Monitoring | Phase::RollingBack)
    ) {
        let ticket = Ticket::of(&state.execution);
        context
            .queue
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .restore(ticket);
        state.gathered.turn = Some(Turn::Granted);
    } else if state.phase().is_some_and(Phase::is_terminal)
        && !state.execution.spec.is_rollback_requested()
    {
        // Given back already, unless another leader ended it while our watch was behind.
        release(&uid, context);
    }
    state
}

/// What the watches show now.
pub(super) fn look(state: &mut State, context: &Context) {
    state.jobs = jobs_of(&state.execution);
    state.gathered.sighting = seen(&state.jobs.current, state, context);
    let previous = state.jobs.previous.as_ref();
    state.gathered.previous = previous.map(|job| Box::new(seen(job, state, context)));
    state.gathered.proof = context.proofs.facts(&state.uid());
    if state.gathered.stored_plan.is_none() && state.gathered.intended.is_none() {
        state.gathered.stored_plan = stored_plan(state).map(Box::new);
    }
}

fn seen(job: &str, state: &State, context: &Context) -> Sighting {
    Sighting {
        claim: state.claims.get(job).copied().unwrap_or_default(),
        ..context.attempts.sighting(job)
    }
}

/// The plan of the recorded intent: as its Job carries it, or as status keeps it; only with the hash of the intent.
fn stored_plan(state: &State) -> Option<PlanContent> {
    let status = state.execution.status.as_ref()?;
    let hash = status.plan.as_ref()?.hash.as_deref()?;
    let from_job = |sighting: &Sighting| {
        let job = sighting.job.last()?;
        let template = job.spec.as_ref()?.template.metadata.as_ref()?;
        let order = template
            .annotations
            .as_ref()?
            .get(names::ANNOTATION_WORK_ORDER)?;
        serde_json::from_str::<WorkOrder>(order)
            .ok()
            .map(|order| order.plan)
    };
    let from_status = || {
        let rollback = status.execution_details.as_ref()?.rollback_info.as_ref()?;
        let kept = rollback.rollback_state.as_ref()?.get("plan")?;
        serde_json::from_value::<PlanContent>(kept.clone()).ok()
    };
    from_job(&state.gathered.sighting)
        .or_else(|| from_job(state.gathered.previous.as_ref()?))
        .or_else(from_status)
        .filter(|plan| plan.hash().is_ok_and(|computed| computed.as_str() == hash))
}

//! The phase machine: facts in, one decision out. Pure and exhaustive; every decision is plain data that the
//! controller performs, after which it asks again.

mod execute;
mod finished;
mod follow;
mod order;
mod orphan;
mod prove;
mod rollback;
mod start;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use kexec_actions::facts::Need;
use kexec_api::condition::Reason;
use kexec_api::execution::KubernetesExecutionStatus;
use kexec_api::execution::status::PlanStorage;
use kexec_api::phase::Phase;

use crate::access::Question;
use crate::planning::Planned;
use crate::queue::Ticket;
use crate::request::Refusal;
use crate::status::{self, Finish};
use crate::view::View;

pub use orphan::decide_orphan;

/// What is to be done next. After `Wait` and `Forget` the reconcile ends; after all others it decides again.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Ask for the execution's turn.
    TakeTurn(Ticket),
    /// See whether the API server answers.
    Probe,
    /// Read these.
    Read(Vec<Need>),
    /// Ask who may do what.
    Ask(Vec<Question>),
    /// Write this status, under the resource version the decision was made on.
    Record(Box<KubernetesExecutionStatus>),
    /// Write this status as the intent to run this plan; nothing has an effect before it is written.
    RecordIntent(Box<KubernetesExecutionStatus>, Box<Planned>),
    /// Read the execution itself from the API server.
    Refresh,
    /// Keep the plan in this ConfigMap.
    KeepPlan(Box<ConfigMap>),
    /// Read the plan from its ConfigMap.
    ReadPlan,
    /// Create the Job.
    CreateJob(Box<Job>),
    /// Read what the events of the Job say.
    ReadStartEvents,
    /// Take the attempt's claim, so that it can never write again; or learn that a runner has it.
    Tombstone(Whose),
    /// Have the runner's pod stopped, with its grace period.
    StopPod,
    /// Delete the Job, and its pod before it.
    DeleteJob(Whose),
    /// Have the Job removed this many seconds after its finish.
    ExpireJob {
        /// Whose Job.
        whose: Whose,
        /// Seconds, counted from the finish.
        seconds: i32,
    },
    /// Read these after the attempt's end, and keep watching them.
    Watch(Vec<Need>),
    /// Delete the finished execution.
    DeleteExecution,
    /// Nothing to do until something changes or the time has come.
    Wait {
        /// When to decide again at the latest.
        until: Option<Timestamp>,
    },
}

/// Which attempt's Job a decision is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Whose {
    /// The attempt that status names.
    Current,
    /// The attempt before that one.
    Previous,
}

impl Decision {
    /// The decision without what it holds: plans and statuses do not belong into logs (I13).
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::TakeTurn(_) => "take-turn",
            Self::Probe => "probe",
            Self::Read(_) => "read",
            Self::Ask(_) => "ask",
            Self::Record(_) => "record",
            Self::RecordIntent(..) => "record-intent",
            Self::Refresh => "refresh",
            Self::KeepPlan(_) => "keep-plan",
            Self::ReadPlan => "read-plan",
            Self::CreateJob(_) => "create-job",
            Self::ReadStartEvents => "read-start-events",
            Self::Tombstone(_) => "tombstone",
            Self::StopPod => "stop-pod",
            Self::DeleteJob(_) => "delete-job",
            Self::ExpireJob { .. } => "expire-job",
            Self::Watch(_) => "watch",
            Self::DeleteExecution => "delete-execution",
            Self::Wait { .. } => "wait",
        }
    }
}

/// What is to be done next about this execution.
#[must_use]
pub fn decide(view: &View<'_>) -> Decision {
    match view.phase() {
        None | Some(Phase::Pending | Phase::Validating) => start::decide(view),
        Some(Phase::Executing) => execute::decide(view),
        Some(Phase::Monitoring) => prove::decide_monitoring(view),
        Some(Phase::RollingBack) => rollback::decide(view),
        Some(Phase::AwaitingApproval) => refuse(
            view,
            &Refusal::new(Reason::NotSupported, "this version has no approvals"),
        ),
        Some(Phase::Completed | Phase::Failed | Phase::Cancelled | Phase::RolledBack) => {
            finished::decide(view)
        }
    }
}

/// Ends an execution that was not started.
fn refuse(view: &View<'_>, refusal: &Refusal) -> Decision {
    Decision::Record(Box::new(status::refused(view, None, refusal, Vec::new())))
}

/// Ends an execution that was started; one that is to be undone first begins with that.
fn finish(view: &View<'_>, finish: &Finish) -> Decision {
    let status = match rollback::due(view, finish) {
        Ok(cause) => status::rolling_back(view, finish, cause),
        Err(not_due) => status::finished(view, &finish.clone().not_undone(not_due)),
    };
    Decision::Record(Box::new(status))
}

/// The look for a plan that is not at hand, where there is a place left to look.
fn look_for_plan(view: &View<'_>) -> Option<Decision> {
    let status = view.execution.status.as_ref();
    let stored = status.and_then(|status| status.plan.as_ref()?.stored);
    let is_kept = stored == Some(PlanStorage::ConfigMap);
    (is_kept && view.plan().is_none() && !view.gathered.plan_was_read).then_some(Decision::ReadPlan)
}

/// Waits until a moment.
fn wait_until(until: Timestamp) -> Decision {
    Decision::Wait { until: Some(until) }
}

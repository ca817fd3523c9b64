//! Everything a decision may know: one execution, and what was gathered for it. Plain data; gathering it is the
//! controller's business.

use jiff::{SignedDuration, Timestamp};
use kexec_actions::Registry;
use kexec_actions::facts::Facts;
use kexec_api::condition::Reason;
use kexec_api::execution::KubernetesExecution;
use kexec_api::phase::Phase;
use kexec_api::plan::PlanContent;

use crate::access::Answers;
use crate::attempt::{Sighting, StartTrouble};
use crate::planning::Planned;
use crate::queue::Turn;
use crate::settings::Settings;

/// How long one kind of question took to be answered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Timings {
    /// Reading the target and what the plan depends on.
    pub reads: SignedDuration,
    /// Asking who may do what.
    pub access: SignedDuration,
}

/// Whether the API server answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Connectivity {
    /// Why it does not count as connected; `None` when it does.
    pub problem: Option<String>,
    /// How long the answer took.
    pub took: SignedDuration,
}

/// Why the Job of this attempt could not be created.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CreateProblem {
    /// Reason.
    pub reason: Reason,
    /// What the API server said.
    pub message: String,
    /// Whether asking again may help.
    pub transient: bool,
}

/// What was gathered for one execution.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    /// Why the controller may not act: the admission policies are absent or altered. `None` when all is well.
    pub policy_problem: Option<String>,
    /// The target and what the plan depends on.
    pub facts: Facts,
    /// Who may do what.
    pub answers: Answers,
    /// Whether the API server answers; `None` when it was not asked.
    pub connectivity: Option<Connectivity>,
    /// Whose turn it is; `None` when it was not asked.
    pub turn: Option<Turn>,
    /// The plan that this very reconcile recorded as the intent.
    pub intended: Option<Box<Planned>>,
    /// The plan of a recorded intent, as its Job or its status holds it.
    pub stored_plan: Option<Box<PlanContent>>,
    /// Whether the plan is known to be kept in its ConfigMap.
    pub plan_is_kept: bool,
    /// Whether the plan was looked for in its ConfigMap.
    pub plan_was_read: bool,
    /// Whether the execution was read from the API server, not from the watch, after its intent was recorded.
    pub is_fresh: bool,
    /// What is seen of the attempt that status names.
    pub sighting: Sighting,
    /// What is seen of the attempt before that one; `None` when it is the first.
    pub previous: Option<Box<Sighting>>,
    /// Why the Job could not be created just now.
    pub create_problem: Option<CreateProblem>,
    /// Why every creation of the Job so far was refused; `None` when there was none, or when an answer is missing.
    pub refused_job: Option<CreateProblem>,
    /// What the events of a Job that does not start say; the outer `None` when they were not read.
    pub start_events: Option<Option<StartTrouble>>,
    /// What the plan's expectations speak of, read after the attempt ended; `None` when it was not.
    pub proof: Option<Facts>,
    /// How long the questions took.
    pub timings: Timings,
}

/// What a decision is made on.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// Now.
    pub now: Timestamp,
    /// The execution.
    pub execution: &'a KubernetesExecution,
    /// The actions.
    pub registry: &'a Registry,
    /// The installation.
    pub settings: &'a Settings,
    /// What was gathered.
    pub gathered: &'a Gathered,
}

impl View<'_> {
    /// UID of the execution; empty before the API server gave it one.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.execution.metadata.uid.as_deref().unwrap_or_default()
    }

    /// Phase as recorded.
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        self.execution
            .status
            .as_ref()
            .and_then(|status| status.phase)
    }

    /// Whether the execution is to be stopped: it was cancelled, or it is being deleted and somebody's finalizer keeps it.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.execution.spec.is_cancel_requested()
            || self.execution.metadata.deletion_timestamp.is_some()
    }

    /// The plan of the recorded intent, if it is known.
    #[must_use]
    pub fn plan(&self) -> Option<&PlanContent> {
        let intended = self
            .gathered
            .intended
            .as_ref()
            .map(|planned| &planned.content);
        intended.or(self.gathered.stored_plan.as_deref())
    }
}

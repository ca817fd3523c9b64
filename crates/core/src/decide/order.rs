//! The Job that carries a plan to a runner, of either stage.

use jiff::Timestamp;
use kexec_actions::metadata::Metadata;
use kexec_api::condition::Reason;
use kexec_api::plan::{PlanContent, PlanHash};
use kexec_api::work::{ExecutionRef, Stage, WorkOrder};

use super::Decision;
use super::execute::FIRST_ATTEMPT;
use crate::job::{self, JobOrder};
use crate::request::Refusal;
use crate::view::View;

/// What a Job is ordered for.
#[derive(Clone, Copy)]
pub(super) struct Order<'a> {
    /// The plan, and its hash.
    pub(super) plan: (&'a PlanContent, &'a PlanHash),
    /// Which of its steps.
    pub(super) stage: Stage,
    /// What its action says of itself.
    pub(super) metadata: &'a Metadata,
    /// Whether they are only tried.
    pub(super) dry_run: bool,
    /// From when to when the pod may run.
    pub(super) time: (Timestamp, Timestamp),
}

impl Order<'_> {
    /// The Job to create.
    pub(super) fn job(&self, view: &View<'_>) -> Result<Decision, Refusal> {
        let metadata = &view.execution.metadata;
        let ((content, hash), (start, deadline)) = (self.plan, self.time);
        let order = WorkOrder {
            execution: ExecutionRef {
                namespace: metadata.namespace.clone().unwrap_or_default(),
                name: metadata.name.clone().unwrap_or_default(),
                uid: view.uid().to_owned(),
            },
            attempt: FIRST_ATTEMPT,
            stage: self.stage,
            deadline: job::runner_deadline(start, deadline.duration_since(start)),
            plan: content.clone(),
            plan_hash: hash.clone(),
        };
        let order_json = serde_json::to_string(&order).map_err(|error| {
            let message = format!("failed to write the work order: {error}");
            Refusal::new(Reason::InternalError, message)
        })?;
        let job = job::build(
            &JobOrder {
                order: &order,
                order_json,
                metadata: self.metadata,
                dry_run: self.dry_run,
                now: view.now,
                deadline,
            },
            view.settings,
        );
        Ok(Decision::CreateJob(Box::new(job)))
    }
}

//! The Job that carries a plan to a runner, of either stage.

use jiff::Timestamp;
use kexec_actions::metadata::Metadata;
use kexec_api::condition::Reason;
use kexec_api::execution::status::PlanStorage;
use kexec_api::plan::{PlanContent, PlanHash};
use kexec_api::work::{ExecutionRef, Stage, WorkOrder};

use super::Decision;
use crate::attempt::attempt_of;
use crate::job::{self, JobOrder};
use crate::request::Refusal;
use crate::storage::{config_map, storage};
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
        let is_kept = storage(view.execution, content) == PlanStorage::ConfigMap;
        if is_kept && !view.gathered.plan_is_kept {
            let config_map = config_map(view.execution, self.plan, view.settings);
            return Ok(Decision::KeepPlan(Box::new(config_map)));
        }
        let order = WorkOrder {
            execution: ExecutionRef {
                namespace: metadata.namespace.clone().unwrap_or_default(),
                name: metadata.name.clone().unwrap_or_default(),
                uid: view.uid().to_owned(),
            },
            attempt: attempt_of(view.execution),
            stage: self.stage,
            deadline: job::runner_deadline(start, deadline.duration_since(start)),
            plan: content.clone(),
            plan_hash: hash.clone(),
        };
        let order_json = written(&order, is_kept).map_err(|error| {
            let message = format!("failed to write the work order: {error}");
            Refusal::new(Reason::InternalError, message)
        })?;
        let job = job::build(
            &JobOrder {
                order: &order,
                order_json,
                plan_is_kept: is_kept,
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

/// The work order as JSON, without the plan where the runner finds that in a file.
fn written(order: &WorkOrder, plan_is_kept: bool) -> Result<String, serde_json::Error> {
    let mut value = serde_json::to_value(order)?;
    if let (true, Some(order)) = (plan_is_kept, value.as_object_mut()) {
        order.remove("plan");
        return serde_json::to_string(&value);
    }
    serde_json::to_string(order)
}

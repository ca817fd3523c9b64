//! Whether a CronJob makes Jobs: `spec.suspend`, which the API server sets to false where it is left out. Suspending and
//! resuming differ only in the value they want.

use kexec_api::plan::{Expectation, FieldChange, FieldValue, Step};
use serde_json::Value;

use crate::action::{Draft, PlanError, Target};
use crate::metadata::Rule;

/// The field, as a JSON pointer.
const SUSPEND: &str = "/spec/suspend";

/// The right that setting it takes.
pub(crate) const fn rule(reason: &'static str) -> Rule {
    Rule {
        group: "batch",
        resource: "cronjobs",
        verb: "patch",
        reason,
    }
}

/// The draft that makes a CronJob suspended or not, without its summary.
pub(crate) fn draft(target: &Target, suspended: bool) -> Result<Draft, PlanError> {
    let cron_job = &target.reference;
    let before = target.live.pointer(SUSPEND).cloned();
    let now = match &before {
        None => false,
        Some(value) => value
            .as_bool()
            .ok_or_else(|| PlanError::unreadable("spec.suspend", cron_job))?,
    };
    let is_so = now == suspended;
    let after = Some(Value::Bool(suspended));
    let step = Step::Patch {
        target: cron_job.clone(),
        subresource: None,
        changes: vec![FieldChange {
            path: SUSPEND.to_owned(),
            before: before.clone(),
            after: after.clone(),
        }],
    };
    Ok(Draft {
        steps: if is_so { Vec::new() } else { vec![step] },
        expectations: vec![Expectation::Fields {
            object: cron_job.clone(),
            fields: vec![FieldValue {
                path: SUSPEND.to_owned(),
                value: if is_so { before } else { after },
            }],
        }],
        ..Draft::default()
    })
}

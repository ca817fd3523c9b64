//! Whether a Deployment rolls out changes of its template: `spec.paused`, which the API leaves out when it is false. Pause
//! and resume differ only in the value they want.

use kexec_api::plan::{Expectation, FieldChange, FieldValue, Step};
use serde_json::Value;

use crate::action::{Draft, PlanError, Target};
use crate::metadata::Rule;

/// The field, as a JSON pointer.
const PAUSED: &str = "/spec/paused";

/// The right that setting it takes.
pub(crate) const fn rule(reason: &'static str) -> Rule {
    Rule {
        group: "apps",
        resource: "deployments",
        verb: "patch",
        reason,
    }
}

/// The draft that makes a Deployment so.
pub(crate) fn draft(target: &Target, wanted: bool, summary: String) -> Result<Draft, PlanError> {
    let deployment = &target.reference;
    let before = target.live.pointer(PAUSED);
    let now = match before {
        None => false,
        Some(paused) => paused
            .as_bool()
            .ok_or_else(|| PlanError::unreadable("spec.paused", deployment))?,
    };
    let after = wanted.then_some(Value::Bool(true));
    let step = (now != wanted).then(|| Step::Patch {
        target: deployment.clone(),
        subresource: None,
        changes: vec![FieldChange {
            path: PAUSED.to_owned(),
            before: before.cloned(),
            after: after.clone(),
        }],
    });
    let field = FieldValue {
        path: PAUSED.to_owned(),
        value: after,
    };
    Ok(Draft {
        steps: step.into_iter().collect(),
        expectations: vec![
            Expectation::Fields {
                object: deployment.clone(),
                fields: vec![field],
            },
            Expectation::Observed {
                object: deployment.clone(),
            },
        ],
        summary,
        ..Draft::default()
    })
}

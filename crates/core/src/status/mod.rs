//! What is written into status, whole, at each of the few moments it is written: before the start, as the intent, while
//! the outcome is awaited, and at the end. Every text from outside is bounded here (I12).

mod beginning;
mod changes;
mod ending;
mod performance;
mod plan;
mod rollback;
mod verification;

pub use beginning::{
    cancelled_before_start, executing, nothing_to_try, nothing_to_write, refused, waiting,
};
pub use ending::{Finish, finished, monitoring};
pub(crate) use plan::is_foreign;
pub use rollback::{
    Undone, has_written, rollback_failed, rollback_refused, rollback_waits, rolled_back,
    rolling_back, rolling_back_on_request,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kexec_api::condition::{ConditionStatus, ConditionType, Reason};
use kexec_api::execution::KubernetesExecutionStatus;
use kexec_api::execution::status::Condition;

use serde::Serialize;

use crate::outcome::quote;
use crate::view::View;

/// The status so far, with what every write renews.
fn renewed(view: &View<'_>) -> KubernetesExecutionStatus {
    KubernetesExecutionStatus {
        observed_generation: view.execution.metadata.generation,
        requester: view
            .execution
            .spec
            .requested_by
            .as_ref()
            .map(|requester| requester.username.clone()),
        last_reconciled: Some(Time(view.now)),
        ..view.execution.status.clone().unwrap_or_default()
    }
}

/// The first of the items, as many as take that many bytes of JSON together (I12), and how many were left out.
fn within<T: Serialize>(bytes: usize, items: impl IntoIterator<Item = T>) -> (Vec<T>, usize) {
    let (mut kept, mut used, mut left_out) = (Vec::new(), 0_usize, 0_usize);
    for item in items {
        let size = serde_json::to_vec(&item).map_or(usize::MAX, |json| json.len());
        used = used.saturating_add(size);
        if used <= bytes {
            kept.push(item);
        } else {
            left_out = left_out.saturating_add(1);
        }
    }
    (kept, left_out)
}

/// Sets one condition, with its message bounded.
fn set(
    status: &mut KubernetesExecutionStatus,
    view: &View<'_>,
    kind: ConditionType,
    holds: impl Into<ConditionStatus>,
    why: (Reason, &str),
) {
    let condition = Condition::new(kind, holds.into(), why.0, Time(view.now))
        .with_message(quote(why.1))
        .observed_at(view.execution.metadata.generation);
    status.set_condition(condition);
}

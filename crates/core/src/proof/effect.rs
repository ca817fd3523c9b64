//! Whether the live objects show a plan's writes at all: what tells an attempt that did nothing from one that did.

use kexec_actions::facts::{Fact, Facts, Need};
use kexec_api::plan::{Expectation, FieldChange, ObjectRef, PlanContent, Step};
use serde_json::Value;

use super::live::uid;

/// Whether the touched fields hold the plan's values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Effect {
    /// Every step can still be seen not to have happened.
    None,
    /// Every step can be seen to have happened.
    Whole,
    /// Neither.
    Mixed,
    /// A target could not be read.
    Unknown,
}

/// Whether the steps of a plan can be seen on the live objects.
#[must_use]
pub fn effect(content: &PlanContent, facts: &Facts) -> Effect {
    let node = drained_node(content);
    let mut seen = content.steps.iter().map(|step| match (step, node) {
        (Step::Evict { target, .. }, Some(node)) => on_node(target, node, facts),
        (Step::Patch { .. } | Step::Delete { .. } | Step::Evict { .. }, _) => {
            step_effect(step, facts)
        }
    });
    let Some(first) = seen.next() else {
        return Effect::None;
    };
    seen.fold(first, |all, one| match (all, one) {
        (Effect::Unknown, _) | (_, Effect::Unknown) => Effect::Unknown,
        (all, one) if all == one => all,
        (_, _) => Effect::Mixed,
    })
}

/// What must be read to see a step. The pods of a drain are seen among those on the node.
pub(super) fn need(step: &Step) -> Option<Need> {
    match step {
        Step::Evict {
            drain_seconds: Some(_),
            ..
        } => None,
        Step::Patch { .. } | Step::Delete { .. } | Step::Evict { .. } => {
            Some(Need::object(step.target()))
        }
    }
}

fn drained_node(content: &PlanContent) -> Option<&ObjectRef> {
    content
        .expectations
        .iter()
        .find_map(|expectation| match expectation {
            Expectation::Drained { node, .. } => Some(node),
            Expectation::Fields { .. }
            | Expectation::WorkloadReady { .. }
            | Expectation::RolledOut { .. }
            | Expectation::Observed { .. }
            | Expectation::Gone { .. }
            | Expectation::Replaced { .. }
            | Expectation::Condition { .. } => None,
        })
}

fn on_node(pod: &ObjectRef, node: &ObjectRef, facts: &Facts) -> Effect {
    let Some(Fact::List(pods)) = facts.get(&Need::pods_on(&node.name)) else {
        return Effect::Unknown;
    };
    let stays = pods
        .iter()
        .any(|one| uid(one) == pod.uid && one.pointer("/metadata/deletionTimestamp").is_none());
    if stays { Effect::None } else { Effect::Whole }
}

fn step_effect(step: &Step, facts: &Facts) -> Effect {
    let target = step.target();
    let live = match facts.get(&Need::object(target)) {
        Some(Fact::Object(live)) => Some(live).filter(|live| uid(live) == target.uid),
        Some(Fact::Absent) => None,
        Some(Fact::List(_) | Fact::NotServed | Fact::NotReadable(_)) | None => {
            return Effect::Unknown;
        }
    };
    match (step, live) {
        (Step::Delete { .. } | Step::Evict { .. }, None) => Effect::Whole,
        (Step::Delete { .. } | Step::Evict { .. }, Some(live))
            if live.pointer("/metadata/deletionTimestamp").is_some() =>
        {
            Effect::Whole
        }
        (Step::Delete { .. } | Step::Evict { .. }, Some(_)) => Effect::None,
        (Step::Patch { .. }, None) => Effect::Mixed,
        (
            Step::Patch {
                subresource,
                changes,
                ..
            },
            Some(live),
        ) => {
            let holds = |value: fn(&FieldChange) -> Option<&Value>| {
                changes.iter().all(|change| {
                    same(
                        live.pointer(&change.path),
                        value(change),
                        subresource.as_deref(),
                    )
                })
            };
            match (
                holds(|change| change.before.as_ref()),
                holds(|change| change.after.as_ref()),
            ) {
                (true, _) => Effect::None,
                (false, true) => Effect::Whole,
                (false, false) => Effect::Mixed,
            }
        }
    }
}

/// Whether a live value is the planned one. The scale subresource leaves out a zero that the object itself shows.
pub(super) fn same(
    live: Option<&Value>,
    planned: Option<&Value>,
    subresource: Option<&str>,
) -> bool {
    match (live, planned) {
        (Some(live), None) if subresource == Some("scale") => live.as_u64() == Some(0),
        (live, planned) => live == planned,
    }
}

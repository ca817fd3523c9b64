//! What the checks on the target's surroundings look at, and what one of them found. Which of them run is decided
//! elsewhere.

use kexec_actions::facts::Facts;
use kexec_api::plan::Step;
use serde_json::Value;

use crate::planning::Planned;
use crate::request::Request;

/// A planned change, and what was read of its surroundings.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) request: &'a Request<'a>,
    pub(super) planned: &'a Planned,
    pub(super) live: &'a Value,
    pub(super) facts: &'a Facts,
}

/// What one check found, for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Verdict {
    pub(super) passed: bool,
    pub(super) message: String,
}

impl Verdict {
    pub(super) fn passed(message: impl Into<String>) -> Self {
        Self {
            passed: true,
            message: message.into(),
        }
    }

    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self {
            passed: false,
            message: message.into(),
        }
    }
}

/// Replicas before and after a plan.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Scaling {
    pub(super) before: u64,
    pub(super) after: u64,
}

impl<'a> Scene<'a> {
    /// The scene of a plan whose target was read.
    pub(super) fn of(
        request: &'a Request<'a>,
        planned: &'a Planned,
        facts: &'a Facts,
    ) -> Option<Self> {
        let live = facts.object(&request.target_need())?;
        Some(Self {
            request,
            planned,
            live,
            facts,
        })
    }

    /// The target, as in `Deployment "web/shop"`.
    pub(super) fn target(&self) -> String {
        let (kind, name) = (self.request.kind.kind, self.request.name);
        match self.request.namespace {
            Some(namespace) => format!("{kind} \"{namespace}/{name}\""),
            None => format!("{kind} \"{name}\""),
        }
    }

    /// How the plan changes the target's replicas, if it does; the scale subresource leaves out a zero.
    pub(super) fn scaling(&self) -> Option<Scaling> {
        let mut changes = self.planned.content.steps.iter().filter_map(|step| {
            let Step::Patch { changes, .. } = step else {
                return None;
            };
            changes
                .iter()
                .find(|change| change.path == "/spec/replicas")
        });
        let count = |value: &Option<Value>| value.as_ref().and_then(Value::as_u64).unwrap_or(0);
        changes.next_back().map(|change| Scaling {
            before: count(&change.before),
            after: count(&change.after),
        })
    }

    /// Whether the plan changes fields of an object that stays.
    pub(super) fn patches(&self) -> bool {
        let mut steps = self.planned.content.steps.iter();
        steps.any(|step| matches!(step, Step::Patch { .. }))
    }
}

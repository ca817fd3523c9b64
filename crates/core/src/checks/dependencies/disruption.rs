//! The disruption budgets of a pod that the plan deletes.

use kexec_actions::facts::{FactError, Kind, Need};
use kexec_api::plan::Step;
use serde_json::Value;

use crate::checks::scene::Scene;
use crate::proof::is_ready;

/// The disruption budgets of the namespace, when the plan deletes its target, a pod. An eviction asks them by itself.
pub(super) fn needs(scene: &Scene<'_>) -> Option<Need> {
    let mut steps = scene.planned.content.steps.iter();
    let takes_a_pod =
        steps.any(|step| matches!(step, Step::Delete { target, .. } if target.kind == "Pod"));
    (takes_a_pod && scene.request.kind.kind == "Pod").then(|| Need::List {
        kind: Kind::new("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
        namespace: scene.request.namespace.map(str::to_owned),
        selector: String::new(),
    })
}

/// The budget that does not allow for the loss of the pod. The loss of a pod that is not ready costs no budget.
pub(super) fn problem(scene: &Scene<'_>) -> Result<Option<String>, FactError> {
    let Some(need) = needs(scene) else {
        return Ok(None);
    };
    let budgets = scene.facts.require_list(&need)?;
    let spent = budgets
        .iter()
        .find(|budget| selects(budget, scene.live) && allowed(budget) == 0);
    Ok(spent.filter(|_| is_ready(scene.live)).map(|budget| {
        let name = budget.pointer("/metadata/name").and_then(Value::as_str);
        format!(
            "PodDisruptionBudget \"{}\" allows no disruption of {} now: wait until more of its pods are ready, or loosen \
             the budget",
            name.unwrap_or_default(),
            scene.target()
        )
    }))
}

/// Disruptions allowed; none before the budget was counted for the first time.
fn allowed(budget: &Value) -> u64 {
    let allowed = budget.pointer("/status/disruptionsAllowed");
    allowed.and_then(Value::as_u64).unwrap_or(0)
}

/// Whether a budget selects the pod: all of them with an empty selector, none without one.
fn selects(budget: &Value, pod: &Value) -> bool {
    let label = |key: &str| pod.pointer("/metadata/labels")?.get(key)?.as_str();
    let Some(selector) = budget.pointer("/spec/selector") else {
        return false;
    };
    let labels = selector.get("matchLabels").and_then(Value::as_object);
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    let mut labels = labels.into_iter().flatten();
    let mut expressions = expressions.into_iter().flatten();
    labels.all(|(key, value)| label(key) == value.as_str())
        && expressions.all(|expression| {
            let key = expression.get("key").and_then(Value::as_str);
            holds(expression, label(key.unwrap_or_default()))
        })
}

/// An operator that is not known counts as met: the pod may be selected.
fn holds(expression: &Value, found: Option<&str>) -> bool {
    let values = expression.get("values").and_then(Value::as_array);
    let listed = || {
        let mut values = values.into_iter().flatten();
        found.is_some() && values.any(|value| value.as_str() == found)
    };
    match expression.get("operator").and_then(Value::as_str) {
        Some("In") => listed(),
        Some("NotIn") => !listed(),
        Some("Exists") => found.is_some(),
        Some("DoesNotExist") => found.is_none(),
        Some(_) | None => true,
    }
}

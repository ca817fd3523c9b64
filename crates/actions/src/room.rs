//! Whether evicted pods find a place on other nodes, by what they request and what is left there: a forecast, not the
//! scheduler's word. Affinity, volumes and taints that a pod tolerates are not weighed.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::action::PlanError;
use crate::evacuation::listed;
use crate::facts::{Facts, Need};
use crate::pod_owner;
use crate::quantity::Quantity;
use crate::rollout;
use crate::schedulability;

/// Most nodes that are looked at: the pods of each are read.
const LOOKED_AT: usize = 20;
/// What is weighed, beside the number of pods.
const RESOURCES: [&str; 2] = ["cpu", "memory"];

/// What is left, or taken: by resource, and the number of pods.
type Amounts = BTreeMap<&'static str, i128>;

/// The other nodes that take pods, the first 20 by name.
pub(crate) fn candidates<'a>(nodes: &'a [Value], drained: &str) -> Vec<&'a Value> {
    let mut others: Vec<&Value> = nodes
        .iter()
        .filter(|node| rollout::uid(node).is_some_and(|uid| uid != drained))
        .filter(|node| schedulability::takes_pods(node))
        .collect();
    others.sort_by_key(|node| name(node));
    others.truncate(LOOKED_AT);
    others
}

/// The need for the pods on a node.
pub(crate) fn pods_on(node: &Value) -> Need {
    Need::pods_on(name(node))
}

fn name(node: &Value) -> &str {
    node.pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// What is to be said of the pods that have no place on `nodes`; nothing when all have one.
pub(crate) fn forecast(
    pods: &[&Value],
    nodes: &[&Value],
    facts: &Facts,
) -> Result<Option<String>, PlanError> {
    let mut left = Vec::new();
    for node in nodes {
        let there = facts
            .require_list(&pods_on(node))
            .map_err(PlanError::UseFact)?;
        left.push((*node, free(node, there)));
    }
    let homeless: Vec<&Value> = pods
        .iter()
        .copied()
        .filter(|pod| !pod_owner::has_ended(pod) && !place(pod, &mut left))
        .collect();
    Ok((!homeless.is_empty()).then(|| {
        format!(
            "{} may find no place on the other nodes by what they request",
            listed(&homeless)
        )
    }))
}

/// Takes room for a pod on the first node that has it; false when none has.
fn place(pod: &Value, left: &mut [(&Value, Amounts)]) -> bool {
    let wanted = requests(pod);
    let fitting = left.iter_mut().find(|(node, free)| {
        has_its_labels(node, pod)
            && wanted
                .iter()
                .all(|(resource, amount)| free.get(resource).is_some_and(|free| *free >= *amount))
    });
    let Some((_, free)) = fitting else {
        return false;
    };
    for (resource, amount) in wanted {
        *free.entry(resource).or_default() -= amount;
    }
    true
}

fn has_its_labels(node: &Value, pod: &Value) -> bool {
    let wanted = pod.pointer("/spec/nodeSelector").and_then(Value::as_object);
    let labels = node.pointer("/metadata/labels");
    wanted
        .into_iter()
        .flatten()
        .all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
}

/// What is left on a node beside the pods that are there.
fn free(node: &Value, there: &[Value]) -> Amounts {
    let allocatable = node.pointer("/status/allocatable");
    let mut free: Amounts = RESOURCES
        .into_iter()
        .chain(["pods"])
        .map(|resource| {
            let amount = allocatable.and_then(|all| all.get(resource));
            (resource, amount.and_then(millis).unwrap_or(0))
        })
        .collect();
    for pod in there.iter().filter(|pod| !pod_owner::has_ended(pod)) {
        for (resource, amount) in requests(pod) {
            *free.entry(resource).or_default() -= amount;
        }
    }
    free
}

/// An amount in thousandths of a unit; `None` for what is none.
fn millis(amount: &Value) -> Option<i128> {
    let text = amount
        .as_str()
        .map_or_else(|| amount.to_string(), str::to_owned);
    Quantity::parse(&text).map(Quantity::millis)
}

/// What a pod takes: the sum of its containers' requests, and one pod.
fn requests(pod: &Value) -> Amounts {
    let containers = pod.pointer("/spec/containers").and_then(Value::as_array);
    let sum = |resource: &str| {
        let requested = containers.into_iter().flatten().filter_map(|container| {
            millis(container.pointer(&format!("/resources/requests/{resource}"))?)
        });
        requested.sum()
    };
    let mut amounts: Amounts = RESOURCES
        .into_iter()
        .map(|resource| (resource, sum(resource)))
        .collect();
    amounts.insert("pods", 1000);
    amounts
}

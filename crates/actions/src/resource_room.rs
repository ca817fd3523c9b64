//! Whether there is room for what a workload's pods are to have: within the namespace's limit ranges and quotas, which are
//! refusals, and on a node, which is a risk, since nodes may come. What is raised belongs to the action.

use serde_json::Value;

use crate::action::{PlanError, Target};
use crate::facts::{Facts, Need};
use crate::metadata::TargetKind;
use crate::quantity::Quantity;
use crate::{pod_owner, schedulability};

/// The resources that are counted.
const RESOURCES: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

fn limit_ranges(target: &Target) -> Need {
    let kind = TargetKind::LIMIT_RANGE.to_kind();
    Need::all(kind, target.reference.namespace.as_deref())
}

fn quotas(target: &Target) -> Need {
    let kind = TargetKind::RESOURCE_QUOTA.to_kind();
    Need::all(kind, target.reference.namespace.as_deref())
}

fn nodes() -> Need {
    Need::all(TargetKind::NODE.to_kind(), None)
}

/// What must be known.
pub(crate) fn needs(target: &Target) -> [Need; 3] {
    [limit_ranges(target), quotas(target), nodes()]
}

/// Refuses what the namespace does not allow, and tells what makes it risky to go from one template to another.
pub(crate) fn factors(
    target: &Target,
    (before, after): (&Value, &Value),
    facts: &Facts,
) -> Result<Vec<String>, PlanError> {
    let list = |need: &Need| facts.require_list(need).map_err(PlanError::UseFact);
    if before == after {
        return Ok(Vec::new());
    }
    for range in list(&limit_ranges(target))? {
        refuse_out_of_range(target, after, range)?;
    }
    let mut texts = Vec::new();
    for quota in list(&quotas(target))? {
        texts.extend(within_quota(target, (before, after), quota)?);
    }
    let is_room = list(&nodes())?.iter().any(|node| has_room(node, after));
    if !is_room {
        let text = "no node that takes pods is large enough for such a pod, so it may never start";
        texts.push(text.to_owned());
    }
    Ok(texts)
}

fn name(object: &Value) -> &str {
    let name = object.pointer("/metadata/name").and_then(Value::as_str);
    name.unwrap_or_default()
}

/// The containers that run at the same time.
fn running(template: &Value) -> impl Iterator<Item = &Value> {
    let containers = template.pointer("/spec/containers");
    containers.and_then(Value::as_array).into_iter().flatten()
}

fn quantity(object: &Value, pointer: &str) -> Option<Quantity> {
    Quantity::parse(object.pointer(pointer)?.as_str()?)
}

/// What a container has of a resource; without a request of its own, its limit counts as its request.
fn amount(container: &Value, list: &str, resource: &str) -> Option<Quantity> {
    let of = |list: &str| quantity(container, &format!("/resources/{list}/{resource}"));
    match of(list) {
        None if list == "requests" => of("limits"),
        found => found,
    }
}

/// What a pod has of a resource in all its containers.
fn of_pod(template: &Value, list: &str, resource: &str) -> Quantity {
    running(template)
        .filter_map(|container| amount(container, list, resource))
        .fold(Quantity::ZERO, |sum, one| one.plus(sum))
}

/// Refuses amounts above those that a `LimitRange` allows a container, or a pod.
fn refuse_out_of_range(target: &Target, template: &Value, range: &Value) -> Result<(), PlanError> {
    let items = range.pointer("/spec/limits").and_then(Value::as_array);
    for item in items.into_iter().flatten() {
        let of = item.get("type").and_then(Value::as_str).unwrap_or_default();
        for resource in RESOURCES {
            let Some(most) = quantity(item, &format!("/max/{resource}")) else {
                continue;
            };
            let largest = |list: &str| match of {
                "Container" => running(template)
                    .filter_map(|container| amount(container, list, resource))
                    .find(|amount| most.is_less_than(*amount)),
                "Pod" => {
                    Some(of_pod(template, list, resource)).filter(|sum| most.is_less_than(*sum))
                }
                _ => None,
            };
            if let Some(amount) = largest("limits").or_else(|| largest("requests")) {
                return Err(PlanError::UnmetDependency(format!(
                    "LimitRange \"{}\" allows a {} at most {most} of {resource}, and {} would have {amount}: ask for less, \
                     or raise what is allowed",
                    name(range),
                    of.to_lowercase(),
                    target.reference
                )));
            }
        }
    }
    Ok(())
}

/// Refuses what is more than a quota has left for all pods; tells when it has none left for one more during the rollout. A
/// quota with scopes counts some pods only and is passed over.
fn within_quota(
    target: &Target,
    (before, after): (&Value, &Value),
    quota: &Value,
) -> Result<Option<String>, PlanError> {
    let is_scoped = ["/spec/scopes", "/spec/scopeSelector"]
        .into_iter()
        .any(|pointer| quota.pointer(pointer).is_some());
    let hard = quota.pointer("/status/hard").and_then(Value::as_object);
    let pods = pod_owner::desired(&target.live, &target.reference)?;
    let mut tight = None;
    for key in hard
        .filter(|_| !is_scoped)
        .into_iter()
        .flatten()
        .map(|(key, _)| key)
    {
        let Some((list, resource)) = counted(key) else {
            continue;
        };
        let of = |status: &str| quantity(quota, &format!("/status/{status}/{key}"));
        let (Some(most), used) = (of("hard"), of("used").unwrap_or(Quantity::ZERO)) else {
            continue;
        };
        let of_one = of_pod(after, list, resource);
        let more = of_one.minus(of_pod(before, list, resource)).times(pods);
        if !more.is_same_as(Quantity::ZERO) && most.is_less_than(used.plus(more)) {
            return Err(PlanError::UnmetDependency(format!(
                "ResourceQuota \"{}\" allows {most} of {key}, of which {used} are used, and {} would take {more} more: raise \
                 the quota, or ask for less",
                name(quota),
                target.reference
            )));
        }
        if most.is_less_than(used.plus(of_one)) {
            tight = Some(format!(
                "ResourceQuota \"{}\" has no {key} left for one more pod, so a rollout that starts new pods first cannot go on",
                name(quota)
            ));
        }
    }
    Ok(tight)
}

/// What a key of a quota counts of a container; `None` for what is no resource of one.
fn counted(key: &str) -> Option<(&'static str, &'static str)> {
    let (list, name) = match key.split_once('.') {
        Some(("limits", name)) => ("limits", name),
        Some(("requests", name)) => ("requests", name),
        _ => ("requests", key),
    };
    let resource = RESOURCES.into_iter().find(|resource| *resource == name)?;
    Some((list, resource))
}

/// Whether a node takes pods, and is large enough for one when nothing else is on it.
fn has_room(node: &Value, template: &Value) -> bool {
    schedulability::takes_pods(node)
        && RESOURCES.into_iter().all(|resource| {
            let most = quantity(node, &format!("/status/allocatable/{resource}"));
            let wanted = of_pod(template, "requests", resource);
            most.is_none_or(|most| !most.is_less_than(wanted))
        })
}

#[cfg(test)]
mod tests;

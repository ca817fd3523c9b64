//! Whether the quotas of the namespace leave room for the pods that a plan adds. Quotas with scopes count only some pods
//! and are left out; a resource that the template does not ask for counts as nothing.

use kexec_actions::facts::{FactError, Kind, Need};
use kexec_actions::quantity::Quantity;
use serde_json::Value;

use crate::checks::scene::{Scaling, Scene};

/// The quotas of the namespace.
pub(super) fn needs(scene: &Scene<'_>) -> Need {
    Need::List {
        kind: Kind::new("v1", "ResourceQuota", "resourcequotas"),
        namespace: scene.request.namespace.map(str::to_owned),
        selector: String::new(),
    }
}

/// The first quota that leaves no room.
pub(super) fn problem(scene: &Scene<'_>, growth: Scaling) -> Result<Option<String>, FactError> {
    let quotas = scene.facts.require_list(&needs(scene))?;
    let more = growth.after.saturating_sub(growth.before);
    let mut whole = quotas.iter().filter(|quota| !is_scoped(quota));
    Ok(whole.find_map(|quota| exceeded(scene, quota, more)))
}

fn is_scoped(quota: &Value) -> bool {
    ["/spec/scopes", "/spec/scopeSelector"]
        .iter()
        .any(|path| quota.pointer(path).is_some())
}

fn exceeded(scene: &Scene<'_>, quota: &Value, more: u64) -> Option<String> {
    let name = quota
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let hard = quota.pointer("/spec/hard")?.as_object()?;
    hard.iter().find_map(|(resource, limit)| {
        let each = each_pod(scene.live, resource)?;
        let used = quota.pointer("/status/used").and_then(|used| used.get(resource));
        let (limit, Some(used)) = (limit.as_str()?, used.and_then(Value::as_str)) else {
            return Some(format!(
                "ResourceQuota \"{name}\" was not counted yet for {resource}: create the execution again in a moment"
            ));
        };
        let needed = each.times(u32::try_from(more).unwrap_or(u32::MAX));
        let fits = Quantity::parse(used)
            .zip(Quantity::parse(limit))
            .is_some_and(|(used, limit)| !limit.is_less_than(used.plus(needed)));
        (!fits).then(|| {
            format!(
                "ResourceQuota \"{name}\" leaves no room for {more} more pods of {}: {used} of {limit} {resource} are used \
                 and each pod takes {}: raise the quota, or ask for fewer replicas",
                scene.target(),
                each
            )
        })
    })
}

/// How much of a quota's resource one pod of the template takes; `None` when it takes none.
fn each_pod(live: &Value, resource: &str) -> Option<Quantity> {
    let spec = live.pointer("/spec/template/spec");
    let amount = match resource {
        "pods" | "count/pods" => Quantity::parse("1")?,
        "cpu" | "memory" | "ephemeral-storage" => of_pod(spec?, &["requests", "limits"], resource),
        _ => match resource.split_once('.')? {
            // What asks for nothing but has a limit asks for its limit.
            ("requests", name) => of_pod(spec?, &["requests", "limits"], name),
            ("limits", name) => of_pod(spec?, &["limits"], name),
            _ => return None,
        },
    };
    (amount.millis() > 0).then_some(amount)
}

/// What runs at once, or what the largest init container takes, whichever is more.
fn of_pod(spec: &Value, kinds: &[&str], name: &str) -> Quantity {
    let containers = |field: &str| {
        let list = spec.get(field).and_then(Value::as_array);
        list.into_iter().flatten()
    };
    let stays = |container: &&Value| {
        container.get("restartPolicy").and_then(Value::as_str) == Some("Always")
    };
    let amount = |container: &Value| {
        let resources = container.get("resources");
        let found = kinds
            .iter()
            .find_map(|kind| resources?.get(kind)?.get(name)?.as_str());
        found.and_then(Quantity::parse).unwrap_or(Quantity::ZERO)
    };
    let together = containers("containers").chain(containers("initContainers").filter(stays));
    let largest = containers("initContainers")
        .map(amount)
        .fold(Quantity::ZERO, larger);
    let sum = together.map(amount).fold(Quantity::ZERO, Quantity::plus);
    larger(sum, largest)
}

fn larger(one: Quantity, other: Quantity) -> Quantity {
    if one.is_less_than(other) { other } else { one }
}

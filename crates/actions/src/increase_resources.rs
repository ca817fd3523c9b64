//! `increase_resources`: raises limits and requests of a workload's containers (BR-EXEC-001, BR-EXEC-004, SP-13). The amounts
//! are absolute, so a repetition raises nothing more; none is ever lowered. Whether there is room is told by
//! `resource_room`.

use kexec_api::execution::spec::{Category, RiskLevel};
use kexec_api::plan::FieldValue;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::action::{Action, Draft, PlanError, RiskFactor, Target};
use crate::containers::{self, Container};
use crate::difference;
use crate::facts::{Facts, Need};
use crate::metadata::{Metadata, Resources, Rule, TargetKind};
use crate::pod_template::{self, TEMPLATE, TemplateChange};
use crate::quantity::Quantity;
use crate::resource_room;

/// The right that it takes on one kind.
const fn rule(resource: &'static str) -> Rule {
    Rule {
        group: "apps",
        resource,
        verb: "patch",
        reason: "raises resource limits and requests of containers of the pod template, and sets nothing else",
    }
}

pub(crate) struct IncreaseResources;

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Parameters {
    /// Limits that the containers get; each must have one already, which is not higher (SP-55, SP-56, SP-57).
    resource_limits: Amounts,
    /// Requests that the containers get; none may be lower than now (SP-58, SP-59, SP-60).
    resource_requests: Amounts,
    /// Names of the containers that get the amounts; needed when the workload has several.
    #[schemars(length(max = 64), inner(length(max = 63)))]
    containers: Vec<String>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Amounts {
    /// Amount of CPU, such as `500m` or `2`.
    #[schemars(
        length(max = 32),
        regex(pattern = r"^[0-9]{1,15}(\.[0-9]{1,9})?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"),
        title = "an amount such as \"500m\" or \"2\""
    )]
    cpu: Option<String>,
    /// Amount of memory, such as `512Mi` or `2Gi`.
    #[schemars(
        length(max = 32),
        regex(pattern = r"^[0-9]{1,15}(\.[0-9]{1,9})?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"),
        title = "an amount such as \"512Mi\" or \"2Gi\""
    )]
    memory: Option<String>,
    /// Amount of the node's storage that logs and temporary files take (`ephemeral-storage`), such as `10Gi`.
    #[schemars(
        length(max = 32),
        regex(pattern = r"^[0-9]{1,15}(\.[0-9]{1,9})?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"),
        title = "an amount such as \"10Gi\""
    )]
    storage: Option<String>,
}

/// One amount that was asked for.
struct Asked {
    /// `limits` or `requests`.
    list: &'static str,
    /// The resource as a container names it.
    resource: &'static str,
    /// Where it was asked for.
    path: String,
    amount: Quantity,
}

impl Parameters {
    fn asked(&self) -> Result<Vec<Asked>, PlanError> {
        let mut asked = Vec::new();
        for (list, name, amounts) in [
            ("limits", "resourceLimits", &self.resource_limits),
            ("requests", "resourceRequests", &self.resource_requests),
        ] {
            for (resource, key, text) in [
                ("cpu", "cpu", &amounts.cpu),
                ("memory", "memory", &amounts.memory),
                ("ephemeral-storage", "storage", &amounts.storage),
            ] {
                let Some(text) = text else { continue };
                let path = format!("parameters.{name}.{key}");
                let amount = Quantity::parse(text).ok_or_else(|| {
                    PlanError::invalid_parameter(
                        &path,
                        format!("is \"{text}\", which is too large"),
                    )
                })?;
                asked.push(Asked {
                    list,
                    resource,
                    path,
                    amount,
                });
            }
        }
        if asked.is_empty() {
            return Err(PlanError::invalid_parameter(
                "parameters.resourceLimits",
                "(nor resourceRequests) names no amount: write at least one",
            ));
        }
        Ok(asked)
    }
}

impl Action for IncreaseResources {
    type Parameters = Parameters;

    const METADATA: Metadata = Metadata {
        action_type: "increase_resources",
        aliases: &[],
        version: "v1.2",
        description: "Raises resource limits and requests of a workload's containers, which replaces its pods.",
        category: Category::Core,
        risk: RiskLevel::Medium,
        reversible: true,
        idempotent: true,
        targets: &[
            TargetKind::DEPLOYMENT,
            TargetKind::STATEFUL_SET,
            TargetKind::DAEMON_SET,
        ],
        rules: &[
            rule("deployments"),
            rule("statefulsets"),
            rule("daemonsets"),
        ],
        service_account: None,
        resources: Resources::DEFAULT,
    };

    fn needs(target: &Target, _: &Parameters, _: &Facts) -> Vec<Need> {
        let mut needs = pod_template::needs(target);
        needs.extend(resource_room::needs(target));
        needs
    }

    fn plan(target: &Target, parameters: &Parameters, facts: &Facts) -> Result<Draft, PlanError> {
        let asked = parameters.asked()?;
        let template = pod_template::of(target)?;
        let known = containers::of(target, template)?;
        let chosen = choose(target, &known, &parameters.containers)?;
        let mut wanted = template.clone();
        let mut expected = Vec::new();
        for container in &chosen {
            let resources = raised(target, container, &asked)?;
            expected.extend(fields(container, &asked, &resources));
            let held = wanted
                .pointer_mut(&container.path)
                .and_then(Value::as_object_mut);
            held.ok_or_else(|| unreadable(target))?
                .insert("resources".to_owned(), resources);
        }
        let room = resource_room::factors(target, (template, &wanted), facts)?;
        let names: Vec<&str> = chosen.iter().map(|container| container.name).collect();
        let fits = |pod: &Value| names.iter().all(|name| has_amounts(pod, name, &asked));
        let change = TemplateChange {
            changes: difference::changes(TEMPLATE, template, &wanted),
            expected,
            fits: &fits,
            summary: summary(target, &names, &asked),
        };
        let mut draft = pod_template::draft(target, facts, change)?;
        if !draft.steps.is_empty() {
            draft
                .risk_factors
                .extend(room.into_iter().map(RiskFactor::one_level));
        }
        Ok(draft)
    }
}

fn unreadable(target: &Target) -> PlanError {
    PlanError::unreadable("spec.template.spec.containers", &target.reference)
}

fn summary(target: &Target, names: &[&str], asked: &[Asked]) -> String {
    let amounts: Vec<String> = asked
        .iter()
        .map(|asked| format!("{}.{} {}", asked.list, asked.resource, asked.amount))
        .collect();
    format!(
        "raise {} of {} in {}: its pods are restarted, all of them",
        amounts.join(", "),
        names.join(", "),
        target.reference
    )
}

/// The containers that get the amounts: those named, or the only one there is beside those that run before it.
fn choose<'a, 'b>(
    target: &Target,
    known: &'b [Container<'a>],
    names: &[String],
) -> Result<Vec<&'b Container<'a>>, PlanError> {
    if !names.is_empty() {
        return names
            .iter()
            .map(|name| containers::named(target, known, name, "parameters.containers"))
            .collect();
    }
    let running: Vec<&Container<'_>> = known.iter().filter(|one| !one.is_init).collect();
    if running.len() == 1 {
        return Ok(running);
    }
    let all: Vec<&str> = running.iter().map(|container| container.name).collect();
    Err(PlanError::invalid_parameter(
        "parameters.containers",
        format!(
            "is missing, and {} has {}: name those that get the amounts",
            target.reference,
            all.join(", ")
        ),
    ))
}

/// The resources of a container with the amounts asked for; refused when one would be lower than now.
fn raised(target: &Target, container: &Container<'_>, asked: &[Asked]) -> Result<Value, PlanError> {
    let mut resources = container
        .live
        .get("resources")
        .cloned()
        .unwrap_or_else(|| json!({}));
    for one in asked {
        refuse_lower(container, one)?;
        let held = amount(container.live, one.list, one.resource);
        if held.is_some_and(|held| held.is_same_as(one.amount)) {
            continue;
        }
        let lists = resources
            .as_object_mut()
            .ok_or_else(|| unreadable(target))?;
        let list = lists.entry(one.list).or_insert_with(|| json!({}));
        let list = list.as_object_mut().ok_or_else(|| unreadable(target))?;
        list.insert(one.resource.to_owned(), one.amount.to_string().into());
    }
    for one in asked {
        refuse_more_than_limit(container, one, &resources)?;
    }
    Ok(resources)
}

/// What a container has of a resource in its limits or requests.
fn amount(container: &Value, list: &str, resource: &str) -> Option<Quantity> {
    let held = container.get("resources")?.get(list)?.get(resource)?;
    Quantity::parse(held.as_str()?)
}

fn refuse_lower(container: &Container<'_>, asked: &Asked) -> Result<(), PlanError> {
    let Asked {
        list,
        resource,
        path,
        amount: wanted,
    } = asked;
    let name = container.name;
    let limit = amount(container.live, "limits", resource);
    let held = match (*list, limit) {
        ("limits", None) => {
            let message = format!(
                "is {wanted}, and container \"{name}\" has no limit of {resource} now, so any would lower it: leave it out"
            );
            return Err(PlanError::invalid_parameter(path, message));
        }
        ("limits", Some(limit)) => limit,
        // Without a request of its own, a container's limit counts as its request.
        (_, limit) => amount(container.live, "requests", resource)
            .or(limit)
            .unwrap_or(Quantity::ZERO),
    };
    if !wanted.is_less_than(held) {
        return Ok(());
    }
    Err(PlanError::invalid_parameter(
        path,
        format!(
            "is {wanted}, less than the {held} that container \"{name}\" has now: write {held} or more"
        ),
    ))
}

fn refuse_more_than_limit(
    container: &Container<'_>,
    asked: &Asked,
    resources: &Value,
) -> Result<(), PlanError> {
    let with = json!({"resources": resources});
    let of = |list| amount(&with, list, asked.resource);
    match (of("requests"), of("limits")) {
        (Some(request), Some(limit)) if limit.is_less_than(request) => {
            Err(PlanError::invalid_parameter(
                &asked.path,
                format!(
                    "is {}, which would leave container \"{}\" a request of {request} above its limit of {limit} of {}: \
                     raise the limit as well",
                    asked.amount, container.name, asked.resource
                ),
            ))
        }
        _ => Ok(()),
    }
}

/// The fields that hold what was asked for, whether it changes or not.
fn fields<'a>(
    container: &'a Container<'_>,
    asked: &'a [Asked],
    resources: &'a Value,
) -> impl Iterator<Item = FieldValue> + 'a {
    let name = FieldValue {
        path: format!("{TEMPLATE}{}/name", container.path),
        value: Some(container.name.into()),
    };
    let amounts = asked.iter().map(move |one| FieldValue {
        path: format!(
            "{TEMPLATE}{}/resources/{}/{}",
            container.path, one.list, one.resource
        ),
        value: resources
            .get(one.list)
            .and_then(|list| list.get(one.resource))
            .cloned(),
    });
    std::iter::once(name).chain(amounts)
}

fn has_amounts(pod: &Value, name: &str, asked: &[Asked]) -> bool {
    let container = containers::in_pod(pod, name);
    asked.iter().all(|one| {
        let held = container.and_then(|container| amount(container, one.list, one.resource));
        held.is_some_and(|held| held.is_same_as(one.amount))
    })
}

#[cfg(test)]
mod tests;

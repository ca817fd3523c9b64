//! The containers of a pod template by their names. What is set on them belongs to the actions.

use serde_json::Value;

use crate::action::{PlanError, Target};
use crate::parameters::nearest;

/// Where a template lists its containers.
const LISTS: [&str; 2] = ["containers", "initContainers"];

/// One container of a template.
#[derive(Clone, Debug)]
pub(crate) struct Container<'a> {
    /// Its JSON pointer within the template.
    pub(crate) path: String,
    /// Its name.
    pub(crate) name: &'a str,
    /// The container as it is.
    pub(crate) live: &'a Value,
    /// Whether it runs, and ends, before the others.
    pub(crate) is_init: bool,
}

/// All containers of a template, those that run before the others among them.
pub(crate) fn of<'a>(
    target: &Target,
    template: &'a Value,
) -> Result<Vec<Container<'a>>, PlanError> {
    let mut found = Vec::new();
    for list in LISTS {
        let Some(members) = template.pointer(&format!("/spec/{list}")) else {
            continue;
        };
        let odd = || PlanError::unreadable("spec.template.spec.containers", &target.reference);
        for (index, live) in members.as_array().ok_or_else(odd)?.iter().enumerate() {
            found.push(Container {
                path: format!("/spec/{list}/{index}"),
                name: live.get("name").and_then(Value::as_str).ok_or_else(odd)?,
                live,
                is_init: list != "containers",
            });
        }
    }
    Ok(found)
}

/// The container of that name; `path` is where the name was given.
pub(crate) fn named<'a, 'b>(
    target: &Target,
    containers: &'b [Container<'a>],
    name: &str,
    path: &str,
) -> Result<&'b Container<'a>, PlanError> {
    let found = containers.iter().find(|container| container.name == name);
    found.ok_or_else(|| {
        let known = || containers.iter().map(|container| container.name);
        let hint = match nearest(name, known()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("it has {}", known().collect::<Vec<_>>().join(", ")),
        };
        PlanError::invalid_parameter(
            path,
            format!(
                "names \"{name}\", which is no container of {}: {hint}",
                target.reference
            ),
        )
    })
}

/// The container of that name in a pod, which has it at any place.
pub(crate) fn in_pod<'a>(pod: &'a Value, name: &str) -> Option<&'a Value> {
    LISTS
        .into_iter()
        .filter_map(|list| pod.pointer(&format!("/spec/{list}"))?.as_array())
        .flatten()
        .find(|container| container.get("name").is_some_and(|one| one == name))
}

//! Whether a node is drained: none of the pods that had to go is on it, and those who own them have their pods again.

use kexec_actions::facts::{Fact, Facts, Need};
use kexec_api::plan::{ObjectRef, ReadyOwner};
use kexec_api::uid_set::UidSet;
use serde_json::Value;

use super::Verdict;
use super::expectation::unread;
use super::live::{name, uid};

/// Most names that a sentence tells.
const NAMED: usize = 5;

/// What must be read to tell.
pub(super) fn needs(node: &ObjectRef, owners: &[ReadyOwner]) -> Vec<Need> {
    let owners = owners.iter().map(|one| Need::object(&one.owner));
    std::iter::once(Need::pods_on(&node.name))
        .chain(owners)
        .collect()
}

/// What is expected, as a sentence part.
pub(super) fn describe(node: &ObjectRef, owners: &[ReadyOwner]) -> String {
    let gone = format!("none of the pods that had to leave {node} is on it");
    if owners.is_empty() {
        return gone;
    }
    format!(
        "{gone}, and each of their {} owners has as many ready pods as before",
        owners.len()
    )
}

/// The verdict, with what is there.
pub(super) fn judge(
    node: &ObjectRef,
    pods: &UidSet,
    owners: &[ReadyOwner],
    facts: &Facts,
) -> (Verdict, String) {
    let on_node = match facts.get(&Need::pods_on(&node.name)) {
        Some(Fact::List(on_node)) => on_node,
        other => return unread(other, "the pods on the node"),
    };
    let left: Vec<&str> = on_node
        .iter()
        .filter(|pod| !pods.lacks(uid(pod)))
        .map(name)
        .collect();
    let mut short = Vec::new();
    for one in owners {
        match is_whole(one, facts) {
            Ok(true) => {}
            Ok(false) => short.push(one.owner.to_string()),
            Err(unknown) => return unknown,
        }
    }
    let verdict = if left.is_empty() && short.is_empty() {
        Verdict::Proven
    } else {
        Verdict::NotYet
    };
    let left: Vec<String> = left.into_iter().map(str::to_owned).collect();
    (
        verdict,
        format!(
            "{} of the pods are still on it{}; {} owners lack ready pods{}",
            left.len(),
            listed(&left),
            short.len(),
            listed(&short)
        ),
    )
}

/// Whether a workload has its pods again. One that is gone, or was replaced, lacks none.
fn is_whole(one: &ReadyOwner, facts: &Facts) -> Result<bool, (Verdict, String)> {
    match facts.get(&Need::object(&one.owner)) {
        Some(Fact::Object(live)) if uid(live) == one.owner.uid => {
            let ready = live
                .pointer("/status/readyReplicas")
                .and_then(Value::as_u64);
            let asked = live.pointer("/spec/replicas").and_then(Value::as_u64);
            let wanted = u64::from(one.ready).min(asked.unwrap_or(1));
            Ok(ready.unwrap_or(0) >= wanted)
        }
        Some(Fact::Object(_) | Fact::Absent) => Ok(true),
        other => Err(unread(other, &one.owner.to_string())),
    }
}

/// The first of the names in brackets; nothing when there are none.
fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let mut shown: Vec<&str> = names.iter().take(NAMED).map(String::as_str).collect();
    if names.len() > NAMED {
        shown.push("...");
    }
    format!(" ({})", shown.join(", "))
}

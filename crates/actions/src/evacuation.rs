//! Which pods leave a node that is drained, in which order, and which forbid it: the rules of `kubectl drain` for pods of
//! a DaemonSet, static pods, local data and pods that nothing owns. Our own pods stay: a runner does not evict itself.

use std::collections::BTreeMap;

use kexec_api::names;
use kexec_api::plan::ObjectRef;
use serde_json::Value;

use crate::action::{PlanError, Target};
use crate::budgets;
use crate::metadata::TargetKind;
use crate::pod_owner::{self, PodOwner};
use crate::pod_removal;

/// Most pods that a sentence names.
const NAMED: usize = 5;

/// What may go besides pods that are replaced and lose nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Pods without an owner.
    pub(crate) force: bool,
    /// Pods of a DaemonSet stay without being in the way.
    pub(crate) ignore_daemon_sets: bool,
    /// Pods with `emptyDir` volumes.
    pub(crate) delete_local_data: bool,
}

/// What becomes of the pods on a node.
#[derive(Debug, Default)]
pub(crate) struct Evacuation<'a> {
    /// Those to evict, in order: the pods of one owner spread out, and last those that a budget holds now.
    pub(crate) goes: Vec<&'a Value>,
    /// Those that must be gone afterwards: the evicted and those that were going already.
    pub(crate) leaving: Vec<&'a Value>,
    /// Whether a pod of the operator is among those that stay.
    pub(crate) runs_the_operator: bool,
    of_daemon_sets: usize,
    ours: usize,
}

/// What is to be done with one pod.
enum Fate {
    Goes,
    Going,
    Static,
    OfDaemonSet,
    Ours,
    /// In the way.
    Blocks(Obstacle),
}

/// Why a pod is in the way; they are told in this order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Obstacle {
    DaemonSet,
    LocalData,
    Unowned,
    Budgets,
}

impl Obstacle {
    /// What is wrong with these pods, and what to write.
    fn sentence(self, pods: &str) -> String {
        match self {
            Self::DaemonSet => format!(
                "{pods} of DaemonSets would come back at once: leave parameters.ignoreDaemonSets out to let them stay"
            ),
            Self::LocalData => format!(
                "{pods} with emptyDir volumes would lose their data: set parameters.deleteLocalData to evict them \
                 nevertheless"
            ),
            Self::Unowned => format!(
                "{pods} without an owner would not be replaced: set parameters.force to evict them for good"
            ),
            Self::Budgets => format!(
                "{pods} in more than one PodDisruptionBudget cannot be evicted: let only one select them"
            ),
        }
    }
}

/// What becomes of the `pods` on a node, or the sentence that names those in the way.
pub(crate) fn of<'a>(
    node: &ObjectRef,
    pods: &'a [Value],
    budgets: &[Value],
    rules: Rules,
) -> Result<Evacuation<'a>, PlanError> {
    let mut evacuation = Evacuation::default();
    let mut blocked: BTreeMap<Obstacle, Vec<&Value>> = BTreeMap::new();
    for pod in pods {
        match fate(pod, budgets, rules) {
            Fate::Goes => {
                evacuation.goes.push(pod);
                evacuation.leaving.push(pod);
            }
            Fate::Going => evacuation.leaving.push(pod),
            Fate::Static => {}
            Fate::OfDaemonSet => evacuation.of_daemon_sets += 1,
            Fate::Ours => {
                evacuation.ours += 1;
                evacuation.runs_the_operator |= label(pod, names::LABEL_EXECUTION_UID).is_none();
            }
            Fate::Blocks(obstacle) => blocked.entry(obstacle).or_default().push(pod),
        }
    }
    if blocked.is_empty() {
        sort(&mut evacuation.goes, budgets);
        return Ok(evacuation);
    }
    let sentences: Vec<String> = blocked
        .into_iter()
        .map(|(obstacle, pods)| obstacle.sentence(&listed(&pods)))
        .collect();
    Err(PlanError::RefuseTarget(format!(
        "{node} cannot be drained: {}",
        sentences.join("; ")
    )))
}

fn fate(pod: &Value, budgets: &[Value], rules: Rules) -> Fate {
    let ended = pod_owner::has_ended(pod);
    let has_local_data = !ended && has_local_data(pod);
    if pod_removal::is_mirror(pod) {
        Fate::Static
    } else if is_ours(pod) {
        Fate::Ours
    } else if pod.pointer("/metadata/deletionTimestamp").is_some() {
        Fate::Going
    } else if is_of_daemon_set(pod) && !ended {
        if rules.ignore_daemon_sets {
            Fate::OfDaemonSet
        } else {
            Fate::Blocks(Obstacle::DaemonSet)
        }
    } else if has_local_data && !rules.delete_local_data {
        Fate::Blocks(Obstacle::LocalData)
    } else if is_unowned(pod) && !ended && !rules.force {
        Fate::Blocks(Obstacle::Unowned)
    } else if !ended && budgets::over(budgets, pod).len() > 1 {
        Fate::Blocks(Obstacle::Budgets)
    } else {
        Fate::Goes
    }
}

impl Evacuation<'_> {
    /// What people should know beforehand.
    pub(crate) fn notes(&self, budgets: &[Value]) -> Vec<String> {
        let mut held: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
        for pod in &self.goes {
            if let Some(budget) = holding(budgets, pod) {
                let namespace = budget
                    .pointer("/metadata/namespace")
                    .and_then(Value::as_str);
                let name = format!(
                    "{}/{}",
                    namespace.unwrap_or_default(),
                    budgets::name(budget)
                );
                held.entry(name).or_default().push(pod);
            }
        }
        let held = held.into_iter().map(|(budget, pods)| {
            format!(
                "PodDisruptionBudget \"{budget}\" allows no disruption now, so that {} must wait for it",
                listed(&pods)
            )
        });
        let daemons = (self.of_daemon_sets > 0)
            .then(|| format!("{} pods of DaemonSets stay", self.of_daemon_sets));
        let lost: Vec<&Value> = self
            .goes
            .iter()
            .copied()
            .filter(|pod| has_local_data(pod))
            .collect();
        let lost = (!lost.is_empty())
            .then(|| format!("the emptyDir volumes of {} are deleted", listed(&lost)));
        let ours = (self.ours > 0).then(|| {
            format!(
                "{} pods of this operator stay, because it does not evict itself: delete them when all is done",
                self.ours
            )
        });
        held.chain(lost).chain(daemons).chain(ours).collect()
    }
}

/// The budget that holds a pod now.
fn holding<'a>(budgets: &'a [Value], pod: &Value) -> Option<&'a Value> {
    budgets::over(budgets, pod)
        .into_iter()
        .find(|budget| budgets::forbids(budget, pod))
}

/// Puts the pods that a budget holds now last, and of the others one of each owner before the second of any.
fn sort(pods: &mut Vec<&Value>, budgets: &[Value]) {
    pods.sort_by_key(|pod| named(pod));
    let mut turns: BTreeMap<String, usize> = BTreeMap::new();
    let mut ranked: Vec<(bool, usize, &Value)> = pods
        .drain(..)
        .map(|pod| {
            let owner = pod_owner::controller_reference(pod)
                .and_then(|owner| owner.get("uid"))
                .and_then(Value::as_str)
                .map_or_else(|| named(pod), str::to_owned);
            let turn = turns.entry(owner).or_default();
            *turn += 1;
            (holding(budgets, pod).is_some(), *turn, pod)
        })
        .collect();
    ranked.sort_by_key(|(held, turn, _)| (*held, *turn));
    pods.extend(ranked.into_iter().map(|(_, _, pod)| pod));
}

/// The reference to a pod.
pub(crate) fn reference(pod: &Value) -> ObjectRef {
    let text = |pointer| {
        pod.pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let kind = TargetKind::POD;
    ObjectRef {
        api_version: kind.api_version.to_owned(),
        kind: kind.kind.to_owned(),
        resource: kind.resource.to_owned(),
        namespace: Some(text("/metadata/namespace").to_owned()),
        name: text("/metadata/name").to_owned(),
        uid: text("/metadata/uid").to_owned(),
    }
}

fn owner(pod: &Value) -> PodOwner {
    PodOwner::of(&Target {
        reference: reference(pod),
        live: pod.clone(),
        asked_at: String::new(),
    })
}

/// The workload that replaces a pod elsewhere: any that replaces pods but a DaemonSet.
pub(crate) fn replacing_owner(pod: &Value) -> Option<ObjectRef> {
    match owner(pod) {
        PodOwner::Replacing(owner) if owner.kind != TargetKind::DAEMON_SET.kind => Some(owner),
        PodOwner::Replacing(_) | PodOwner::None | PodOwner::Other { .. } => None,
    }
}

fn is_of_daemon_set(pod: &Value) -> bool {
    match owner(pod) {
        PodOwner::Replacing(owner) => owner.kind == TargetKind::DAEMON_SET.kind,
        PodOwner::None | PodOwner::Other { .. } => false,
    }
}

/// Whether nothing owns a pod.
pub(crate) fn is_unowned(pod: &Value) -> bool {
    pod_owner::controller_reference(pod).is_none()
}

fn has_local_data(pod: &Value) -> bool {
    let volumes = pod.pointer("/spec/volumes").and_then(Value::as_array);
    volumes
        .into_iter()
        .flatten()
        .any(|volume| volume.get("emptyDir").is_some())
}

/// Whether a pod is one of our runners, or the operator.
fn is_ours(pod: &Value) -> bool {
    let name = label(pod, names::LABEL_APP_NAME);
    matches!(
        name,
        Some(names::APP_NAME | names::CONTROLLER_SERVICE_ACCOUNT)
    )
}

fn label<'a>(pod: &'a Value, key: &str) -> Option<&'a str> {
    pod.pointer("/metadata/labels")?.get(key)?.as_str()
}

/// `namespace/name` of a pod.
pub(crate) fn named(pod: &Value) -> String {
    let reference = reference(pod);
    format!(
        "{}/{}",
        reference.namespace.unwrap_or_default(),
        reference.name
    )
}

/// How many pods, and the first of their names: `2 pods (web/a, web/b)`.
pub(crate) fn listed(pods: &[&Value]) -> String {
    let mut names: Vec<String> = pods.iter().take(NAMED).map(|pod| named(pod)).collect();
    if pods.len() > NAMED {
        names.push("...".to_owned());
    }
    let noun = if pods.len() == 1 { "pod" } else { "pods" };
    format!("{} {noun} ({})", pods.len(), names.join(", "))
}

//! `drain_node`: cordons a node, then evicts what runs on it, by the rules of `kubectl drain` (BR-EXEC-003, SP-12,
//! SP-61…SP-63). Which pods may go is decided in `evacuation`, whether they find a place in `room`.

use kexec_api::execution::duration::parse;
use kexec_api::execution::spec::{Category, RiskLevel};
use kexec_api::plan::{Expectation, ReadyOwner, Step};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::action::{Action, Draft, PlanError, RiskFactor, Target};
use crate::budgets;
use crate::evacuation::{self, Evacuation, Rules};
use crate::evict_pod;
use crate::facts::{Fact, Facts, Need};
use crate::metadata::{Metadata, Resources, TargetKind};
use crate::pod_removal;
use crate::rollout;
use crate::room;
use crate::schedulability::{self, Schedulability};

pub(crate) struct DrainNode;

/// Label of the nodes that run the cluster itself.
const CONTROL_PLANE: &str = "/metadata/labels/node-role.kubernetes.io~1control-plane";
/// Time a drain may take unless it says otherwise.
const DEFAULT_SECONDS: u32 = 600;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Parameters {
    /// Also evicts pods that nothing owns and nothing replaces, and allows `gracePeriodSeconds: 0`; needs the verb
    /// `force` on the action type. Disruption budgets are honoured nevertheless.
    force: bool,
    /// Seconds the processes of each pod get to stop (SP-53); each pod's own value when left out. With 0 the pods are
    /// dropped while their processes may still run, which needs `force`.
    #[schemars(range(max = 3600))]
    grace_period_seconds: Option<u32>,
    /// Time the evictions may take (SP-61), such as `10m`, which it is when left out; at most 24h. The execution's own
    /// time-out ends them as well.
    #[schemars(length(max = 16), regex(pattern = r"^([1-9][0-9]{0,8})(s|m|h)$"), extend("title" = "a whole number of s, m or h, such as 10m"))]
    drain_timeout: Option<String>,
    /// Whether the pods of a DaemonSet may stay (SP-62), true by default; false refuses a node that has any, since they
    /// come back at once.
    ignore_daemon_sets: bool,
    /// Whether pods with `emptyDir` volumes are evicted too, which deletes that data (SP-63); false by default.
    delete_local_data: bool,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            force: false,
            grace_period_seconds: None,
            drain_timeout: None,
            ignore_daemon_sets: true,
            delete_local_data: false,
        }
    }
}

impl Parameters {
    fn seconds(&self) -> Result<u32, PlanError> {
        let Some(text) = &self.drain_timeout else {
            return Ok(DEFAULT_SECONDS);
        };
        let longest = 24 * 60 * 60;
        let seconds = parse(text)
            .ok()
            .and_then(|time| u32::try_from(time.as_secs()).ok());
        seconds
            .filter(|seconds| *seconds <= longest)
            .ok_or_else(|| {
                PlanError::invalid_parameter(
                    "parameters.drainTimeout",
                    format!("is \"{text}\": write at most 24h"),
                )
            })
    }
}

impl Action for DrainNode {
    type Parameters = Parameters;

    const METADATA: Metadata = Metadata {
        action_type: "drain_node",
        aliases: &[],
        version: "v1.0",
        description: "Cordons a node and evicts the pods on it, as far as their disruption budgets allow.",
        category: Category::Core,
        risk: RiskLevel::High,
        reversible: true,
        idempotent: false,
        targets: &[TargetKind::NODE],
        rules: &[
            schedulability::rule("sets spec.unschedulable, and nothing else of the node"),
            evict_pod::rule("evicts the pods on the node, each by its UID, as their budgets allow"),
        ],
        service_account: None,
        resources: Resources::DEFAULT,
    };

    fn needs(target: &Target, _: &Parameters, facts: &Facts) -> Vec<Need> {
        let on_node = Need::pods_on(&target.reference.name);
        let nodes = schedulability::all_nodes();
        let owners = facts.list(&on_node).iter().filter_map(owner_need);
        let elsewhere = room::candidates(facts.list(&nodes), &target.reference.uid);
        let elsewhere = elsewhere.into_iter().map(room::pods_on);
        let mut needs: Vec<Need> = owners.chain(elsewhere).collect();
        needs.extend([on_node, nodes, budgets::all(None)]);
        needs
    }

    fn plan(target: &Target, parameters: &Parameters, facts: &Facts) -> Result<Draft, PlanError> {
        pod_removal::refuse_dropping(parameters.grace_period_seconds, parameters.force)?;
        let drain_seconds = parameters.seconds()?;
        let list = |need: &Need| facts.require_list(need).map_err(PlanError::UseFact);
        let pods = list(&Need::pods_on(&target.reference.name))?;
        let budgets = list(&budgets::all(None))?;
        let nodes = list(&schedulability::all_nodes())?;
        let rules = Rules {
            force: parameters.force,
            ignore_daemon_sets: parameters.ignore_daemon_sets,
            delete_local_data: parameters.delete_local_data,
        };
        let evacuation = evacuation::of(&target.reference, pods, budgets, rules)?;
        let mut draft = schedulability::draft(target, Schedulability::Cordoned)?;
        draft
            .steps
            .extend(evacuation.goes.iter().map(|pod| Step::Evict {
                target: evacuation::reference(pod),
                grace_period_seconds: parameters.grace_period_seconds,
                drain_seconds: Some(drain_seconds),
            }));
        draft.expectations.push(Expectation::Drained {
            node: target.reference.clone(),
            pods: evacuation
                .leaving
                .iter()
                .copied()
                .filter_map(rollout::uid)
                .collect(),
            owners: owners(&evacuation, facts)?,
        });
        draft.summary = summary(target, &draft.steps, evacuation.goes.len());
        draft.risk_factors = risk_factors(target, parameters, &evacuation, nodes);
        draft.notes = evacuation.notes(budgets);
        if !evacuation.goes.is_empty() {
            let elsewhere = room::candidates(nodes, &target.reference.uid);
            draft
                .notes
                .extend(room::forecast(&evacuation.goes, &elsewhere, facts)?);
        }
        Ok(draft)
    }
}

/// The need for the workload that replaces a pod; none for a pod of a DaemonSet, which is not replaced elsewhere.
fn owner_need(pod: &Value) -> Option<Need> {
    evacuation::replacing_owner(pod).map(|owner| Need::object(&owner))
}

/// The workloads that lose pods, and how many ready ones each must have again: as many as now.
fn owners(evacuation: &Evacuation<'_>, facts: &Facts) -> Result<Vec<ReadyOwner>, PlanError> {
    let mut owners: Vec<ReadyOwner> = Vec::new();
    for owner in evacuation
        .goes
        .iter()
        .copied()
        .filter_map(evacuation::replacing_owner)
    {
        if owners.iter().any(|one| one.owner.uid == owner.uid) {
            continue;
        }
        // Whoever is gone already, or was replaced, replaces nothing.
        if facts.get(&Need::object(&owner)) == Some(&Fact::Absent) {
            continue;
        }
        let live = facts
            .require_object(&Need::object(&owner))
            .map_err(PlanError::UseFact)?;
        if rollout::uid(live).as_deref() != Some(owner.uid.as_str()) {
            continue;
        }
        let ready = live
            .pointer("/status/readyReplicas")
            .and_then(Value::as_u64);
        let ready = ready
            .and_then(|ready| u32::try_from(ready).ok())
            .unwrap_or(0);
        let desired = rollout::replicas(live, &owner)?;
        owners.push(ReadyOwner {
            ready: ready.min(desired),
            owner,
        });
    }
    Ok(owners)
}

fn summary(target: &Target, steps: &[Step], evicted: usize) -> String {
    let node = &target.reference;
    let cordons = steps.len() > evicted;
    match (cordons, evicted) {
        (true, 0) => format!("cordon {node}: no pod on it is to be moved"),
        (false, 0) => format!("{node} is cordoned, and no pod on it is to be moved"),
        (true, count) => format!("cordon {node} and evict {count} pods from it"),
        (false, count) => format!("evict {count} pods from {node}, which is cordoned already"),
    }
}

fn risk_factors(
    target: &Target,
    parameters: &Parameters,
    evacuation: &Evacuation<'_>,
    nodes: &[Value],
) -> Vec<RiskFactor> {
    let last = schedulability::is_last(nodes, &target.reference.uid)
        .then_some("no other node takes pods: what is evicted has no place until one does");
    let control_plane = target
        .live
        .pointer(CONTROL_PLANE)
        .map(|_| "the node runs the cluster's control plane");
    let own = evacuation
        .runs_the_operator
        .then_some("the operator itself runs on the node");
    let alone = evacuation
        .goes
        .iter()
        .any(|pod| evacuation::is_unowned(pod))
        .then_some("pods that nothing owns are among the evicted: nothing replaces them");
    let factors = [last, control_plane, own, alone].into_iter().flatten();
    let dropping = pod_removal::dropping_risk(parameters.grace_period_seconds);
    factors.map(RiskFactor::one_level).chain(dropping).collect()
}

#[cfg(test)]
mod tests;

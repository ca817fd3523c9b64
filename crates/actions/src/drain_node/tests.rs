use serde_json::json;

use super::*;
use crate::action::Planner;
use crate::every_action::{Case, Cases};
use crate::fixtures::{bare_pod, budget, facts, node, owned_pod, parameters, ready_node};

const REPLICA_SET: (&str, &str, &str) = ("apps/v1", "ReplicaSet", "shop-7d9c");
const DAEMON_SET: (&str, &str, &str) = ("apps/v1", "DaemonSet", "proxy");

impl Cases for DrainNode {
    fn cases() -> Vec<Case> {
        let pods = vec![
            of_replica_set("p-1"),
            of_replica_set("p-2"),
            owned_pod("p-3", DAEMON_SET, true),
        ];
        let given = json!({"gracePeriodSeconds": 30, "drainTimeout": "5m"});
        let world = world(pods, vec![budget("shop", 0)]);
        vec![Case::of::<Self>("", node(&json!({})), given, world)]
    }
}

fn of_replica_set(uid: &str) -> Value {
    owned_pod(uid, REPLICA_SET, true)
}

/// A pod of a ReplicaSet of its own.
fn of_another(uid: &str, owner: &str) -> Value {
    let mut pod = of_replica_set(uid);
    pod["metadata"]["ownerReferences"][0]["uid"] = owner.into();
    pod["metadata"]["ownerReferences"][0]["name"] = owner.into();
    pod
}

/// Two nodes; `pods` are on the one to be drained, whose owners have two ready pods each.
fn world(pods: Vec<Value>, budgets: Vec<Value>) -> Facts {
    let owners: Vec<_> = pods
        .iter()
        .filter_map(evacuation::replacing_owner)
        .collect();
    let nodes = vec![ready_node("n-1"), roomy("8")];
    let mut world = facts([
        (Need::pods_on("worker-1"), Fact::List(pods)),
        (Need::pods_on("worker-2"), Fact::List(Vec::new())),
        (schedulability::all_nodes(), Fact::List(nodes)),
        (budgets::all(None), Fact::List(budgets)),
    ]);
    for owner in owners {
        let live = json!({"metadata": {"uid": owner.uid}, "spec": {"replicas": 3}, "status": {"readyReplicas": 2}});
        world.insert(Need::object(&owner), Fact::Object(live));
    }
    world
}

/// The other node, with room for so much CPU.
fn roomy(cpu: &str) -> Value {
    let mut other = ready_node("n-2");
    other["status"]["allocatable"] = json!({"cpu": cpu, "memory": "8Gi", "pods": "110"});
    other
}

fn planned(parameters: &Parameters, world: &Facts) -> Result<Draft, PlanError> {
    DrainNode::plan(&node(&json!({})), parameters, world)
}

fn drained(pods: Vec<Value>, budgets: Vec<Value>) -> Draft {
    planned(&Parameters::default(), &world(pods, budgets)).expect("plans")
}

fn sentence(parameters: &Parameters, pods: Vec<Value>) -> String {
    planned(parameters, &world(pods, vec![]))
        .expect_err("is refused")
        .to_string()
}

/// UIDs of the pods in the order they are evicted in.
fn evicted(draft: &Draft) -> Vec<&str> {
    let evictions = draft.steps.iter().filter(|step| step.deed() == "evict");
    evictions.map(|step| step.target().uid.as_str()).collect()
}

fn factors(target: &Target, parameters: &Parameters, world: &Facts) -> Vec<String> {
    let draft = DrainNode::plan(target, parameters, world).expect("plans");
    let texts = draft.risk_factors.into_iter().map(|factor| factor.text);
    texts.collect()
}

#[test]
fn the_cordon_comes_first_and_the_proof_names_what_must_be_gone_and_whole() {
    let draft = drained(vec![of_replica_set("p-1"), of_replica_set("p-2")], vec![]);
    let deeds: Vec<&str> = draft.steps.iter().map(Step::deed).collect();
    assert_eq!(deeds, ["patch", "evict", "evict"]);
    let owner = evacuation::replacing_owner(&of_replica_set("p-1")).expect("an owner");
    assert_eq!(
        draft.expectations[1],
        Expectation::Drained {
            node: node(&json!({})).reference,
            pods: ["p-1", "p-2"].into_iter().collect(),
            owners: vec![ReadyOwner { owner, ready: 2 }],
        }
    );
    assert_eq!(draft.notes, Vec::<String>::new());
    assert_eq!(
        draft.summary,
        "cordon Node/worker-1 and evict 2 pods from it"
    );
}

#[test]
fn a_node_that_is_cordoned_already_is_not_uncordoned_by_the_rollback() {
    let cordoned = node(&json!({"unschedulable": true}));
    let world = world(vec![of_replica_set("p-1")], vec![]);
    let draft = DrainNode::plan(&cordoned, &Parameters::default(), &world).expect("plans");
    assert_eq!(draft.steps.len(), 1);
    assert!(draft.steps.iter().all(|step| step.inverse().is_none()));
}

#[test]
fn the_pods_of_one_owner_are_spread_out_and_those_that_a_budget_holds_come_last() {
    let mut free = of_another("p-4", "o-2");
    free["metadata"]["labels"] = json!({"app": "free"});
    let mut also_free = of_another("p-5", "o-2");
    also_free["metadata"]["labels"] = json!({"app": "free"});
    let mut third = of_another("p-6", "o-3");
    third["metadata"]["labels"] = json!({"app": "free"});
    let pods = vec![of_replica_set("p-1"), free, also_free, third];
    let draft = drained(pods, vec![budget("shop", 0)]);
    assert_eq!(evicted(&draft), ["p-4", "p-6", "p-5", "p-1"]);
    assert_eq!(
        draft.notes,
        [
            "PodDisruptionBudget \"web/shop\" allows no disruption now, so that 1 pod (web/shop-p-1) must wait for it"
        ]
    );
}

#[test]
fn pods_of_daemon_sets_stay_or_forbid_the_drain() {
    let daemon = || vec![owned_pod("p-1", DAEMON_SET, true)];
    let draft = drained(daemon(), vec![]);
    assert_eq!(
        (evicted(&draft), draft.notes.as_slice()),
        (vec![], &["1 pods of DaemonSets stay".to_owned()][..])
    );
    let strict = Parameters {
        ignore_daemon_sets: false,
        ..Parameters::default()
    };
    assert_eq!(
        sentence(&strict, daemon()),
        "Node/worker-1 cannot be drained: 1 pod (web/shop-p-1) of DaemonSets would come back at once: leave \
         parameters.ignoreDaemonSets out to let them stay"
    );
}

#[test]
fn local_data_is_only_deleted_when_asked_to() {
    let mut pod = of_replica_set("p-1");
    pod["spec"]["volumes"] = json!([{"name": "scratch", "emptyDir": {}}]);
    assert_eq!(
        sentence(&Parameters::default(), vec![pod.clone()]),
        "Node/worker-1 cannot be drained: 1 pod (web/shop-p-1) with emptyDir volumes would lose their data: set \
         parameters.deleteLocalData to evict them nevertheless"
    );
    let asked = Parameters {
        delete_local_data: true,
        ..Parameters::default()
    };
    let draft = planned(&asked, &world(vec![pod], vec![])).expect("plans");
    assert_eq!(
        draft.notes,
        ["the emptyDir volumes of 1 pod (web/shop-p-1) are deleted"]
    );
}

#[test]
fn pods_without_an_owner_go_only_by_force() {
    let pods = || vec![bare_pod("p-1", true)];
    assert_eq!(
        sentence(&Parameters::default(), pods()),
        "Node/worker-1 cannot be drained: 1 pod (web/shop-p-1) without an owner would not be replaced: set \
         parameters.force to evict them for good"
    );
    let forced = Parameters {
        force: true,
        ..Parameters::default()
    };
    assert_eq!(
        factors(&node(&json!({})), &forced, &world(pods(), vec![])),
        ["pods that nothing owns are among the evicted: nothing replaces them"]
    );
}

#[test]
fn a_pod_in_two_budgets_is_in_the_way() {
    let world = world(
        vec![of_replica_set("p-1")],
        vec![budget("one", 1), budget("two", 1)],
    );
    let error = planned(&Parameters::default(), &world).expect_err("is refused");
    assert_eq!(
        error.to_string(),
        "Node/worker-1 cannot be drained: 1 pod (web/shop-p-1) in more than one PodDisruptionBudget cannot be evicted: \
         let only one select them"
    );
}

#[test]
fn ended_pods_go_and_static_and_going_ones_are_left_to_themselves() {
    let mut ended = bare_pod("p-1", false);
    ended["status"]["phase"] = "Succeeded".into();
    let mut mirror = bare_pod("p-2", true);
    mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
    let mut going = of_replica_set("p-3");
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    let draft = drained(vec![ended, mirror, going], vec![]);
    assert_eq!(evicted(&draft), ["p-1"]);
    let Expectation::Drained { pods, .. } = &draft.expectations[1] else {
        panic!("{:?}", draft.expectations);
    };
    assert_eq!(*pods, ["p-1", "p-3"].into_iter().collect());
}

#[test]
fn a_runner_and_the_operator_are_not_evicted_and_the_operator_raises_the_risk() {
    let ours = |uid: &str, labels: Value| {
        let mut pod = bare_pod(uid, true);
        pod["metadata"]["labels"] = labels;
        pod
    };
    let runner = ours(
        "p-1",
        json!({"app.kubernetes.io/name": "kubernetes-executor", "kubernaut.io/execution-uid": "e-1"}),
    );
    let operator = ours(
        "p-2",
        json!({"app.kubernetes.io/name": "kubernaut-executor"}),
    );
    let of = |pods| {
        factors(
            &node(&json!({})),
            &Parameters::default(),
            &world(pods, vec![]),
        )
    };
    assert_eq!(of(vec![runner.clone()]), Vec::<String>::new());
    assert_eq!(
        of(vec![runner.clone(), operator]),
        ["the operator itself runs on the node"]
    );
    assert_eq!(evicted(&drained(vec![runner], vec![])), Vec::<&str>::new());
}

#[test]
fn the_last_node_and_one_of_the_control_plane_raise_the_risk() {
    let mut target = node(&json!({}));
    target.live["metadata"]["labels"] = json!({"node-role.kubernetes.io/control-plane": ""});
    let mut world = world(vec![], vec![]);
    let alone = Fact::List(vec![ready_node("n-1")]);
    world.insert(schedulability::all_nodes(), alone);
    assert_eq!(
        factors(&target, &Parameters::default(), &world),
        [
            "no other node takes pods: what is evicted has no place until one does",
            "the node runs the cluster's control plane",
        ]
    );
}

#[test]
fn pods_that_find_no_place_elsewhere_are_told_beforehand() {
    let asking = |uid: &str, cpu: &str| {
        let mut pod = of_replica_set(uid);
        pod["spec"]["containers"] =
            json!([{"resources": {"requests": {"cpu": cpu, "memory": "1Gi"}}}]);
        pod
    };
    let pods = vec![asking("p-1", "600m"), asking("p-2", "600m")];
    let mut world = world(pods, vec![]);
    let nodes = vec![ready_node("n-1"), roomy("2")];
    world.insert(schedulability::all_nodes(), Fact::List(nodes));
    let told = |world: &Facts| planned(&Parameters::default(), world).expect("plans").notes;
    assert_eq!(told(&world), Vec::<String>::new());
    let there = Fact::List(vec![asking("p-9", "1")]);
    world.insert(Need::pods_on("worker-2"), there);
    assert_eq!(
        told(&world),
        ["1 pod (web/shop-p-2) may find no place on the other nodes by what they request"]
    );
}

#[test]
fn the_time_is_ten_minutes_or_what_is_written_and_at_most_a_day() {
    let seconds = |text: Option<&str>| {
        let parameters = Parameters {
            drain_timeout: text.map(str::to_owned),
            ..Parameters::default()
        };
        parameters.seconds().map_err(|error| error.to_string())
    };
    assert_eq!(seconds(None), Ok(600));
    assert_eq!(seconds(Some("90s")), Ok(90));
    assert_eq!(seconds(Some("24h")), Ok(86_400));
    assert_eq!(
        seconds(Some("25h")),
        Err(
            "spec.actionDefinition.parameters.drainTimeout is \"25h\": write at most 24h"
                .to_owned()
        )
    );
    let planner = Planner::of::<DrainNode>();
    let error = planner.check(&parameters(json!({"drainTimeout": "soon"})));
    assert_eq!(
        error.expect_err("does not fit").to_string(),
        "spec.actionDefinition.parameters.drainTimeout is \"soon\": write a whole number of s, m or h, such as 10m"
    );
}

#[test]
fn unread_facts_are_not_taken_for_none() {
    let unread = planned(&Parameters::default(), &Facts::default());
    assert!(matches!(unread, Err(PlanError::UseFact(_))), "{unread:?}");
}

use serde_json::json;

use super::*;
use crate::endpoints;
use crate::every_action::{Case, Cases};
use crate::facts::Fact;
use crate::fixtures::{bare_pod, budget, facts, owned_pod, target};

const REPLICA_SET: (&str, &str, &str) = ("apps/v1", "ReplicaSet", "shop-7d9c");

impl Cases for EvictPod {
    fn cases() -> Vec<Case> {
        let parameters = json!({"gracePeriodSeconds": 30});
        let held = world(vec![budget("shop", 0)]);
        let bare = pod(bare_pod("p-1", true));
        vec![
            Case::of::<Self>("", pod(of_replica_set()), parameters, held),
            Case::of::<Self>("bare", bare, json!({"force": true}), world(vec![])),
        ]
    }
}

fn pod(live: Value) -> Target {
    target(TargetKind::POD, live)
}

fn of_replica_set() -> Value {
    owned_pod("p-1", REPLICA_SET, true)
}

fn world(budgets: Vec<Value>) -> Facts {
    let pods = vec![of_replica_set(), owned_pod("p-2", REPLICA_SET, true)];
    let owner = match PodOwner::of(&pod(of_replica_set())) {
        PodOwner::Replacing(owner) => owner,
        other => panic!("{other:?}"),
    };
    let replica_set = json!({"metadata": {"uid": "o-1"}, "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "shop"}}}});
    facts([
        (Need::object(&owner), Fact::Object(replica_set)),
        (Need::pods(Some("web"), "app=shop"), Fact::List(pods)),
        (endpoints::services(Some("web")), Fact::List(Vec::new())),
        (budgets::all(Some("web")), Fact::List(budgets)),
    ])
}

fn planned(live: Value, force: bool, budgets: Vec<Value>) -> Result<Draft, PlanError> {
    let parameters = Parameters {
        force,
        grace_period_seconds: None,
    };
    EvictPod::plan(&pod(live), &parameters, &world(budgets))
}

fn sentence(planned: Result<Draft, PlanError>) -> String {
    planned.expect_err("is refused").to_string()
}

#[test]
fn the_pod_is_evicted_and_the_proof_is_its_replacement() {
    let draft = planned(of_replica_set(), false, vec![]).expect("plans");
    assert_eq!(
        draft.steps,
        [Step::Evict {
            target: pod(of_replica_set()).reference,
            grace_period_seconds: None,
            drain_seconds: None
        }]
    );
    assert!(
        matches!(
            &draft.expectations[..],
            [Expectation::Replaced { ready: 2, .. }]
        ),
        "{:?}",
        draft.expectations
    );
    assert_eq!(draft.notes, Vec::<String>::new());
}

#[test]
fn a_budget_that_forbids_it_now_is_told_beforehand() {
    let told = |allowed| {
        let draft = planned(of_replica_set(), false, vec![budget("shop", allowed)]);
        draft.expect("plans").notes
    };
    assert_eq!(
        told(0),
        [
            "PodDisruptionBudget \"shop\" allows no disruption now: the eviction waits until it does, at most until the \
             execution's deadline"
        ]
    );
    assert_eq!(told(1), Vec::<String>::new());
}

#[test]
fn a_pod_in_two_budgets_is_refused() {
    let budgets = vec![budget("one", 1), budget("two", 1)];
    assert_eq!(
        sentence(planned(of_replica_set(), false, budgets)),
        "Pod/web/shop-p-1 is in more than one PodDisruptionBudget (one, two), and Kubernetes evicts no such pod: let \
         only one of them select it"
    );
}

#[test]
fn a_bare_pod_is_evicted_only_by_force() {
    assert_eq!(
        sentence(planned(bare_pod("p-1", true), false, vec![])),
        "Pod/web/shop-p-1 has no owner, so nothing would replace it: create it by a Deployment, or set \
         parameters.force to evict it for good"
    );
    let draft = planned(bare_pod("p-1", true), true, vec![]).expect("plans");
    assert!(matches!(draft.expectations[..], [Expectation::Gone { .. }]));
    assert_eq!(draft.risk_factors.len(), 1);
}

#[test]
fn of_a_pod_that_has_ended_or_belongs_to_a_job_only_the_end_is_proven() {
    let mut ended = of_replica_set();
    ended["status"]["phase"] = "Failed".into();
    for live in [ended, owned_pod("p-1", ("batch/v1", "Job", "report"), true)] {
        let draft = planned(live, false, vec![]).expect("plans");
        assert!(matches!(draft.expectations[..], [Expectation::Gone { .. }]));
    }
}

#[test]
fn the_image_of_a_static_pod_is_refused() {
    let mut mirror = bare_pod("p-1", true);
    mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
    assert_eq!(
        sentence(planned(mirror, true, vec![])),
        "Pod/web/shop-p-1 is the image of a static pod, which comes back when it is evicted: remove its manifest on the \
         node"
    );
}

#[test]
fn unread_budgets_are_not_taken_for_none() {
    let unread = EvictPod::plan(
        &pod(bare_pod("p-1", true)),
        &Parameters {
            force: true,
            grace_period_seconds: None,
        },
        &Facts::default(),
    );
    assert!(matches!(unread, Err(PlanError::UseFact(_))), "{unread:?}");
}

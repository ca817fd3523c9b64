//! When a rollout is proven: the controller's counts, the pods that had to go, and the revisions of a StatefulSet.

use kexec_actions::facts::{Fact, Facts, Need};
use kexec_api::plan::{Expectation, ObjectRef};
use kexec_core::proof::{Verdict, judge};
use serde_json::{Value, json};

use crate::proof::{content, facts, live, shop, verdict};
use crate::support::patch;

fn rolled_out(object: ObjectRef) -> Expectation {
    Expectation::RolledOut {
        object,
        selector: "app=shop".into(),
        old_pods: ["p-1", "p-2"].into_iter().collect(),
        known_crash_loops: vec!["p-loops".into()],
    }
}

fn pod(uid: &str, status: &Value) -> Value {
    json!({"metadata": {"uid": uid, "name": format!("shop-{uid}")}, "status": status})
}

fn with(change: Value, pods: Vec<Value>) -> Verdict {
    verdict(
        &rolled_out(shop()),
        &facts(live(change), Some(Fact::List(pods))),
    )
}

#[test]
fn a_deployment_has_rolled_out_when_all_its_replicas_are_updated_and_no_old_pod_is_left() {
    let new = || vec![pod("p-3", &json!({"phase": "Running"}))];
    assert_eq!(with(json!({}), new()), Verdict::Proven);
    for field in [
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
    ] {
        for count in [4, 6] {
            let change = json!({"status": {field: count}});
            assert_eq!(with(change, new()), Verdict::NotYet, "{field} {count}");
        }
    }
    let unobserved = json!({"status": {"observedGeneration": 2}});
    assert_eq!(with(unobserved, new()), Verdict::NotYet);
}

#[test]
fn a_deployment_that_was_scaled_meanwhile_has_rolled_out_on_as_many_replicas_as_it_asks_for_now() {
    let scaled = json!({
        "spec": {"replicas": 2},
        "status": {"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2},
    });
    assert_eq!(with(scaled, Vec::new()), Verdict::Proven);
}

#[test]
fn an_old_pod_counts_until_it_is_gone_or_has_ended() {
    for (status, verdict) in [
        (json!({"phase": "Running"}), Verdict::NotYet),
        (json!({"phase": "Pending"}), Verdict::NotYet),
        (json!({"phase": "Failed"}), Verdict::Proven),
        (json!({"phase": "Succeeded"}), Verdict::Proven),
    ] {
        assert_eq!(with(json!({}), vec![pod("p-2", &status)]), verdict);
    }
}

#[test]
fn a_new_crash_loop_is_no_end_of_a_rollout_and_a_known_one_is_not_blamed_on_it() {
    let looping =
        json!({"containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]});
    assert_eq!(with(json!({}), vec![pod("p-3", &looping)]), Verdict::NotYet);
    assert_eq!(
        with(json!({}), vec![pod("p-loops", &looping)]),
        Verdict::Proven
    );
}

#[test]
fn what_stands_in_the_way_is_said() {
    let change = json!({"status": {
        "updatedReplicas": 1,
        "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}],
    }});
    let looping =
        json!({"containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]});
    let pods = vec![pod("p-1", &json!({})), pod("p-3", &looping)];
    let facts = facts(live(change), Some(Fact::List(pods)));
    let judgement = judge(&content(Vec::new(), vec![rolled_out(shop())]), &facts);
    assert_eq!(
        judgement.findings[0].actual,
        "5 replicas, 1 updated, 5 ready, 5 available (spec asks for 5); old pods left: shop-p-1; crash-looping: \
         shop-p-3; its progress deadline is exceeded"
    );
}

/// The same object as one of another kind.
fn of_kind(kind: &str, resource: &str, live: Value) -> (ObjectRef, Facts) {
    let object = ObjectRef {
        kind: kind.into(),
        resource: resource.into(),
        ..shop()
    };
    let mut facts = Facts::default();
    facts.insert(Need::object(&object), Fact::Object(live));
    facts.insert(Need::pods(Some("web"), "app=shop"), Fact::List(Vec::new()));
    (object, facts)
}

fn settled(change: Value) -> Value {
    let Some(Fact::Object(mut settled)) = live(json!({})) else {
        panic!("is an object");
    };
    patch(&mut settled, change);
    settled
}

#[test]
fn a_stateful_set_has_rolled_out_when_it_names_one_revision_only() {
    let with = |current: &str| {
        let change = json!({"status": {"currentRevision": current, "updateRevision": "shop-2"}});
        let (object, facts) = of_kind("StatefulSet", "statefulsets", settled(change));
        verdict(&rolled_out(object), &facts)
    };
    assert_eq!(with("shop-2"), Verdict::Proven);
    assert_eq!(with("shop-1"), Verdict::NotYet);
}

#[test]
fn a_stateful_set_is_ready_whatever_revision_its_strategy_holds_its_pods_at() {
    let change = json!({"status": {"updatedReplicas": 0}});
    let (object, facts) = of_kind("StatefulSet", "statefulsets", settled(change));
    let ready = Expectation::WorkloadReady {
        object,
        selector: "app=shop".into(),
        replicas: 5,
        known_crash_loops: Vec::new(),
    };
    assert_eq!(verdict(&ready, &facts), Verdict::Proven);
}

#[test]
fn a_daemon_set_has_rolled_out_when_each_node_that_is_to_have_a_pod_has_an_updated_one() {
    let with = |field: &str, count: u32| {
        let mut status = json!({
            "observedGeneration": 3, "desiredNumberScheduled": 3, "currentNumberScheduled": 3,
            "updatedNumberScheduled": 3, "numberReady": 3, "numberAvailable": 3,
        });
        status[field] = count.into();
        let live =
            json!({"metadata": {"uid": "d-1", "generation": 3}, "spec": {}, "status": status});
        let (object, facts) = of_kind("DaemonSet", "daemonsets", live);
        verdict(&rolled_out(object), &facts)
    };
    assert_eq!(with("numberReady", 3), Verdict::Proven);
    for field in [
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "updatedNumberScheduled",
        "numberReady",
        "numberAvailable",
        "observedGeneration",
    ] {
        assert_eq!(with(field, 2), Verdict::NotYet, "{field}");
    }
}

#[test]
fn a_spec_is_observed_when_its_controller_has_seen_the_last_generation() {
    let expectation = Expectation::Observed { object: shop() };
    let with = |generation: u32| {
        let change = json!({"status": {"observedGeneration": generation}});
        verdict(&expectation, &facts(live(change), None))
    };
    assert_eq!((with(3), with(4)), (Verdict::Proven, Verdict::Proven));
    assert_eq!(with(2), Verdict::NotYet);
    assert_eq!(
        verdict(&expectation, &facts(Some(Fact::Absent), None)),
        Verdict::Refuted
    );
}

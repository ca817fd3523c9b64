//! What proves that a node is drained, and what shows that a drain did anything.

use kexec_actions::facts::{Fact, Facts, Need};
use kexec_api::plan::{Expectation, ObjectRef, PlanContent, ReadyOwner, Step};
use kexec_core::proof::{Effect, Verdict, effect, judge, needs};
use serde_json::{Value, json};

use crate::proof::{content, pod_ref, shop};

fn worker() -> ObjectRef {
    ObjectRef {
        api_version: "v1".into(),
        kind: "Node".into(),
        resource: "nodes".into(),
        namespace: None,
        name: "worker-1".into(),
        uid: "n-1".into(),
    }
}

fn owner() -> ObjectRef {
    ObjectRef {
        kind: "ReplicaSet".into(),
        resource: "replicasets".into(),
        uid: "o-1".into(),
        ..shop()
    }
}

/// The drain of a pod of an owner that is to have two ready ones again.
fn drain() -> PlanContent {
    let evict = Step::Evict {
        target: pod_ref(),
        grace_period_seconds: None,
        drain_seconds: Some(600),
    };
    let drained = Expectation::Drained {
        node: worker(),
        pods: ["p-1"].into_iter().collect(),
        owners: vec![ReadyOwner {
            owner: owner(),
            ready: 2,
        }],
    };
    content(vec![evict], vec![drained])
}

fn facts(pods: Option<Fact>, owner_fact: Option<Fact>) -> Facts {
    let mut facts = Facts::default();
    let read = [
        (Need::pods_on("worker-1"), pods),
        (Need::object(&owner()), owner_fact),
    ];
    for (need, fact) in read {
        if let Some(fact) = fact {
            facts.insert(need, fact);
        }
    }
    facts
}

#[expect(clippy::unnecessary_wraps, reason = "what may be read may be unread")]
fn on_node(uids: &[&str]) -> Option<Fact> {
    let pods = uids
        .iter()
        .map(|uid| json!({"metadata": {"name": format!("pod-{uid}"), "uid": uid}}));
    Some(Fact::List(pods.collect()))
}

#[expect(clippy::unnecessary_wraps, reason = "what may be read may be unread")]
fn with_ready(ready: u32, replicas: u32) -> Option<Fact> {
    let live: Value = json!({"metadata": {"uid": "o-1"}, "spec": {"replicas": replicas}, "status": {"readyReplicas": ready}});
    Some(Fact::Object(live))
}

fn verdict(facts: &Facts) -> Verdict {
    judge(&drain(), facts).verdict
}

#[test]
fn a_node_is_drained_when_the_pods_are_gone_and_their_owners_whole() {
    assert_eq!(
        verdict(&facts(on_node(&["p-9"]), with_ready(2, 3))),
        Verdict::Proven
    );
    assert_eq!(
        verdict(&facts(on_node(&["p-1"]), with_ready(2, 3))),
        Verdict::NotYet
    );
    let short = judge(&drain(), &facts(on_node(&[]), with_ready(1, 3)));
    assert_eq!(
        (short.verdict, short.findings[0].actual.as_str()),
        (
            Verdict::NotYet,
            "0 of the pods are still on it; 1 owners lack ready pods (ReplicaSet/web/shop)"
        )
    );
}

#[test]
fn an_owner_that_is_gone_or_was_scaled_down_since_lacks_nothing() {
    for owner_fact in [
        Some(Fact::Absent),
        with_ready(1, 1),
        Some(Fact::Object(json!({"metadata": {"uid": "another"}}))),
    ] {
        assert_eq!(verdict(&facts(on_node(&[]), owner_fact)), Verdict::Proven);
    }
}

#[test]
fn what_was_not_read_proves_nothing() {
    for facts in [
        facts(None, with_ready(2, 3)),
        facts(on_node(&[]), None),
        facts(Some(Fact::NotReadable("a rule".into())), with_ready(2, 3)),
    ] {
        assert_eq!(verdict(&facts), Verdict::Unknown);
    }
}

#[test]
fn the_pods_of_a_drain_are_read_together() {
    assert_eq!(
        needs(&drain()),
        [Need::object(&owner()), Need::pods_on("worker-1")]
    );
}

#[test]
fn a_pod_that_stays_on_the_node_was_not_evicted() {
    let seen = |pods| effect(&drain(), &facts(pods, None));
    assert_eq!(seen(on_node(&["p-1"])), Effect::None);
    assert_eq!(seen(on_node(&["p-9"])), Effect::Whole);
    assert_eq!(seen(None), Effect::Unknown);
    let going = json!({"metadata": {"uid": "p-1", "deletionTimestamp": "2026-01-01T00:00:00Z"}});
    assert_eq!(seen(Some(Fact::List(vec![going]))), Effect::Whole);
}

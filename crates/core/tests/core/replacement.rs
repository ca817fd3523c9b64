//! What proves that a pod was replaced, and that its Services lead to the new one.

use kexec_actions::facts::{Fact, Facts, Kind, Need};
use kexec_api::plan::{Expectation, ServiceEndpoints};
use kexec_core::proof::{Verdict, judge, needs};
use serde_json::{Value, json};

use crate::proof::{content, facts, pod_ref, shop, verdict};
use crate::support::pods_need;

/// A pod of the owner with that UID.
fn pod(uid: &str, ready: bool, owner: &str) -> Value {
    json!({
        "metadata": {"uid": uid, "ownerReferences": [{"uid": owner}]},
        "status": {"conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]},
    })
}

#[test]
fn a_pod_is_replaced_when_it_is_gone_and_its_owner_has_a_new_ready_one() {
    let expectation = Expectation::Replaced {
        object: pod_ref(),
        owner: shop(),
        selector: "app=shop".into(),
        known_pods: ["p-1", "p-2"].into_iter().collect(),
        ready: 2,
        services: Vec::new(),
    };
    let with = |pods: Vec<Value>| verdict(&expectation, &facts(None, Some(Fact::List(pods))));
    let kept = || pod("p-2", true, "d-1");
    let mut leaving = pod("p-3", true, "d-1");
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    assert_eq!(with(vec![kept(), pod("p-3", true, "d-1")]), Verdict::Proven);
    assert_eq!(
        with(vec![kept(), pod("p-3", false, "d-1")]),
        Verdict::NotYet,
        "not ready"
    );
    assert_eq!(
        with(vec![kept(), leaving]),
        Verdict::NotYet,
        "on its way out"
    );
    assert_eq!(
        with(vec![kept(), pod("p-3", true, "d-2")]),
        Verdict::NotYet,
        "of another owner"
    );
    assert_eq!(
        with(vec![pod("p-3", true, "d-1")]),
        Verdict::NotYet,
        "too few"
    );
    assert_eq!(
        with(vec![
            kept(),
            pod("p-3", true, "d-1"),
            pod("p-1", false, "d-1")
        ]),
        Verdict::NotYet,
        "still there"
    );
    assert_eq!(
        with(vec![kept(), pod("p-1", true, "d-1")]),
        Verdict::NotYet,
        "no new one"
    );
    assert_eq!(verdict(&expectation, &Facts::default()), Verdict::Unknown);
}

#[test]
fn a_pod_is_replaced_only_when_its_services_lead_to_the_new_one() {
    let expectation = Expectation::Replaced {
        object: pod_ref(),
        owner: shop(),
        selector: "app=shop".into(),
        known_pods: ["p-1", "p-2", "p-4"].into_iter().collect(),
        ready: 2,
        services: vec![ServiceEndpoints {
            service: "front".into(),
            ready: 2,
        }],
    };
    let slices = Need::List {
        kind: Kind::new("discovery.k8s.io/v1", "EndpointSlice", "endpointslices"),
        namespace: Some("web".into()),
        selector: "kubernetes.io/service-name in (front)".into(),
    };
    let asked = needs(&content(Vec::new(), vec![expectation.clone()]));
    assert_eq!(asked, [slices.clone(), pods_need()]);
    let judged = |fact: Fact| {
        let pods = vec![
            pod("p-2", true, "d-1"),
            pod("p-3", true, "d-1"),
            pod("p-4", true, "d-1"),
            pod("p-5", true, "d-2"),
        ];
        let mut facts = facts(None, Some(Fact::List(pods)));
        facts.insert(slices.clone(), fact);
        judge(&content(Vec::new(), vec![expectation.clone()]), &facts)
    };
    let with = |service: &str, uids: &[&str]| {
        let lead = |uid: &&str| json!({"targetRef": {"uid": uid}, "conditions": {"ready": true}});
        let slice = json!({
            "metadata": {"labels": {"kubernetes.io/service-name": service}},
            "endpoints": uids.iter().map(lead).collect::<Vec<_>>(),
        });
        judged(Fact::List(vec![slice]))
    };
    assert_eq!(with("front", &["p-2", "p-3"]).verdict, Verdict::Proven);
    for (service, uids, why) in [
        ("front", vec!["p-2"], "too few"),
        ("front", vec!["p-2", "p-4"], "not the new one"),
        ("front", vec!["p-1", "p-3"], "the old one is gone"),
        ("front", vec!["p-3", "elsewhere"], "a pod of nobody here"),
        ("front", vec!["p-3", "p-5"], "a pod of another owner"),
        ("other", vec!["p-2", "p-3"], "of another Service"),
    ] {
        assert_eq!(with(service, &uids).verdict, Verdict::NotYet, "{why}");
    }
    let found = &with("front", &["p-2"]).findings[0];
    assert!(
        found
            .actual
            .ends_with("; Service \"front\" has 1 of 2 ready endpoints, none of them new"),
        "{found:?}"
    );
    let unread = judged(Fact::NotReadable("it lacks list".into()));
    assert_eq!(unread.verdict, Verdict::Unknown);
}

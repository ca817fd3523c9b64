//! What proves, refutes or leaves open one expectation.

use kexec_actions::facts::{Fact, Facts, Need};
use kexec_api::plan::{Expectation, FieldValue, ObjectRef, PlanContent, Step};
use kexec_core::proof::{Verdict, judge, needs, without_values};
use serde_json::{Value, json};

use crate::support::{deployment, patch, pods_need, target_need};

pub fn shop() -> ObjectRef {
    ObjectRef {
        api_version: "apps/v1".into(),
        kind: "Deployment".into(),
        resource: "deployments".into(),
        namespace: Some("web".into()),
        name: "shop".into(),
        uid: "d-1".into(),
    }
}

pub fn pod_ref() -> ObjectRef {
    ObjectRef {
        api_version: "v1".into(),
        kind: "Pod".into(),
        resource: "pods".into(),
        uid: "p-1".into(),
        ..shop()
    }
}

pub fn content(steps: Vec<Step>, expectations: Vec<Expectation>) -> PlanContent {
    PlanContent {
        action: "x".into(),
        version: "v1.2".into(),
        targets: vec![shop()],
        steps,
        expectations,
        rollback: Vec::new(),
        permissions: Vec::new(),
    }
}

pub fn facts(target: Option<Fact>, pods: Option<Fact>) -> Facts {
    let mut facts = Facts::default();
    for (need, fact) in [(target_need(), target), (pods_need(), pods)] {
        if let Some(fact) = fact {
            facts.insert(need, fact);
        }
    }
    facts
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "what may be read may also be unread"
)]
pub fn live(change: Value) -> Option<Fact> {
    let mut live = deployment(5, 5);
    patch(&mut live, change);
    Some(Fact::Object(live))
}

pub fn verdict(expectation: &Expectation, facts: &Facts) -> Verdict {
    judge(&content(Vec::new(), vec![expectation.clone()]), facts).verdict
}

/// What every expectation on an object has in common: it must be that very one, and readable.
fn assert_about_that_object(expectation: &Expectation) {
    let with = |fact| verdict(expectation, &facts(fact, Some(Fact::List(Vec::new()))));
    assert_eq!(with(Some(Fact::Absent)), Verdict::Refuted);
    assert_eq!(
        with(live(json!({"metadata": {"uid": "d-2"}}))),
        Verdict::Refuted
    );
    assert_eq!(
        with(Some(Fact::NotReadable("get".into()))),
        Verdict::Unknown
    );
    assert_eq!(with(Some(Fact::NotServed)), Verdict::Unknown);
    assert_eq!(with(None), Verdict::Unknown);
}

#[test]
fn fields_are_proven_by_their_exact_values() {
    let fields = |value: Option<Value>| Expectation::Fields {
        object: shop(),
        fields: vec![FieldValue {
            path: "/spec/replicas".into(),
            value,
        }],
    };
    let with = |expected, change| verdict(&fields(expected), &facts(live(change), None));
    assert_eq!(with(Some(json!(5)), json!({})), Verdict::Proven);
    assert_eq!(with(Some(json!(4)), json!({})), Verdict::NotYet);
    assert_eq!(with(Some(json!("5")), json!({})), Verdict::NotYet);
    assert_eq!(with(None, json!({})), Verdict::NotYet);
    assert_eq!(
        with(None, json!({"spec": {"replicas": null}})),
        Verdict::Proven
    );
    assert_about_that_object(&fields(Some(json!(5))));
}

#[test]
fn a_workload_is_ready_when_every_count_agrees_and_the_spec_was_observed() {
    let ready = |known: &[&str]| Expectation::WorkloadReady {
        object: shop(),
        selector: "app=shop".into(),
        replicas: 5,
        known_crash_loops: known.iter().map(ToString::to_string).collect(),
    };
    let none = || Some(Fact::List(Vec::new()));
    let with = |change| verdict(&ready(&[]), &facts(live(change), none()));
    assert_eq!(with(json!({})), Verdict::Proven);
    for field in [
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
    ] {
        for count in [4, 6] {
            assert_eq!(
                with(json!({"status": {field: count}})),
                Verdict::NotYet,
                "{field} {count}"
            );
        }
    }
    assert_eq!(
        with(json!({"status": {"observedGeneration": 2}})),
        Verdict::NotYet
    );
    assert_eq!(
        with(json!({"spec": {"replicas": 6}})),
        Verdict::NotYet,
        "asked otherwise by now"
    );
    assert_about_that_object(&ready(&[]));

    let looping = json!({
        "metadata": {"uid": "p-9", "name": "shop-9"},
        "status": {"containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]},
    });
    let pods = || Some(Fact::List(vec![looping.clone()]));
    assert_eq!(
        verdict(&ready(&[]), &facts(live(json!({})), pods())),
        Verdict::NotYet
    );
    assert_eq!(
        verdict(&ready(&["p-9"]), &facts(live(json!({})), pods())),
        Verdict::Proven
    );
    for unread in [
        None,
        Some(Fact::NotReadable("list".into())),
        Some(Fact::Absent),
    ] {
        assert_eq!(
            verdict(&ready(&[]), &facts(live(json!({})), unread)),
            Verdict::Unknown
        );
    }
}

#[test]
fn a_workload_scaled_to_zero_is_ready_when_nothing_is_left() {
    let expectation = Expectation::WorkloadReady {
        object: shop(),
        selector: "app=shop".into(),
        replicas: 0,
        known_crash_loops: Vec::new(),
    };
    let empty = json!({"spec": {"replicas": 0}, "status": {
        "replicas": null, "updatedReplicas": null, "readyReplicas": null, "availableReplicas": null,
    }});
    let none = || Some(Fact::List(Vec::new()));
    assert_eq!(
        verdict(&expectation, &facts(live(empty), none())),
        Verdict::Proven
    );
    assert_eq!(
        verdict(
            &expectation,
            &facts(live(json!({"spec": {"replicas": 0}})), none())
        ),
        Verdict::NotYet
    );
}

#[test]
fn what_must_be_gone_is_gone_when_its_uid_is() {
    let gone = Expectation::Gone { object: shop() };
    let with = |fact| verdict(&gone, &facts(fact, None));
    assert_eq!(with(Some(Fact::Absent)), Verdict::Proven);
    assert_eq!(
        with(live(json!({"metadata": {"uid": "d-2"}}))),
        Verdict::Proven
    );
    assert_eq!(with(live(json!({}))), Verdict::NotYet);
    for unread in [
        None,
        Some(Fact::NotServed),
        Some(Fact::NotReadable("get".into())),
    ] {
        assert_eq!(
            with(unread),
            Verdict::Unknown,
            "what cannot be read is not gone"
        );
    }
}

#[test]
fn a_conditions_reason_counts_only_where_the_live_one_has_one() {
    let condition = |reason: Option<&str>| Expectation::Condition {
        object: shop(),
        condition_type: "Available".into(),
        status: "True".into(),
        reason: reason.map(str::to_owned),
    };
    let shown = |status: &str, reason: Option<&str>| {
        live(
            json!({"status": {"conditions": [{"type": "Available", "status": status, "reason": reason}]}}),
        )
    };
    let with = |reason, fact| verdict(&condition(reason), &facts(fact, None));
    assert_eq!(with(None, shown("True", Some("Any"))), Verdict::Proven);
    assert_eq!(
        with(Some("Fine"), shown("True", Some("Fine"))),
        Verdict::Proven
    );
    assert_eq!(with(Some("Fine"), shown("True", None)), Verdict::Proven);
    assert_eq!(
        with(Some("Fine"), shown("True", Some("Other"))),
        Verdict::NotYet
    );
    assert_eq!(with(None, shown("False", None)), Verdict::NotYet);
    assert_eq!(with(None, live(json!({}))), Verdict::NotYet);
    assert_about_that_object(&condition(None));
}

#[test]
fn a_plan_is_judged_by_its_worst_finding_and_nothing_proves_nothing() {
    let gone = Expectation::Gone { object: shop() };
    let fields = |value: i32| Expectation::Fields {
        object: shop(),
        fields: vec![FieldValue {
            path: "/spec/replicas".into(),
            value: Some(value.into()),
        }],
    };
    let all = |expectations: Vec<Expectation>, fact| {
        judge(&content(Vec::new(), expectations), &facts(fact, None)).verdict
    };
    assert_eq!(
        all(vec![fields(5), fields(5)], live(json!({}))),
        Verdict::Proven
    );
    assert_eq!(
        all(vec![fields(5), fields(6)], live(json!({}))),
        Verdict::NotYet
    );
    assert_eq!(
        all(vec![gone, fields(5)], Some(Fact::Absent)),
        Verdict::Refuted
    );
    assert_eq!(all(Vec::new(), None), Verdict::Unknown);
}

#[test]
fn what_is_needed_for_a_judgement_is_needed_once() {
    let step = Step::Delete {
        target: shop(),
        grace_period_seconds: None,
    };
    let gone = Expectation::Gone { object: shop() };
    assert_eq!(
        needs(&content(vec![step], vec![gone.clone(), gone])),
        [target_need()]
    );
    let other = Step::Delete {
        target: pod_ref(),
        grace_period_seconds: None,
    };
    assert_eq!(
        needs(&content(vec![other], Vec::new())),
        [Need::object(&pod_ref())]
    );
}

#[test]
fn without_values_a_finding_names_the_fields_alone() {
    let fields = Expectation::Fields {
        object: shop(),
        fields: vec![FieldValue {
            path: "/data/key".into(),
            value: Some("planned".into()),
        }],
    };
    let plan = content(
        Vec::new(),
        vec![fields, Expectation::Gone { object: shop() }],
    );
    let judgement = judge(&plan, &facts(live(json!({"data": {"key": "found"}})), None));
    let told = without_values(&plan, judgement.clone());
    assert_eq!(
        (told.verdict, &told.findings[1]),
        (judgement.verdict, &judgement.findings[1])
    );
    assert_eq!(
        told.findings[0].expected,
        "Deployment/web/shop has data.key as planned"
    );
    assert_eq!(
        told.findings[0].actual,
        "some of these fields hold other values"
    );
}

//! Whether a plan's writes can be seen on the live objects.

use kexec_actions::facts::Fact;
use kexec_api::plan::{FieldChange, Step};
use kexec_core::proof::{Effect, effect};
use serde_json::{Value, json};

use crate::proof::{content, facts, live, pod_ref, shop};

fn scale(before: Option<i32>, after: Option<i32>) -> Step {
    Step::Patch {
        target: shop(),
        subresource: Some("scale".into()),
        changes: vec![FieldChange {
            path: "/spec/replicas".into(),
            before: before.map(Value::from),
            after: after.map(Value::from),
        }],
    }
}

#[test]
fn a_patch_is_seen_by_its_old_or_new_values() {
    let seen = |step: Step, fact| effect(&content(vec![step], Vec::new()), &facts(fact, None));
    let replicas = |count: i32| live(json!({"spec": {"replicas": count}}));
    let step = || scale(Some(2), Some(5));
    assert_eq!(seen(step(), replicas(2)), Effect::None);
    assert_eq!(seen(step(), replicas(5)), Effect::Whole);
    assert_eq!(seen(step(), replicas(3)), Effect::Mixed);
    assert_eq!(seen(step(), Some(Fact::Absent)), Effect::Mixed);
    assert_eq!(
        seen(step(), live(json!({"metadata": {"uid": "d-2"}}))),
        Effect::Mixed
    );
    for unread in [
        None,
        Some(Fact::NotServed),
        Some(Fact::NotReadable("get".into())),
    ] {
        assert_eq!(seen(step(), unread), Effect::Unknown);
    }
    // The scale subresource leaves a zero out; the Deployment shows it.
    assert_eq!(seen(scale(None, Some(5)), replicas(0)), Effect::None);
    assert_eq!(seen(scale(Some(2), None), replicas(0)), Effect::Whole);
    assert_eq!(seen(scale(Some(2), None), replicas(2)), Effect::None);
    assert_eq!(seen(scale(Some(2), None), replicas(1)), Effect::Mixed);
}

#[test]
fn a_deletion_is_seen_by_the_object_being_gone_or_going() {
    let step = Step::Delete {
        target: shop(),
        grace_period_seconds: None,
    };
    let seen = |fact| effect(&content(vec![step.clone()], Vec::new()), &facts(fact, None));
    assert_eq!(seen(Some(Fact::Absent)), Effect::Whole);
    assert_eq!(
        seen(live(json!({"metadata": {"uid": "d-2"}}))),
        Effect::Whole
    );
    assert_eq!(
        seen(live(
            json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
        )),
        Effect::Whole
    );
    assert_eq!(seen(live(json!({}))), Effect::None);
    assert_eq!(seen(None), Effect::Unknown);
}

#[test]
fn several_steps_are_seen_as_one_only_when_they_agree() {
    let seen =
        |steps: Vec<Step>| effect(&content(steps, Vec::new()), &facts(live(json!({})), None));
    let (done, open, lost) = (
        scale(Some(2), Some(5)),
        scale(Some(5), Some(7)),
        scale(Some(1), Some(2)),
    );
    assert_eq!(seen(vec![done.clone(), done.clone()]), Effect::Whole);
    assert_eq!(seen(vec![open.clone(), open.clone()]), Effect::None);
    assert_eq!(seen(vec![done.clone(), open]), Effect::Mixed);
    assert_eq!(seen(vec![done.clone(), lost]), Effect::Mixed);
    let elsewhere = Step::Delete {
        target: pod_ref(),
        grace_period_seconds: None,
    };
    assert_eq!(seen(vec![done, elsewhere]), Effect::Unknown);
    assert_eq!(seen(Vec::new()), Effect::None);
}

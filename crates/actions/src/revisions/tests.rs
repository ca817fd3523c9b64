use kexec_api::plan::Expectation;
use serde_json::json;

use super::*;
use crate::facts::Fact;
use crate::fixtures::{controller_revision, replica_set, with_revisions, workload, workload_pod};

fn plan(target: &Target, kept: Vec<Value>, asked: Option<u64>) -> Result<Draft, PlanError> {
    plan_with(target, kept, asked, Vec::new())
}

fn plan_with(
    target: &Target,
    kept: Vec<Value>,
    asked: Option<u64>,
    pods: Vec<Value>,
) -> Result<Draft, PlanError> {
    let parameters = Parameters {
        rollback_revision: asked,
    };
    draft(target, &parameters, &with_revisions(target, kept, pods))
}

fn deployment() -> Target {
    workload(TargetKind::DEPLOYMENT)
}

/// Revisions 2, 3 and 10, listed in another order; the last is the present one.
fn three() -> Vec<Value> {
    vec![
        replica_set(10, "shop:1"),
        replica_set(2, "shop:0.2"),
        replica_set(3, "shop:0.3"),
    ]
}

#[test]
fn the_revision_before_the_present_one_is_the_one_with_the_next_smaller_number() {
    let draft = plan(&deployment(), three(), None).expect("plans");
    assert_eq!(
        draft.summary,
        "roll back Deployment/web/shop from revision 10 to revision 3, as ReplicaSet \"shop-3\" keeps it"
    );
    assert_eq!(
        draft.steps[0].diff(),
        ["spec.template.spec.containers.0.image: \"shop:1\" -> \"shop:0.3\""]
    );
}

#[test]
fn a_revision_is_chosen_by_its_number() {
    let draft = plan(&deployment(), three(), Some(2)).expect("plans");
    assert_eq!(
        draft.steps[0].diff(),
        ["spec.template.spec.containers.0.image: \"shop:1\" -> \"shop:0.2\""]
    );
    let error = plan(&deployment(), three(), Some(4)).expect_err("is unknown");
    assert_eq!(
        error.to_string(),
        "spec.actionDefinition.parameters.rollbackRevision is 4, which Deployment/web/shop does not keep: it has 2, 3, 10"
    );
}

#[test]
fn nothing_is_written_when_the_template_is_that_of_the_revision() {
    let draft = plan(&deployment(), three(), Some(10)).expect("plans");
    assert_eq!(draft.steps, []);
    assert!(matches!(
        draft.expectations.as_slice(),
        [Expectation::RolledOut { old_pods, .. }] if old_pods.is_empty()
    ));
}

#[test]
fn a_workload_without_an_earlier_revision_is_refused() {
    let refusal = |kept| plan(&deployment(), kept, None).expect_err("is refused");
    let remedy = "so there is none to roll back to: set what is wrong in its template, for instance by the action set_image";
    assert_eq!(
        refusal(vec![replica_set(1, "shop:1")]).to_string(),
        format!("Deployment/web/shop keeps only one revision, {remedy}")
    );
    assert_eq!(
        refusal(Vec::new()).to_string(),
        format!("Deployment/web/shop keeps no revision, {remedy}")
    );
}

#[test]
fn the_replica_sets_of_another_owner_are_no_revisions() {
    let mut foreign = replica_set(3, "shop:0.3");
    foreign["metadata"]["ownerReferences"][0]["uid"] = "d-2".into();
    let kept = vec![
        replica_set(10, "shop:1"),
        replica_set(2, "shop:0.2"),
        foreign,
    ];
    let draft = plan(&deployment(), kept, None).expect("plans");
    assert!(
        draft.summary.contains("to revision 2,"),
        "{}",
        draft.summary
    );
}

#[test]
fn what_controllers_add_to_a_template_is_not_brought_back() {
    let mut previous = replica_set(9, "shop:1");
    previous["spec"]["template"]["metadata"]["creationTimestamp"] = Value::Null;
    let kept = vec![replica_set(10, "shop:1"), previous];
    assert_eq!(plan(&deployment(), kept, None).expect("plans").steps, []);
    let target = workload(TargetKind::STATEFUL_SET);
    let kept = vec![
        controller_revision(&target, 1, "shop:1"),
        controller_revision(&target, 2, "shop:1"),
    ];
    assert_eq!(plan(&target, kept, None).expect("plans").steps, []);
}

#[test]
fn the_pods_that_are_of_the_revision_already_may_stay() {
    let labelled = |uid: &str, hash: &str| {
        let mut pod = workload_pod(uid);
        pod["metadata"]["labels"]["pod-template-hash"] = hash.into();
        pod
    };
    let pods = vec![labelled("p-1", "3"), labelled("p-2", "10")];
    let draft = plan_with(&deployment(), three(), None, pods).expect("plans");
    let old_pods = draft.expectations.into_iter().find_map(|one| match one {
        Expectation::RolledOut { old_pods, .. } => Some(old_pods),
        _ => None,
    });
    assert_eq!(old_pods, Some(["p-2"].into_iter().collect()));
}

#[test]
fn a_stateful_set_that_keeps_the_order_may_wait_for_a_broken_pod() {
    let mut target = workload(TargetKind::STATEFUL_SET);
    let kept = vec![
        controller_revision(&target, 1, "shop:0.1"),
        controller_revision(&target, 2, "shop:1"),
    ];
    let mut broken = workload_pod("p-1");
    broken["metadata"]["ownerReferences"] =
        json!([{"uid": target.reference.uid, "controller": true}]);
    broken["status"]["conditions"][0]["status"] = "False".into();
    let texts = |target: &Target| -> Vec<String> {
        let draft = plan_with(target, kept.clone(), None, vec![broken.clone()]).expect("plans");
        let factors = draft.risk_factors.into_iter();
        factors.map(|factor| factor.text).collect()
    };
    assert_eq!(
        texts(&target),
        [
            "pod \"shop-p-1\" is not ready, and the StatefulSet may wait for it for ever: delete it if it stays so"
        ]
    );
    target.live["spec"]["podManagementPolicy"] = "Parallel".into();
    assert_eq!(texts(&target), [""; 0]);
}

#[test]
fn a_paused_deployment_is_refused_with_its_remedy() {
    let mut target = deployment();
    target.live["spec"]["paused"] = true.into();
    let error = plan(&target, three(), None).expect_err("is refused");
    assert!(
        error
            .to_string()
            .ends_with("resume it first, by the action resume_rollout"),
        "{error}"
    );
}

#[test]
fn a_revision_that_is_odd_is_not_guessed_at() {
    let mut odd = replica_set(3, "shop:0.3");
    odd["metadata"]["annotations"] = json!({});
    let error = plan(&deployment(), vec![odd], None).expect_err("has no number");
    assert_eq!(
        error.to_string(),
        "failed to read a revision of Deployment/web/shop"
    );
    let target = deployment();
    let need = revisions_of(&target).expect("has a selector");
    let mut unread = with_revisions(&target, Vec::new(), Vec::new());
    unread.insert(need, Fact::NotReadable("list".into()));
    let parameters = Parameters {
        rollback_revision: None,
    };
    assert!(matches!(
        draft(&target, &parameters, &unread),
        Err(PlanError::UseFact(_))
    ));
}

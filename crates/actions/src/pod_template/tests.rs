use kexec_api::uid_set::UidSet;
use serde_json::json;

use super::*;
use crate::facts::Fact;
use crate::fixtures::{facts, target, workload, workload_facts, workload_pod};
use crate::metadata::TargetKind;

fn draft_of(target: &Target, pods: Vec<Value>, image: &str) -> Result<Draft, PlanError> {
    let template = of(target)?;
    let mut after = template.clone();
    after["spec"]["containers"][0]["image"] = image.into();
    let fits = |pod: &Value| pod.pointer("/spec/containers/0/image") == Some(&image.into());
    let change = TemplateChange::to(template, &after, &fits, "change".into());
    draft(target, &workload_facts(pods), change)
}

fn old_pods(draft: &Draft) -> &UidSet {
    let rolled_out = draft.expectations.iter().find_map(|one| match one {
        Expectation::RolledOut { old_pods, .. } => Some(old_pods),
        _ => None,
    });
    rolled_out.expect("expects a rollout")
}

fn refusal(kind: TargetKind, spec: &Value) -> String {
    let mut target = workload(kind);
    let fields = spec.as_object().expect("is an object").clone();
    target.live["spec"]
        .as_object_mut()
        .expect("is an object")
        .extend(fields);
    let error = draft_of(&target, Vec::new(), "shop:2").expect_err("is refused");
    assert!(matches!(error, PlanError::RefuseTarget(_)), "{error:?}");
    error.to_string()
}

#[test]
fn a_workload_that_would_not_act_on_the_change_is_refused_with_its_remedy() {
    assert_eq!(
        refusal(TargetKind::DEPLOYMENT, &json!({"paused": true})),
        "Deployment/web/shop is paused, so nothing would be rolled out: resume it first, by the action resume_rollout"
    );
    let on_delete = json!({"updateStrategy": {"type": "OnDelete"}});
    for kind in [TargetKind::STATEFUL_SET, TargetKind::DAEMON_SET] {
        assert_eq!(
            refusal(kind, &on_delete),
            format!(
                "{}/web/shop has the update strategy OnDelete, so each pod keeps its old template until it is deleted: \
                 set spec.updateStrategy.type to RollingUpdate first",
                kind.kind
            )
        );
    }
    let partition =
        json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}});
    assert_eq!(
        refusal(TargetKind::STATEFUL_SET, &partition),
        "StatefulSet/web/shop has the partition 2, so the pods of lower ordinals would keep the old template: set \
         spec.updateStrategy.rollingUpdate.partition to 0 first"
    );
    let mut whole = workload(TargetKind::STATEFUL_SET);
    whole.live["spec"]["updateStrategy"] =
        json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}});
    assert!(draft_of(&whole, Vec::new(), "shop:2").is_ok());
}

#[test]
fn pods_of_the_old_template_must_go_and_those_of_the_wanted_one_may_stay() {
    let target = workload(TargetKind::DEPLOYMENT);
    let mut new = workload_pod("p-new");
    new["spec"]["containers"][0]["image"] = "shop:2".into();
    let mut ended = workload_pod("p-ended");
    ended["status"]["phase"] = "Failed".into();
    let mut bare = workload_pod("p-bare");
    bare["metadata"]["ownerReferences"] = json!([]);
    let pods = vec![workload_pod("p-old"), new, ended, bare];
    let draft = draft_of(&target, pods.clone(), "shop:2").expect("plans");
    assert_eq!(*old_pods(&draft), ["p-old"].into_iter().collect());
    let unchanged = draft_of(&target, pods, "shop:1").expect("plans");
    assert_eq!(
        (unchanged.steps.len(), old_pods(&unchanged).is_empty()),
        (0, true)
    );
}

#[test]
fn the_pods_of_a_stateful_set_are_those_it_controls_itself() {
    let mut target = workload(TargetKind::STATEFUL_SET);
    target.reference.uid = "s-1".into();
    let owned = |uid: &str, owner: &str| {
        let mut pod = workload_pod(uid);
        pod["metadata"]["ownerReferences"] =
            json!([{"kind": "StatefulSet", "name": "shop", "uid": owner, "controller": true}]);
        pod
    };
    let pods = vec![owned("p-1", "s-1"), owned("p-2", "s-2")];
    let draft = draft_of(&target, pods, "shop:2").expect("plans");
    assert_eq!(*old_pods(&draft), ["p-1"].into_iter().collect());
}

#[test]
fn what_cannot_be_read_is_not_guessed_at() {
    let without_template = target(
        TargetKind::DEPLOYMENT,
        json!({"metadata": {"namespace": "web", "name": "shop", "uid": "d-1"}}),
    );
    let error = of(&without_template).expect_err("has no template");
    assert_eq!(
        error.to_string(),
        "failed to read spec.template of Deployment/web/shop"
    );
    let target = workload(TargetKind::DEPLOYMENT);
    for (unread, need) in needs(&target).into_iter().enumerate() {
        let others = needs(&target).into_iter().enumerate();
        let others = others.filter(|(index, _)| *index != unread);
        let facts = facts(others.map(|(_, need)| (need, Fact::List(Vec::new()))));
        let template = of(&target).expect("has one");
        let mut after = template.clone();
        after["spec"]["containers"][0]["image"] = "shop:2".into();
        let change = TemplateChange::to(template, &after, &|_| false, String::new());
        assert!(
            matches!(draft(&target, &facts, change), Err(PlanError::UseFact(_))),
            "{need}"
        );
    }
}

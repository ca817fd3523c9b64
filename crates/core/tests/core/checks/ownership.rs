//! `resource-ownership`: whoever would undo the change is named, with what to do instead.

use kexec_actions::facts::Fact;
use serde_json::{Value, json};

use super::{
    asked, asking_for, assert_blocks, assert_passes, autoscaler, autoscalers, report, told,
    with_list, with_target,
};
use crate::support::{World, line, patch};

const CHECK: &str = "resource-ownership";

/// Asked for, with autoscalers read.
fn ready(autoscalers_there: Vec<Value>) -> World {
    with_list(asking_for(CHECK), autoscalers(), autoscalers_there)
}

fn metadata(labels: impl Into<Value>, annotations: impl Into<Value>) -> Value {
    json!({"metadata": {"labels": labels.into(), "annotations": annotations.into()}})
}

fn owners() -> Vec<(Value, &'static str)> {
    let owner = |controller: bool| {
        json!({"metadata": {"ownerReferences": [
            {"apiVersion": "shop.example/v1", "kind": "Shop", "name": "main", "uid": "s-1", "controller": controller},
        ]}})
    };
    vec![
        (
            owner(true),
            "the controller of Shop \"main\" (shop.example/v1), which would undo the change: change that object \
                       instead",
        ),
        (
            metadata(
                json!({}),
                json!({"argocd.argoproj.io/tracking-id": "front:apps/Deployment:web/shop"}),
            ),
            "Argo CD (application \"front\"), which would undo the change: change it in the application's source instead",
        ),
        (
            metadata(json!({"argocd.argoproj.io/instance": "front"}), json!({})),
            "Argo CD (application \"front\"), which would undo the change: change it in the application's source instead",
        ),
        (
            metadata(json!({}), json!({"argocd.argoproj.io/sync-wave": "1"})),
            "Argo CD, which would undo the change: change it in the application's source instead",
        ),
        (
            metadata(
                json!({"kustomize.toolkit.fluxcd.io/name": "apps"}),
                json!({}),
            ),
            "Flux (Kustomization \"apps\"), which would undo the change: change it in its source instead",
        ),
        (
            metadata(json!({"helm.toolkit.fluxcd.io/name": "shop"}), json!({})),
            "Flux (HelmRelease \"shop\"), which would undo the change: change it in its source instead",
        ),
        (
            metadata(
                json!({"app.kubernetes.io/managed-by": "Helm"}),
                json!({"meta.helm.sh/release-name": "shop"}),
            ),
            "Helm (release \"shop\"), which would undo the change: change the values of the release and upgrade it \
             instead",
        ),
    ]
}

fn unowned() -> Vec<Value> {
    let other = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "main", "uid": "s-1"});
    vec![
        json!({}),
        json!({"metadata": {"ownerReferences": [other]}}),
        metadata(json!({"app.kubernetes.io/managed-by": "Helm"}), json!({})),
        metadata(
            json!({"app.kubernetes.io/managed-by": "hand"}),
            json!({"meta.helm.sh/release-name": "shop"}),
        ),
        metadata(
            json!({"kustomize.toolkit.fluxcd.io/name": "apps"}),
            json!({"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}),
        ),
    ]
}

#[test]
fn whoever_would_undo_the_change_blocks_it_and_is_named() {
    for (more, who) in owners() {
        let world = with_target(ready(Vec::new()), more);
        assert_blocks(
            &world,
            CHECK,
            &format!("Deployment \"web/shop\" is managed by {who}"),
        );
    }
    for more in unowned() {
        assert_passes(
            &with_target(ready(Vec::new()), more),
            CHECK,
            "nobody who manages Deployment \"web/shop\" is known",
        );
    }
}

#[test]
fn who_did_not_ask_is_told_what_the_target_says_and_goes_on() {
    for (more, who) in owners() {
        let world = with_target(World::ready(), more);
        assert_eq!(line(&world), "intend executing/JobCreated");
        let message = format!(
            "not asked for, so it does not block: Deployment \"web/shop\" is managed by {who}"
        );
        assert_eq!(told(&world, CHECK), (Some(true), None, message));
    }
    for more in unowned() {
        let all = report(&with_target(World::ready(), more));
        let names = all.iter().filter_map(|one| one.check_type.as_deref());
        assert!(!names.into_iter().any(|name| name == CHECK));
    }
}

#[test]
fn an_autoscaler_of_the_target_would_undo_a_scaling() {
    assert_eq!(
        line(&asking_for(CHECK)),
        "read horizontalpodautoscalers in \"web\""
    );
    let world = ready(vec![
        autoscaler("StatefulSet", "shop"),
        autoscaler("Deployment", "other"),
    ]);
    assert_passes(
        &world,
        CHECK,
        "nobody who manages Deployment \"web/shop\" is known",
    );
    let message = "HorizontalPodAutoscaler \"by-load\" sets the replicas of Deployment \"web/shop\" between 2 and 9 and would undo \
         the change: change its minReplicas or maxReplicas instead";
    assert_blocks(
        &ready(vec![autoscaler("Deployment", "shop")]),
        CHECK,
        message,
    );
    let mut foreign = autoscaler("Deployment", "shop");
    foreign["spec"]["scaleTargetRef"]["apiVersion"] = "shop.example/v1".into();
    assert_passes(
        &ready(vec![foreign]),
        CHECK,
        "nobody who manages Deployment \"web/shop\" is known",
    );
}

#[test]
fn an_autoscaler_leaves_a_target_of_no_replicas_alone() {
    let mut spec = asked(CHECK);
    patch(
        &mut spec,
        json!({"actionDefinition": {"parameters": {"replicas": 0}}}),
    );
    let world = with_list(
        World::of(spec).with_facts(),
        autoscalers(),
        vec![autoscaler("Deployment", "shop")],
    );
    assert_passes(
        &world,
        CHECK,
        "nobody who manages Deployment \"web/shop\" is known",
    );
}

#[test]
fn autoscalers_that_may_not_be_read_are_not_taken_for_none() {
    let mut world = asking_for(CHECK);
    let fact = Fact::NotReadable("list horizontalpodautoscalers".into());
    world.gathered.facts.insert(autoscalers(), fact);
    assert_blocks(
        &world,
        CHECK,
        "the controller may not read horizontalpodautoscalers in \"web\": list horizontalpodautoscalers",
    );
}

#[test]
fn force_skips_the_check_and_says_so() {
    let mut spec = asked(CHECK);
    patch(
        &mut spec,
        json!({"actionDefinition": {"parameters": {"force": true}}}),
    );
    let (owner, _) = owners().remove(0);
    let world = with_target(World::of(spec).with_facts(), owner);
    assert_eq!(line(&world), "intend executing/JobCreated");
    let message =
        "not performed: skipped, because spec.actionDefinition.parameters.force is true".to_owned();
    assert_eq!(told(&world, CHECK), (Some(false), Some(false), message));
}

#[test]
fn a_plan_that_writes_nothing_has_nothing_undone() {
    let mut spec = asked(CHECK);
    patch(
        &mut spec,
        json!({"actionDefinition": {"parameters": {"replicas": 2}}}),
    );
    let (owner, _) = owners().remove(0);
    let world = with_target(World::of(spec).with_facts(), owner);
    assert_eq!(line(&world), "intend monitoring/VerifyingOutcome");
    let message = "no field is changed that somebody could put back".to_owned();
    assert_eq!(told(&world, CHECK), (Some(true), Some(true), message));
}

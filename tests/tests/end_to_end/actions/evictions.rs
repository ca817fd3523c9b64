//! Evictions, with and without a disruption budget in the way.

use std::collections::BTreeSet;

use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kexec_api::condition::Reason;
use kexec_api::phase::Phase;
use kexec_tests::harness::{Scene, eventually};
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use super::case::{Case, assert_ended};
use super::pods;

/// A budget that lets so many pods of `app` be away, once the cluster has counted them.
pub(super) async fn budget(scene: &Scene, app: &str, may_be_away: i32) {
    scene
        .apply(&json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
            "metadata": {"name": format!("{app}-budget"), "namespace": scene.namespace},
            "spec": {"maxUnavailable": may_be_away, "selector": {"matchLabels": {"app": app}}},
        }))
        .await;
    allows(scene, app, may_be_away).await;
}

/// Waits until the budget allows so many disruptions.
async fn allows(scene: &Scene, app: &str, disruptions: i32) {
    let budgets: Api<PodDisruptionBudget> = scene.api();
    let name = format!("{app}-budget");
    eventually("the budget to be counted", || async {
        let budget = budgets.get(&name).await.ok()?;
        let status = budget.status?;
        let is_counted = status.observed_generation == budget.metadata.generation
            && status.current_healthy > 0
            && status.disruptions_allowed == disruptions;
        is_counted.then_some(())
    })
    .await;
}

async fn allow(scene: &Scene, app: &str, may_be_away: i32) {
    let budgets: Api<PodDisruptionBudget> = scene.api();
    let change = json!({"spec": {"maxUnavailable": may_be_away}});
    let name = format!("{app}-budget");
    budgets
        .patch(&name, &PatchParams::default(), &Patch::Merge(&change))
        .await
        .expect("changed");
}

/// Has the pod evicted and replaced, and only it.
pub(super) async fn evict_pod(action: &str) {
    let scene = Scene::new("evict").await;
    scene.deployment("web", 2).await;
    let before = pods(&scene, "web", 2).await;
    budget(&scene, "web", 1).await;
    let target = before[0].name_any();
    let _operator = scene.operator().await;
    let case = Case::new(&scene, action, &target, json!({}));

    case.tries().await;
    assert_eq!(pods(&scene, "web", 2).await[0].uid(), before[0].uid());
    case.reaches_its_goal().await;
    let after = pods(&scene, "web", 2).await;
    let uids: BTreeSet<_> = after.iter().map(ResourceExt::uid).collect();
    assert!(
        !uids.contains(&before[0].uid()) && uids.contains(&before[1].uid()),
        "only the named pod is replaced"
    );

    let again = case.run("again").await;
    assert_ended(&again, Phase::Failed, Reason::TargetNotFound);
    assert_eq!(case.writes(), (2, 1), "its replacement is another target");
    case.makes_just_the_calls_it_was_granted().await;
}

fn evicting(scene: &Scene, name: &str, pod: &str, parameters: &Value) -> Value {
    scene.execution(name, "evict_pod", ("v1", "Pod", pod), parameters)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eviction_waits_for_its_budget_and_then_happens() {
    let scene = Scene::new("waits").await;
    scene.deployment("web", 1).await;
    let target = pods(&scene, "web", 1).await[0].name_any();
    budget(&scene, "web", 0).await;
    let _operator = scene.operator().await;

    scene
        .create(&evicting(&scene, "evict", &target, &json!({})))
        .await;
    eventually("a refusal by the budget", || async {
        let calls = scene.calls();
        let refused = calls.iter().any(|call| {
            call.subresource == "eviction"
                && call.name == target
                && call.code == 429
                && !call.dry_run
        });
        refused.then_some(())
    })
    .await;
    allow(&scene, "web", 1).await;

    let status = scene.ended("evict").await.status.expect("a status");
    assert_ended(&status, Phase::Completed, Reason::ExecutionCompleted);
    let summary = status
        .plan
        .and_then(|plan| plan.summary)
        .expect("a summary");
    assert!(
        summary.contains("PodDisruptionBudget \"web-budget\" allows no disruption now"),
        "{summary}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eviction_whose_budget_never_gives_way_fails_and_names_it() {
    let scene = Scene::new("never").await;
    scene.deployment("web", 1).await;
    let target = pods(&scene, "web", 1).await[0].name_any();
    budget(&scene, "web", 0).await;
    let _operator = scene.operator().await;

    let mut evict = evicting(&scene, "evict", &target, &json!({}));
    evict["spec"]["executionConfig"]["timeout"] = json!("20s");
    scene.create(&evict).await;

    let status = scene.ended("evict").await.status.expect("a status");
    assert_ended(&status, Phase::Failed, Reason::ActionFailed);
    let error = status.error.expect("an error");
    assert!(
        error.contains("The disruption budget web-budget"),
        "{error}"
    );
    assert_eq!(pods(&scene, "web", 1).await[0].name_any(), target);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_of_an_eviction_that_would_have_to_wait_succeeds() {
    let scene = Scene::new("tried").await;
    scene.deployment("web", 1).await;
    let target = pods(&scene, "web", 1).await[0].name_any();
    budget(&scene, "web", 0).await;
    let _operator = scene.operator().await;

    scene
        .create(&evicting(
            &scene,
            "evict",
            &target,
            &json!({"dryRun": true}),
        ))
        .await;

    let status = scene.ended("evict").await.status.expect("a status");
    assert_ended(&status, Phase::Completed, Reason::DryRunSucceeded);
    assert_eq!(pods(&scene, "web", 1).await[0].name_any(), target);
}

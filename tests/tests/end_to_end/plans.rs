//! Plans that are too large for status, or about another namespace: kept in a ConfigMap beside the Jobs, found again after
//! a restart and after the Job is gone, and removed with the execution.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use kexec_api::execution::KubernetesExecution;
use kexec_api::execution::status::PlanStorage;
use kexec_api::names;
use kexec_api::phase::Phase;
use kexec_tests::harness::{Ending, Grantee, Scene, StandIn, eventually, phase};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

async fn settings(scene: &Scene, namespace: &str, value: &str) {
    scene
        .apply(&json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "settings", "namespace": namespace},
            "data": {"big": value},
        }))
        .await;
}

async fn big(scene: &Scene, namespace: &str) -> String {
    let config_maps: Api<ConfigMap> = Api::namespaced(scene.client.clone(), namespace);
    let found = config_maps.get("settings").await.expect("it is there");
    found
        .data
        .unwrap_or_default()
        .remove("big")
        .unwrap_or_default()
}

fn change(scene: &Scene, namespace: &str, value: &str) -> Value {
    let target = ("v1", "ConfigMap", "settings");
    let change = json!({"data": {"big": value}});
    let mut execution = scene.execution("change", "modify_configmap", target, &change);
    execution["spec"]["actionDefinition"]["targetResource"]["namespace"] = json!(namespace);
    execution
}

async fn plan_of(scene: &Scene, execution: &KubernetesExecution) -> Option<ConfigMap> {
    let plans: Api<ConfigMap> = scene.system_api();
    let name = names::plan_name(&execution.uid().unwrap_or_default());
    plans.get_opt(&name).await.expect("readable")
}

async fn undone(scene: &Scene) {
    let by_user: Api<KubernetesExecution> = Api::namespaced(scene.user.clone(), &scene.namespace);
    let asked = Patch::Merge(json!({"spec": {"control": {"rollback": true}}}));
    by_user
        .patch("change", &PatchParams::default(), &asked)
        .await
        .expect("asked");
    scene
        .reaches("change", "phase rolled-back", |execution| {
            phase(execution) == Some(Phase::RolledBack)
        })
        .await;
}

/// Deletes the execution, and waits until its plan is gone too.
async fn goes_with(scene: &Scene, execution: &KubernetesExecution) {
    let executions: Api<KubernetesExecution> = scene.api();
    executions
        .delete("change", &DeleteParams::default())
        .await
        .expect("deleted");
    eventually("the plan to be gone", || async {
        plan_of(scene, execution).await.is_none().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_plan_runs_is_undone_and_goes_with_its_execution() {
    let scene = Scene::new("plan-large").await;
    let (old, new) = ("o".repeat(60_000), "n".repeat(60_000));
    settings(&scene, &scene.namespace, &old).await;
    let _operator = scene.operator().await;
    scene.create(&change(&scene, &scene.namespace, &new)).await;

    let execution = scene.ends("change", Ending::COMPLETED).await;

    assert_eq!(big(&scene, &scene.namespace).await, new);
    let plan = execution
        .status
        .as_ref()
        .and_then(|status| status.plan.as_ref());
    assert_eq!(
        plan.and_then(|plan| plan.stored),
        Some(PlanStorage::ConfigMap)
    );
    let status = serde_json::to_vec(&execution.status).expect("JSON");
    assert!(status.len() <= 64 * 1024, "{} bytes", status.len());
    let jobs: Api<Job> = scene.system_api();
    let job = jobs.get(&scene.job_name(&execution)).await.expect("a Job");
    let bytes = serde_json::to_vec(&job).expect("JSON").len();
    assert!(
        bytes < 16 * 1024,
        "the Job does not carry the plan: {bytes} bytes"
    );
    undone(&scene).await;
    assert_eq!(big(&scene, &scene.namespace).await, old);
    goes_with(&scene, &execution).await;
}

/// A scene whose user may execute `modify_configmap` in a namespace beside its own.
async fn beside(name: &str) -> (Scene, String) {
    let scene = Scene::new(name).await;
    let other = format!("{}-other", scene.namespace);
    scene
        .apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}}))
        .await;
    let user = format!("{}-user", scene.namespace);
    scene
        .grant(
            Grantee::User(&user),
            &["execute", "rollback"],
            "modify_configmap",
            &other,
        )
        .await;
    (scene, other)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_in_another_namespace_is_undone_though_its_job_is_gone_and_the_controller_is_new()
{
    let (scene, other) = beside("plan-beside").await;
    settings(&scene, &other, "their secret").await;
    let operator = scene.operator().await;
    scene.create(&change(&scene, &other, "ours")).await;
    let execution = scene.ends("change", Ending::COMPLETED).await;
    let shown = serde_json::to_string(&execution.status).expect("JSON");
    assert!(!shown.contains("their secret"), "{shown}");
    let jobs: Api<Job> = scene.system_api();
    let job = scene.job_name(&execution);
    scene.job_expires(&execution).await;
    jobs.delete(&job, &DeleteParams::background())
        .await
        .expect("deleted");
    eventually("the Job to be gone", || async {
        jobs.get_opt(&job).await.ok()?.is_none().then_some(())
    })
    .await;
    operator.kill();
    let _operator = scene.operator().await;

    undone(&scene).await;

    assert_eq!(big(&scene, &other).await, "their secret");
    goes_with(&scene, &execution).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outcome_of_a_lost_job_in_another_namespace_is_known() {
    let (scene, other) = beside("plan-lost").await;
    settings(&scene, &other, "old").await;
    let operator = scene.operator().await;
    let stand_in = StandIn::new(&scene, r#""$runner" "$@"; say written; await go; exit 0"#);
    let execution = scene.create(&change(&scene, &other, "new")).await;
    stand_in.says("written").await;
    operator.kill();
    let jobs: Api<Job> = scene.system_api();
    jobs.delete(&scene.job_name(&execution), &DeleteParams::background())
        .await
        .expect("deleted");
    stand_in.say("go");
    let _operator = scene.operator().await;
    scene.ends("change", Ending::COMPLETED).await;
    assert_eq!(big(&scene, &other).await, "new");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_config_map_of_our_name_is_never_adopted() {
    let scene = Scene::new("plan-forged").await;
    settings(&scene, &scene.namespace, &"o".repeat(30_000)).await;
    let large = change(&scene, &scene.namespace, &"n".repeat(30_000));
    let execution = scene.create(&large).await;
    let name = names::plan_name(&execution.uid().unwrap_or_default());
    scene
        .apply(&json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": scene.system_namespace},
            "data": {names::PLAN_KEY: "{}"},
        }))
        .await;
    let _operator = scene.operator().await;
    let ended = scene.ended("change").await;
    let ending = Ending::of(&ended);
    assert_eq!(
        ending.reason,
        Some(kexec_api::condition::Reason::NameConflict)
    );
    assert_eq!(scene.effects_on("configmaps", "settings"), 0);
}

//! Checks that an execution asks for, on the live cluster: who owns the target, and whether what it depends on is fit.

use kexec_api::condition::{FailureClass, Reason};
use kexec_tests::harness::{Ending, Scene, error_of};
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

/// An execution that scales `web` to 4 and asks for that check.
fn asking(scene: &Scene, name: &str, check: &str) -> Value {
    let mut execution = scene.scaling(name, "web", 4);
    execution["spec"]["executionConfig"]["safetyConfig"]["safetyChecks"] = json!([check]);
    execution
}

fn failed() -> Ending {
    Ending::failed(Reason::CheckFailed, FailureClass::Precondition)
}

/// Says of the Deployment `web` that Helm manages it.
async fn managed_by_helm(scene: &Scene) {
    let deployments: Api<k8s_openapi::api::apps::v1::Deployment> = scene.api();
    let marks = json!({"metadata": {
        "labels": {"app.kubernetes.io/managed-by": "Helm"},
        "annotations": {"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": scene.namespace},
    }});
    deployments
        .patch("web", &PatchParams::default(), &Patch::Merge(marks))
        .await
        .expect("marked");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_helm_manages_is_not_changed_where_ownership_is_to_be_checked() {
    let scene = Scene::new("check-owner").await;
    scene.deployment("web", 2).await;
    let _operator = scene.operator().await;
    scene
        .create(&asking(&scene, "free", "resource-ownership"))
        .await;
    scene.ends("free", Ending::COMPLETED).await;
    managed_by_helm(&scene).await;
    let mut owned = asking(&scene, "owned", "resource-ownership");
    owned["spec"]["actionDefinition"]["parameters"]["replicas"] = json!(3);
    scene.create(&owned).await;

    let execution = scene.ends("owned", failed()).await;

    assert!(
        error_of(&execution).contains("Helm"),
        "{}",
        error_of(&execution)
    );
    assert_eq!(scene.replicas("web").await, 4);
    let results = execution
        .status
        .and_then(|status| status.validation_results);
    let checks = results.and_then(|results| results.pre_execution_validation);
    let checks = checks
        .map(|checks| checks.safety_checks)
        .unwrap_or_default();
    let ownership = checks
        .iter()
        .find(|check| check.check_type.as_deref() == Some("resource-ownership"))
        .expect("it is reported");
    assert_eq!(
        (ownership.performed, ownership.passed),
        (Some(true), Some(false))
    );

    owned["metadata"]["name"] = json!("forced");
    owned["spec"]["actionDefinition"]["parameters"]["force"] = json!(true);
    scene.create(&owned).await;
    scene.ends("forced", Ending::COMPLETED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_without_room_keeps_a_workload_from_being_scaled_up() {
    let scene = Scene::new("check-quota").await;
    scene.deployment("web", 2).await;
    let _operator = scene.operator().await;
    let quotas: Api<k8s_openapi::api::core::v1::ResourceQuota> = scene.api();
    scene
        .apply(&json!({
            "apiVersion": "v1", "kind": "ResourceQuota",
            "metadata": {"name": "few", "namespace": scene.namespace},
            "spec": {"hard": {"pods": "3"}},
        }))
        .await;
    kexec_tests::harness::eventually("the quota to be counted", || async {
        let status = quotas.get("few").await.ok()?.status?;
        status.used?.get("pods").map(drop)
    })
    .await;
    scene
        .create(&asking(&scene, "up", "dependency-validation"))
        .await;

    let execution = scene.ends("up", failed()).await;

    assert!(
        error_of(&execution).contains("leaves no room"),
        "{}",
        error_of(&execution)
    );
    assert_eq!(scene.replicas("web").await, 2);
}

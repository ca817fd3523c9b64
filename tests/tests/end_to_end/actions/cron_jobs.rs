//! What may be done to a CronJob.

use k8s_openapi::api::batch::v1::CronJob;
use kexec_tests::harness::Scene;
use kube::api::Api;
use serde_json::json;

use super::case::Case;

/// A CronJob that is not due in the time of a test.
async fn cron_job(scene: &Scene, suspended: bool) {
    scene
        .apply(&json!({
            "apiVersion": "batch/v1", "kind": "CronJob",
            "metadata": {"name": "report", "namespace": scene.namespace},
            "spec": {
                "schedule": "0 0 1 1 *", "suspend": suspended,
                "jobTemplate": {"spec": {"template": {
                    "metadata": {"labels": {"app": "report"}},
                    "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "played"}]},
                }}},
            },
        }))
        .await;
}

async fn is_suspended(scene: &Scene) -> Option<bool> {
    let cron_jobs: Api<CronJob> = scene.api();
    let report = cron_jobs.get("report").await.expect("a CronJob");
    report.spec.and_then(|spec| spec.suspend)
}

/// Has it make no more Jobs.
pub(super) async fn suspend_cronjob(action: &str) {
    let scene = Scene::new("suspend").await;
    cron_job(&scene, false).await;
    let _operator = scene.operator().await;
    let case = Case::new(&scene, action, "report", json!({}));

    case.tries().await;
    assert_eq!(is_suspended(&scene).await, Some(false));
    case.reaches_its_goal().await;
    assert_eq!(is_suspended(&scene).await, Some(true));
    case.changes_nothing_more().await;
    case.makes_just_the_calls_it_was_granted().await;
}

/// Has it make Jobs again.
pub(super) async fn resume_cronjob(action: &str) {
    let scene = Scene::new("resume").await;
    cron_job(&scene, true).await;
    let _operator = scene.operator().await;
    let case = Case::new(&scene, action, "report", json!({}));

    case.tries().await;
    assert_eq!(is_suspended(&scene).await, Some(true));
    case.reaches_its_goal().await;
    assert_eq!(is_suspended(&scene).await, Some(false));
    case.changes_nothing_more().await;
    case.makes_just_the_calls_it_was_granted().await;
}

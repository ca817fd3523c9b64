//! An execution from creation to its end, as a user sees it.

use kexec_api::condition::{ConditionStatus, ConditionType, Reason};
use kexec_api::phase::{ActionResult, Outcome, Phase};
use kexec_tests::harness::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn a_scaling_is_planned_run_proven_and_told() {
    let scene = Scene::new("life").await;
    scene.deployment("web", 2).await;
    let _operator = scene.operator().await;
    scene.create(&scene.scaling("up", "web", 5)).await;

    let execution = scene.ended("up").await;

    let status = execution.status.expect("a status");
    assert_eq!(status.phase, Some(Phase::Completed), "{status:#?}");
    let completed = status
        .condition(ConditionType::Completed)
        .expect("a condition");
    assert_eq!(completed.status, ConditionStatus::True);
    assert_eq!(completed.known_reason(), Some(Reason::ExecutionCompleted));
    let summary = status.execution_summary.expect("a summary");
    assert_eq!(summary.action_result, Some(ActionResult::Success));
    let step = status.step_result.expect("a step result");
    assert_eq!(
        (step.outcome, step.verified),
        (Some(Outcome::Succeeded), Some(true))
    );
    assert_eq!(scene.replicas("web").await, 5);
    assert_eq!(scene.effects_on("deployments", "web"), 1);
}

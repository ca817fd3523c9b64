//! Rollbacks that something comes in the way of: their runner, their execution's deletion, the controller's restart.

use k8s_openapi::api::batch::v1::Job;
use kexec_api::condition::{FailureClass, Reason};
use kexec_api::names;
use kexec_api::phase::{Outcome, Phase};
use kexec_api::work::Stage;
use kexec_tests::harness::{Ending, Scene, StandIn, error_of, eventually, phase};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams};
use serde_json::{Value, json};

use super::{ROLLED_BACK, never_ready};

/// Has the runner of a rollback do this instead of its work; the action's own is the real one.
fn undoing_by(scene: &Scene, body: &str) -> StandIn {
    StandIn::new(
        scene,
        &format!(r#"case $stage in execute) exec "$runner" "$@" ;; esac; {body}"#),
    )
}

fn failed(reason: Reason) -> Ending {
    Ending::failed(reason, FailureClass::Action)
}

/// The end of an execution whose rollback's runner does this, and the replicas it leaves.
async fn ends_when(name: &str, body: &str, config: Value, expected: Ending) -> (String, i32) {
    let (scene, mut execution) = never_ready(name).await;
    if !config.is_null() {
        execution["spec"]["executionConfig"]["safetyConfig"]["rollbackConfig"] = config;
    }
    let _operator = scene.operator().await;
    let _stand_in = undoing_by(&scene, body);
    scene.create(&execution).await;
    let execution = scene.ends("up", expected).await;
    scene.job_expires(&execution).await;
    (error_of(&execution), scene.replicas("web").await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_lies_or_dies_never_counts_as_done() {
    let lost = failed(Reason::RollbackFailed);
    for (name, body) in [
        ("undo-lie", "answer done; exit 0"),
        (
            "undo-garbage",
            r#"echo nonsense > "$KEXEC_TERMINATION_LOG"; exit 0"#,
        ),
        ("undo-silent", "exit 0"),
        ("undo-other", "uid=another; answer done; exit 0"),
        ("undo-killed", "kill -9 $$"),
    ] {
        let (error, replicas) = ends_when(name, body, Value::Null, lost).await;
        assert!(error.contains("was not restored"), "{name}: {error}");
        assert!(error.contains("did not show within"), "{name}: {error}");
        assert_eq!(replicas, 3, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_hangs_is_over_at_its_own_deadline() {
    let config = json!({"rollbackTimeout": "4s"});
    let body = "trap '' TERM; while :; do sleep 1; done";
    let lost = failed(Reason::RollbackFailed);
    let (error, replicas) = ends_when("undo-hangs", body, config, lost).await;
    assert!(error.contains("was not restored"), "{error}");
    assert_eq!(replicas, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_was_done_counts_though_its_runner_cannot_say_so() {
    let body = r#""$runner" "$@"; : > "$KEXEC_TERMINATION_LOG"; exit 1"#;
    let (_, replicas) = ends_when("undo-mute", body, Value::Null, ROLLED_BACK).await;
    assert_eq!(replicas, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_whose_pod_never_starts_fails_loudly() {
    let (scene, execution) = never_ready("undo-no-pod").await;
    let _operator = scene.operator_with(&["--start-timeout-seconds", "5"]).await;
    let stand_in = undoing_by(&scene, r#"exec "$runner" "$@""#);
    let created = scene.create(&execution).await;
    // The action's pod may start, that of the rollback may not.
    let name = names::job_name(&created.uid().unwrap_or_default(), 1, Stage::Rollback);
    let wanted = name.clone();
    let _fault = scene.cluster.node().faults().for_pods_of(
        move |pod| pod.labels().get("batch.kubernetes.io/job-name") == Some(&wanted),
        kexec_devcluster::node::Fault::NeverStart,
    );
    let execution = scene.ends("up", failed(Reason::RollbackFailed)).await;
    drop(stand_in);
    assert_eq!(scene.replicas("web").await, 3);
    assert!(error_of(&execution).contains("the rollback failed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deletion_of_an_execution_does_not_stop_its_rollback() {
    let (scene, execution) = never_ready("undo-deleted").await;
    let _operator = scene.operator().await;
    let stand_in = undoing_by(&scene, r#"say holding; await go; exec "$runner" "$@""#);
    let created = scene.create(&execution).await;
    stand_in.says("holding").await;
    let executions: Api<kexec_api::execution::KubernetesExecution> = scene.api();
    executions
        .delete("up", &DeleteParams::default())
        .await
        .expect("deleted");
    eventually("the execution to be gone", || async {
        executions.get_opt("up").await.ok()?.is_none().then_some(())
    })
    .await;
    stand_in.say("go");
    eventually("the replicas to be restored", || async {
        (scene.replicas("web").await == 1).then_some(())
    })
    .await;
    let jobs: Api<Job> = scene.system_api();
    let name = names::job_name(&created.uid().unwrap_or_default(), 1, Stage::Rollback);
    eventually("the rollback's Job to expire", || async {
        match jobs.get_opt(&name).await.ok()? {
            None => Some(()),
            Some(job) => {
                let spec = job.spec.as_ref()?;
                spec.ttl_seconds_after_finished.map(drop)
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_controller_takes_up_a_rollback_where_it_was() {
    let (scene, execution) = never_ready("undo-restart").await;
    let operator = scene.operator().await;
    let stand_in = undoing_by(&scene, r#"say holding; await go; exec "$runner" "$@""#);
    scene.create(&execution).await;
    stand_in.says("holding").await;
    let held = scene
        .reaches("up", "phase rolling-back", |execution| {
            phase(execution) == Some(Phase::RollingBack)
        })
        .await;
    let step = held.status.and_then(|status| status.step_result);
    assert_eq!(step.and_then(|step| step.outcome), None::<Outcome>);
    operator.kill();
    stand_in.say("go");
    let _operator = scene.operator().await;
    scene.ends("up", ROLLED_BACK).await;
    assert_eq!(scene.effects_on("deployments", "web"), 2);
}

//! Attempts that somebody else ends: Jobs deleted, runners evicted, hung, out of memory. Never a second effect, and what
//! was written is never called unwritten (I1, I5).

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kexec_api::condition::{FailureClass, Reason};
use kexec_devcluster::node::Fault;
use kexec_tests::harness::{
    Ending, HELD_AFTER_THE_WRITE, HELD_BEFORE_THE_WRITE, error_of, eventually,
};
use kube::api::{Api, DeleteParams};

use super::attempt::Attempt;

#[tokio::test(flavor = "multi_thread")]
async fn a_job_deleted_before_the_write_ends_its_execution_unwritten() {
    let attempt = Attempt::held_before("job-bg").await;
    attempt.delete_job(DeleteParams::background()).await;
    attempt
        .ends_unwritten(Reason::JobDeleted, FailureClass::Infrastructure)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_deleted_in_the_foreground_before_the_write_ends_its_execution_unwritten() {
    let attempt = Attempt::held_before("job-fg").await;
    attempt.delete_job(DeleteParams::foreground()).await;
    attempt
        .ends_unwritten(Reason::JobDeleted, FailureClass::Infrastructure)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_deleted_after_the_write_does_not_hide_it() {
    let attempt = Attempt::held_after("job-bg-w").await;
    attempt.delete_job(DeleteParams::background()).await;
    attempt.ends_written().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_deleted_in_the_foreground_after_the_write_does_not_hide_it() {
    let attempt = Attempt::held_after("job-fg-w").await;
    attempt.delete_job(DeleteParams::foreground()).await;
    attempt.ends_written().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_vanishes_with_its_claim_while_nobody_looks_does_not_hide_the_write() {
    let mut attempt = Attempt::held_after("unseen").await;
    attempt.operator = None;
    attempt.delete_job(DeleteParams::background()).await;
    let claims: Api<Lease> = attempt.scene.system_api();
    let claim = attempt.scene.job_name(&attempt.execution);
    eventually("the claim to go with its Job", || async {
        claims.get_opt(&claim).await.ok()?.is_none().then_some(())
    })
    .await;
    attempt.pod_is_gone().await;
    attempt.operator = Some(attempt.scene.operator().await);
    attempt.ends_written().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_vanished_with_its_job_is_not_taken_for_one_never_made() {
    let body = format!("trap '' TERM; {HELD_AFTER_THE_WRITE}");
    let mut attempt = Attempt::begin("unclaimed", &body, &[]).await;
    attempt.stand_in.says("written").await;
    attempt.runs().await;
    attempt.operator = None;
    attempt.delete_job(DeleteParams::background()).await;
    let claims: Api<Lease> = attempt.scene.system_api();
    let claim = attempt.scene.job_name(&attempt.execution);
    eventually("the claim to go with its Job", || async {
        claims.get_opt(&claim).await.ok()?.is_none().then_some(())
    })
    .await;
    // Its pod is still there, deaf to SIGTERM.
    attempt.operator = Some(attempt.scene.operator().await);
    attempt.ends_written().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eviction_before_the_write_ends_the_execution_unwritten() {
    let attempt = Attempt::held_before("evicted").await;
    attempt.evict_pod().await;
    attempt
        .ends_unwritten(Reason::RunnerKilled, FailureClass::Infrastructure)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eviction_after_the_write_does_not_hide_it() {
    let attempt = Attempt::held_after("evicted-w").await;
    attempt.evict_pod().await;
    attempt.ends_written().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_says_it_was_interrupted_by_an_eviction_is_not_said_to_be_late() {
    let body = "trap 'answer interrupted skipped; exit 1' TERM; say holding; await go";
    let attempt = Attempt::begin("interrupted", body, &[]).await;
    attempt.stand_in.says("holding").await;
    attempt.evict_pod().await;
    let scene = attempt.scene;
    let killed = Ending::failed(Reason::RunnerKilled, FailureClass::Infrastructure);
    let execution = scene.ends("up", killed).await;
    assert!(
        error_of(&execution).contains("evicted before it was done"),
        "{}",
        error_of(&execution)
    );
    assert_eq!(scene.effects_on("deployments", "web"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_says_it_was_interrupted_by_the_end_of_its_job_is_not_said_to_be_late() {
    let body = "trap 'answer interrupted skipped; exit 1' TERM; say holding; await go";
    let attempt = Attempt::begin("interrupted-j", body, &[]).await;
    attempt.stand_in.says("holding").await;
    attempt.runs().await;
    attempt.delete_job(DeleteParams::background()).await;
    let scene = attempt.scene;
    scene
        .ends(
            "up",
            Ending::failed(Reason::JobDeleted, FailureClass::Infrastructure),
        )
        .await;
    assert_eq!(scene.effects_on("deployments", "web"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_runner_is_killed_at_its_deadline() {
    let body = "trap '' TERM; while :; do sleep 1; done";
    let attempt = Attempt::begin_within("hung", body, &[], "5s").await;
    let execution = attempt
        .ends_unwritten(Reason::DeadlineExceeded, FailureClass::Timeout)
        .await;
    // Its end was seen, and not only given up on.
    let summary = execution.status.and_then(|status| status.execution_summary);
    assert_eq!(summary.and_then(|summary| summary.exit_code), Some(137));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_hangs_after_its_write_is_proven_nevertheless() {
    let body = r#"trap '' TERM; "$runner" "$@"; while :; do sleep 1; done"#;
    let attempt = Attempt::begin_within("hung-w", body, &[], "5s").await;
    attempt.ends_written().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_out_of_memory_before_the_write_is_said_to_be() {
    let out_of_memory = Fault::OutOfMemory {
        after: Duration::from_secs(2),
    };
    let attempt = Attempt::begin("oom", HELD_BEFORE_THE_WRITE, &[out_of_memory]).await;
    attempt
        .ends_unwritten(Reason::OutOfMemory, FailureClass::Infrastructure)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_out_of_memory_after_its_write_is_proven_nevertheless() {
    let out_of_memory = Fault::OutOfMemory {
        after: Duration::from_secs(4),
    };
    let body = format!("trap '' TERM; {HELD_AFTER_THE_WRITE}");
    let attempt = Attempt::begin("oom-w", &body, &[out_of_memory]).await;
    attempt.ends_written().await;
}

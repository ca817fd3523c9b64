//! Pods deleted under their runner, gently, by force, or torn out while its process lives on: never a second effect, and
//! never "unchanged" while a write can still come (I1, I5).

use k8s_openapi::api::core::v1::Pod;
use kexec_api::condition::{FailureClass, Reason};
use kexec_devcluster::node::Fault;
use kexec_tests::harness::{Ending, HELD_AFTER_THE_WRITE, HELD_BEFORE_THE_WRITE, error_of};
use kube::ResourceExt;
use kube::api::DeleteParams;

use super::attempt::Attempt;

/// Takes the attempt's claim as the runner does, and writes when the test says `go`, as often as it takes until the
/// API server has said yes or no. Unlike the runner it asks nobody whether it still may.
const WRITES_LATE: &str = r#"
cat > "$folder/lease.json" <<END
{"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
 "metadata": {"name": "kexec-$uid-1-x", "namespace": "$KEXEC_POD_NAMESPACE", "ownerReferences": [
   {"apiVersion": "batch/v1", "kind": "Job", "name": "kexec-$uid-1-x", "uid": "$KEXEC_JOB_UID", "controller": false}]},
 "spec": {"holderIdentity": "$KEXEC_POD_UID"}}
END
namespace=${KEXEC_WORK_ORDER#*'"namespace":"'}; namespace=${namespace%%'"'*}
"$kubectl" create --validate=false -f "$folder/lease.json" || exit 7
say claimed; await go
"$kubectl" patch deployment web --namespace "$namespace" --subresource scale --type json \
  --patch '[{"op": "replace", "path": "/spec/replicas", "value": 4}]' && say wrote || say refused
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_deleted_before_the_write_ends_the_execution_unwritten() {
    let attempt = Attempt::held_before("pod").await;
    attempt.delete_pod(DeleteParams::default()).await;
    attempt
        .ends_unwritten(Reason::RunnerKilled, FailureClass::Infrastructure)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_deleted_after_the_write_does_not_hide_it() {
    let attempt = Attempt::held_after("pod-w").await;
    attempt.delete_pod(DeleteParams::default()).await;
    attempt.ends_written().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_deleted_by_force_before_the_write_ends_the_execution_unwritten() {
    let attempt = Attempt::held_before("force").await;
    attempt
        .delete_pod(DeleteParams::default().grace_period(0))
        .await;
    attempt
        .ends_unwritten(Reason::RunnerKilled, FailureClass::Infrastructure)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_torn_out_before_the_write_ends_the_execution_unwritten() {
    let faults = [Fault::SurviveForceDelete];
    let attempt = Attempt::begin("torn", HELD_BEFORE_THE_WRITE, &faults).await;
    attempt.stand_in.says("holding").await;
    attempt.runs().await;
    attempt.tear_out_pod().await;
    // The end lets the real runner go, which finds the claim taken or its token refused.
    attempt
        .ends_unwritten(Reason::RunnerLost, FailureClass::Infrastructure)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_torn_out_after_the_write_does_not_hide_it() {
    let attempt = Attempt::held_after("torn-w").await;
    attempt.tear_out_pod().await;
    attempt.ends_written().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_torn_out_after_the_write_is_not_judged_by_the_pod_that_replaces_it() {
    let faults = [Fault::SurviveForceDelete];
    let attempt = Attempt::begin("replaced", HELD_AFTER_THE_WRITE, &faults).await;
    attempt.stand_in.says("written").await;
    attempt.runs().await;
    attempt.tear_out_pod().await;
    attempt.ends_written().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_torn_out_while_nobody_looks_is_not_judged_by_the_pod_that_replaces_it() {
    let faults = [Fault::SurviveForceDelete];
    let mut attempt = Attempt::begin("unwatched", HELD_AFTER_THE_WRITE, &faults).await;
    attempt.stand_in.says("written").await;
    let first = attempt.runs().await.uid();
    attempt.operator = None;
    attempt.tear_out_pod().await;
    let is_stale = |pod: &Pod| {
        let status = pod.status.as_ref();
        pod.uid() != first && status.is_some_and(|status| status.phase.as_deref() == Some("Failed"))
    };
    let what = "the dry run of the next pod to fail";
    attempt.scene.pod(&attempt.execution, what, is_stale).await;
    attempt.operator = Some(attempt.scene.operator().await);
    attempt.ends_written().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_deleted_by_force_after_the_write_does_not_hide_it() {
    let attempt = Attempt::held_after("force-w").await;
    attempt
        .delete_pod(DeleteParams::default().grace_period(0))
        .await;
    attempt.ends_written().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_outlives_the_forced_deletion_of_its_pod_is_judged_after_its_deadline() {
    let faults = [Fault::SurviveForceDelete];
    let attempt = Attempt::begin_within("zombie", HELD_BEFORE_THE_WRITE, &faults, "8s").await;
    attempt.stand_in.says("holding").await;
    attempt.runs().await;
    attempt
        .delete_pod(DeleteParams::default().grace_period(0))
        .await;
    attempt
        .ends_unwritten(Reason::DeadlineExceeded, FailureClass::Timeout)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_right_after_the_pod_was_torn_out_is_seen_by_the_verdict() {
    let attempt = Attempt::begin("late", WRITES_LATE, &[Fault::SurviveForceDelete]).await;
    attempt.stand_in.says("claimed").await;
    attempt.runs().await;
    attempt.tear_out_pod().await;
    attempt.pod_is_gone().await;
    attempt.stand_in.say("go");
    // Whether its token still counts is a matter of seconds; the verdict must fit what happened, either way.
    let execution = attempt.scene.ended("up").await;
    let expected = match attempt.scene.effects_on("deployments", "web") {
        0 => Ending::failed(Reason::RunnerLost, FailureClass::Infrastructure),
        1 => Ending::COMPLETED,
        more => panic!("{more} effects"),
    };
    assert_eq!(Ending::of(&execution), expected, "{}", error_of(&execution));
    drop(attempt.stand_in);
    attempt.scene.goes_on_after(&execution, "web").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_after_the_verdict_on_a_lost_runner_is_refused() {
    let attempt = Attempt::begin("too-late", WRITES_LATE, &[Fault::SurviveForceDelete]).await;
    attempt.stand_in.says("claimed").await;
    attempt.runs().await;
    attempt.tear_out_pod().await;
    let lost = Ending::failed(Reason::RunnerLost, FailureClass::Infrastructure);
    let execution = attempt.scene.ends("up", lost).await;
    assert!(
        error_of(&execution).contains("the target is unchanged"),
        "{}",
        error_of(&execution)
    );
    attempt.stand_in.say("go");
    attempt.stand_in.says("refused").await;
    assert_eq!(attempt.scene.effects_on("deployments", "web"), 0);
    drop(attempt.stand_in);
    attempt.scene.goes_on_after(&execution, "web").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_deleted_as_its_runner_ends_changes_nothing() {
    let attempt = Attempt::held_after("ended").await;
    attempt.stand_in.say("go");
    attempt.delete_pod(DeleteParams::default()).await;
    attempt.ends_written().await;
}

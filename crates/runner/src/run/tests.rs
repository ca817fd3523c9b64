//! The sequence against a server played by the test.

use std::io;

use http::Response;
use kexec_api::plan::PlanHash;
use kexec_api::work::StepOutcome;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::fixture::{
    ServerHandle, delete_node, evict, failure, failure_because, forbidden_by_budget, identity,
    limits, mock, order, scale, success,
};

const TEST_FAILED: &str = "the server rejected our request due to an error in our request";

/// A run in progress, its server, and what stops it.
struct Running {
    report: JoinHandle<Report>,
    server: ServerHandle,
    stop: CancellationToken,
}

fn begin(steps: Vec<Step>, mode: Mode, seconds: i64) -> Running {
    let (server, handle) = mock();
    let (limits, stop) = limits(seconds);
    let assignment = Assignment {
        order: order(steps),
        mode,
    };
    Running {
        report: tokio::spawn(async move { run(&server, &limits, &assignment).await }),
        server: handle,
        stop,
    }
}

/// A run for real that has taken its claim.
async fn claimed(steps: Vec<Step>, seconds: i64) -> Running {
    let mut running = begin(steps, Mode::Write(identity()), seconds);
    running.answer("POST", success(201, &json!({}))).await;
    running
}

impl Running {
    /// Answers the next request, which must have `method`, and returns its address and content.
    async fn answer(&mut self, method: &str, response: Response<Body>) -> (String, Value) {
        let (request, respond) = self.server.next_request().await.unwrap();
        assert_eq!(request.method(), method);
        let address = request.uri().to_string();
        let body =
            serde_json::from_slice(&request.into_body().collect_bytes().await.unwrap()).unwrap();
        respond.send_response(response);
        (address, body)
    }

    /// The report, after which no request may have come.
    async fn end(mut self) -> Report {
        let report = self.report.await.unwrap();
        assert!(
            self.server.next_request().await.is_none(),
            "a request came after the last one expected"
        );
        report
    }
}

fn outcomes(report: &Report) -> Vec<StepOutcome> {
    report.steps.iter().map(|record| record.outcome).collect()
}

#[tokio::test(start_paused = true)]
async fn the_claim_comes_first_and_then_the_steps_in_order() {
    let mut running = claimed(vec![scale(2, 5), delete_node()], 60).await;
    let (address, body) = running.answer("PATCH", success(200, &json!({}))).await;
    assert!(address.contains("/deployments/shop/scale?"), "{address}");
    assert_eq!(Some(body), scale(2, 5).json_patch());
    let (address, body) = running.answer("DELETE", success(200, &json!({}))).await;
    assert!(address.ends_with("/nodes/n1"), "{address}");
    assert_eq!(body["preconditions"], json!({"uid": "u-node"}));
    let report = running.end().await;
    assert_eq!((report.outcome, &report.error), (WorkOutcome::Done, &None));
    assert_eq!(
        outcomes(&report),
        [StepOutcome::Written, StepOutcome::Written]
    );
    assert_eq!(report.steps[0].status_code, Some(200));
    assert!(report.steps[0].at.is_some() && report.steps[0].millis.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_lost_claim_means_that_nothing_is_written() {
    let mut running = begin(vec![scale(2, 5)], Mode::Write(identity()), 60);
    let exists = failure_because(409, "AlreadyExists", "exists", json!({}));
    running.answer("POST", exists).await;
    let report = running.end().await;
    assert_eq!(
        (report.outcome, outcomes(&report)),
        (WorkOutcome::ClaimLost, vec![StepOutcome::Skipped])
    );
    assert_eq!(report.outcome.exit_code(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_refused_claim_means_that_nothing_is_written() {
    let mut running = begin(vec![scale(2, 5)], Mode::Write(identity()), 60);
    running
        .answer("POST", failure(403, "leases is forbidden", json!({})))
        .await;
    let report = running.end().await;
    assert_eq!(
        (report.outcome, report.outcome.exit_code()),
        (WorkOutcome::CouldNotStart, 2)
    );
    assert!(report.error.unwrap().contains("leases is forbidden"));
}

#[tokio::test(start_paused = true)]
async fn a_plan_without_writes_needs_no_claim() {
    let report = begin(vec![], Mode::Write(identity()), 60).end().await;
    assert_eq!((report.outcome, report.steps.len()), (WorkOutcome::Done, 0));
}

#[tokio::test(start_paused = true)]
async fn a_failed_test_is_a_failed_precondition_and_ends_the_run() {
    let mut running = claimed(vec![scale(2, 5), delete_node()], 60).await;
    running
        .answer("PATCH", failure(422, TEST_FAILED, json!({})))
        .await;
    let report = running.end().await;
    assert_eq!(
        (report.outcome, report.outcome.exit_code()),
        (WorkOutcome::PreconditionFailed, 3)
    );
    assert_eq!(
        outcomes(&report),
        [StepOutcome::Refused, StepOutcome::Skipped]
    );
    assert!(
        report
            .error
            .unwrap()
            .contains("Deployment/web/shop is no longer as planned")
    );
}

#[tokio::test(start_paused = true)]
async fn an_invalid_object_is_a_failure() {
    let mut running = claimed(vec![scale(2, 5)], 60).await;
    let details =
        json!({"name": "shop", "kind": "Deployment", "causes": [{"message": "must be positive"}]});
    running
        .answer("PATCH", failure(422, "invalid", details))
        .await;
    let report = running.end().await;
    assert_eq!(
        (report.outcome, report.outcome.exit_code()),
        (WorkOutcome::Failed, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_forbidden_write_is_a_failure_with_the_servers_words() {
    let mut running = claimed(vec![scale(2, 5)], 60).await;
    running
        .answer(
            "PATCH",
            failure(403, "deployments is \u{202e}forbidden\u{7}", json!({})),
        )
        .await;
    let report = running.end().await;
    assert_eq!(
        (report.outcome, report.steps[0].status_code),
        (WorkOutcome::Failed, Some(403))
    );
    assert!(
        report
            .error
            .unwrap()
            .contains("deployments is \\u{202e}forbidden\\u{7}")
    );
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_gone_or_replaced_is_a_failed_precondition() {
    let mut running = claimed(vec![scale(2, 5)], 60).await;
    running
        .answer("PATCH", failure(404, "not found", json!({})))
        .await;
    assert_eq!(running.end().await.outcome, WorkOutcome::PreconditionFailed);
    for code in [404, 409] {
        let mut running = claimed(vec![delete_node()], 60).await;
        running
            .answer("DELETE", failure(code, "UID in precondition", json!({})))
            .await;
        assert_eq!(running.end().await.outcome, WorkOutcome::PreconditionFailed);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_not_processed_is_tried_again_after_the_pause_asked_for() {
    let mut running = claimed(vec![scale(2, 5)], 60).await;
    let began = tokio::time::Instant::now();
    let busy = failure(429, "busy", json!({"retryAfterSeconds": 7}));
    running.answer("PATCH", busy).await;
    running.answer("PATCH", success(200, &json!({}))).await;
    assert_eq!(began.elapsed().as_secs(), 7);
    assert_eq!(running.end().await.outcome, WorkOutcome::Done);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_unknown_and_never_repeated() {
    let mut running = claimed(vec![scale(2, 5), delete_node()], 60).await;
    let (_, respond) = running.server.next_request().await.unwrap();
    respond.send_error(io::Error::from(io::ErrorKind::ConnectionReset));
    let report = running.end().await;
    assert_eq!(
        (report.outcome, report.outcome.exit_code()),
        (WorkOutcome::Unknown, 1)
    );
    assert_eq!(
        outcomes(&report),
        [StepOutcome::Unknown, StepOutcome::Skipped]
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_leaves_the_step_unknown() {
    let mut running = claimed(vec![scale(2, 5)], 60).await;
    let held = running.server.next_request().await.unwrap();
    let report = running.report.await.unwrap();
    drop(held);
    assert_eq!(
        (report.outcome, report.steps[0].millis),
        (WorkOutcome::Unknown, Some(5000))
    );
}

#[tokio::test(start_paused = true)]
async fn a_later_failure_leaves_the_earlier_step_recorded_as_written() {
    let mut running = claimed(vec![scale(2, 5), delete_node()], 60).await;
    running.answer("PATCH", success(200, &json!({}))).await;
    running
        .answer("DELETE", failure(403, "no", json!({})))
        .await;
    let report = running.end().await;
    assert_eq!(report.outcome, WorkOutcome::Failed);
    assert_eq!(
        outcomes(&report),
        [StepOutcome::Written, StepOutcome::Refused]
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_to_stop_lets_the_write_in_flight_end_and_begins_no_other() {
    let mut running = claimed(vec![scale(2, 5), delete_node()], 60).await;
    let (_, respond) = running.server.next_request().await.unwrap();
    running.stop.cancel();
    tokio::task::yield_now().await;
    respond.send_response(success(200, &json!({})));
    let report = running.end().await;
    assert_eq!(
        (report.outcome, report.outcome.exit_code()),
        (WorkOutcome::Interrupted, 1)
    );
    assert_eq!(
        outcomes(&report),
        [StepOutcome::Written, StepOutcome::Skipped]
    );
    assert!(report.error.unwrap().contains("asked to stop"));
}

#[tokio::test(start_paused = true)]
async fn a_request_to_stop_ends_the_tries_of_a_step() {
    let mut running = claimed(vec![scale(2, 5)], 3600).await;
    let busy = failure(429, "busy", json!({"retryAfterSeconds": 600}));
    running.answer("PATCH", busy).await;
    running.stop.cancel();
    let report = running.end().await;
    assert_eq!(
        (report.outcome, outcomes(&report)),
        (WorkOutcome::Interrupted, vec![StepOutcome::Refused])
    );
}

#[tokio::test(start_paused = true)]
async fn after_the_deadline_nothing_is_sent_not_even_a_claim() {
    let report = begin(vec![scale(2, 5)], Mode::Write(identity()), 0)
        .end()
        .await;
    assert_eq!(
        (report.outcome, outcomes(&report)),
        (WorkOutcome::Interrupted, vec![StepOutcome::Skipped])
    );
    assert!(report.error.unwrap().contains("deadline"));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_passes_between_claim_and_write_stops_the_write() {
    let mut running = begin(vec![scale(2, 5)], Mode::Write(identity()), 3);
    let (_, respond) = running.server.next_request().await.unwrap();
    tokio::time::advance(std::time::Duration::from_secs(4)).await;
    respond.send_response(success(201, &json!({})));
    let report = running.end().await;
    assert_eq!(
        (report.outcome, outcomes(&report)),
        (WorkOutcome::Interrupted, vec![StepOutcome::Skipped])
    );
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_takes_no_claim_and_every_write_says_so() {
    let mut running = begin(vec![scale(2, 5), delete_node()], Mode::DryRun, 60);
    let (address, _) = running.answer("PATCH", success(200, &json!({}))).await;
    assert!(address.contains("dryRun=All"), "{address}");
    let (_, body) = running.answer("DELETE", success(200, &json!({}))).await;
    assert_eq!(body["dryRun"], json!(["All"]));
    let report = running.end().await;
    assert_eq!(
        (report.outcome, report.outcome.exit_code()),
        (WorkOutcome::Done, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_skips_a_second_write_to_the_same_object() {
    let mut running = begin(
        vec![scale(2, 5), scale(5, 7), delete_node()],
        Mode::DryRun,
        60,
    );
    running.answer("PATCH", success(200, &json!({}))).await;
    running.answer("DELETE", success(200, &json!({}))).await;
    let report = running.end().await;
    assert_eq!(report.outcome, WorkOutcome::Done);
    assert_eq!(
        outcomes(&report),
        [
            StepOutcome::Written,
            StepOutcome::Skipped,
            StepOutcome::Written
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_for_real_writes_twice_to_the_same_object() {
    let mut running = claimed(vec![scale(2, 5), scale(5, 7)], 60).await;
    running.answer("PATCH", success(200, &json!({}))).await;
    running.answer("PATCH", success(200, &json!({}))).await;
    let report = running.end().await;
    assert_eq!(
        outcomes(&report),
        [StepOutcome::Written, StepOutcome::Written]
    );
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_may_repeat_after_a_lost_answer() {
    let mut running = begin(vec![scale(2, 5)], Mode::DryRun, 60);
    let (_, respond) = running.server.next_request().await.unwrap();
    respond.send_error(io::Error::from(io::ErrorKind::ConnectionReset));
    running.answer("PATCH", success(200, &json!({}))).await;
    assert_eq!(running.end().await.outcome, WorkOutcome::Done);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_without_dry_run_fails_the_dry_run_with_its_words() {
    let mut running = begin(vec![scale(2, 5)], Mode::DryRun, 60);
    let said = "admission webhook \"x.example\" does not support dry run";
    running.answer("PATCH", failure(400, said, json!({}))).await;
    let report = running.end().await;
    assert_eq!(report.outcome, WorkOutcome::Failed);
    assert!(report.error.unwrap().contains("does not support dry run"));
    assert!(
        report.steps[0]
            .error
            .as_ref()
            .unwrap()
            .contains("does not support dry run")
    );
}

#[tokio::test(start_paused = true)]
async fn a_rollback_runs_the_inverse_steps() {
    let (server, mut handle) = mock();
    let (limits, _stop) = limits(60);
    let mut order = order(vec![scale(2, 5)]);
    order.stage = kexec_api::work::Stage::Rollback;
    order.plan_hash = PlanHash::from(String::new());
    let assignment = Assignment {
        order,
        mode: Mode::DryRun,
    };
    let report = tokio::spawn(async move { run(&server, &limits, &assignment).await });
    let (request, respond) = handle.next_request().await.unwrap();
    let body: Value =
        serde_json::from_slice(&request.into_body().collect_bytes().await.unwrap()).unwrap();
    respond.send_response(success(200, &json!({})));
    assert_eq!(report.await.unwrap().outcome, WorkOutcome::Done);
    assert_eq!(Some(body), scale(5, 2).json_patch());
}

/// Answers every request that comes as the disruption budget does, and returns the report.
async fn held_throughout(running: Running) -> Report {
    let Running {
        mut report, server, ..
    } = running;
    let mut server = server;
    loop {
        tokio::select! {
            report = &mut report => return report.unwrap(),
            request = server.next_request() => {
                // None when the run has just ended.
                let Some((_, respond)) = request else { continue };
                respond.send_response(forbidden_by_budget());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_gives_way_lets_the_eviction_happen() {
    let mut running = claimed(vec![evict(None)], 60).await;
    running.answer("POST", forbidden_by_budget()).await;
    running.answer("POST", success(201, &json!({}))).await;
    let report = running.end().await;
    assert_eq!(
        (report.outcome, outcomes(&report)),
        (WorkOutcome::Done, vec![StepOutcome::Written])
    );
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_never_gives_way_fails_the_action_and_is_named() {
    for steps in [vec![evict(None)], vec![evict(Some(30)), delete_node()]] {
        let report = held_throughout(claimed(steps, 60).await).await;
        assert_eq!(
            (report.outcome, report.steps[0].outcome),
            (WorkOutcome::Failed, StepOutcome::Refused)
        );
        let error = report.error.unwrap();
        assert!(
            error.starts_with(
                "step 0 was not written, the API server refused to evict Pod/web/shop-1: The disruption budget \
                 shop-budget needs 2 healthy pods and has 2 currently; the "
            ),
            "{error}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_at_its_own_time_and_not_at_the_works() {
    let report = held_throughout(claimed(vec![evict(Some(30))], 60).await).await;
    let error = report.error.unwrap();
    assert!(error.ends_with("the time for the drain is over"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_eviction_that_is_stopped_on_request_is_interrupted_and_not_refused() {
    let mut running = claimed(vec![evict(None)], 60).await;
    running.answer("POST", forbidden_by_budget()).await;
    running.stop.cancel();
    let report = held_throughout(running).await;
    assert_eq!(report.outcome, WorkOutcome::Interrupted);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_accepts_an_eviction_that_has_to_wait() {
    let mut running = begin(vec![evict(None)], Mode::DryRun, 60);
    let (address, _) = running.answer("POST", forbidden_by_budget()).await;
    assert!(address.ends_with("&dryRun=All"), "{address}");
    assert_eq!(running.end().await.outcome, WorkOutcome::Done);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_gone_is_stale_for_an_eviction_and_no_matter_for_a_drain() {
    let gone = || failure(404, "pods \"shop-1\" not found", json!({}));
    let mut running = claimed(vec![evict(None)], 60).await;
    running.answer("POST", gone()).await;
    assert_eq!(running.end().await.outcome, WorkOutcome::PreconditionFailed);

    let mut running = claimed(vec![evict(Some(30))], 60).await;
    running.answer("POST", gone()).await;
    let report = running.end().await;
    assert_eq!(
        (report.outcome, outcomes(&report)),
        (WorkOutcome::Done, vec![StepOutcome::Unneeded])
    );
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_asked_for_again_in_a_drain_only() {
    let mut running = claimed(vec![evict(None)], 60).await;
    running.answer("POST", failure(504, "", json!({}))).await;
    assert_eq!(running.end().await.outcome, WorkOutcome::Unknown);

    let mut running = claimed(vec![evict(Some(30))], 60).await;
    running.answer("POST", failure(504, "", json!({}))).await;
    running
        .answer("POST", failure(409, "UID in precondition", json!({})))
        .await;
    let report = running.end().await;
    assert_eq!(
        (report.outcome, outcomes(&report)),
        (WorkOutcome::Done, vec![StepOutcome::Written])
    );
}

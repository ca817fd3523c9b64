//! What the end of the writing container means: believed only when it is about this very attempt, settled by the live
//! target when it cannot be told.

use kexec_api::condition::ConditionType;
use kexec_core::attempt::Presence;
use serde_json::{Value, json};

use crate::support::{Facing, Runner, World, at, ended_at, line, result, step};

const WATCH: &str = "watch Deployment/web/shop, pods in \"web\" matching app=shop";

const PROVEN: &str = "record completed/ExecutionCompleted success succeeded verified";

fn world() -> World {
    World::ready().at_work().after(21)
}

fn exit(world: World, code: i32, message: Option<String>) -> World {
    world.seen(&Runner::Ended {
        exit: code,
        message,
    })
}

fn reported(outcome: &str, code: i32, steps: &[Value]) -> World {
    let message = result(&world(), outcome, steps);
    exit(world(), code, Some(message))
}

/// A result about this attempt with one of its fields changed.
fn forged(field: &str, value: Value) -> World {
    let mut told: Value =
        serde_json::from_str(&result(&world(), "done", &[step(0, "written")])).expect("is JSON");
    told[field] = value;
    exit(world(), 0, Some(told.to_string()))
}

#[test]
fn writes_reported_done_are_held_against_the_live_target() {
    let written = [step(0, "written")];
    let table = [
        ("done", reported("done", 0, &written), WATCH),
        (
            "done and proven",
            reported("done", 0, &written).facing(Facing::Proven),
            PROVEN,
        ),
        (
            "done and on its way",
            reported("done", 0, &written).facing(Facing::Pending),
            "record monitoring/VerifyingOutcome",
        ),
        (
            "done, not to be seen",
            reported("done", 0, &written).facing(Facing::Unreadable),
            "record monitoring/VerifyingOutcome",
        ),
        (
            "done, nothing changed",
            reported("done", 0, &written).facing(Facing::Unchanged),
            "record failed/OutcomeRefuted failure failed",
        ),
        (
            "done, target gone",
            reported("done", 0, &written).facing(Facing::Gone),
            "record failed/OutcomeRefuted failure failed",
        ),
        (
            "done, target replaced",
            reported("done", 0, &written).facing(Facing::Replaced),
            "record failed/OutcomeRefuted failure failed",
        ),
    ];
    for (name, world, expected) in table {
        assert_eq!(line(&world), expected, "{name}");
    }
}

#[test]
fn work_reported_undone_needs_no_look_at_the_target() {
    let refused = [step(0, "refused")];
    let table = [
        (
            "refused",
            reported("failed", 1, &refused),
            "record failed/ActionFailed failure failed",
        ),
        (
            "refused after a write",
            reported("failed", 1, &[step(0, "written"), step(1, "refused")]),
            "record failed/ActionFailed partial-success failed",
        ),
        (
            "stale",
            reported("precondition-failed", 3, &refused),
            "record failed/PlanStale failure failed",
        ),
        (
            "stale after a write",
            reported(
                "precondition-failed",
                3,
                &[step(0, "written"), step(1, "refused")],
            ),
            "record failed/PlanStale partial-success failed",
        ),
        (
            "no start",
            reported("could-not-start", 2, &[]),
            "record failed/ActionFailed failure failed",
        ),
        (
            "interrupted",
            reported("interrupted", 1, &[]),
            "record failed/DeadlineExceeded timeout failed",
        ),
    ];
    for (name, world, expected) in table {
        assert_eq!(line(&world), expected, "{name}");
    }
}

#[test]
fn work_that_the_runner_cannot_tell_of_is_left_to_the_target() {
    let table = [
        (
            "lost answer",
            reported("unknown", 1, &[step(0, "unknown")]),
            WATCH,
        ),
        (
            "lost answer, proven",
            reported("unknown", 1, &[step(0, "unknown")]).facing(Facing::Proven),
            PROVEN,
        ),
        (
            "lost answer, on its way",
            reported("unknown", 1, &[step(0, "unknown")]).facing(Facing::Pending),
            "record monitoring/VerifyingOutcome",
        ),
        (
            "lost answer, unchanged",
            reported("unknown", 1, &[step(0, "unknown")]).facing(Facing::Unchanged),
            "record failed/OutcomeUnknown failure failed",
        ),
        (
            "lost answer, gone",
            reported("unknown", 1, &[step(0, "unknown")]).facing(Facing::Gone),
            "record failed/OutcomeUnknown failure unknown",
        ),
        (
            "claim lost",
            reported("claim-lost", 4, &[]),
            "wait until 35",
        ),
        (
            "claim lost, quiet",
            reported("claim-lost", 4, &[]).after(35),
            WATCH,
        ),
        (
            "claim lost, unchanged",
            reported("claim-lost", 4, &[])
                .after(35)
                .facing(Facing::Unchanged),
            "record failed/ClaimLost failure failed",
        ),
        (
            "claim lost, proven",
            reported("claim-lost", 4, &[])
                .after(35)
                .facing(Facing::Proven),
            PROVEN,
        ),
    ];
    for (name, world, expected) in table {
        assert_eq!(line(&world), expected, "{name}");
    }
}

/// Ends without a result, and what is said of them.
fn without_result() -> Vec<(&'static str, World, &'static str)> {
    vec![
        (
            "no message",
            exit(world(), 0, None),
            "InvalidResult failure",
        ),
        (
            "blank",
            exit(world(), 1, Some("  \n".into())),
            "InvalidResult failure",
        ),
        (
            "garbage",
            exit(world(), 1, Some("panicked at \u{202e}\u{7}".into())),
            "InvalidResult failure",
        ),
        (
            "a list",
            exit(world(), 0, Some("[]".into())),
            "InvalidResult failure",
        ),
        (
            "out of memory",
            world().seen(&Runner::Killed("OOMKilled")),
            "OutOfMemory failure",
        ),
        (
            "deadline",
            world().seen(&Runner::Failed("DeadlineExceeded", None)),
            "DeadlineExceeded timeout",
        ),
        (
            "evicted",
            world().seen(&Runner::Evicted(None)),
            "RunnerKilled failure",
        ),
    ]
}

/// Ends with a result that is about other work, or contradicts what the kubelet saw.
fn with_foreign_result() -> Vec<(&'static str, World, &'static str)> {
    vec![
        (
            "another execution",
            forged("executionUid", json!("e-2")),
            "InvalidResult failure",
        ),
        (
            "another attempt",
            forged("attempt", json!(2)),
            "InvalidResult failure",
        ),
        (
            "another stage",
            forged("stage", json!("rollback")),
            "InvalidResult failure",
        ),
        (
            "another plan",
            forged("planHash", json!("sha256:0")),
            "InvalidResult failure",
        ),
        (
            "a dry run",
            forged("dryRun", json!(true)),
            "InvalidResult failure",
        ),
        (
            "an unknown field",
            forged("more", json!(1)),
            "InvalidResult failure",
        ),
        (
            "another exit code",
            reported("done", 1, &[step(0, "written")]),
            "InvalidResult failure",
        ),
        (
            "failed but exited well",
            reported("failed", 0, &[]),
            "InvalidResult failure",
        ),
    ]
}

#[test]
fn an_end_without_a_result_of_this_very_attempt_is_left_to_the_target() {
    let bad = without_result().into_iter().chain(with_foreign_result());
    for (name, world, reason) in bad {
        assert_eq!(line(&world), WATCH, "{name}");
        let at = |facing| line(&world.clone().facing(facing));
        assert_eq!(
            at(Facing::Unchanged),
            format!("record failed/{reason} failed"),
            "{name}"
        );
        assert_eq!(
            at(Facing::Gone),
            format!("record failed/{reason} unknown"),
            "{name}"
        );
        assert_eq!(at(Facing::Proven), PROVEN, "{name}");
        for unclear in [Facing::Pending, Facing::Otherwise, Facing::Unreadable] {
            assert_eq!(
                at(unclear),
                "record monitoring/VerifyingOutcome",
                "{name}, {unclear:?}"
            );
        }
    }
}

#[test]
fn a_runner_that_lost_its_claim_is_waited_for_no_longer_than_its_deadline() {
    let claim_lost = |time: Option<i64>| {
        let mut world = reported("claim-lost", 4, &[]);
        if let Presence::Here(pod) = world.gathered.sighting.pod.clone() {
            let mut pod = ended_at(pod, at(time.unwrap_or(0)));
            if time.is_none() {
                let ends = pod
                    .status
                    .iter_mut()
                    .flat_map(|status| status.container_statuses.iter_mut().flatten());
                ends.filter_map(|status| status.state.as_mut()?.terminated.as_mut())
                    .for_each(|end| end.finished_at = None);
            }
            world.gathered.sighting.pod = Presence::Here(pod);
        }
        world
    };
    assert_eq!(line(&claim_lost(Some(100_000))), "wait until 610");
    assert_eq!(line(&claim_lost(None)), "wait until 610");
    assert_eq!(line(&claim_lost(None).after(610)), WATCH);
}

#[test]
fn an_end_at_the_pods_deadline_is_the_deadlines_before_the_kubelet_says_so_of_the_pod() {
    let ended_after = |seconds: i64| {
        let mut world = exit(world(), 137, None).facing(Facing::Unchanged);
        if let Presence::Here(pod) = &mut world.gathered.sighting.pod {
            let (spec, status) = (pod.spec.as_mut(), pod.status.as_mut());
            spec.expect("a spec").active_deadline_seconds = Some(seconds);
            let started = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(5));
            status.expect("a status").start_time = Some(started);
        }
        line(&world)
    };
    assert_eq!(
        ended_after(15),
        "record failed/DeadlineExceeded timeout failed"
    );
    assert_eq!(
        ended_after(16),
        "record failed/InvalidResult failure failed"
    );
}

#[test]
fn an_end_tells_what_was_done_and_what_it_cost() {
    let status = reported("done", 0, &[step(0, "written")])
        .facing(Facing::Proven)
        .recorded();
    let summary = status.execution_summary.clone().expect("has a summary");
    assert_eq!(
        (
            summary.exit_code,
            summary.resources_affected,
            summary.progress
        ),
        (Some(0), Some(1), Some(100))
    );
    let details = status.execution_details.clone().expect("has details");
    let change = &details.resource_changes[0];
    assert_eq!(
        change.before_state.as_ref().map(|state| json!(state)),
        Some(json!({"spec.replicas": 2}))
    );
    assert_eq!(
        change.after_state.as_ref().map(|state| json!(state)),
        Some(json!({"spec.replicas": 5}))
    );
    let calls = status
        .performance_metrics
        .as_ref()
        .and_then(|metrics| metrics.kubernetes_api_calls.clone());
    assert_eq!(
        calls
            .and_then(|calls| calls.average_response_time)
            .as_deref(),
        Some("10ms")
    );
    let executing = status
        .condition(ConditionType::Executing)
        .expect("has Executing");
    assert_eq!(executing.reason.as_deref(), Some("ExecutionCompleted"));
}

#[test]
fn a_failure_that_wrote_nothing_leaves_nothing_to_undo() {
    let status = reported("failed", 1, &[]).recorded();
    assert_eq!(status.condition(ConditionType::RolledBack), None);
    let rollback = status
        .execution_details
        .and_then(|details| details.rollback_info)
        .expect("is told");
    assert_eq!(rollback.rollback_triggered, Some(false));
    assert!(
        rollback
            .rollback_state
            .is_some_and(|state| state.contains_key("plan"))
    );
}

//! Undoing: when it is due, what runs it, and what came of it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kexec_api::condition::{ConditionStatus, ConditionType, Reason};
use kexec_api::execution::KubernetesExecutionStatus;
use kexec_api::execution::status::{OperationResult, RollbackCause};
use kexec_api::phase::Phase;
use kexec_api::work::{Stage, WorkOrder};
use kexec_core::attempt::{Claim, Presence, Sighting, jobs_of};
use kexec_core::decide::{Decision, Whose};
use kexec_core::queue::Turn;
use kexec_core::view::{CreateProblem, Gathered};
use serde_json::{Value, json};

use crate::support::{Facing, Runner, World, at, line, result, step};

/// An execution with automatic rollback, changed as given.
fn world(config: Value) -> World {
    let mut rollback = json!({"enableAutoRollback": true});
    crate::support::patch(&mut rollback, config);
    let safety = json!({"safetyConfig": {"rollbackConfig": rollback}});
    World::of(json!({"executionConfig": safety})).with_facts()
}

/// It ends with this message at second 20, the target looks so.
fn ends(world: World, end: &Runner, facing: Facing) -> World {
    world.at_work().seen(end).facing(facing).after(30)
}

fn killed() -> Runner {
    Runner::Killed("OOMKilled")
}

/// The write took effect, the outcome did not show in time.
fn too_slow(config: Value) -> World {
    let ended = Runner::Ended {
        exit: 0,
        message: None,
    };
    let mut world = ends(world(config), &ended, Facing::Pending);
    let message = result(&world, "done", &[step(0, "written")]);
    world = world.seen(&Runner::Ended {
        exit: 0,
        message: Some(message),
    });
    let status = world.recorded();
    assert_eq!(status.phase, Some(Phase::Monitoring));
    world.execution.status = Some(status);
    world.after(300)
}

/// In phase rolling-back since second 30, as this process knows it.
fn rolling_back() -> World {
    let mut world = ends(world(json!({})), &killed(), Facing::Otherwise);
    world.gathered.proof = Some(Facing::Pending.facts());
    // The write shows, the outcome does not: the wait for it ends the attempt.
    world.execution.status = Some(world.recorded());
    let mut world = world.after(300);
    let status = world.recorded();
    assert_eq!(status.phase, Some(Phase::RollingBack));
    world.execution.status = Some(status);
    let plan = world.gathered.stored_plan.take();
    let mut previous = world.gathered.sighting.clone();
    if let Presence::Here(job) = &mut previous.job {
        let spec = job.spec.get_or_insert_default();
        spec.ttl_seconds_after_finished = Some(300);
    }
    *world.gathered = Gathered {
        turn: Some(Turn::Granted),
        stored_plan: plan,
        is_fresh: true,
        previous: Some(Box::new(previous)),
        ..Gathered::default()
    };
    world
}

/// With the Job of the inverse steps there, and its pod seen so.
fn undoing(runner: &Runner) -> World {
    let mut world = rolling_back();
    let Decision::CreateJob(mut job) = world.decide() else {
        panic!("no Job is created: {}", world.decide().name());
    };
    job.metadata.creation_timestamp = Some(Time(at(301)));
    world.gathered.sighting.job = Presence::Here(*job);
    world.seen(runner).after(320)
}

/// The runner's result about the inverse steps.
fn undone(world: &World, outcome: &str, steps: &[Value]) -> String {
    let mut said: Value = serde_json::from_str(&result(world, outcome, steps)).expect("is JSON");
    said["stage"] = "rollback".into();
    said.to_string()
}

fn ended(outcome: &str, exit: i32, steps: &[Value]) -> World {
    let message = undone(&rolling_back(), outcome, steps);
    undoing(&Runner::Ended {
        exit,
        message: Some(message),
    })
}

fn recorded(world: &World) -> KubernetesExecutionStatus {
    world.recorded()
}

fn condition(status: &KubernetesExecutionStatus, kind: ConditionType) -> (ConditionStatus, Reason) {
    let condition = status.condition(kind).expect("has the condition");
    (condition.status, condition.known_reason().expect("known"))
}

#[test]
fn what_ended_the_action_decides_whether_it_is_undone() {
    let only = |trigger: &str| json!({"rollbackTriggers": [trigger]});
    let rolling = "record rolling-back/RollingBack";
    let table = [
        ("no health in time", too_slow(json!({})), rolling),
        (
            "no health in time, of that trigger",
            too_slow(only("health-check-failed")),
            rolling,
        ),
        (
            "no health in time, of another trigger",
            too_slow(only("timeout")),
            "record failed/HealthCheckTimeout timeout failed",
        ),
        (
            "switched off",
            too_slow(json!({"enableAutoRollback": false})),
            "record failed/HealthCheckTimeout timeout failed",
        ),
        (
            "not preserved",
            too_slow(json!({"preserveRollbackState": false})),
            "record failed/HealthCheckTimeout timeout failed",
        ),
        (
            "killed after the write, target gone",
            ends(world(json!({})), &killed(), Facing::Gone),
            "record failed/OutOfMemory failure unknown",
        ),
        (
            "killed before the write",
            ends(world(json!({})), &killed(), Facing::Unchanged),
            "record failed/OutOfMemory failure failed",
        ),
        (
            "killed, target unreadable",
            ends(world(json!({})), &killed(), Facing::Unreadable),
            "record monitoring/VerifyingOutcome",
        ),
        (
            "cancelled after the write",
            too_slow(json!({})).after(40).cancelled(),
            "record cancelled/Cancelled cancelled unknown",
        ),
    ];
    for (name, world, expected) in table {
        assert_eq!(line(&world), expected, "{name}");
    }
}

#[test]
fn the_cause_is_named_and_the_failure_stays_readable() {
    let status = recorded(&too_slow(json!({})));
    let details = status.execution_details.as_ref().expect("has details");
    let info = details.rollback_info.as_ref().expect("has rollback info");
    assert_eq!(info.rollback_triggered, Some(true));
    assert_eq!(
        info.rollback_trigger,
        Some(RollbackCause::ValidationFailure)
    );
    assert_eq!(
        condition(&status, ConditionType::Ready),
        (ConditionStatus::False, Reason::HealthCheckTimeout)
    );
    assert_eq!(
        condition(&status, ConditionType::RolledBack),
        (ConditionStatus::Unknown, Reason::RollingBack)
    );
    assert!(
        status
            .error
            .is_some_and(|error| error.contains("did not show"))
    );
    let timed = recorded(&too_slow(
        json!({"rollbackTriggers": ["health-check-failed"]}),
    ));
    let info = timed
        .execution_details
        .and_then(|details| details.rollback_info);
    let trigger = info.and_then(|info| info.rollback_trigger);
    assert_eq!(trigger, Some(RollbackCause::HealthCheckFailed));
}

#[test]
fn a_rollback_that_is_not_made_says_why() {
    for (config, why) in [
        (
            json!({"enableAutoRollback": false}),
            "enableAutoRollback is false",
        ),
        (
            json!({"rollbackTriggers": ["timeout"]}),
            "does not list health-check-failed",
        ),
        (
            json!({"preserveRollbackState": false}),
            "preserveRollbackState is false",
        ),
    ] {
        let status = recorded(&too_slow(config));
        let said = status
            .condition(ConditionType::RolledBack)
            .expect("is said");
        assert_eq!(said.known_reason(), Some(Reason::NotPerformed));
        let message = said.message.as_deref().unwrap_or_default();
        assert!(message.contains(why), "{message}");
    }
}

#[test]
fn the_inverse_steps_run_in_one_job_of_their_own_without_a_dry_run() {
    let world = rolling_back();
    let Decision::CreateJob(job) = world.decide() else {
        panic!("no Job is created: {}", world.decide().name());
    };
    assert_eq!(job.metadata.name.as_deref(), Some("kexec-e-1-1-r"));
    assert_eq!(jobs_of(&world.execution).current, "kexec-e-1-1-r");
    let template = &job.spec.as_ref().expect("has a spec").template;
    let annotations = template
        .metadata
        .as_ref()
        .and_then(|meta| meta.annotations.as_ref());
    let order = annotations.and_then(|all| all.get(kexec_api::names::ANNOTATION_WORK_ORDER));
    let order: WorkOrder = serde_json::from_str(order.expect("has an order")).expect("is one");
    assert_eq!(order.stage, Stage::Rollback);
    assert_eq!(order.plan_hash.as_str(), world.hash());
    let pod = template.spec.as_ref().expect("has a pod");
    assert_eq!(pod.init_containers, None);
    assert_eq!(
        pod.service_account_name.as_deref(),
        Some("kexec-scale-deployment")
    );
    assert_eq!(pod.active_deadline_seconds, Some(300), "rollbackTimeout");
}

#[test]
fn the_job_is_created_once_it_is_surely_not_there_and_the_policies_are() {
    let mut unread = rolling_back();
    unread.gathered.is_fresh = false;
    assert_eq!(line(&unread), "refresh");
    let mut unfit = rolling_back();
    unfit.gathered.policy_problem = Some("altered".to_owned());
    assert_eq!(line(&unfit), "wait until 302");
    let mut no_plan = rolling_back();
    no_plan.gathered.stored_plan = None;
    assert_eq!(
        line(&no_plan),
        "record failed/RollbackFailed failure failed"
    );
    let refused = |transient| {
        let mut world = rolling_back();
        world.gathered.create_problem = Some(CreateProblem {
            reason: Reason::QuotaExceeded,
            message: "exceeded quota".to_owned(),
            transient,
        });
        world
    };
    assert_eq!(line(&refused(true)), "wait until 302");
    assert_eq!(
        line(&refused(false)),
        "record failed/RollbackFailed failure failed"
    );
}

#[test]
fn the_job_that_failed_gets_its_time_to_live_once_the_other_is_there() {
    let mut world = undoing(&Runner::Running);
    let previous = world
        .gathered
        .previous
        .as_mut()
        .expect("has a previous attempt");
    if let Presence::Here(job) = &mut previous.job {
        let spec = job.spec.get_or_insert_default();
        spec.ttl_seconds_after_finished = None;
    }
    assert!(
        matches!(
            world.decide(),
            Decision::ExpireJob {
                whose: Whose::Previous,
                ..
            }
        ),
        "{}",
        line(&world)
    );
}

#[test]
fn the_live_target_says_what_was_restored() {
    let done = || ended("done", 0, &[step(0, "written")]);
    let watch = "watch Deployment/web/shop";
    let undone = "record rolled-back/RollbackCompleted failure rolled-back verified";
    let table = [
        ("running", undoing(&Runner::Running), "wait until 611"),
        ("done, unread", done(), watch),
        (
            "done and restored",
            done().facing(Facing::Unchanged),
            undone,
        ),
        (
            "done, but not restored",
            done().facing(Facing::Pending),
            "record failed/RollbackFailed failure failed",
        ),
        (
            "changed by another",
            ended("precondition-failed", 3, &[step(0, "foreign")]).facing(Facing::Otherwise),
            "record failed/RollbackRefused failure failed",
        ),
        (
            "replaced",
            done().facing(Facing::Replaced),
            "record failed/RollbackRefused failure failed",
        ),
        (
            "killed, restored all the same",
            undoing(&killed()).facing(Facing::Unchanged),
            undone,
        ),
        (
            "killed before it restored",
            undoing(&killed()).facing(Facing::Pending),
            "record failed/RollbackFailed failure failed",
        ),
        (
            "unreadable",
            done().facing(Facing::Unreadable),
            "wait until 621",
        ),
        (
            "unreadable for too long",
            done().facing(Facing::Unreadable).after(621),
            "record failed/RollbackFailed failure unknown",
        ),
        (
            "not read in time",
            done().after(621),
            "record failed/RollbackFailed failure unknown",
        ),
    ];
    for (name, world, expected) in table {
        assert_eq!(line(&world), expected, "{name}");
    }
}

#[test]
fn a_rollback_out_of_sight_is_buried_before_its_target_is_looked_at() {
    let lost = |claim| {
        let mut world = undoing(&Runner::Running).claimed(claim);
        if let Presence::Here(pod) = world.gathered.sighting.pod.clone() {
            world.gathered.sighting.pod = Presence::Gone {
                last: pod,
                since: at(310),
            };
        }
        world.after(330)
    };
    assert_eq!(line(&lost(Claim::Unread)), "tombstone");
    assert_eq!(
        line(&lost(Claim::Tombstone)),
        "record failed/RollbackFailed failure failed"
    );
    assert_eq!(
        line(&lost(Claim::Runner).facing(Facing::Unchanged)),
        "record rolled-back/RollbackCompleted failure rolled-back verified"
    );
}

#[test]
fn neither_a_cancel_nor_a_deletion_stops_a_rollback_half_way() {
    let running = undoing(&Runner::Running).cancelled();
    assert_eq!(line(&running), "wait until 611");
}

#[test]
fn each_step_of_the_rollback_is_told_as_the_runner_reports_it() {
    let mut field = step(0, "foreign");
    field["field"] = 0.into();
    field["error"] = "somebody changed it".into();
    let world = ended("precondition-failed", 3, &[field]).facing(Facing::Otherwise);
    let status = recorded(&world);
    let info = status
        .execution_details
        .and_then(|details| details.rollback_info);
    let info = info.expect("has rollback info");
    let action = info.rollback_actions.first().expect("has an action");
    assert_eq!(action.result, Some(OperationResult::Failure));
    let text = action.action.as_deref().unwrap_or_default();
    assert!(text.contains("spec.replicas: 5 -> 2"), "{text}");
    assert_eq!(action.error.as_deref(), Some("somebody changed it"));
    assert!(info.rollback_completion_time.is_some());
}

/// A completed execution, whole, with a rollback asked for.
fn asked(config: Value) -> World {
    let world = world(config);
    let message = result(&world.clone().at_work(), "done", &[step(0, "written")]);
    let ended = Runner::Ended {
        exit: 0,
        message: Some(message),
    };
    let mut world = ends(world, &ended, Facing::Proven);
    let status = world.recorded();
    assert_eq!(status.phase, Some(Phase::Completed));
    world.execution.status = Some(status);
    let plan = world.gathered.stored_plan.take();
    *world.gathered = Gathered {
        stored_plan: plan,
        is_fresh: true,
        ..Gathered::default()
    };
    world.execution.spec.control = serde_json::from_value(json!({"rollback": true})).ok();
    world
}

#[test]
fn a_completed_execution_is_undone_on_request_once_and_only_if_all_of_it_is_still_ours() {
    let granted = |mut world: World| {
        world.gathered.turn = Some(Turn::Granted);
        world
    };
    let now = || granted(asked(json!({})));
    let stays = "record completed/ExecutionCompleted success succeeded verified";
    let mut unread = asked(json!({}));
    unread.gathered.is_fresh = false;
    let mut busy = asked(json!({}));
    busy.gathered.turn = Some(Turn::TargetBusy {
        holder: "web/other".into(),
        position: 1,
    });
    let mut waits = busy.clone();
    waits.execution.status = Some(recorded(&busy));
    let table = [
        ("what is kept is pruned", unread, "refresh"),
        ("in turn", asked(json!({})), "take-turn"),
        ("not its turn", busy, stays),
        ("not its turn, said", waits, "wait"),
        ("not looked at", now(), "watch Deployment/web/shop"),
        ("changed by another", now().facing(Facing::Otherwise), stays),
        ("as before already", now().facing(Facing::Unchanged), stays),
        ("unreadable", now().facing(Facing::Unreadable), stays),
        (
            "not preserved",
            asked(json!({"preserveRollbackState": false})),
            stays,
        ),
    ];
    for (name, world, expected) in table {
        assert_eq!(line(&world), expected, "{name}");
    }
    let status = recorded(&now().facing(Facing::Proven));
    assert_eq!(status.phase, Some(Phase::RollingBack));
    assert_eq!(
        condition(&status, ConditionType::Completed).0,
        ConditionStatus::True,
        "it turns True exactly once"
    );
    let refused = recorded(&now().facing(Facing::Otherwise));
    assert_eq!(
        condition(&refused, ConditionType::RolledBack),
        (ConditionStatus::False, Reason::RollbackRefused)
    );
    let mut said = now();
    said.execution.status = Some(refused);
    assert!(
        line(&said).starts_with("wait until"),
        "asked once, answered once"
    );
}

#[test]
fn only_what_wrote_and_completed_is_undone_on_request() {
    for phase in [Phase::Failed, Phase::Cancelled, Phase::RolledBack] {
        let mut world = asked(json!({}));
        let status = world.execution.status.as_mut().expect("has a status");
        status.phase = Some(phase);
        let said = recorded(&world);
        assert_eq!(said.phase, Some(phase));
        assert_eq!(
            condition(&said, ConditionType::RolledBack),
            (ConditionStatus::False, Reason::NotPerformed)
        );
    }
}

#[test]
fn an_undone_execution_is_over_for_good() {
    let world = ended("done", 0, &[step(0, "written")]).facing(Facing::Unchanged);
    let mut over = world.clone();
    over.execution.status = Some(recorded(&world));
    over.execution.spec.control = serde_json::from_value(json!({"rollback": true})).ok();
    over.gathered.previous = Some(Box::default());
    over.gathered.sighting = Sighting::default();
    assert!(line(&over).starts_with("wait until"), "{}", line(&over));
}

//! A dry run: whatever becomes of it, the target is none of its business.

use kexec_core::attempt::{Claim, Presence};
use serde_json::Value;

use crate::support::{Facing, Runner, World, at, line, result, step};

fn exit(world: World, code: i32, message: Option<String>) -> World {
    world.seen(&Runner::Ended {
        exit: code,
        message,
    })
}

fn world() -> World {
    World::dry_run().at_work().after(21).facing(Facing::Proven)
}

fn told(outcome: &str, code: i32) -> World {
    let message = result(&world(), outcome, &[step(0, "written")]);
    exit(world(), code, Some(message))
}

#[test]
fn a_dry_run_ends_without_a_look_at_the_target() {
    let mut real: Value =
        serde_json::from_str(&result(&world(), "done", &[step(0, "written")])).expect("is JSON");
    real["dryRun"] = false.into();
    let table = [
        (
            "done",
            told("done", 0),
            "completed/DryRunSucceeded success succeeded",
        ),
        (
            "refused",
            told("failed", 1),
            "failed/ActionFailed failure failed",
        ),
        (
            "stale",
            told("precondition-failed", 3),
            "failed/PlanStale failure failed",
        ),
        (
            "interrupted",
            told("interrupted", 1),
            "failed/DeadlineExceeded timeout failed",
        ),
        (
            "lost answer",
            told("unknown", 1),
            "failed/OutcomeUnknown failure failed",
        ),
        (
            "claim lost",
            told("claim-lost", 4),
            "failed/ClaimLost failure failed",
        ),
        (
            "another exit code",
            told("done", 1),
            "failed/InvalidResult failure failed",
        ),
        (
            "no result",
            exit(world(), 1, None),
            "failed/InvalidResult failure failed",
        ),
        (
            "not as a dry run",
            exit(world(), 0, Some(real.to_string())),
            "failed/InvalidResult failure failed",
        ),
    ];
    assert_ends(table.to_vec());
}

#[test]
fn a_dry_run_that_was_stopped_ends_without_a_look_at_the_target() {
    assert_ends(vec![
        (
            "out of memory",
            world().seen(&Runner::Killed("OOMKilled")),
            "failed/OutOfMemory failure failed",
        ),
        (
            "turned away",
            world().seen(&Runner::NeverStarted("NodeAffinity")),
            "failed/RunnerNeverStarted failure failed",
        ),
        (
            "cancelled",
            told("interrupted", 1).cancelled(),
            "cancelled/Cancelled cancelled cancelled",
        ),
        (
            "buried",
            world()
                .seen(&Runner::Running)
                .after(610)
                .claimed(Claim::Tombstone),
            "failed/DeadlineExceeded timeout failed",
        ),
    ]);
}

fn assert_ends(table: Vec<(&str, World, &str)>) {
    for (name, world, expected) in table {
        assert_eq!(line(&world), format!("record {expected}"), "{name}");
        let details = world.recorded().execution_details.unwrap_or_default();
        assert!(
            details.resource_changes.is_empty() || name == "not as a dry run",
            "{name}"
        );
    }
}

#[test]
fn a_dry_run_out_of_sight_proves_nothing_though_the_target_is_as_asked_for() {
    let mut world = World::dry_run()
        .at_work()
        .seen(&Runner::Running)
        .after(21)
        .facing(Facing::Proven);
    if let Presence::Here(last) = world.gathered.sighting.pod.clone() {
        world.gathered.sighting.pod = Presence::Gone {
            last,
            since: at(20),
        };
    }
    let lost = world.claimed(Claim::Tombstone).after(40);
    assert_eq!(line(&lost), "record failed/RunnerLost failure failed");
}

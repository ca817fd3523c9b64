//! Runners that were stopped, or never came to their work.

use kexec_core::attempt::{Claim, Presence};
use serde_json::Value;

use crate::support::{Facing, Runner, World, at, line, result, step};

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

#[test]
fn interrupted_names_who_interrupted() {
    let told = |runner: fn(Option<String>) -> Runner, steps: &[Value]| {
        let message = result(&world(), "interrupted", steps);
        line(&world().seen(&runner(Some(message))))
    };
    let deadline = |message| Runner::Failed("DeadlineExceeded", message);
    assert_eq!(
        told(deadline, &[]),
        "record failed/DeadlineExceeded timeout failed"
    );
    assert_eq!(
        told(deadline, &[step(0, "written")]),
        "record failed/DeadlineExceeded timeout failed"
    );
    assert_eq!(
        told(Runner::Evicted, &[]),
        "record failed/RunnerKilled failure failed"
    );
    assert_eq!(
        told(Runner::Evicted, &[step(0, "written")]),
        "record failed/RunnerKilled failure failed"
    );
}

#[test]
fn who_was_stopped_on_request_is_cancelled_whatever_it_had_done() {
    let told = |runner: Runner| world().cancelled().seen(&runner);
    let interrupted = |steps: &[Value]| Some(result(&world(), "interrupted", steps));
    let cancelled = "record cancelled/Cancelled cancelled cancelled";
    for steps in [vec![], vec![step(0, "written")]] {
        let world = told(Runner::Failed("DeadlineExceeded", interrupted(&steps)));
        assert_eq!(line(&world), cancelled, "{steps:?}");
        let message = world.recorded().error.unwrap_or_default();
        assert_eq!(
            message,
            "cancelled on request: the runner was stopped by its deadline: as the runner says"
        );
    }
    let early = told(Runner::Failed("DeadlineExceeded", None));
    assert_eq!(line(&early), WATCH);
    assert_eq!(line(&early.clone().facing(Facing::Unchanged)), cancelled);
    assert_eq!(
        line(&early.clone().facing(Facing::Gone)),
        "record cancelled/Cancelled cancelled unknown"
    );
    assert_eq!(line(&early.facing(Facing::Proven)), PROVEN);
    assert_eq!(
        line(&told(Runner::NeverStarted("DeadlineExceeded")).claimed(Claim::Tombstone)),
        cancelled
    );
    let done = result(&world(), "done", &[step(0, "written")]);
    assert_eq!(
        line(
            &told(Runner::Ended {
                exit: 0,
                message: Some(done)
            })
            .facing(Facing::Proven)
        ),
        PROVEN
    );
}

/// With the dry run reported so.
fn dry_run(outcome: &str, code: i32) -> World {
    let mut told: Value = serde_json::from_str(&result(&world(), outcome, &[])).expect("is JSON");
    told["dryRun"] = true.into();
    world().seen(&Runner::DryRunFailed(code, "Error", Some(told.to_string())))
}

#[test]
fn what_never_started_wrote_nothing_and_says_why() {
    let webhook = {
        let mut told: Value =
            serde_json::from_str(&result(&world(), "failed", &[])).expect("is JSON");
        told["error"] = "admission webhook \"w\" does not support dry run".into();
        world().seen(&Runner::DryRunFailed(1, "Error", Some(told.to_string())))
    };
    let table = [
        ("refused", dry_run("failed", 1), "DryRunFailed failure"),
        (
            "no start",
            dry_run("could-not-start", 2),
            "DryRunFailed failure",
        ),
        (
            "stale",
            dry_run("precondition-failed", 3),
            "PlanStale failure",
        ),
        (
            "stopped",
            dry_run("interrupted", 1),
            "DeadlineExceeded timeout",
        ),
        ("lost answer", dry_run("unknown", 1), "DryRunFailed failure"),
        ("webhook", webhook, "DryRunUnsupported failure"),
        (
            "garbage",
            world().seen(&Runner::DryRunFailed(
                1,
                "Error",
                Some("exec format error".into()),
            )),
            "DryRunFailed failure",
        ),
        (
            "out of memory",
            world().seen(&Runner::DryRunFailed(137, "OOMKilled", None)),
            "OutOfMemory failure",
        ),
        (
            "deadline",
            world().seen(&Runner::NeverStarted("DeadlineExceeded")),
            "DeadlineExceeded timeout",
        ),
        (
            "evicted",
            world().seen(&Runner::EvictedEarly),
            "RunnerKilled failure",
        ),
        (
            "turned away",
            world().seen(&Runner::NeverStarted("OutOfcpu")),
            "RunnerNeverStarted failure",
        ),
    ];
    for (name, world, reason) in table {
        let expected = format!("record failed/{reason} failed");
        assert_eq!(line(&world), "tombstone", "{name}");
        let world = world.claimed(Claim::Tombstone);
        assert_eq!(line(&world), expected, "{name}");
        // The target's state changes nothing about it.
        assert_eq!(
            line(&world.clone().facing(Facing::Proven)),
            expected,
            "{name}"
        );
    }
}

#[test]
fn what_never_started_does_not_hide_the_write_of_a_pod_that_was_torn_out_before() {
    let mut told: Value =
        serde_json::from_str(&result(&world(), "precondition-failed", &[])).expect("is JSON");
    told["dryRun"] = true.into();
    let stale = Runner::DryRunFailed(3, "Error", Some(told.to_string()));
    let claimed = world().seen(&stale).claimed(Claim::Runner);
    assert_eq!(line(&claimed), "wait until 35");
    let quiet = claimed.after(35);
    assert_eq!(line(&quiet), WATCH);
    assert_eq!(line(&quiet.clone().facing(Facing::Proven)), PROVEN);
    assert_eq!(
        line(&quiet.clone().facing(Facing::Unchanged)),
        "record failed/RunnerLost failure failed"
    );
    assert_eq!(
        line(&quiet.facing(Facing::Gone)),
        "record failed/RunnerLost failure unknown"
    );
    let unseen = world().seen(&Runner::NeverStarted("OutOfcpu"));
    assert_eq!(line(&unseen.claimed(Claim::Runner)), "wait until 610");
}

#[test]
fn a_runner_that_was_stopped_by_a_deletion_says_of_what() {
    let removed = |world: World, job: bool| {
        let mut world = world;
        if let Presence::Here(last) = world.gathered.sighting.pod.clone() {
            world.gathered.sighting.pod = Presence::Gone {
                last,
                since: at(20),
            };
        }
        if let (true, Presence::Here(last)) = (job, world.gathered.sighting.job.clone()) {
            world.gathered.sighting.job = Presence::Gone {
                last,
                since: at(20),
            };
        }
        world
    };
    let interrupted = || reported("interrupted", 1, &[]);
    assert_eq!(
        line(&removed(interrupted(), true)),
        "record failed/JobDeleted failure failed"
    );
    assert_eq!(
        line(&removed(interrupted(), false)),
        "record failed/RunnerKilled failure failed"
    );
    let killed = || removed(exit(world(), 143, None), true).facing(Facing::Unchanged);
    assert_eq!(line(&killed()), "record failed/JobDeleted failure failed");
    let done = || removed(reported("done", 0, &[step(0, "written")]), true);
    assert_eq!(line(&done().facing(Facing::Proven)), PROVEN);
    let early = removed(world().seen(&Runner::NeverStarted("Terminated")), true);
    for (claim, expected) in [
        (Claim::Unread, "tombstone"),
        (Claim::Tombstone, "record failed/JobDeleted failure failed"),
        (Claim::Runner, "wait until 610"),
    ] {
        assert_eq!(line(&early.clone().claimed(claim)), expected, "{claim:?}");
    }
}

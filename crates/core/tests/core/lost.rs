//! Attempts out of sight: buried before they are judged, and waited for until nothing of them can write.

use kexec_core::attempt::{Claim, Presence};

use crate::support::{Facing, Runner, World, at, line, node_gone, pod, result, step};

/// The ways to lose an attempt out of sight, each since second 20, and the reason that names it.
fn losses() -> Vec<(&'static str, World, &'static str)> {
    let running = || World::ready().at_work().seen(&Runner::Running);
    let gone_job = |mut world: World| {
        if let Presence::Here(last) = world.gathered.sighting.job.clone() {
            world.gathered.sighting.job = Presence::Gone {
                last,
                since: at(20),
            };
        }
        world
    };
    let gone_pod = |mut world: World| {
        if let Presence::Here(last) = world.gathered.sighting.pod.clone() {
            world.gathered.sighting.pod = Presence::Gone {
                last,
                since: at(20),
            };
        }
        world
    };
    let mut collected = running();
    collected.gathered.sighting.pod = Presence::Here(node_gone(
        pod(&collected, &Runner::Waiting("PodInitializing")),
        at(20),
    ));
    vec![
        (
            "the Job, before any pod",
            gone_job(World::ready().at_work()),
            "JobDeleted",
        ),
        ("the pod", gone_pod(running()), "RunnerLost"),
        ("both", gone_job(gone_pod(running())), "RunnerLost"),
        (
            "a pod that was still to start",
            gone_pod(World::ready().at_work().seen(&Runner::Waiting("x"))),
            "RunnerLost",
        ),
        (
            "the node",
            World::ready().at_work().seen(&Runner::OverWhileRunning),
            "RunnerLost",
        ),
        ("the node, before a start was told", collected, "RunnerLost"),
    ]
}

#[test]
fn an_attempt_out_of_sight_is_buried_then_waited_for_then_judged_by_the_target() {
    for (name, world, reason) in losses() {
        let world = world.after(21);
        assert_eq!(line(&world), "tombstone", "{name}");
        let claimed = world.claimed(Claim::Runner);
        assert_eq!(line(&claimed), "wait until 35", "{name}");
        let quiet = claimed.after(35);
        assert_eq!(
            line(&quiet),
            "watch Deployment/web/shop, pods in \"web\" matching app=shop",
            "{name}"
        );
        let unchanged = line(&quiet.clone().facing(Facing::Unchanged));
        assert_eq!(
            unchanged,
            format!("record failed/{reason} failure failed"),
            "{name}"
        );
        let proven = line(&quiet.clone().facing(Facing::Proven));
        assert_eq!(
            proven, "record completed/ExecutionCompleted success succeeded verified",
            "{name}"
        );
        let pending = line(&quiet.facing(Facing::Pending));
        assert_eq!(pending, "record monitoring/VerifyingOutcome", "{name}");
    }
}

#[test]
fn a_pod_whose_end_nobody_saw_is_waited_for_until_the_deadline() {
    let world = World::ready().at_work().seen(&Runner::EndUnknown).after(21);
    assert_eq!(line(&world), "tombstone");
    let claimed = world.claimed(Claim::Runner);
    assert_eq!(line(&claimed), "wait until 610");
    assert_eq!(
        line(&claimed.after(610).facing(Facing::Unchanged)),
        "record failed/DeadlineExceeded timeout failed"
    );
}

#[test]
fn a_job_that_lost_its_pod_before_anybody_looked_is_an_attempt_out_of_sight() {
    for condition in ["Failed", "FailureTarget", "Complete", "SuccessCriteriaMet"] {
        let mut world = World::ready().at_work().after(21);
        if let Presence::Here(job) = &mut world.gathered.sighting.job {
            let status = serde_json::json!({"conditions": [
                {"type": condition, "status": "True", "lastTransitionTime": at(20).to_string()},
            ]});
            job.status = serde_json::from_value(status).expect("is a status");
        }
        assert_eq!(line(&world), "tombstone", "{condition}");
        let claimed = world.claimed(Claim::Runner);
        assert_eq!(line(&claimed), "wait until 35", "{condition}");
        let judged = claimed.after(35).facing(Facing::Proven);
        assert_eq!(
            line(&judged),
            "record completed/ExecutionCompleted success succeeded verified",
            "{condition}"
        );
    }
}

#[test]
fn what_was_buried_before_it_claimed_its_work_wrote_nothing_whatever_the_target_shows() {
    for (name, world, reason) in losses() {
        let buried = world
            .after(21)
            .claimed(Claim::Tombstone)
            .facing(Facing::Proven);
        assert_eq!(
            line(&buried),
            format!("record failed/{reason} failure failed"),
            "{name}"
        );
        let said = buried.recorded().error.unwrap_or_default();
        assert!(said.ends_with("; nothing was written"), "{name}: {said}");
        assert_eq!(
            line(&buried.cancelled()),
            "record cancelled/Cancelled cancelled cancelled",
            "{name}"
        );
    }
}

#[test]
fn of_several_pods_the_newest_does_not_speak_for_the_others() {
    let world = World::ready().at_work().after(21);
    let earlier = pod(&world, &Runner::Running);
    let done = result(&world, "done", &[step(0, "written")]);
    let done = Runner::Ended {
        exit: 0,
        message: Some(done),
    };
    let newest = [
        (Runner::Waiting("PodInitializing"), "wait until 610"),
        (Runner::Running, "wait until 610"),
        (done, "wait until 35"),
        (Runner::EvictedEarly, "wait until 35"),
    ];
    for (runner, expected) in newest {
        let mut world = world.clone().seen(&runner).facing(Facing::Proven);
        world.gathered.sighting.earlier_pods = vec![Presence::Gone {
            last: earlier.clone(),
            since: at(20),
        }];
        assert_eq!(line(&world), "tombstone", "{runner:?}");
        assert_eq!(
            line(&world.clone().claimed(Claim::Runner)),
            expected,
            "{runner:?}"
        );
        world.gathered.sighting.earlier_pods = vec![Presence::Here(earlier.clone())];
        assert_eq!(
            line(&world.clone().claimed(Claim::Runner)),
            "wait until 610",
            "{runner:?}"
        );
        let buried = "record failed/RunnerLost failure failed";
        assert_eq!(line(&world.claimed(Claim::Tombstone)), buried, "{runner:?}");
    }
}

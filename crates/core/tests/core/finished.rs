//! After the end: a terminal phase stays, the Job gets its time to live, and the execution its own.

use kexec_api::condition::{ConditionType, Reason};
use kexec_api::phase::Phase;
use kexec_core::attempt::{Claim, Presence};
use kexec_core::decide::Decision;
use serde_json::json;

use crate::support::{Runner, World, line};

/// Completed in second 100, with the Job still there.
fn completed(runner: Option<&Runner>) -> World {
    let world = World::ready().at_work();
    let world = match runner {
        Some(runner) => world.seen(runner),
        None => world,
    };
    world.in_phase(Phase::Completed).after(100)
}

const WEEK_LATER: &str = "wait until 604900";

#[test]
fn a_job_lives_five_minutes_from_its_finish_however_late_that_is_noticed() {
    // The container ended in second 20.
    let ended = Runner::Ended {
        exit: 0,
        message: None,
    };
    assert_eq!(line(&completed(Some(&ended)).after(20)), "expire-job 300");
    assert_eq!(line(&completed(Some(&ended))), "expire-job 380");
    assert_eq!(line(&completed(Some(&ended)).after(10)), "expire-job 300");
    assert_eq!(
        line(&completed(Some(&Runner::EvictedEarly))),
        "expire-job 300"
    );
    let mut dated = completed(Some(&ended));
    dated.settings.job_ttl = jiff::SignedDuration::MAX;
    assert_eq!(line(&dated), format!("expire-job {}", i32::MAX));
}

#[test]
fn an_attempt_that_has_not_ended_is_buried_and_its_job_deleted() {
    let still = [
        None,
        Some(Runner::Running),
        Some(Runner::Waiting("ImagePullBackOff")),
        Some(Runner::EndUnknown),
    ];
    for runner in still {
        let world = completed(runner.as_ref());
        assert_eq!(line(&world), "tombstone", "{runner:?}");
        assert_eq!(
            line(&world.clone().claimed(Claim::Tombstone)),
            "delete-job",
            "{runner:?}"
        );
        assert_eq!(
            line(&world.claimed(Claim::Runner)),
            "delete-job",
            "{runner:?}"
        );
    }
}

#[test]
fn a_job_on_its_way_out_or_not_ours_is_left_alone() {
    let ended = Runner::Ended {
        exit: 0,
        message: None,
    };
    let change = |change: fn(&mut k8s_openapi::api::batch::v1::Job)| {
        let mut world = completed(Some(&ended));
        if let Presence::Here(job) = &mut world.gathered.sighting.job {
            change(job);
        }
        line(&world)
    };
    let expiring = |job: &mut k8s_openapi::api::batch::v1::Job| {
        job.spec.get_or_insert_default().ttl_seconds_after_finished = Some(300);
    };
    assert_eq!(change(expiring), WEEK_LATER);
    assert_eq!(
        change(|job| job.metadata.deletion_timestamp = job.metadata.creation_timestamp.clone()),
        WEEK_LATER
    );
    assert_eq!(change(|job| job.metadata.labels = None), WEEK_LATER);
}

#[test]
fn a_finished_execution_is_deleted_when_its_time_is_over_and_never_at_zero() {
    let done = |spec| {
        World::of(spec)
            .with_facts()
            .restarted()
            .in_phase(Phase::Failed)
            .after(100)
    };
    let own = |seconds: u32| done(json!({"ttlSecondsAfterFinished": seconds}));
    assert_eq!(line(&done(json!({}))), WEEK_LATER);
    assert_eq!(line(&own(60)), "wait until 160");
    assert_eq!(line(&own(60).after(160)), "delete-execution");
    assert_eq!(line(&own(0).after(1_000_000_000)), "wait");
    let mut forever = done(json!({}));
    forever.settings.execution_ttl = jiff::SignedDuration::ZERO;
    assert_eq!(line(&forever.after(1_000_000_000)), "wait");
    let mut undated = own(60);
    undated
        .execution
        .status
        .get_or_insert_default()
        .execution_summary = None;
    assert_eq!(line(&undated.after(1_000_000)), "wait");
}

#[test]
fn a_terminal_phase_is_never_left_whatever_is_seen_or_asked_for_then() {
    for phase in Phase::ALL.iter().filter(|phase| phase.is_terminal()) {
        for world in [
            World::ready(),
            World::ready().restarted(),
            World::ready().intended(),
            World::monitoring(false),
        ] {
            let world = world.in_phase(*phase).after(101).cancelled();
            assert_eq!(line(&world), WEEK_LATER, "{phase}");
        }
    }
}

#[test]
fn a_rollback_of_what_wrote_nothing_is_said_once_not_to_be_performed() {
    for phase in Phase::ALL.iter().filter(|phase| phase.is_terminal()) {
        let mut world = World::ready().restarted().in_phase(*phase).after(101);
        world.execution.spec.control = serde_json::from_value(json!({"rollback": true})).ok();
        world.gathered.is_fresh = false;
        assert_eq!(line(&world), "refresh", "what is kept of it is pruned");
        world.gathered.is_fresh = true;
        let Decision::Record(status) = world.decide() else {
            panic!("it is not said");
        };
        let said = status
            .condition(ConditionType::RolledBack)
            .expect("is said");
        assert_eq!(said.known_reason(), Some(Reason::NotPerformed));
        assert_eq!(status.phase, Some(*phase));
        world.execution.status = Some(*status);
        assert_eq!(line(&world), WEEK_LATER, "{phase}");
    }
}

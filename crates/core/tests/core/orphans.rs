//! A Job whose execution is gone.

use kexec_core::attempt::{Claim, Presence};
use kexec_core::decide::{Decision, decide_orphan};

use crate::support::{Runner, World, at};

fn decided(world: &World) -> String {
    let sighting = &world.gathered.sighting;
    match decide_orphan(sighting, "e-1", &world.settings, world.now) {
        Decision::Wait { until: Some(until) } => {
            format!("wait until {}", until.duration_since(at(0)).as_secs())
        }
        Decision::ExpireJob { seconds, .. } => format!("expire-job {seconds}"),
        other => other.name().to_owned(),
    }
}

fn world(runner: &Runner) -> World {
    World::ready().at_work().seen(runner).after(21)
}

#[test]
fn it_is_stopped_buried_or_given_its_time_to_live() {
    let gone = |mut world: World| {
        if let Presence::Here(last) = world.gathered.sighting.pod.clone() {
            world.gathered.sighting.pod = Presence::Gone {
                last,
                since: at(20),
            };
        }
        world
    };
    let ended = Runner::Ended {
        exit: 0,
        message: None,
    };
    let waiting = Runner::Waiting("PodInitializing");
    let mut stopping = world(&Runner::Running);
    if let Presence::Here(pod) = &mut stopping.gathered.sighting.pod {
        pod.spec.get_or_insert_default().active_deadline_seconds = Some(1);
    }
    let dry_run = World::dry_run().at_work().seen(&ended).after(21);
    let table = [
        ("no pod yet", World::ready().at_work(), "tombstone"),
        (
            "no pod yet, buried",
            World::ready().at_work().claimed(Claim::Tombstone),
            "delete-job",
        ),
        ("starting", world(&waiting), "tombstone"),
        (
            "starting, buried",
            world(&waiting).claimed(Claim::Tombstone),
            "delete-job",
        ),
        (
            "starting, claimed",
            world(&waiting).claimed(Claim::Runner),
            "delete-job",
        ),
        ("running", world(&Runner::Running), "stop-pod"),
        ("stopping", stopping, "wait"),
        ("ended", world(&ended), "expire-job 301"),
        ("ended dry run", dry_run, "expire-job 301"),
        (
            "never started",
            world(&Runner::EvictedEarly),
            "expire-job 300",
        ),
        ("lost", gone(world(&Runner::Running)), "tombstone"),
        (
            "lost, claimed",
            gone(world(&Runner::Running)).claimed(Claim::Runner),
            "wait until 35",
        ),
        (
            "lost, quiet",
            gone(world(&Runner::Running))
                .claimed(Claim::Runner)
                .after(35),
            "delete-job",
        ),
        (
            "lost for good",
            world(&Runner::EndUnknown).claimed(Claim::Runner),
            "delete-job",
        ),
        ("nothing there", World::ready(), "wait"),
    ];
    for (name, world, expected) in table {
        assert_eq!(decided(&world), expected, "{name}");
    }
}

#[test]
fn what_expires_or_is_deleted_or_is_not_ours_is_left_alone() {
    let change = |change: fn(&mut k8s_openapi::api::batch::v1::Job)| {
        let mut world = world(&Runner::Running);
        if let Presence::Here(job) = &mut world.gathered.sighting.job {
            change(job);
        }
        decided(&world)
    };
    assert_eq!(
        change(|job| job.spec.get_or_insert_default().ttl_seconds_after_finished = Some(1)),
        "wait"
    );
    assert_eq!(
        change(|job| job.metadata.deletion_timestamp = job.metadata.creation_timestamp.clone()),
        "wait"
    );
    assert_eq!(change(|job| job.metadata.labels = None), "wait");
}

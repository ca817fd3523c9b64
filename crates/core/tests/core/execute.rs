//! While an attempt is meant to run, up to the start of its container and without an end: its Job is created once, and
//! an attempt out of sight is buried before it is judged.

use kexec_actions::facts::Fact;
use kexec_api::condition::Reason;
use kexec_core::attempt::{Claim, Presence, StartTrouble};
use kexec_core::decide::Decision;
use kexec_core::view::CreateProblem;

use crate::support::{Facing, Runner, World, at, line, target_need};

/// An execution whose Job could not be created.
fn refused_job(transient: bool) -> World {
    let mut world = World::ready().intended().after(3);
    world.gathered.create_problem = Some(CreateProblem {
        reason: if transient {
            Reason::QuotaExceeded
        } else {
            Reason::PermissionDenied
        },
        message: "the Job could not be created: as the API server says".into(),
        transient,
    });
    world
}

fn fresh() -> World {
    let mut world = World::ready().restarted().after(5);
    world.gathered.is_fresh = true;
    world
}

#[test]
fn the_job_is_created_right_after_the_intent_and_only_then() {
    assert_eq!(line(&World::ready().intended()), "create-job");
    assert_eq!(line(&World::dry_run().intended()), "create-job");
    assert_eq!(line(&World::ready().restarted()), "refresh");
}

#[test]
fn after_a_restart_the_same_plan_is_created_and_another_one_is_an_attempt_out_of_sight() {
    assert_eq!(line(&fresh()), "read Deployment/web/shop");
    let mut same = fresh();
    same.gathered.facts = Facing::Unchanged.facts();
    assert_eq!(line(&same), "create-job");

    let mut other = fresh();
    other.gathered.facts = Facing::Otherwise.facts();
    assert_eq!(line(&other), "tombstone");
    let mut gone = fresh();
    gone.gathered.facts.insert(target_need(), Fact::Absent);
    assert_eq!(line(&gone), "tombstone");
    let mut written = fresh();
    written.gathered.facts = Facing::Proven.facts();
    assert_eq!(line(&written), "tombstone");
}

#[test]
fn a_buried_attempt_gets_no_job_whatever_the_target_shows_then() {
    let mut same = fresh().claimed(Claim::Tombstone);
    same.gathered.facts = Facing::Unchanged.facts();
    assert_eq!(line(&same), "record failed/JobDeleted failure failed");
    same = World::ready().intended().claimed(Claim::Tombstone);
    assert_ne!(line(&same), "create-job");
    for claim in [Claim::Tombstone, Claim::Runner] {
        let mut stale = World::ready().restarted().after(5).claimed(claim);
        stale.gathered.facts = Facing::Unchanged.facts();
        assert_ne!(line(&stale), "create-job");
    }
}

#[test]
fn past_its_deadline_no_job_is_created_any_more() {
    assert_eq!(line(&World::ready().intended().after(599)), "create-job");
    assert_eq!(line(&World::ready().intended().after(600)), "tombstone");
    let mut late = fresh().after(600);
    late.gathered.facts = Facing::Unchanged.facts();
    assert_eq!(line(&late), "tombstone");
}

#[test]
fn cancelled_after_the_intent_it_is_buried_instead_of_created() {
    let world = World::ready().intended().cancelled();
    assert_eq!(line(&world), "tombstone");
    assert_eq!(
        line(&world.clone().claimed(Claim::Tombstone)),
        "record cancelled/Cancelled cancelled cancelled"
    );
    assert_ne!(line(&world.claimed(Claim::Runner)), "create-job");
}

#[test]
fn a_job_that_could_not_be_created_is_tried_again_only_if_that_may_help() {
    assert_eq!(
        line(&refused_job(false)),
        "record failed/PermissionDenied failure failed"
    );
    assert_eq!(line(&refused_job(true)), "wait until 5");
    assert_eq!(line(&refused_job(true).after(59)), "wait until 61");
    assert_eq!(
        line(&refused_job(true).after(60)),
        "record failed/QuotaExceeded failure failed"
    );
    let said = refused_job(false).recorded().error.unwrap_or_default();
    assert_eq!(said, "the Job could not be created: as the API server says");
}

#[test]
fn a_foreign_job_of_our_name_is_never_adopted() {
    let mut world = World::ready().at_work();
    if let Presence::Here(job) = &mut world.gathered.sighting.job {
        job.metadata
            .labels
            .get_or_insert_default()
            .insert("kubernaut.io/execution-uid".into(), "e-2".into());
    }
    assert_eq!(line(&world), "record failed/NameConflict failure failed");
    let said = world.recorded().error.unwrap_or_default();
    assert_eq!(
        said,
        "a Job named \"kexec-e-1-1-x\" exists and is not ours: remove it"
    );
}

#[test]
fn a_job_has_its_own_time_to_start_and_none_after_it_was_given_up() {
    // The Job was created in second 1, its pod in second 2.
    let job_only = || World::ready().at_work();
    let with_pod = || job_only().seen(&Runner::Waiting("PodInitializing"));
    let late = || with_pod().after(62);
    let table = [
        ("no pod yet", job_only(), "wait until 61"),
        ("no pod in time", job_only().after(61), "tombstone"),
        ("a pod that waits", with_pod(), "wait until 62"),
        ("too long", late(), "tombstone"),
        (
            "a runner began after all",
            late().claimed(Claim::Runner),
            "wait until 610",
        ),
        (
            "buried",
            late().claimed(Claim::Tombstone),
            "read-start-events",
        ),
        (
            "image missing",
            job_only()
                .seen(&Runner::Waiting("ImagePullBackOff"))
                .after(62)
                .claimed(Claim::Tombstone),
            "record failed/ImagePullFailed failure failed",
        ),
        (
            "no node",
            job_only()
                .seen(&Runner::Unschedulable)
                .after(62)
                .claimed(Claim::Tombstone),
            "record failed/RunnerNeverStarted failure failed",
        ),
        (
            "quota",
            late()
                .claimed(Claim::Tombstone)
                .told(Some("exceeded quota: pods")),
            "record failed/QuotaExceeded failure failed",
        ),
        (
            "another event",
            late()
                .claimed(Claim::Tombstone)
                .told(Some("no ServiceAccount")),
            "record failed/RunnerNeverStarted failure failed",
        ),
        (
            "no event",
            late().claimed(Claim::Tombstone).told(None),
            "record failed/RunnerNeverStarted failure failed",
        ),
        ("cancel", with_pod().cancelled(), "tombstone"),
        (
            "cancel, buried",
            with_pod().cancelled().claimed(Claim::Tombstone),
            "record cancelled/Cancelled cancelled cancelled",
        ),
        (
            "cancel, but a runner began",
            with_pod().cancelled().claimed(Claim::Runner),
            "wait until 610",
        ),
    ];
    for (name, world, expected) in table {
        assert_eq!(line(&world), expected, "{name}");
    }
}

#[test]
fn a_start_that_nobody_saw_ends_with_the_deadline() {
    // A runner holds the claim, and of its pod nothing is seen: a restart came between.
    let world = World::ready().at_work().claimed(Claim::Runner).after(61);
    assert_eq!(line(&world), "wait until 610");
    let over = world.after(610);
    assert_eq!(
        line(&over),
        "watch Deployment/web/shop, pods in \"web\" matching app=shop"
    );
    assert_eq!(
        line(&over.clone().facing(Facing::Unchanged)),
        "record failed/DeadlineExceeded timeout failed"
    );
    assert_eq!(
        line(&over.facing(Facing::Proven)),
        "record completed/ExecutionCompleted success succeeded verified"
    );
}

#[test]
fn a_start_is_given_up_at_the_deadline_when_that_comes_first() {
    let mut world = World::of(serde_json::json!({"executionConfig": {"timeout": "30s"}}))
        .with_facts()
        .at_work();
    assert_eq!(line(&world), "wait until 30");
    world.now = at(30);
    assert_eq!(line(&world), "tombstone");
}

#[test]
fn a_running_action_is_left_alone_until_ten_seconds_after_its_pods_deadline() {
    let running = || World::ready().at_work().seen(&Runner::Running).after(10);
    assert_eq!(line(&running()), "wait until 610");
    assert_eq!(line(&running().after(609)), "wait until 610");
    assert_eq!(line(&running().after(610)), "tombstone");
    let late = running().after(610).claimed(Claim::Runner);
    assert_eq!(
        line(&late.clone().facing(Facing::Unchanged)),
        "record failed/DeadlineExceeded timeout failed"
    );
    assert_eq!(
        line(&late.facing(Facing::Pending)),
        "record monitoring/VerifyingOutcome"
    );
}

#[test]
fn cancelling_stops_the_pod_once() {
    let world = World::ready()
        .at_work()
        .seen(&Runner::Running)
        .after(10)
        .cancelled();
    assert_eq!(line(&world), "stop-pod");
    let mut stopping = world.clone();
    if let Presence::Here(pod) = &mut stopping.gathered.sighting.pod {
        pod.spec.get_or_insert_default().active_deadline_seconds = Some(1);
    }
    assert_eq!(line(&stopping), "wait until 610");
    let mut deleted = world;
    if let Presence::Here(pod) = &mut deleted.gathered.sighting.pod {
        pod.metadata.deletion_timestamp = pod.metadata.creation_timestamp.clone();
    }
    assert_eq!(line(&deleted), "wait until 610");
}

#[test]
fn the_job_carries_the_plan_the_hash_and_the_deadlines() {
    let world = World::ready().intended().after(100);
    let Decision::CreateJob(job) = world.decide() else {
        panic!("no Job")
    };
    let spec = job.spec.clone().unwrap_or_default();
    assert_eq!(job.metadata.name.as_deref(), Some("kexec-e-1-1-x"));
    assert_eq!(spec.active_deadline_seconds, Some(620), "backstop");
    let template = spec.template;
    assert_eq!(
        template
            .spec
            .as_ref()
            .and_then(|spec| spec.active_deadline_seconds),
        Some(500)
    );
    let annotations = template
        .metadata
        .and_then(|metadata| metadata.annotations)
        .unwrap_or_default();
    let order = annotations
        .get("kubernaut.io/work-order")
        .cloned()
        .unwrap_or_default();
    let order: kexec_api::work::WorkOrder = serde_json::from_str(&order).expect("is a work order");
    assert_eq!(order.plan, world.plan());
    assert_eq!(order.plan_hash.as_str(), world.hash());
    assert_eq!(order.deadline, at(570));
}

impl World {
    /// With what the Job's events say.
    fn told(mut self, message: Option<&str>) -> Self {
        let trouble = message.map(|message| StartTrouble {
            reason: "FailedCreate".into(),
            message: message.into(),
        });
        self.gathered.start_events = Some(trouble);
        self
    }
}

#[test]
fn a_job_that_was_only_ever_refused_ends_with_that_reason_or_cancelled() {
    let refused = |is_known: bool| {
        let mut world = refused_job(true);
        let problem = world.gathered.create_problem.take();
        world.gathered.refused_job = problem.filter(|_| is_known);
        world
    };
    let cancelled = "record cancelled/Cancelled cancelled cancelled";
    assert_eq!(line(&refused(true).cancelled()), cancelled);
    let late = line(&refused(true).after(100_000));
    assert_eq!(late, "record failed/QuotaExceeded failure failed");
    assert_eq!(
        line(&refused(false).cancelled()),
        "tombstone",
        "an answer is missing"
    );
}

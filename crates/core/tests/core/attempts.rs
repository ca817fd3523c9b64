//! Which attempt an execution is at: status says it by name and number, and everything about an attempt follows that.

use kexec_api::execution::status::ExecutionJob;
use kexec_api::names;
use kexec_api::phase::Phase;
use kexec_api::work::{Stage, WorkOrder};
use kexec_core::attempt::{Presence, Sighting, attempt_of, jobs_of};
use kexec_core::decide::Decision;

use crate::support::{Facing, Runner, World, job, line, pod, result, step};

/// The same execution at its third attempt.
fn third(mut world: World) -> World {
    let status = world.execution.status.as_mut().expect("has a status");
    status.job = Some(ExecutionJob {
        name: Some(names::job_name("e-1", 3, Stage::Execute)),
        attempt: Some(3),
        uid: None,
    });
    world
}

#[test]
fn status_names_the_attempt_and_its_job_and_the_one_before_follows() {
    let first = World::ready().intended();
    assert_eq!(attempt_of(&World::ready().execution), 1, "not begun");
    assert_eq!(attempt_of(&first.execution), 1);
    assert_eq!(jobs_of(&first.execution).previous, None);
    let third = third(first);
    assert_eq!(attempt_of(&third.execution), 3);
    let jobs = jobs_of(&third.execution);
    assert_eq!(jobs.current, "kexec-e-1-3-x");
    assert_eq!(jobs.previous.as_deref(), Some("kexec-e-1-2-x"));
}

#[test]
fn the_job_and_its_work_order_have_the_number_of_the_attempt() {
    let world = third(World::ready().intended());
    let Decision::CreateJob(job) = world.decide() else {
        panic!("no Job is created: {}", world.decide().name());
    };
    assert_eq!(job.metadata.name.as_deref(), Some("kexec-e-1-3-x"));
    let labels = job.metadata.labels.as_ref().expect("has labels");
    assert_eq!(labels[names::LABEL_ATTEMPT], "3");
    let template = job.spec.expect("has a spec").template;
    let annotations = template.metadata.and_then(|all| all.annotations);
    let annotations = annotations.expect("has annotations");
    let order: WorkOrder =
        serde_json::from_str(&annotations[names::ANNOTATION_WORK_ORDER]).expect("is one");
    assert_eq!(order.attempt, 3);
}

#[test]
fn a_result_is_believed_only_of_the_attempt_that_status_names() {
    let first = World::ready().at_work().after(21);
    let told = result(&first, "done", &[step(0, "written")]);
    let ended = |message: String| Runner::Ended {
        exit: 0,
        message: Some(message),
    };
    let own = told.replace("\"attempt\":1", "\"attempt\":3");
    assert_ne!(own, told);
    let world = |message: String| {
        third(first.clone())
            .seen(&ended(message))
            .facing(Facing::Proven)
    };
    let reported = |world: World| {
        let details = world.recorded().execution_details.expect("has details");
        details.kubernetes_operations.len()
    };
    assert_eq!(reported(world(own)), 1);
    assert_eq!(reported(world(told)), 0, "that of the first attempt");
}

#[test]
fn a_rollback_is_numbered_like_the_attempt_that_it_undoes() {
    let mut world = third(World::ready().at_work())
        .in_phase(Phase::RollingBack)
        .after(40);
    let status = world.execution.status.as_mut().expect("has a status");
    let job = status.job.as_mut().expect("has a Job");
    job.name = Some(names::job_name("e-1", 3, Stage::Rollback));
    let jobs = jobs_of(&world.execution);
    assert_eq!(jobs.current, "kexec-e-1-3-r");
    assert_eq!(jobs.previous.as_deref(), Some("kexec-e-1-3-x"));
    world.gathered.sighting = Sighting::default();
    world.gathered.is_fresh = true;
    let Decision::CreateJob(job) = world.decide() else {
        panic!("no Job is created: {}", world.decide().name());
    };
    assert_eq!(job.metadata.name.as_deref(), Some("kexec-e-1-3-r"));
}

#[test]
fn the_attempt_before_is_cleaned_up_by_the_end_of_its_own_container() {
    for begun in [World::ready(), World::dry_run()] {
        let before = begun.at_work();
        let ended = Runner::Ended {
            exit: 0,
            message: None,
        };
        let sighting = Sighting {
            job: Presence::Here(job(&before)),
            pod: Presence::Here(pod(&before, &ended)),
            ..Sighting::default()
        };
        let mut world = third(before).in_phase(Phase::Failed).after(100);
        world.gathered.sighting = Sighting::default();
        world.gathered.previous = Some(Box::new(sighting));
        let next = line(&world);
        assert!(
            next.starts_with("expire-job") && next.ends_with("of the previous attempt"),
            "{next}"
        );
    }
}

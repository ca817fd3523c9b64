//! Plans that status may not hold are kept in a ConfigMap, before the Job that needs them.

use k8s_openapi::api::core::v1::ConfigMap;
use kexec_api::execution::status::PlanStorage;
use kexec_api::names;
use kexec_core::decide::Decision;
use kexec_core::storage;
use serde_json::Value;

use crate::support::{ConfigChange, Facing, World, line};

fn change(from: &'static str, size: usize) -> World {
    World::config_map(&ConfigChange {
        from,
        keys: 2,
        before: "b".repeat(size),
        after: "a".repeat(size),
    })
}

fn kept(world: World) -> ConfigMap {
    match world.intended().decide() {
        Decision::KeepPlan(plan) => *plan,
        other => panic!("no plan is kept but {}", other.name()),
    }
}

#[test]
fn a_plan_that_is_large_or_about_another_namespace_is_kept_apart_and_is_read_back_whole() {
    for world in [change("web", 10_000), change("elsewhere", 1)] {
        let (status, planned) = world.intent();
        let stored = status.plan.and_then(|plan| plan.stored);
        assert_eq!(stored, Some(PlanStorage::ConfigMap));
        let plan = kept(world);
        assert_eq!(plan.metadata.name.as_deref(), Some("kexec-plan-e-1"));
        assert_eq!(plan.metadata.namespace.as_deref(), Some("kubernaut-system"));
        assert_eq!(plan.immutable, Some(true));
        let read = storage::read(&plan, planned.hash.as_str());
        assert_eq!(read, Some(planned.content));
        assert_eq!(
            storage::read(&plan, "sha256:0"),
            None,
            "another plan's hash"
        );
    }
}

#[test]
fn other_plans_and_those_that_are_only_tried_are_not() {
    let mut tried = change("elsewhere", 1);
    tried
        .execution
        .spec
        .action_definition
        .parameters
        .insert("dryRun".to_owned(), true.into());
    for world in [change("web", 1), World::ready(), tried] {
        let stored = world.intent().0.plan.and_then(|plan| plan.stored);
        assert_eq!(stored, Some(PlanStorage::Status));
        assert_eq!(line(&world.intended()), "create-job");
    }
}

#[test]
fn the_job_finds_the_plan_in_a_file_and_its_order_leaves_it_out() {
    let mut world = change("elsewhere", 1).intended();
    world.gathered.plan_is_kept = true;
    let Decision::CreateJob(job) = world.decide() else {
        panic!("no Job is created: {}", world.decide().name());
    };
    let template = job.spec.expect("has a spec").template;
    let annotations = template.metadata.and_then(|metadata| metadata.annotations);
    let order = annotations
        .and_then(|all| all.get(names::ANNOTATION_WORK_ORDER).cloned())
        .expect("has an order");
    let order: Value = serde_json::from_str(&order).expect("is JSON");
    assert_eq!(
        (order.get("plan"), order["stage"].as_str()),
        (None, Some("execute"))
    );
    let pod = template.spec.expect("has a pod");
    let volumes = pod.volumes.unwrap_or_default();
    let plan = volumes.iter().find_map(|volume| volume.config_map.as_ref());
    assert_eq!(plan.map(|plan| plan.name.as_str()), Some("kexec-plan-e-1"));
    for container in pod
        .containers
        .iter()
        .chain(pod.init_containers.iter().flatten())
    {
        let file = container
            .env
            .iter()
            .flatten()
            .find(|one| one.name == names::ENV_PLAN_FILE)
            .and_then(|one| one.value.as_deref());
        assert_eq!(file, Some("/etc/kexec/plan/plan.json"));
        let mounts = container.volume_mounts.iter().flatten();
        assert!(
            mounts
                .into_iter()
                .any(|mount| mount.mount_path == "/etc/kexec/plan")
        );
    }
}

#[test]
fn a_kept_plan_is_looked_for_once_when_it_is_not_at_hand() {
    let mut world = change("elsewhere", 1).at_work().after(400);
    world.gathered.stored_plan = None;
    world.gathered.sighting.claim = kexec_core::attempt::Claim::Runner;
    world.gathered.sighting.job = kexec_core::attempt::Presence::Never;
    let mut gone = world.seen(&crate::support::Runner::Killed("OOMKilled"));
    assert_eq!(line(&gone), "read-plan");
    gone.gathered.plan_was_read = true;
    assert!(line(&gone.facing(Facing::Gone)).ends_with("failure unknown"));
}

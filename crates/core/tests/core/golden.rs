//! The objects that are written, whole: a change of them is seen in review.

use kexec_core::decide::Decision;
use serde_json::json;

use crate::support::{Facing, Runner, World, result, step};

fn job(world: &World) -> k8s_openapi::api::batch::v1::Job {
    match world.decide() {
        Decision::CreateJob(job) => *job,
        other => panic!("no Job but {}", other.name()),
    }
}

fn ended(outcome: &str, exit: i32, steps: &[serde_json::Value]) -> World {
    let world = World::ready().at_work().after(21);
    let message = result(&world, outcome, steps);
    world.seen(&Runner::Ended {
        exit,
        message: Some(message),
    })
}

#[test]
fn the_job_of_an_execution() {
    insta::assert_json_snapshot!(job(&World::ready().intended()));
}

#[test]
fn the_job_of_a_dry_run() {
    insta::assert_json_snapshot!(job(&World::dry_run().intended()));
}

#[test]
fn the_job_of_an_action_on_a_node_stays_away_from_it() {
    insta::assert_json_snapshot!(job(&World::cordon().intended()));
}

#[test]
fn what_the_installation_adds_to_the_pods_is_in_the_job() {
    let mut world = World::ready().intended();
    world.settings.runner_pod = serde_json::from_value(json!({
        "imagePullSecrets": ["registry"],
        "nodeSelector": {"pool": "jobs"},
        "tolerations": [{"key": "jobs", "operator": "Exists"}],
        "priorityClassName": "high",
        "resources": {
            "scale_deployment": {"requests": {"cpu": "10m"}, "limits": {"memory": "256Mi"}},
            "restart_pod": {"limits": {"cpu": "9"}},
        },
    }))
    .expect("settings");
    insta::assert_json_snapshot!(job(&world));
}

#[test]
fn the_status_at_the_intent() {
    insta::assert_json_snapshot!(World::ready().intent().0);
}

#[test]
fn the_status_while_the_outcome_is_awaited() {
    let world = ended("done", 0, &[step(0, "written")]).facing(Facing::Pending);
    insta::assert_json_snapshot!(world.recorded());
}

#[test]
fn the_status_when_all_is_done() {
    let world = ended("done", 0, &[step(0, "written")]).facing(Facing::Proven);
    insta::assert_json_snapshot!(world.recorded());
}

#[test]
fn the_status_when_a_write_was_refused() {
    insta::assert_json_snapshot!(ended("failed", 1, &[step(0, "refused")]).recorded());
}

#[test]
fn the_status_of_an_unknown_action() {
    let spec = json!({"actionDefinition": {"actionType": "scale_deploymnet"}});
    insta::assert_json_snapshot!(World::of(spec).recorded());
}

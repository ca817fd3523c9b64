//! The safety checks on a target's surroundings: what they read, what they find, and what `force` skips.

mod dependencies;
mod ownership;

use kexec_actions::facts::{Fact, Kind, Need};
use kexec_api::execution::status::SafetyCheckResult;
use kexec_core::decide::Decision;
use serde_json::{Value, json};

use crate::support::{World, deployment, line, patch, target_need};

/// The scaling of a Deployment from 2 to 5 replicas, which asks for one more check.
fn asking_for(check: &str) -> World {
    World::of(asked(check)).with_facts()
}

fn asked(check: &str) -> Value {
    json!({"executionConfig": {"safetyConfig": {"safetyChecks": [check]}}})
}

/// The same Deployment with more in it.
fn with_target(mut world: World, more: Value) -> World {
    let mut live = deployment(2, 2);
    patch(&mut live, more);
    world
        .gathered
        .facts
        .insert(target_need(), Fact::Object(live));
    world
}

fn list(kind: &Kind) -> Need {
    Need::List {
        kind: kind.clone(),
        namespace: Some("web".into()),
        selector: String::new(),
    }
}

fn autoscalers() -> Need {
    list(&Kind::new(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
    ))
}

fn autoscaler(kind: &str, name: &str) -> Value {
    json!({
        "metadata": {"namespace": "web", "name": "by-load"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": kind, "name": name},
            "minReplicas": 2, "maxReplicas": 9,
        },
    })
}

fn with_list(mut world: World, need: Need, objects: Vec<Value>) -> World {
    world.gathered.facts.insert(need, Fact::List(objects));
    world
}

/// All that is reported, whatever was decided.
fn report(world: &World) -> Vec<SafetyCheckResult> {
    let status = match world.decide() {
        Decision::Record(status) | Decision::RecordIntent(status, _) => status,
        other => panic!("no status but {}", other.name()),
    };
    let results = status.validation_results;
    results
        .and_then(|results| results.pre_execution_validation)
        .expect("is told")
        .safety_checks
}

/// What is reported of one check: performed, passed, message.
fn told(world: &World, check: &str) -> (Option<bool>, Option<bool>, String) {
    let all = report(world);
    let mut of_it = all
        .into_iter()
        .filter(|one| one.check_type.as_deref() == Some(check));
    let one = of_it.next().expect("is reported");
    assert_eq!(of_it.next(), None, "{check} is reported twice");
    (one.performed, one.passed, one.message.unwrap_or_default())
}

/// Asserts that the check blocks with this sentence.
fn assert_blocks(world: &World, check: &str, message: &str) {
    assert_eq!(line(world), "record failed/CheckFailed failure failed");
    assert_eq!(
        told(world, check),
        (Some(true), Some(false), message.to_owned())
    );
    assert_eq!(
        world.recorded().error,
        Some(format!("{check} does not pass: {message}"))
    );
}

/// Asserts that the check passes with this sentence, and that the plan goes on.
fn assert_passes(world: &World, check: &str, message: &str) {
    assert_eq!(line(world), "intend executing/JobCreated");
    assert_eq!(
        told(world, check),
        (Some(true), Some(true), message.to_owned())
    );
}

#[test]
fn who_asks_for_none_of_them_has_nothing_more_read() {
    assert_eq!(line(&World::ready()), "intend executing/JobCreated");
    assert_eq!(
        line(&asking_for("version-compatibility")),
        "intend executing/JobCreated"
    );
}

#[test]
fn the_versions_that_fit_are_told() {
    let check = "version-compatibility";
    assert_passes(
        &asking_for(check),
        check,
        "scale_deployment is here in v1.2, no version was asked for; the cluster serves apps/v1 Deployment",
    );
    let mut spec = asked(check);
    patch(
        &mut spec,
        json!({"actionDefinition": {"actionMetadata": {"version": "v1.1"}}}),
    );
    assert_passes(
        &World::of(spec).with_facts(),
        check,
        "scale_deployment is here in v1.2, v1.1 was asked for; the cluster serves apps/v1 Deployment",
    );
    let mut unserved = asking_for(check);
    unserved
        .gathered
        .facts
        .insert(target_need(), Fact::NotServed);
    assert_eq!(line(&unserved), "record failed/ApiNotServed failure failed");
    assert_eq!(
        told(&unserved, check),
        (
            Some(false),
            Some(false),
            "not performed: an earlier check had failed already".to_owned()
        )
    );
}

fn requiring(prerequisites: impl Into<Value>) -> World {
    let prerequisites = prerequisites.into();
    let metadata = json!({"actionMetadata": {"prerequisites": prerequisites}});
    World::of(json!({"actionDefinition": metadata})).with_facts()
}

#[test]
fn a_prerequisite_that_is_the_name_of_a_check_asks_for_it() {
    let world = requiring(json!(["resource-ownership", "calm", "permission-check"]));
    assert_eq!(line(&world), "read horizontalpodautoscalers in \"web\"");
    let world = with_list(world, autoscalers(), Vec::new());
    let names: Vec<(String, Option<bool>)> = report(&world)
        .into_iter()
        .map(|one| (one.check_type.unwrap_or_default(), one.performed))
        .collect();
    let expected = [
        ("cluster-connectivity", true),
        ("resource-existence", true),
        ("permission-check", true),
        ("resource-ownership", true),
        ("prerequisite/calm", false),
    ];
    let expected = expected.map(|(name, performed)| (name.to_owned(), Some(performed)));
    assert_eq!(names, expected);
    let world = with_list(world, autoscalers(), vec![autoscaler("Deployment", "shop")]);
    assert_eq!(line(&world), "record failed/CheckFailed failure failed");
}

#[test]
fn a_prerequisite_that_cannot_be_checked_blocks() {
    let world = requiring(json!(["business-rules"]));
    assert_eq!(
        world.recorded().error.as_deref(),
        Some(
            "spec.actionDefinition.actionMetadata.prerequisites asks for business-rules, which this version cannot run: \
             leave it out"
        )
    );
}

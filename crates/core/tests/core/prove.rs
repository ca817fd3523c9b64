//! Phase monitoring: proven, refuted, or waited for until the health-check time-out.

use kexec_actions::facts::{Fact, Need};
use kexec_api::condition::ConditionType;
use kexec_api::plan::Expectation;
use kexec_core::attempt::Claim;

use crate::support::{Facing, Runner, World, deployment, fact, line, target_need};

const WATCH: &str = "watch Deployment/web/shop, pods in \"web\" matching app=shop";
const PROVEN: &str = "record completed/ExecutionCompleted success succeeded verified";

#[test]
fn what_the_runner_reported_done_is_proven_refuted_or_waited_for() {
    // Monitoring since second 30; the default health-check time-out is 180 s.
    let now = || World::monitoring(false).after(40);
    let table = [
        ("nothing read", now(), WATCH),
        ("proven", now().facing(Facing::Proven), PROVEN),
        (
            "on its way",
            now().facing(Facing::Pending),
            "wait until 210",
        ),
        (
            "on its way, last second",
            now().after(209).facing(Facing::Pending),
            "wait until 210",
        ),
        (
            "too slow",
            now().after(210).facing(Facing::Pending),
            "record failed/HealthCheckTimeout timeout failed",
        ),
        (
            "proven at last",
            now().after(5000).facing(Facing::Proven),
            PROVEN,
        ),
        (
            "changed by another",
            now().facing(Facing::Otherwise),
            "wait until 210",
        ),
        (
            "undone by another",
            now().facing(Facing::Unchanged),
            "record failed/OutcomeRefuted failure failed",
        ),
        (
            "gone",
            now().facing(Facing::Gone),
            "record failed/OutcomeRefuted failure failed",
        ),
        (
            "replaced",
            now().facing(Facing::Replaced),
            "record failed/OutcomeRefuted failure failed",
        ),
        (
            "unreadable",
            now().facing(Facing::Unreadable),
            "wait until 210",
        ),
        (
            "unreadable for too long",
            now().after(210).facing(Facing::Unreadable),
            "record failed/OutcomeUnknown failure unknown",
        ),
        (
            "a pod seen again",
            now().facing(Facing::Pending).claimed(Claim::Runner),
            "wait until 210",
        ),
    ];
    for (name, world, expected) in table {
        assert_eq!(line(&world), expected, "{name}");
    }
}

#[test]
fn an_awaited_outcome_can_be_cancelled_and_is_not_awaited_unread_for_ever() {
    let now = || World::monitoring(false).after(40);
    let awaited = now().facing(Facing::Pending).cancelled();
    assert_eq!(
        line(&awaited),
        "record cancelled/Cancelled cancelled unknown"
    );
    assert_eq!(line(&now().facing(Facing::Proven).cancelled()), PROVEN);
    assert!(
        line(&now().after(210)).starts_with("watch "),
        "looked at once more"
    );
    let unread = now().after(230);
    assert_eq!(
        line(&unread),
        "record failed/OutcomeUnknown failure unknown"
    );
}

#[test]
fn an_unclear_end_keeps_its_reason_until_the_target_shows_the_outcome() {
    let now = || World::monitoring(true).after(40);
    let table = [
        ("proven", now().facing(Facing::Proven), PROVEN),
        (
            "on its way",
            now().facing(Facing::Pending),
            "wait until 210",
        ),
        (
            "too slow",
            now().after(210).facing(Facing::Pending),
            "record failed/InvalidResult failure unknown",
        ),
        (
            "unchanged",
            now().facing(Facing::Unchanged),
            "record failed/InvalidResult failure failed",
        ),
        (
            "gone",
            now().facing(Facing::Gone),
            "record failed/InvalidResult failure unknown",
        ),
        (
            "unreadable for too long",
            now().after(210).facing(Facing::Unreadable),
            "record failed/InvalidResult failure unknown",
        ),
    ];
    for (name, world, expected) in table {
        assert_eq!(line(&world), expected, "{name}");
    }
    let said = now()
        .facing(Facing::Unchanged)
        .recorded()
        .error
        .unwrap_or_default();
    assert_eq!(
        said,
        "the runner left no result; it exited 137; the target is unchanged"
    );
}

#[test]
fn without_its_plan_an_outcome_stays_unknown() {
    let forget = |mut world: World| {
        world.gathered.stored_plan = None;
        world
    };
    let unknown = "record failed/OutcomeUnknown failure unknown";
    assert_eq!(line(&forget(World::monitoring(false).after(40))), unknown);
    let unclear = forget(World::monitoring(true).after(40));
    assert_eq!(
        line(&unclear),
        "record failed/InvalidResult failure unknown"
    );
    let world = World::ready().at_work().after(21);
    let done = crate::support::result(&world, "done", &[crate::support::step(0, "written")]);
    assert_eq!(
        line(&forget(world.seen(&Runner::Ended {
            exit: 0,
            message: Some(done)
        }))),
        unknown
    );
}

#[test]
fn the_health_check_counts_from_the_end_of_the_writes_and_keeps_its_clock() {
    let mut world = World::monitoring(false);
    let first = world
        .execution
        .status
        .clone()
        .and_then(|status| status.condition(ConditionType::Executing).cloned());
    assert_eq!(
        first.map(|condition| condition.last_transition_time.0),
        Some(crate::support::at(30))
    );
    let config = serde_json::json!({
        "validationConfig": {"healthCheckTimeout": "45s"},
        "safetyConfig": {"rollbackConfig": {"enableAutoRollback": false}},
    });
    world.execution.spec.execution_config = serde_json::from_value(config).expect("is a config");
    assert_eq!(
        line(&world.clone().after(40).facing(Facing::Pending)),
        "wait until 75"
    );
    assert_eq!(
        line(&world.after(75).facing(Facing::Pending)),
        "record failed/HealthCheckTimeout timeout failed"
    );
}

#[test]
fn a_crash_loop_that_the_action_made_is_no_proof() {
    let looping = |uid: &str| {
        serde_json::json!({
            "metadata": {"uid": uid, "name": format!("shop-{uid}")},
            "status": {"containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]},
        })
    };
    let mut world = World::monitoring(false).after(40).facing(Facing::Proven);
    let pods = |world: &mut World, pods| {
        let proof = world.gathered.proof.get_or_insert_default();
        proof.insert(Need::pods(Some("web"), "app=shop"), Fact::List(pods));
    };
    pods(&mut world, vec![looping("p-9")]);
    assert_eq!(line(&world), "wait until 210");
    let status = world.after(210).recorded();
    let post = status
        .validation_results
        .and_then(|results| results.post_execution_validation);
    let actual = post
        .and_then(|post| post.outcome_verification)
        .and_then(|proof| proof.actual_outcome);
    assert!(actual.is_some_and(|actual| actual.contains("crash-looping: shop-p-9")));
}

#[test]
fn what_lies_in_another_namespace_is_told_by_hashes_alone() {
    let change = crate::support::ConfigChange {
        from: "elsewhere",
        keys: 1,
        before: "confidential before".into(),
        after: "confidential after".into(),
    };
    let world = World::config_map(&change).at_work().after(21);
    let done = crate::support::result(&world, "done", &[crate::support::step(0, "written")]);
    let ended = world.seen(&Runner::Ended {
        exit: 0,
        message: Some(done),
    });
    let live = |value: &str| {
        let live = serde_json::json!({
            "metadata": {"namespace": "web", "name": "settings", "uid": "c-1"}, "data": {"k0": value},
        });
        let need = kexec_core::proof::needs(&ended.plan()).remove(0);
        let mut world = ended.clone();
        world.gathered.proof = Some(crate::support::fact(need, Fact::Object(live)));
        world
    };
    for value in [
        "confidential after",
        "confidential before",
        "confidential other",
    ] {
        let shown = serde_json::to_string(&live(value).recorded()).expect("is JSON");
        assert!(!shown.contains("confidential"), "{value}: {shown}");
    }
}

#[test]
fn what_held_before_is_no_proof_of_writes_that_cannot_be_seen() {
    let mut world = World::ready().at_work().after(21).seen(&Runner::Ended {
        exit: 1,
        message: None,
    });
    let mut plan = world.plan();
    plan.expectations = vec![Expectation::Condition {
        object: plan.targets[0].clone(),
        condition_type: "Available".into(),
        status: "True".into(),
        reason: None,
    }];
    world.gathered.stored_plan = Some(Box::new(plan));
    let facing = |replicas| {
        let mut live = deployment(replicas, 2);
        live["status"]["conditions"] = serde_json::json!([{"type": "Available", "status": "True"}]);
        let mut world = world.clone();
        world.gathered.proof = Some(fact(target_need(), Fact::Object(live)));
        world
    };
    assert_eq!(
        line(&facing(2)),
        "record failed/InvalidResult failure failed"
    );
    assert_eq!(line(&facing(5)), PROVEN);
}

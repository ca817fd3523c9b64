//! What comes from outside is bounded and never trusted: statuses stay within 64 KiB (I12), and nothing that a runner,
//! a kubelet or a target says makes a decision panic.

use kexec_actions::facts::Fact;
use kexec_api::condition::Reason;
use kexec_core::attempt::{Claim, StartTrouble};
use kexec_core::view::{Connectivity, CreateProblem};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{ConfigChange, Facing, Runner, World, line, result, step};

/// Ten KiB of what takes most room in JSON and most harm in a terminal.
fn long() -> String {
    "\u{202e}\"\\\u{1b}[2J\u{1f4a3}".repeat(1024)
}

fn ended(message: String) -> World {
    let world = World::ready().at_work().after(21).facing(Facing::Pending);
    world.seen(&Runner::Ended {
        exit: 1,
        message: Some(message),
    })
}

/// A result with that many steps, each with a long error.
fn many_steps(world: &World, outcome: &str, count: usize) -> String {
    let records: Vec<Value> = (0..count)
        .map(|_| {
            let mut record = step(0, "written");
            record["error"] = long().into();
            record
        })
        .collect();
    let mut told: Value = serde_json::from_str(&result(world, outcome, &records)).expect("is JSON");
    told["error"] = long().into();
    told.to_string()
}

#[test]
fn ten_mebibytes_of_a_thousand_steps_fit_into_a_status() {
    for (outcome, count) in [("failed", 1000), ("unknown", 100)] {
        let world = ended(String::new());
        let message = many_steps(&world, outcome, count);
        assert!(message.len() > count * 10 * 1024);
        let status = ended(message).recorded();
        crate::support::assert_consistent(&status);
        let details = status.execution_details.unwrap_or_default();
        let (listed, omitted) = (
            details.kubernetes_operations.len(),
            details.operations_omitted.unwrap_or_default(),
        );
        assert_eq!(listed + usize::try_from(omitted).unwrap(), count);
        let (listed, omitted) = (
            details.resource_changes.len(),
            details.changes_omitted.unwrap_or_default(),
        );
        assert_eq!(listed + usize::try_from(omitted).unwrap(), count);
    }
}

#[test]
fn the_largest_plan_with_the_worst_of_results_fits_into_a_status() {
    let sizes = [
        ("web", 180, "b", "a"),
        ("elsewhere", 180, "b", "a"),
        ("elsewhere", 1, "b", "a"),
        ("web", 8, "\u{1f4a3}", "\""),
    ];
    for (from, keys, before, after) in sizes {
        let length = if keys == 8 { 120 } else { 1 };
        let change = ConfigChange {
            from,
            keys,
            before: before.repeat(length),
            after: after.repeat(length),
        };
        let world = World::config_map(&change).at_work().after(21);
        let message = many_steps(&world, "failed", 60);
        let world = world.seen(&Runner::Ended {
            exit: 1,
            message: Some(message),
        });
        assert!(
            line(&world).starts_with("record failed/ActionFailed"),
            "{from} {keys}"
        );
        let intent = World::config_map(&change).intent().0;
        crate::support::assert_consistent(&intent);
    }
}

#[test]
fn hashes_that_take_more_room_than_texts_are_left_out() {
    let state = |from, keys| {
        let change = ConfigChange {
            from,
            keys,
            before: "b".into(),
            after: "a".into(),
        };
        let (status, _) = World::config_map(&change).intent();
        let rollback = status
            .execution_details
            .and_then(|details| details.rollback_info)
            .expect("is told");
        let state = rollback.rollback_state.expect("has a state");
        (state["texts"].clone(), state.contains_key("plan"))
    };
    assert_eq!(state("web", 150), ("plain".into(), true));
    assert_eq!(state("elsewhere", 10), ("hashed".into(), true));
    assert_eq!(state("elsewhere", 150), ("omitted".into(), false));
}

#[test]
fn whoever_says_it_a_long_text_is_cut() {
    let mut refused = World::ready().intended();
    refused.gathered.create_problem = Some(CreateProblem {
        reason: Reason::InternalError,
        message: long(),
        transient: false,
    });
    let mut deaf = World::ready();
    deaf.gathered.connectivity = Some(Connectivity {
        problem: Some(long()),
        took: jiff::SignedDuration::ZERO,
    });
    let mut stuck = World::ready().at_work().after(62).claimed(Claim::Tombstone);
    stuck.gathered.start_events = Some(Some(StartTrouble {
        reason: long(),
        message: long(),
    }));
    let mut hidden = World::ready();
    hidden
        .gathered
        .facts
        .insert(crate::support::target_need(), Fact::NotReadable(long()));
    let mut held = World::ready();
    held.gathered.policy_problem = Some(long());
    for world in [refused, deaf, stuck, hidden, held] {
        assert!(line(&world).starts_with("record "));
        let status = world.recorded();
        let text = serde_json::to_string(&status).expect("is JSON");
        assert!(text.len() < 16 * 1024, "{} bytes", text.len());
        assert!(
            !text.contains('\u{202e}') && !text.contains("\\u001b"),
            "{text}"
        );
        let checks = status
            .validation_results
            .and_then(|results| results.pre_execution_validation);
        for check in checks
            .map(|checks| checks.safety_checks)
            .unwrap_or_default()
        {
            assert!(
                check.message.is_none_or(|message| message.len() <= 2048),
                "the schema's bound"
            );
        }
    }
}

#[test]
fn a_deeply_nested_message_is_no_result() {
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(line(&ended(nested)), "record monitoring/VerifyingOutcome");
}

/// Any JSON document.
fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z]{1,8}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_message_makes_a_decision_panic_and_none_without_our_names_is_believed(message in any::<String>(), exit in any::<i32>()) {
        let world = World::ready().at_work().after(21).facing(Facing::Pending);
        let ended = world.clone().seen(&Runner::Ended { exit, message: Some(message.clone()) });
        prop_assert_eq!(line(&ended), "record monitoring/VerifyingOutcome");
        let early = world.seen(&Runner::DryRunFailed(exit, "Error", Some(message)));
        prop_assert!(!line(&early).is_empty());
    }

    #[test]
    fn a_result_with_any_field_replaced_is_read_or_not_and_never_panics(field in 0..9_usize, value in document(), exit in -1..6_i32) {
        let world = World::ready().at_work().after(21).facing(Facing::Pending);
        let mut told: Value = serde_json::from_str(&result(&world, "done", &[step(0, "written")])).expect("is JSON");
        let name = told.as_object().and_then(|fields| fields.keys().nth(field).cloned()).expect("has fields");
        told[name] = value;
        let shown = line(&world.seen(&Runner::Ended { exit, message: Some(told.to_string()) }));
        prop_assert!(shown.starts_with("record "), "{}", shown);
    }

    #[test]
    fn no_target_makes_planning_or_proving_panic(live in document(), spec in document(), status in document()) {
        let mut object = json!({"metadata": {"uid": "d-1"}, "spec": spec, "status": status, "more": live.clone()});
        for object in [&mut object, &mut live.clone()] {
            let mut world = World::ready();
            world.gathered.facts.insert(crate::support::target_need(), Fact::Object(object.clone()));
            prop_assert!(!line(&world).is_empty());
            let mut judged = World::monitoring(false).after(40).facing(Facing::Proven);
            let proof = judged.gathered.proof.get_or_insert_default();
            proof.insert(crate::support::target_need(), Fact::Object(object.clone()));
            proof.insert(crate::support::pods_need(), Fact::List(vec![object.clone()]));
            prop_assert!(!line(&judged).is_empty());
        }
    }
}

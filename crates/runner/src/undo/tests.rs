//! What a rollback restores, and what it leaves and says of it.

use kexec_api::plan::Step;
use kexec_api::work::StepOutcome::{Foreign, Refused, Unneeded, Written};
use kexec_api::work::{MAX_RESULT_BYTES, RunnerMetrics, StepOutcome, WorkOutcome, WorkResult};
use serde_json::{Value, json};
use world::{
    Fault, NODE, SCALE, SETTINGS, World, node_object, outcomes, remove_keys, restore_keys,
    restore_member, restore_scale, roll_back, scale_object, settings, settings_of, with_member,
};

use crate::fixture::{delete_node, order};
use crate::order::Subject;
use crate::result::{assemble, message};

mod losses;
mod world;

/// A rollback of one step over three keys of a ConfigMap, whose data is `before` and then `after`.
struct Case {
    name: &'static str,
    step: Step,
    before: Value,
    after: Value,
    records: Vec<(u32, Option<u32>, StepOutcome)>,
}

fn changed_keys() -> Vec<Case> {
    let abc = || restore_keys(&["a", "b", "c"]);
    let old = json!({"a": "old", "b": "old", "c": "old"});
    vec![
        Case {
            name: "all is ours",
            step: abc(),
            before: json!({"a": "ours", "b": "ours", "c": "ours", "d": "other"}),
            after: json!({"a": "old", "b": "old", "c": "old", "d": "other"}),
            records: vec![(0, None, Written)],
        },
        Case {
            name: "one of three is foreign",
            step: abc(),
            before: json!({"a": "ours", "b": "theirs", "c": "ours"}),
            after: json!({"a": "old", "b": "theirs", "c": "old"}),
            records: vec![
                (0, Some(0), Written),
                (0, Some(1), Foreign),
                (0, Some(2), Written),
            ],
        },
        Case {
            name: "one of three is restored already",
            step: abc(),
            before: json!({"a": "ours", "b": "old", "c": "ours"}),
            after: old.clone(),
            records: vec![
                (0, Some(0), Written),
                (0, Some(1), Unneeded),
                (0, Some(2), Written),
            ],
        },
        Case {
            name: "all is restored already",
            step: abc(),
            before: old.clone(),
            after: old.clone(),
            records: vec![(0, None, Unneeded)],
        },
        Case {
            name: "the only field is foreign",
            step: restore_keys(&["a"]),
            before: json!({"a": "theirs"}),
            after: json!({"a": "theirs"}),
            records: vec![(0, Some(0), Foreign)],
        },
        Case {
            name: "somebody removed what is to be restored",
            step: restore_keys(&["a", "b"]),
            before: json!({"b": "ours"}),
            after: json!({"b": "old"}),
            records: vec![(0, Some(0), Foreign), (0, Some(1), Written)],
        },
    ]
}

fn added_keys() -> Vec<Case> {
    vec![
        Case {
            name: "what the action added is gone, and all around it",
            step: remove_keys(&["a", "b"]),
            before: json!(null),
            after: json!(null),
            records: vec![(0, None, Unneeded)],
        },
        Case {
            name: "of what the action added somebody changed one",
            step: remove_keys(&["a", "b", "c"]),
            before: json!({"a": "theirs", "b": "ours"}),
            after: json!({"a": "theirs"}),
            records: vec![
                (0, Some(0), Foreign),
                (0, Some(1), Written),
                (0, Some(2), Unneeded),
            ],
        },
    ]
}

#[tokio::test(start_paused = true)]
async fn only_what_is_still_ours_is_restored() {
    for case in changed_keys().into_iter().chain(added_keys()) {
        let world = World::with(SETTINGS, settings(&case.before));
        let (report, world) = roll_back(vec![case.step], world).await;
        let is_foreign = case.records.iter().any(|record| record.2 == Foreign);
        let outcome = if is_foreign {
            WorkOutcome::PreconditionFailed
        } else {
            WorkOutcome::Done
        };
        assert_eq!(report.outcome, outcome, "{}: {report:?}", case.name);
        assert_eq!(outcomes(&report), case.records, "{}", case.name);
        assert_eq!(world.objects[SETTINGS]["data"], case.after, "{}", case.name);
        assert_eq!(report.error.is_some(), is_foreign, "{}", case.name);
        let said = format!("{report:?}");
        assert!(!said.contains("theirs"), "{}: {said}", case.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_field_is_restored_only_where_its_guard_holds_and_a_guard_is_no_change() {
    let member =
        |name: &str, image: &str, port: u32| json!({"name": name, "image": image, "port": port});
    for (before, after, records, said) in [
        (
            member("web", "ours", 2),
            member("web", "old", 1),
            vec![(0, None, Written)],
            None,
        ),
        (
            member("web", "theirs", 2),
            member("web", "theirs", 1),
            vec![(0, Some(0), Written), (0, Some(1), Foreign)],
            Some("restored 1 of 2 changes, 1 left as somebody else made them"),
        ),
        (
            member("another", "ours", 2),
            member("another", "ours", 2),
            vec![(0, Some(0), Foreign), (0, Some(1), Foreign)],
            Some("restored 0 of 2 changes, 2 left as somebody else made them"),
        ),
    ] {
        let world = World::with(SETTINGS, with_member(&before));
        let (report, world) = roll_back(vec![restore_member()], world).await;
        assert_eq!(world.objects[SETTINGS], with_member(&after));
        assert_eq!(outcomes(&report), records, "{before}");
        let error = report.error.unwrap_or_default();
        assert!(error.starts_with(said.unwrap_or_default()), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_sentence_says_how_much_was_restored_and_what_was_left() {
    let data = json!({"a": "ours", "b": "theirs", "c": "old", "e.x": "theirs"});
    let step = restore_keys(&["a", "b", "c", "e.x"]);
    let (report, _) = roll_back(vec![step], World::with(SETTINGS, settings(&data))).await;
    assert_eq!(
        report.error.as_deref(),
        Some(
            "restored 1 of 4 changes, 1 restored before, 2 left as somebody else made them: ConfigMap/web/settings: \
             somebody changed \"data.b\" since the action: left as it is, \
             somebody changed \"data[e.x]\" since the action: left as it is"
        )
    );
    assert_eq!(report.outcome.exit_code(), 3);
    assert_eq!(
        report.steps[1].error.as_deref(),
        Some("somebody changed \"data.b\" since the action: left as it is")
    );
    assert!(report.steps[1].at.is_some() && report.steps[1].status_code == Some(422));
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_gone_or_replaced_is_left_and_the_next_step_goes_on() {
    let ours = json!({"a": "ours", "b": "ours"});
    let replaced = settings_of("u-new", &ours);
    let worlds = [
        (World::default(), "does not exist any more"),
        (World::with(SETTINGS, replaced.clone()), "another object"),
    ];
    for (world, told) in worlds {
        let steps = vec![restore_keys(&["a", "b"]), restore_scale(Some(5), Some(2))];
        let world = world.and(SCALE, scale_object(Some(5)));
        let (report, world) = roll_back(steps, world).await;
        assert_eq!(
            report.outcome,
            WorkOutcome::PreconditionFailed,
            "{report:?}"
        );
        assert_eq!(outcomes(&report), [(0, None, Foreign), (1, None, Written)]);
        assert!(report.error.unwrap().contains(told), "{told}");
        assert_eq!(world.objects[SCALE], scale_object(Some(2)));
        let left = world.objects.get(SETTINGS);
        assert!(left.is_none_or(|left| *left == replaced), "{left:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn replicas_are_restored_from_and_to_zero_which_is_left_out() {
    let table = [
        (Some(5), Some(2), Some(5), Some(2), Written),
        (None, Some(3), None, Some(3), Written),
        (Some(3), None, Some(3), None, Written),
        (Some(3), None, None, None, Unneeded),
        (None, Some(3), Some(3), Some(3), Unneeded),
        (Some(3), None, Some(7), Some(7), Foreign),
        (None, Some(3), Some(7), Some(7), Foreign),
        (Some(5), Some(3), None, None, Foreign),
    ];
    for (before, after, live, left, outcome) in table {
        let step = restore_scale(before, after);
        let (report, world) = roll_back(vec![step], World::with(SCALE, scale_object(live))).await;
        let what = format!("{before:?} -> {after:?} of {live:?}");
        assert_eq!(report.steps[0].outcome, outcome, "{what}");
        assert_eq!(world.objects[SCALE], scale_object(left), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deletion_is_undone_once_and_only_of_the_same_object() {
    let other = json!({"metadata": {"uid": "u-other"}});
    let table = [
        (World::with(NODE, node_object()), Written, WorkOutcome::Done),
        (World::default(), Unneeded, WorkOutcome::Done),
        (
            World::with(NODE, other),
            Foreign,
            WorkOutcome::PreconditionFailed,
        ),
        (
            World::with(NODE, node_object()).fault(1, Fault::LostAfter),
            Written,
            WorkOutcome::Done,
        ),
    ];
    for (world, outcome, whole) in table {
        let (report, world) = roll_back(vec![delete_node()], world).await;
        assert_eq!(outcomes(&report), [(0, None, outcome)]);
        assert_eq!(report.outcome, whole);
        assert_eq!(world.objects.contains_key(NODE), outcome == Foreign);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_a_failure_and_the_next_step_goes_on() {
    for code in [400, 403, 422] {
        let steps = vec![restore_keys(&["a", "b"]), restore_scale(Some(5), Some(2))];
        let ours = settings(&json!({"a": "ours", "b": "ours"}));
        let world = World::with(SETTINGS, ours.clone())
            .and(SCALE, scale_object(Some(5)))
            .fault(1, Fault::Denied(code));
        let (report, world) = roll_back(steps, world).await;
        assert_eq!(
            (report.outcome, report.outcome.exit_code()),
            (WorkOutcome::Failed, 1)
        );
        assert_eq!(outcomes(&report), [(0, None, Refused), (1, None, Written)]);
        let error = report.error.unwrap();
        assert!(
            error.starts_with("restored 1 of 3 changes, 2 refused"),
            "{error}"
        );
        assert!(error.contains("denied the request: frozen"), "{error}");
        assert_eq!(world.objects[SETTINGS], ours);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_field_is_a_failure_and_the_next_field_goes_on() {
    let data = json!({"a": "theirs", "b": "ours", "c": "ours"});
    // After the claim: the whole, the UID, "a" and what it holds, then "b".
    let world = World::with(SETTINGS, settings(&data)).fault(5, Fault::Denied(403));
    let (report, world) = roll_back(vec![restore_keys(&["a", "b", "c"])], world).await;
    assert_eq!(report.outcome, WorkOutcome::Failed);
    let expected = [
        (0, Some(0), Foreign),
        (0, Some(1), Refused),
        (0, Some(2), Written),
    ];
    assert_eq!(outcomes(&report), expected);
    let after = json!({"a": "theirs", "b": "ours", "c": "old"});
    assert_eq!(world.objects[SETTINGS]["data"], after);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_knows_no_dry_run_keeps_nothing_of_ours_from_being_restored() {
    let data = json!({"a": "ours", "b": "theirs"});
    let world = World::with(SETTINGS, settings(&data))
        .fault(2, Fault::Denied(400))
        .fault(5, Fault::Denied(400));
    let (report, world) = roll_back(vec![restore_keys(&["a", "b"])], world).await;
    assert_eq!(
        outcomes(&report),
        [(0, Some(0), Written), (0, Some(1), Refused)]
    );
    assert_eq!(
        world.objects[SETTINGS]["data"],
        json!({"a": "old", "b": "theirs"})
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_only_asked_is_a_dry_run_and_what_is_written_is_none() {
    let data = json!({"a": "ours", "b": "theirs"});
    let step = restore_keys(&["a", "b"]);
    let (_, world) = roll_back(vec![step], World::with(SETTINGS, settings(&data))).await;
    let dry_runs: Vec<bool> = world
        .seen
        .iter()
        .map(|address| address.contains("dryRun=All"))
        .collect();
    // The claim, the whole step, the UID, "a", "b", and what "b" holds.
    assert_eq!(dry_runs, [false, false, true, false, false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_fields_fit_the_termination_message() {
    let names: Vec<String> = (0..100).map(|number| format!("key-{number}")).collect();
    let keys: Vec<&str> = names.iter().map(String::as_str).collect();
    let holds = |number: usize| {
        if number.is_multiple_of(2) {
            "ours"
        } else {
            "theirs"
        }
    };
    let data: Value = (0..)
        .zip(&names)
        .map(|(number, name)| (name.clone(), Value::from(holds(number))))
        .collect();
    let world = World::with(SETTINGS, settings(&data));
    let (report, _) = roll_back(vec![restore_keys(&keys)], world).await;
    assert_eq!(report.steps.len(), 100);
    let order = order(vec![]);
    let result = assemble(
        Subject::from(&order),
        false,
        report,
        RunnerMetrics::default(),
    );
    let message = message(&result).unwrap();
    assert!(message.len() <= MAX_RESULT_BYTES, "{}", message.len());
    let reread: WorkResult = serde_json::from_str(&message).unwrap();
    assert_eq!(reread.steps.len() + reread.omitted_steps as usize, 100);
    assert!(!reread.steps.is_empty());
    let told = "restored 50 of 100 changes, 50 left as somebody else made them: ";
    assert!(reread.error.unwrap().starts_with(told));
}

//! Rollbacks with lost answers, and ones that are stopped or run out of time.

use kexec_api::work::StepOutcome::{Foreign, Refused, Skipped, Unknown, Unneeded, Written};
use kexec_api::work::WorkOutcome;
use serde_json::{Value, json};

use super::world::{
    Fault, SCALE, SETTINGS, World, outcomes, restore_keys, restore_scale, roll_back,
    roll_back_within, scale_object, settings,
};
use crate::fixture::{failure, limits, mock, success};
use crate::undo::undo;

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_repeated_and_what_it_wrote_counts_as_ours() {
    let both = json!({"a": "ours", "b": "ours"});
    let mixed = json!({"a": "ours", "b": "theirs"});
    let table = [
        (&both, 1, Fault::LostBefore, vec![(0, None, Written)]),
        (&both, 1, Fault::LostAfter, vec![(0, None, Written)]),
        // The third request after the claim is the patch of "a" alone.
        (
            &mixed,
            3,
            Fault::LostAfter,
            vec![(0, Some(0), Written), (0, Some(1), Foreign)],
        ),
        (
            &mixed,
            3,
            Fault::LostBefore,
            vec![(0, Some(0), Written), (0, Some(1), Foreign)],
        ),
    ];
    for (data, number, fault, expected) in table {
        let world = World::with(SETTINGS, settings(data)).fault(number, fault);
        let (report, world) = roll_back(vec![restore_keys(&["a", "b"])], world).await;
        assert_eq!(outcomes(&report), expected, "{number} {fault:?}");
        assert_eq!(
            world.objects[SETTINGS]["data"]["a"], "old",
            "{number} {fault:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_a_question_says_nothing_about_who_restored_it() {
    let data = json!({"a": "old", "b": "theirs"});
    // After the claim: the whole, the UID, "a", and what "a" holds.
    let world = World::with(SETTINGS, settings(&data)).fault(4, Fault::LostAfter);
    let (report, _) = roll_back(vec![restore_keys(&["a", "b"])], world).await;
    assert_eq!(
        outcomes(&report),
        [(0, Some(0), Unneeded), (0, Some(1), Foreign)]
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_until_time_runs_out_is_unknown() {
    let world = World::with(SETTINGS, settings(&json!({"a": "ours"})));
    let world = world.always(1, Fault::LostAfter);
    let (report, world) = roll_back_within(20, vec![restore_keys(&["a"])], world).await;
    assert_eq!(
        (report.outcome, report.outcome.exit_code()),
        (WorkOutcome::Unknown, 1)
    );
    // Which of the requests was the last one depends on what the pauses add up to.
    assert_eq!(report.steps[0].outcome, Unknown);
    assert!(
        report
            .error
            .unwrap()
            .contains("may or may not have been restored")
    );
    assert_eq!(world.objects[SETTINGS]["data"]["a"], "old");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_after_a_lost_answer_is_unknown() {
    let world = World::with(SETTINGS, settings(&json!({"a": "ours"})))
        .fault(1, Fault::LostAfter)
        .fault(2, Fault::Denied(403));
    let (report, _) = roll_back(vec![restore_keys(&["a"])], world).await;
    assert_eq!(report.outcome, WorkOutcome::Unknown);
    assert_eq!(outcomes(&report), [(0, None, Unknown)]);
}

#[tokio::test(start_paused = true)]
async fn a_request_to_stop_is_honoured_between_steps_and_between_fields() {
    let steps = || {
        vec![
            restore_keys(&["a", "b", "c"]),
            restore_scale(Some(5), Some(2)),
        ]
    };
    let world = |data: Value, number| {
        World::with(SETTINGS, settings(&data))
            .and(SCALE, scale_object(Some(5)))
            .fault(number, Fault::Stop)
    };
    let ours = json!({"a": "ours", "b": "ours", "c": "ours"});
    let mixed = json!({"a": "ours", "b": "theirs", "c": "ours"});
    let table = [
        (world(ours, 1), vec![(0, None, Written), (1, None, Skipped)]),
        (
            world(mixed.clone(), 1),
            vec![(0, None, Skipped), (1, None, Skipped)],
        ),
        (
            world(mixed, 3),
            vec![
                (0, Some(0), Written),
                (0, Some(1), Skipped),
                (0, Some(2), Skipped),
                (1, None, Skipped),
            ],
        ),
    ];
    for (world, expected) in table {
        let (report, world) = roll_back(steps(), world).await;
        assert_eq!(
            (report.outcome, report.outcome.exit_code()),
            (WorkOutcome::Interrupted, 1)
        );
        assert_eq!(outcomes(&report), expected);
        assert!(
            report
                .error
                .unwrap()
                .ends_with(": the pod was asked to stop")
        );
        assert_eq!(world.objects[SCALE], scale_object(Some(5)));
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_a_rollback_that_cannot_get_through() {
    let world = World::with(SCALE, scale_object(Some(5))).always(1, Fault::NoWebhook);
    let steps = vec![
        restore_scale(Some(5), Some(2)),
        restore_scale(Some(2), Some(1)),
    ];
    let (report, world) = roll_back_within(10, steps, world).await;
    assert_eq!(report.outcome, WorkOutcome::Interrupted);
    assert_eq!(outcomes(&report), [(0, None, Refused), (1, None, Skipped)]);
    let error = report.error.unwrap();
    assert!(
        error.starts_with("restored 0 of 2 changes, 2 not restored in time"),
        "{error}"
    );
    assert!(error.contains("deadline"), "{error}");
    assert_eq!(world.objects[SCALE], scale_object(Some(5)));
}

#[tokio::test(start_paused = true)]
async fn a_step_that_cannot_get_through_leaves_time_for_the_next() {
    let steps = vec![restore_keys(&["a"]), restore_scale(Some(5), Some(2))];
    let (server, mut handle) = mock();
    let (limits, _stop) = limits(60);
    let report = tokio::spawn(async move { undo(&server, &limits, &steps).await });
    while let Some((request, respond)) = handle.next_request().await {
        let is_stuck = request.uri().path() == SETTINGS;
        let stuck = failure(500, "failed calling webhook \"x.example\"", json!({}));
        let answer = if is_stuck {
            stuck
        } else {
            success(200, &json!({}))
        };
        respond.send_response(answer);
    }
    let report = report.await.unwrap();
    assert_eq!(outcomes(&report), [(0, None, Refused), (1, None, Written)]);
    assert_eq!(report.outcome, WorkOutcome::Interrupted);
    assert!(
        report
            .error
            .unwrap()
            .contains("its share of the time is over")
    );
}

#[tokio::test(start_paused = true)]
async fn the_claim_of_the_rollback_comes_first_and_without_it_nothing_is_sent() {
    let world = || World::with(SETTINGS, settings(&json!({"a": "ours"})));
    let (report, held) = roll_back(vec![restore_keys(&["a"])], world()).await;
    assert_eq!(report.outcome, WorkOutcome::Done);
    assert_eq!((held.claim, held.seen.len()), (json!("kexec-e-1-1-r"), 2));
    let taken = world().fault(0, Fault::Taken);
    let (report, lost) = roll_back(vec![restore_keys(&["a"])], taken).await;
    assert_eq!(report.outcome, WorkOutcome::ClaimLost);
    assert_eq!(
        (lost.seen.len(), outcomes(&report)),
        (1, vec![(0, None, Skipped)])
    );
    assert_eq!(lost.objects[SETTINGS]["data"]["a"], "ours");
}

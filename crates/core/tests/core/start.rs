//! From created to intended.

use jiff::SignedDuration;
use kexec_actions::facts::Fact;
use kexec_api::condition::ConditionType;
use kexec_api::phase::Phase;
use kexec_core::decide::Decision;
use kexec_core::queue::Turn;
use kexec_core::view::Connectivity;
use serde_json::json;

use crate::support::{Facing, Runner, World, deployment, fact, line, pods_need, target_need};

#[test]
fn each_question_is_asked_only_when_those_before_it_are_answered() {
    let mut world = World::new();
    world.all_allowed = false;
    assert_eq!(line(&world), "take-turn");
    world.gathered.turn = Some(Turn::Granted);
    assert_eq!(line(&world), "probe");
    world = world.with_turn();
    assert_eq!(line(&world), "read Deployment/web/shop");
    world
        .gathered
        .facts
        .insert(target_need(), Fact::Object(deployment(2, 2)));
    assert_eq!(line(&world), "read pods in \"web\" matching app=shop");
    world
        .gathered
        .facts
        .insert(pods_need(), Fact::List(Vec::new()));
    assert_eq!(line(&world), "ask");
    world.all_allowed = true;
    assert_eq!(line(&world), "intend executing/JobCreated");
}

#[test]
fn pending_and_validating_go_on_where_a_new_one_begins() {
    for phase in [Phase::Pending, Phase::Validating] {
        assert_eq!(
            line(&World::ready().in_phase(phase)),
            "intend executing/JobCreated"
        );
    }
}

#[test]
fn who_may_do_what_is_asked_for_the_requester_and_for_each_right_of_the_plan() {
    let mut world =
        World::of(json!({"actionDefinition": {"parameters": {"force": true}}})).with_facts();
    world.all_allowed = false;
    let Decision::Ask(questions) = world.decide() else {
        panic!("nothing is asked")
    };
    let asked: Vec<String> = questions
        .iter()
        .map(|question| {
            format!(
                "{:?} {} {:?}",
                question.subject, question.permission, question.name
            )
        })
        .collect();
    assert_eq!(
        asked,
        [
            "Requester { username: \"ada\", uid: None, groups: [\"sre\"], extra: {} } \
             execute actiontypes.kubernetesexecution.kubernaut.io in \"web\" Some(\"scale_deployment\")",
            "Requester { username: \"ada\", uid: None, groups: [\"sre\"], extra: {} } \
             force actiontypes.kubernetesexecution.kubernaut.io in \"web\" Some(\"scale_deployment\")",
            "ServiceAccount(\"system:serviceaccount:kubernaut-system:kexec-scale-deployment\") \
             patch deployments.apps/scale in \"web\" None",
        ]
    );
}

#[test]
fn nothing_begins_while_the_admission_policies_are_not_in_force() {
    let mut world = World::ready();
    world.gathered.policy_problem = Some("the policy is missing".into());
    assert_eq!(line(&world), "record pending/PoliciesMissing");
    world.execution.status = Some(world.recorded());
    assert_eq!(line(&world), "wait until 10");
    world.gathered.policy_problem = None;
    assert_eq!(line(&world), "intend executing/JobCreated");
}

#[test]
fn who_waits_says_what_for_and_writes_it_once() {
    let mut world = World::ready();
    world.gathered.turn = Some(Turn::TargetBusy {
        holder: "web/other".into(),
        position: 2,
    });
    assert_eq!(line(&world), "record pending/Queued");
    let status = world.recorded();
    let queue = status.queue.clone().expect("is queued");
    assert_eq!(queue.position, Some(2));
    assert_eq!(
        queue.reason.as_deref(),
        Some("waits for web/other, which works on the same target")
    );
    world.execution.status = Some(status);
    world.gathered.turn = Some(Turn::TargetBusy {
        holder: "web/other".into(),
        position: 1,
    });
    assert_eq!(line(&world), "wait");
    world.gathered.turn = Some(Turn::NoSlot { position: 1 });
    assert_eq!(line(&world), "record pending/Queued");
    world.gathered.turn = Some(Turn::Granted);
    assert_eq!(line(&world), "intend executing/JobCreated");
    assert_eq!(world.intent().0.queue, None);
}

#[test]
fn cancelled_before_it_began_it_ends_without_a_question() {
    for world in [
        World::new(),
        World::ready(),
        World::ready().in_phase(Phase::Pending),
    ] {
        assert_eq!(
            line(&world.cancelled()),
            "record cancelled/Cancelled cancelled cancelled"
        );
    }
}

#[test]
fn a_cluster_that_does_not_answer_is_not_acted_on() {
    let mut world = World::ready();
    world.gathered.connectivity = Some(Connectivity {
        problem: Some("no answer in 5 s".into()),
        took: SignedDuration::from_secs(5),
    });
    assert_eq!(
        line(&world),
        "record failed/ConnectivityFailed failure failed"
    );
    let status = world.recorded();
    let checks = status
        .validation_results
        .and_then(|results| results.pre_execution_validation)
        .expect("is told");
    let told: Vec<(Option<bool>, Option<bool>)> = checks
        .safety_checks
        .iter()
        .map(|check| (check.performed, check.passed))
        .collect();
    assert_eq!(
        told,
        [
            (Some(true), Some(false)),
            (Some(true), Some(true)),
            (Some(false), Some(false))
        ]
    );
}

#[test]
fn a_target_that_is_as_asked_for_already_needs_no_job() {
    let as_is = json!({"actionDefinition": {"parameters": {"replicas": 2}}});
    let mut world = World::of(as_is).with_facts();
    assert_eq!(line(&world), "intend monitoring/VerifyingOutcome");
    let (status, planned) = world.intent();
    world.execution.status = Some(status);
    world.gathered.intended = Some(planned);
    assert_eq!(
        line(&world),
        "watch Deployment/web/shop, pods in \"web\" matching app=shop"
    );
    world.gathered.proof = Some(world.gathered.facts.clone());
    assert_eq!(
        line(&world),
        "record completed/NoChange success succeeded verified"
    );

    let as_is = json!({"actionDefinition": {"parameters": {"replicas": 2, "dryRun": true}}});
    assert_eq!(
        line(&World::of(as_is).with_facts()),
        "intend completed/DryRunSucceeded success succeeded"
    );
}

#[test]
fn an_intent_holds_all_that_undoing_it_takes() {
    let (status, planned) = World::ready().intent();
    let rollback = status
        .execution_details
        .and_then(|details| details.rollback_info)
        .expect("has rollback info");
    let state = rollback.rollback_state.expect("has a rollback state");
    assert_eq!(state.get("planHash"), Some(&planned.hash.as_str().into()));
    assert_eq!(
        state.get("plan"),
        serde_json::to_value(&planned.content).ok().as_ref()
    );
    assert_eq!(
        status.job.and_then(|job| job.name).as_deref(),
        Some("kexec-e-1-1-x")
    );
}

#[test]
fn a_phase_of_later_versions_is_refused() {
    assert_eq!(
        line(&World::ready().in_phase(Phase::AwaitingApproval)),
        "record failed/NotSupported failure failed"
    );
}

#[test]
fn an_execution_on_its_way_out_is_cancelled_and_left_alone_after_its_end() {
    let going = |mut world: World| {
        let metadata = &mut world.execution.metadata;
        metadata.deletion_timestamp = metadata.creation_timestamp.clone();
        world
    };
    let cancelled = "record cancelled/Cancelled cancelled cancelled";
    let running = || World::ready().at_work().seen(&Runner::Running).after(10);
    let table = [
        (World::new(), cancelled),
        (World::ready().in_phase(Phase::Pending), cancelled),
        (World::ready().intended(), "tombstone"),
        (running(), "stop-pod"),
        (
            World::monitoring(false).after(40).facing(Facing::Pending),
            "record cancelled/Cancelled cancelled unknown",
        ),
        (
            World::ready()
                .restarted()
                .in_phase(Phase::Failed)
                .after(9_999_999),
            "wait",
        ),
    ];
    for (world, expected) in table {
        assert_eq!(line(&going(world)), expected);
    }
}

#[test]
fn every_check_that_was_asked_for_is_reported() {
    let checks = json!(["resource-lock", "permission-check"]);
    let spec = json!({"executionConfig": {"safetyConfig": {"safetyChecks": checks}}});
    let (status, _) = World::of(spec).with_facts().intent();
    let checks = status
        .validation_results
        .and_then(|results| results.pre_execution_validation)
        .expect("is told");
    let told: Vec<(&str, Option<bool>)> = checks
        .safety_checks
        .iter()
        .map(|check| {
            (
                check.check_type.as_deref().unwrap_or_default(),
                check.passed,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("cluster-connectivity", Some(true)),
            ("resource-existence", Some(true)),
            ("permission-check", Some(true)),
            ("resource-lock", Some(true)),
        ]
    );
}

#[test]
fn what_a_spec_says_of_its_risk_only_raises_it() {
    let level = |spec| {
        let (status, _) = World::of(spec).with_facts().intent();
        let checks = status
            .validation_results
            .and_then(|results| results.pre_execution_validation);
        checks
            .and_then(|checks| checks.risk_assessment)
            .and_then(|risk| risk.risk_level)
            .expect("has a level")
            .as_str()
    };
    assert_eq!(level(json!({})), "low");
    let asks = |level: &str, replicas: u32| {
        json!({
            "actionDefinition": {"parameters": {"replicas": replicas}},
            "executionConfig": {"safetyConfig": {"riskLevel": level}},
        })
    };
    assert_eq!(level(asks("critical", 5)), "critical");
    assert_eq!(level(asks("low", 0)), "medium");
}

#[test]
fn a_refusal_is_validated_false_and_says_whether_the_action_is_known() {
    let unknown =
        World::of(json!({"actionDefinition": {"actionType": "scale_deploymnt"}})).recorded();
    for (status, supported) in [
        (unknown, "False"),
        (World::new().with_turn().absent().recorded(), "True"),
    ] {
        let of = |kind| {
            status
                .condition(kind)
                .map(|condition| condition.status.as_str())
        };
        assert_eq!(of(ConditionType::ActionSupported), Some(supported));
        assert_eq!(of(ConditionType::Validated), Some("False"));
        assert_eq!(of(ConditionType::Executing), None);
    }
}

impl World {
    /// With a target that does not exist.
    fn absent(mut self) -> Self {
        self.gathered.facts.insert(target_need(), Fact::Absent);
        self
    }
}

#[test]
fn the_start_of_an_execution_is_the_first_time_it_was_worked_on() {
    let (status, _) = World::ready().after(7).intent();
    let summary = status.execution_summary.expect("has a summary");
    assert_eq!(
        summary.start_time.map(|time| time.0),
        Some(crate::support::at(7))
    );
}

#[test]
fn an_action_that_only_looks_has_the_whole_time_of_the_execution() {
    let waits = json!({
        "actionDefinition": {
            "actionType": "wait_for_condition",
            "parameters": {"replicas": null, "expectedConditions": [{"type": "Available", "status": "True"}]},
        },
        "executionConfig": {"timeout": "10m"},
    });
    let mut world = World::of(waits).with_facts();
    assert_eq!(line(&world), "intend monitoring/VerifyingOutcome");
    let (status, planned) = world.intent();
    world.execution.status = Some(status);
    world.gathered.intended = Some(planned);
    assert_eq!(line(&world), "watch Deployment/web/shop");

    let shown = |status: &str| {
        let mut live = deployment(2, 2);
        live["status"]["conditions"] = json!([{"type": "Available", "status": status}]);
        fact(target_need(), Fact::Object(live))
    };
    let mut world = world.after(599);
    world.gathered.proof = Some(shown("False"));
    assert_eq!(line(&world), "wait until 600");
    world.gathered.proof = Some(shown("True"));
    assert_eq!(
        line(&world),
        "record completed/ExecutionCompleted success succeeded verified"
    );
    let mut world = world.after(600);
    world.gathered.proof = Some(shown("False"));
    assert_eq!(
        line(&world),
        "record failed/HealthCheckTimeout timeout failed"
    );
}

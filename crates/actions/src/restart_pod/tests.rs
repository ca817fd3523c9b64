use kexec_api::plan::{ObjectRef, ServiceEndpoints};
use serde_json::{Value, json};

use super::*;
use crate::action::Planner;
use crate::endpoints;
use crate::every_action::{Case, Cases};
use crate::facts::Fact;
use crate::fixtures::{bare_pod, facts, owned_pod, parameters, target};

const REPLICA_SET: (&str, &str, &str) = ("apps/v1", "ReplicaSet", "shop-7d9c");

impl Cases for RestartPod {
    /// The parameters of the printed example (EX-04, EX-05).
    fn cases() -> Vec<Case> {
        let pods = vec![of_replica_set("p-1", true), of_replica_set("p-2", true)];
        let parameters = json!({
            "dryRun": false,
            "force": false,
            "gracePeriodSeconds": 30,
            "expectedConditions": [{"type": "Ready", "status": "True", "reason": "PodReady"}],
            "customConfig": {"preWarmReplacement": true, "monitoringDuration": "5m"},
        });
        let target = pod(of_replica_set("p-1", true));
        vec![Case::of::<Self>("", target, parameters, world(2, pods))]
    }
}

fn pod(live: Value) -> Target {
    target(TargetKind::POD, live)
}

fn of_replica_set(uid: &str, ready: bool) -> Value {
    owned_pod(uid, REPLICA_SET, ready)
}

fn owner() -> ObjectRef {
    ObjectRef {
        api_version: "apps/v1".into(),
        kind: "ReplicaSet".into(),
        resource: "replicasets".into(),
        namespace: Some("web".into()),
        name: "shop-7d9c".into(),
        uid: "o-1".into(),
    }
}

fn replica_set(replicas: u32) -> Value {
    json!({"metadata": {"uid": "o-1"}, "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "shop"}}}})
}

fn world(replicas: u32, pods: Vec<Value>) -> Facts {
    facts([
        (Need::object(&owner()), Fact::Object(replica_set(replicas))),
        (Need::pods(Some("web"), "app=shop"), Fact::List(pods)),
        (endpoints::services(Some("web")), Fact::List(Vec::new())),
    ])
}

fn plan(live: Value, parameters: &Parameters, world: &Facts) -> Result<Draft, PlanError> {
    RestartPod::plan(&pod(live), parameters, world)
}

fn ready_after(replicas: u32, pods: Vec<Value>) -> u32 {
    let draft = plan(
        pods[0].clone(),
        &Parameters::default(),
        &world(replicas, pods),
    )
    .expect("plans");
    match &draft.expectations[0] {
        Expectation::Replaced { ready, .. } => *ready,
        other => panic!("{other:?}"),
    }
}

fn refusal(live: Value, parameters: &Parameters, world: &Facts) -> (PlanError, String) {
    let error = plan(live, parameters, world).expect_err("is refused");
    let sentence = error.to_string();
    (error, sentence)
}

#[test]
fn the_pod_is_deleted_and_the_proof_is_a_new_uid() {
    let pods = vec![of_replica_set("p-2", true), of_replica_set("p-1", true)];
    let parameters = Parameters {
        grace_period_seconds: Some(30),
        ..Parameters::default()
    };
    let draft = plan(of_replica_set("p-1", true), &parameters, &world(2, pods)).expect("plans");
    let reference = pod(of_replica_set("p-1", true)).reference;
    assert_eq!(
        draft,
        Draft {
            steps: vec![Step::Delete {
                target: reference.clone(),
                grace_period_seconds: Some(30)
            }],
            expectations: vec![Expectation::Replaced {
                object: reference,
                owner: owner(),
                selector: "app=shop".into(),
                known_pods: ["p-1", "p-2"].into_iter().collect(),
                ready: 2,
                services: Vec::new(),
            }],
            summary: "delete Pod/web/shop-p-1 so that ReplicaSet/web/shop-7d9c replaces it".into(),
            ..Draft::default()
        }
    );
}

#[test]
fn as_many_are_ready_afterwards_as_were_beside_it_and_one_more() {
    let (ready, broken) = (
        |uid| of_replica_set(uid, true),
        |uid| of_replica_set(uid, false),
    );
    assert_eq!(ready_after(1, vec![ready("p-1")]), 1);
    assert_eq!(ready_after(1, vec![broken("p-1")]), 1);
    assert_eq!(
        ready_after(3, vec![ready("p-1"), ready("p-2"), ready("p-3")]),
        3
    );
    assert_eq!(
        ready_after(3, vec![broken("p-1"), ready("p-2"), ready("p-3")]),
        3
    );
    assert_eq!(
        ready_after(3, vec![ready("p-1"), ready("p-2"), broken("p-3")]),
        2
    );
    assert_eq!(
        ready_after(3, vec![broken("p-1"), broken("p-2"), broken("p-3")]),
        1
    );
}

#[test]
fn pods_that_only_look_alike_count_as_known_but_not_as_the_owners() {
    let pods = vec![of_replica_set("p-1", true), bare_pod("stray", true)];
    let draft = plan(pods[0].clone(), &Parameters::default(), &world(2, pods)).expect("plans");
    let Expectation::Replaced {
        known_pods, ready, ..
    } = &draft.expectations[0]
    else {
        panic!("{draft:?}");
    };
    assert_eq!(
        (known_pods, *ready),
        (&["p-1", "stray"].into_iter().collect(), 1)
    );
}

#[test]
fn a_plan_holds_thousands_of_known_pods() {
    const LARGEST_PLAN_BYTES: usize = 24 * 1024;
    let pods: Vec<Value> = (0..2_800)
        .map(|number| of_replica_set(&format!("6f1c8a52-0000-4000-8000-{number:012}"), true))
        .collect();
    let target = pod(pods[0].clone());
    let draft =
        RestartPod::plan(&target, &Parameters::default(), &world(2_800, pods)).expect("plans");
    let planner = Planner::of::<RestartPod>();
    let common = planner.check(&parameters(json!({}))).expect("fits");
    let content = planner.content(&target, &common, &draft);
    let bytes = serde_json::to_vec(&content).expect("is JSON").len();
    assert!(bytes < LARGEST_PLAN_BYTES, "{bytes} bytes");
}

#[test]
fn a_single_replica_or_the_last_ready_pod_raises_the_risk_by_a_level() {
    let risk = |replicas, pods: Vec<Value>| {
        plan(
            pods[0].clone(),
            &Parameters::default(),
            &world(replicas, pods),
        )
        .expect("plans")
        .risk_factors
    };
    let single = risk(1, vec![of_replica_set("p-1", true)]);
    assert_eq!(
        single,
        [RiskFactor::one_level(
            "single replica: nothing serves until the replacement is ready"
        )]
    );
    let last = risk(
        2,
        vec![of_replica_set("p-1", true), of_replica_set("p-2", false)],
    );
    assert_eq!(
        last,
        [RiskFactor::one_level(
            "no other pod of the owner is ready: nothing serves until the replacement is ready"
        )]
    );
    assert_eq!(
        risk(
            2,
            vec![of_replica_set("p-1", true), of_replica_set("p-2", true)]
        ),
        []
    );
}

#[test]
fn the_owner_may_be_any_workload_that_replaces_its_pods() {
    let owners = [
        (
            ("apps/v1", "StatefulSet", "db"),
            json!({"replicas": 1, "selector": {"matchLabels": {"app": "shop"}}}),
            json!({}),
        ),
        (
            ("apps/v1", "DaemonSet", "agent"),
            json!({"selector": {"matchLabels": {"app": "shop"}}}),
            json!({"desiredNumberScheduled": 1}),
        ),
        (
            ("v1", "ReplicationController", "old"),
            json!({"selector": {"app": "shop"}}),
            json!({}),
        ),
    ];
    for (owner, spec, status) in owners {
        let live = owned_pod("p-1", owner, true);
        let PodOwner::Replacing(reference) = PodOwner::of(&pod(live.clone())) else {
            panic!("{owner:?}");
        };
        let owner_live = json!({"metadata": {"uid": "o-1"}, "spec": spec, "status": status});
        let world = facts([
            (Need::object(&reference), Fact::Object(owner_live)),
            (
                Need::pods(Some("web"), "app=shop"),
                Fact::List(vec![live.clone()]),
            ),
            (endpoints::services(Some("web")), Fact::List(Vec::new())),
        ]);
        let draft = plan(live, &Parameters::default(), &world).expect("plans");
        let expected = matches!(&draft.expectations[0], Expectation::Replaced { owner, ready: 1, .. } if *owner == reference);
        assert!(expected, "{draft:?}");
    }
}

#[test]
fn a_bare_pod_goes_for_good_and_only_by_force() {
    let (error, sentence) = refusal(
        bare_pod("p-1", true),
        &Parameters::default(),
        &Facts::default(),
    );
    assert!(matches!(error, PlanError::RefuseTarget(_)));
    assert_eq!(
        sentence,
        "Pod/web/shop-p-1 has no owner, so nothing would replace it: create it by a Deployment, or set \
         parameters.force to delete it for good"
    );
    let forced = Parameters {
        force: true,
        ..Parameters::default()
    };
    let draft = plan(bare_pod("p-1", true), &forced, &Facts::default()).expect("plans");
    assert_eq!(
        draft.expectations,
        [Expectation::Gone {
            object: pod(bare_pod("p-1", true)).reference
        }]
    );
    assert_eq!(draft.risk_factors.len(), 1);
    assert_eq!(draft.steps.len(), 1);
}

#[test]
fn an_owner_reference_that_does_not_control_is_no_owner() {
    let mut live = of_replica_set("p-1", true);
    live["metadata"]["ownerReferences"][0]["controller"] = false.into();
    let (_, sentence) = refusal(live, &Parameters::default(), &Facts::default());
    assert!(sentence.contains("has no owner"), "{sentence}");
}

#[test]
fn pods_that_a_deletion_does_not_restart_are_refused_even_by_force() {
    let forced = Parameters {
        force: true,
        ..Parameters::default()
    };
    let mut mirror = bare_pod("p-1", true);
    mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "abc"});
    let mut ended = of_replica_set("p-1", false);
    ended["status"]["phase"] = "Failed".into();
    let of_job = owned_pod("p-1", ("batch/v1", "Job", "import"), true);
    let of_other = owned_pod("p-1", ("example.org/v1", "Fleet", "blue"), true);
    for (live, part) in [
        (mirror, "is the image of a static pod"),
        (ended, "has ended (Failed), so there is nothing to restart"),
        (
            of_job,
            "belongs to Job \"import\", which would count its deletion as a failure",
        ),
        (
            of_other,
            "belongs to Fleet \"blue\", of which it is not known how it replaces pods",
        ),
    ] {
        let (_, sentence) = refusal(live, &forced, &Facts::default());
        assert!(sentence.contains(part), "{sentence}");
    }
}

#[test]
fn an_owner_that_would_not_replace_the_pod_is_refused() {
    let alone = vec![of_replica_set("p-1", true)];
    let two = vec![of_replica_set("p-1", true), of_replica_set("p-2", true)];
    let strangers = vec![of_replica_set("p-2", true)];
    for (world, part) in [
        (
            world(0, alone),
            "is to have 0 pods and has 1, so Pod/web/shop-p-1 would not be replaced",
        ),
        (world(1, two), "is to have 1 pods and has 2"),
        (
            world(2, strangers),
            "is not among the pods that ReplicaSet/web/shop-7d9c selects",
        ),
    ] {
        let (error, sentence) =
            refusal(of_replica_set("p-1", true), &Parameters::default(), &world);
        assert!(matches!(error, PlanError::UnmetDependency(_)), "{error:?}");
        assert!(sentence.contains(part), "{sentence}");
    }
}

#[test]
fn pods_that_ended_or_are_going_do_not_count() {
    let mut ended = of_replica_set("p-2", false);
    ended["status"]["phase"] = "Failed".into();
    let mut going = of_replica_set("p-3", true);
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    let pods = vec![of_replica_set("p-1", true), ended, going];
    assert_eq!(ready_after(1, pods.clone()), 1);
    assert_eq!(
        ready_after(2, pods),
        1,
        "a ready pod that is going serves no longer"
    );
}

#[test]
fn an_owner_that_is_gone_replaced_or_unread_is_refused() {
    let live = || of_replica_set("p-1", true);
    let absent = facts([(Need::object(&owner()), Fact::Absent)]);
    let (_, sentence) = refusal(live(), &Parameters::default(), &absent);
    assert_eq!(
        sentence,
        "ReplicaSet/web/shop-7d9c does not exist: create the execution again when it does"
    );

    let mut other = replica_set(1);
    other["metadata"]["uid"] = "o-2".into();
    let replaced = facts([(Need::object(&owner()), Fact::Object(other))]);
    let (_, sentence) = refusal(live(), &Parameters::default(), &replaced);
    assert!(
        sentence.contains("belongs to a ReplicaSet that is gone, and another one bears its name"),
        "{sentence}"
    );

    let (error, _) = refusal(live(), &Parameters::default(), &Facts::default());
    assert!(matches!(error, PlanError::UseFact(_)), "{error:?}");
}

#[test]
fn fields_of_the_owner_that_cannot_be_read_are_not_guessed_at() {
    let odd = json!({"metadata": {"uid": "o-1"}, "spec": {"replicas": -1, "selector": {"matchLabels": {"app": "shop"}}}});
    let world = facts([
        (Need::object(&owner()), Fact::Object(odd)),
        (
            Need::pods(Some("web"), "app=shop"),
            Fact::List(vec![of_replica_set("p-1", true)]),
        ),
    ]);
    let (_, sentence) = refusal(of_replica_set("p-1", true), &Parameters::default(), &world);
    assert_eq!(
        sentence,
        "failed to read spec.replicas of ReplicaSet/web/shop-7d9c"
    );
}

#[test]
fn a_grace_period_of_zero_needs_force_and_raises_the_risk() {
    let pods = || vec![of_replica_set("p-1", true), of_replica_set("p-2", true)];
    let at_once = |force| Parameters {
        force,
        grace_period_seconds: Some(0),
        ..Parameters::default()
    };
    let (error, sentence) = refusal(
        of_replica_set("p-1", true),
        &at_once(false),
        &world(2, pods()),
    );
    assert!(matches!(error, PlanError::InvalidParameter(_)));
    assert!(
        sentence.starts_with("spec.actionDefinition.parameters.gracePeriodSeconds is 0"),
        "{sentence}"
    );
    let draft = plan(
        of_replica_set("p-1", true),
        &at_once(true),
        &world(2, pods()),
    )
    .expect("plans");
    assert_eq!(draft.risk_factors.len(), 1);
}

#[test]
fn everything_asked_for_in_custom_config_is_noted_as_not_performed() {
    let notes_on = |pre_warm_replacement, monitoring_duration: Option<&str>| {
        let monitoring_duration = monitoring_duration.map(str::to_owned);
        not_performed(&CustomConfig {
            pre_warm_replacement,
            monitoring_duration,
        })
    };
    let notes = notes_on(true, Some("5m"));
    assert!(
        notes[0].starts_with("customConfig.preWarmReplacement is not performed"),
        "{notes:?}"
    );
    assert!(
        notes[1].starts_with("customConfig.monitoringDuration of 5m is not performed"),
        "{notes:?}"
    );
    assert_eq!(notes_on(false, None), [""; 0]);
}

#[test]
fn parameters_that_do_not_fit_are_refused_by_name() {
    let refusal = |given| {
        let refused = Planner::of::<RestartPod>().check(&parameters(given));
        refused
            .expect_err("is refused")
            .to_string()
            .replace("spec.actionDefinition.parameters", "")
    };
    for (given, sentence) in [
        (
            json!({"gracePeriodSeconds": 3601}),
            ".gracePeriodSeconds is 3601: write a number that is at most 3600",
        ),
        (
            json!({"gracePeriodSeconds": -1}),
            ".gracePeriodSeconds is -1: write a number that is at least 0",
        ),
        (
            json!({"customConfig": {"preWarm": true}}),
            ".customConfig.preWarm is not a parameter of restart_pod: did you mean \"preWarmReplacement\"?",
        ),
        (
            json!({"customConfig": {"monitoringDuration": "5 min"}}),
            ".customConfig.monitoringDuration is \"5 min\": write text of the form ^[0-9]+(s|m|h)$",
        ),
        (
            json!({"customConfig": null}),
            ".customConfig is null: write an object, or leave it out",
        ),
        (
            json!({"replicas": 1}),
            ".replicas is not a parameter of restart_pod: it takes customConfig, dryRun, expectedConditions, force, \
             gracePeriodSeconds",
        ),
    ] {
        assert_eq!(refusal(given), sentence);
    }
}

mod served;

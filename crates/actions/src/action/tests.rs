use kexec_api::uid_set::UidSet;
use serde_json::json;

use super::*;
use crate::facts::Fact;
use crate::fixtures::{bare_pod, deployment, facts, parameters, target};
use crate::metadata::TargetKind;
use crate::restart_pod::RestartPod;
use crate::scale_deployment::ScaleDeployment;

fn world() -> Facts {
    facts([(Need::pods(Some("web"), "app=shop"), Fact::List(Vec::new()))])
}

#[test]
fn every_error_has_its_reason() {
    let fact = |fact: Option<Fact>| {
        let need = Need::pods(None, "");
        let facts = facts(fact.map(|fact| (need.clone(), fact)));
        PlanError::UseFact(facts.require_list(&need).expect_err("is no list"))
    };
    let text = String::new;
    for (error, reason) in [
        (
            PlanError::InvalidParameter(text()),
            Reason::InvalidParameter,
        ),
        (PlanError::RefuseTarget(text()), Reason::InvalidTarget),
        (
            PlanError::TargetBeingDeleted(text()),
            Reason::TargetBeingDeleted,
        ),
        (PlanError::UnmetDependency(text()), Reason::CheckFailed),
        (PlanError::NotSupported(text()), Reason::NotSupported),
        (
            PlanError::ReadFact {
                what: "spec",
                object: text(),
            },
            Reason::InternalError,
        ),
        (fact(None), Reason::InternalError),
        (fact(Some(Fact::Absent)), Reason::CheckFailed),
        (fact(Some(Fact::NotServed)), Reason::ApiNotServed),
        (fact(Some(Fact::NotReadable(text()))), Reason::NotReadable),
    ] {
        assert_eq!(error.reason(), reason, "{error:?}");
    }
}

#[test]
fn no_action_plans_for_a_target_that_is_being_deleted() {
    let mut going = deployment(&json!(2));
    going.live["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    let planner = Planner::of::<ScaleDeployment>();
    let refused = planner
        .draft(&going, &parameters(json!({"replicas": 3})), &world())
        .expect("parameters fit");
    assert_eq!(
        refused.expect_err("is refused").to_string(),
        "Deployment/web/shop is being deleted: wait until it is gone and name what replaces it"
    );
}

#[test]
fn parameters_that_were_not_checked_are_an_error_and_no_panic() {
    let planner = Planner::of::<ScaleDeployment>();
    let unchecked = parameters(json!({"replicas": -1}));
    let refused = planner
        .draft(&deployment(&json!(2)), &unchecked, &world())
        .expect_err("is refused");
    assert!(
        refused
            .to_string()
            .starts_with("spec.actionDefinition.parameters cannot be read"),
        "{refused}"
    );
    assert!(
        planner
            .needs(&deployment(&json!(2)), &unchecked, &world())
            .is_err()
    );
}

#[test]
fn conditions_that_are_expected_of_a_target_that_stays_join_its_expectations() {
    let planner = Planner::of::<ScaleDeployment>();
    let given = parameters(
        json!({"replicas": 3, "expectedConditions": [{"type": "Available", "status": "True"}]}),
    );
    let common = planner.check(&given).expect("fits");
    let target = deployment(&json!(2));
    let draft = planner
        .draft(&target, &given, &world())
        .expect("parameters fit")
        .expect("plans");
    let content = planner.content(&target, &common, &draft);
    assert_eq!(
        content.expectations.last(),
        Some(&Expectation::Condition {
            object: target.reference,
            condition_type: "Available".into(),
            status: "True".into(),
            reason: None,
        })
    );
}

#[test]
fn conditions_that_are_expected_of_a_target_that_goes_are_refused_unless_proven_by_its_replacement()
{
    let pod = target(TargetKind::POD, bare_pod("p-1", true));
    let refusal = |expectations: Vec<Expectation>, condition_type: &str| {
        let steps = vec![Step::Delete {
            target: pod.reference.clone(),
            grace_period_seconds: None,
        }];
        let expected = json!({"type": condition_type, "status": "True"});
        let expected_conditions = vec![serde_json::from_value(expected).expect("is a condition")];
        let common = CommonParameters {
            expected_conditions,
            ..CommonParameters::default()
        };
        let draft = Draft {
            steps,
            expectations,
            ..Draft::default()
        };
        assert_eq!(
            Planner::of::<RestartPod>()
                .content(&pod, &common, &draft)
                .expectations,
            draft.expectations,
            "nothing is expected of a pod that is gone"
        );
        refuse_conditions_of_the_deleted(&pod, &common, &draft).map_err(|error| error.to_string())
    };
    let replaced = Expectation::Replaced {
        object: pod.reference.clone(),
        owner: pod.reference.clone(),
        selector: "app=shop".into(),
        known_pods: UidSet::default(),
        ready: 1,
        services: Vec::new(),
    };
    let asked = "spec.actionDefinition.parameters.expectedConditions asks for";
    assert_eq!(refusal(vec![replaced.clone()], "Ready"), Ok(()));
    assert_eq!(
        refusal(vec![replaced], "Initialized"),
        Err(format!(
            "{asked} Initialized=True of Pod/web/shop-p-1, which is deleted: write only Ready with status True, which \
             its replacement is proven to have"
        ))
    );
    assert_eq!(
        refusal(
            vec![Expectation::Gone {
                object: pod.reference.clone()
            }],
            "Ready"
        ),
        Err(format!(
            "{asked} Ready=True of Pod/web/shop-p-1, which is deleted: leave parameters.expectedConditions out"
        ))
    );
}

#[test]
fn a_right_that_several_steps_need_is_listed_once() {
    let step = Step::Delete {
        target: deployment(&json!(1)).reference,
        grace_period_seconds: None,
    };
    let rights = permissions(&[step.clone(), step]);
    assert_eq!(
        rights.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["delete deployments.apps in \"web\""]
    );
}

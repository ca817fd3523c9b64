//! `scale_deployment`: sets the replicas of a Deployment through its scale subresource (BR-EXEC-001, SP-11).

use kexec_api::execution::spec::{Category, RiskLevel};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::action::{Action, Draft, PlanError, Target};
use crate::facts::{Facts, Need};
use crate::metadata::{Metadata, Resources, Rule, TargetKind};
use crate::scaling;

pub(crate) struct ScaleDeployment;

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Parameters {
    /// Replicas the Deployment gets (SP-54).
    #[schemars(range(min = 0, max = scaling::MAX_REPLICAS))]
    replicas: u32,
}

impl Action for ScaleDeployment {
    type Parameters = Parameters;

    const METADATA: Metadata = Metadata {
        action_type: "scale_deployment",
        aliases: &[],
        version: "v1.2",
        description: "Sets the number of replicas of a Deployment.",
        category: Category::Core,
        risk: RiskLevel::Low,
        reversible: true,
        idempotent: true,
        targets: &[TargetKind::DEPLOYMENT],
        rules: &[Rule {
            group: "apps",
            resource: "deployments/scale",
            verb: "patch",
            reason: "sets spec.replicas, and nothing else of the Deployment",
        }],
        service_account: None,
        resources: Resources::DEFAULT,
    };

    fn needs(target: &Target, _: &Parameters, _: &Facts) -> Vec<Need> {
        scaling::needs(target)
    }

    fn plan(target: &Target, parameters: &Parameters, facts: &Facts) -> Result<Draft, PlanError> {
        scaling::draft(target, parameters.replicas, facts)
    }
}

#[cfg(test)]
mod tests {
    use kexec_api::plan::{Expectation, Step};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::action::RiskFactor;
    use crate::every_action::{Case, Cases};
    use crate::facts::Fact;
    use crate::fixtures::{Refusal, deployment, facts, run};

    impl Cases for ScaleDeployment {
        fn cases() -> Vec<Case> {
            let case = |special, before: u32, after: u32| {
                let parameters = json!({"replicas": after});
                Case::of::<Self>(
                    special,
                    deployment(&before.into()),
                    parameters,
                    world(Vec::new()),
                )
            };
            vec![case("", 2, 5), case("to zero", 3, 0)]
        }
    }

    fn world(pods: Vec<Value>) -> Facts {
        facts([(Need::pods(Some("web"), "app=shop"), Fact::List(pods))])
    }

    fn planned(before: u32, after: u32) -> Draft {
        let parameters = Parameters { replicas: after };
        ScaleDeployment::plan(&deployment(&before.into()), &parameters, &world(Vec::new()))
            .expect("plans")
    }

    #[test]
    fn the_scale_subresource_shows_no_zero() {
        assert_eq!(
            planned(0, 3).steps[0].diff(),
            ["spec.replicas: (unset) -> 3"]
        );
        assert_eq!(
            planned(3, 0).steps[0].diff(),
            ["spec.replicas: 3 -> (unset)"]
        );
        assert_eq!(
            planned(2, 5).summary,
            "scale Deployment/web/shop from 2 to 5 replicas"
        );
    }

    #[test]
    fn only_going_to_zero_raises_the_risk_by_a_level() {
        let factor = RiskFactor::one_level("scales to zero: nothing serves afterwards");
        assert_eq!(planned(3, 0).risk_factors, [factor]);
        assert_eq!(planned(0, 0).risk_factors, []);
        assert_eq!(planned(3, 1).risk_factors, []);
    }

    #[test]
    fn the_pods_that_crash_loop_already_are_not_blamed_on_the_action() {
        let waiting = json!({"state": {"waiting": {"reason": "CrashLoopBackOff"}}});
        let looping =
            json!({"metadata": {"uid": "p-1"}, "status": {"containerStatuses": [waiting]}});
        let pods = vec![looping, json!({"metadata": {"uid": "p-2"}})];
        let target = deployment(&2.into());
        let draft = ScaleDeployment::plan(&target, &Parameters { replicas: 5 }, &world(pods))
            .expect("plans");
        assert_eq!(
            draft.expectations,
            [Expectation::WorkloadReady {
                object: target.reference,
                selector: "app=shop".into(),
                replicas: 5,
                known_crash_loops: vec!["p-1".into()],
            }]
        );
    }

    #[test]
    fn unset_replicas_are_one() {
        let mut target = deployment(&json!(1));
        target.live["spec"]
            .as_object_mut()
            .expect("is an object")
            .remove("replicas");
        let draft = ScaleDeployment::plan(&target, &Parameters { replicas: 1 }, &world(Vec::new()))
            .expect("plans");
        assert_eq!(draft.steps, []);
    }

    #[test]
    fn what_cannot_be_read_is_not_guessed_at() {
        let plan =
            |live, facts: &Facts| ScaleDeployment::plan(&live, &Parameters { replicas: 1 }, facts);
        let odd = plan(deployment(&json!(-1)), &world(Vec::new())).expect_err("odd replicas");
        assert_eq!(
            odd.to_string(),
            "failed to read spec.replicas of Deployment/web/shop"
        );
        let mut no_selector = deployment(&json!(1));
        no_selector.live["spec"]["selector"] = json!({});
        let odd = plan(no_selector, &world(Vec::new())).expect_err("no selector");
        assert_eq!(
            odd.to_string(),
            "failed to read spec.selector of Deployment/web/shop"
        );
        let unread = plan(deployment(&json!(1)), &Facts::default()).expect_err("unread pods");
        assert!(matches!(unread, PlanError::UseFact(_)));
    }

    proptest! {
        #[test]
        fn a_plan_scales_its_inverse_scales_back_and_neither_runs_twice(before in 0_u32..6, after in 0_u32..6) {
            let draft = planned(before, after);
            let original = deployment(&before.into()).live;
            let mut object = Some(original.clone());
            for step in &draft.steps {
                prop_assert_eq!(run(step, &mut object), Ok(()));
                prop_assert!(matches!(run(step, &mut object), Err(Refusal::OtherValue(_))));
            }
            prop_assert_eq!(object.clone(), Some(deployment(&after.into()).live));
            prop_assert_eq!(planned(after, after).steps, vec![]);
            for step in draft.steps.iter().filter_map(Step::inverse) {
                prop_assert_eq!(run(&step, &mut object), Ok(()));
            }
            prop_assert_eq!(object, Some(original));
        }
    }
}

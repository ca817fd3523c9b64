//! `delete_pod`: deletes one pod, whatever becomes of it afterwards (BR-EXEC-002, SP-14). Whoever wants it replaced, and
//! that proven, asks for `restart_pod`.

use kexec_api::execution::spec::{Category, RiskLevel};
use kexec_api::plan::{Expectation, Step};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::action::{Action, Draft, PlanError, RiskFactor, Target};
use crate::facts::{Facts, Need};
use crate::metadata::{Metadata, Resources, Rule, TargetKind};
use crate::pod_owner::PodOwner;
use crate::pod_removal;

pub(crate) struct DeletePod;

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Parameters {
    /// Allows `gracePeriodSeconds: 0`; needs the verb `force` on the action type.
    force: bool,
    /// Seconds the pod's processes get to stop (SP-53); the pod's own value when left out. With 0 the pod is dropped
    /// while its processes may still run, which needs `force`.
    #[schemars(range(max = 3600))]
    grace_period_seconds: Option<u32>,
}

impl Action for DeletePod {
    type Parameters = Parameters;

    const METADATA: Metadata = Metadata {
        action_type: "delete_pod",
        aliases: &[],
        version: "v1.0",
        description: "Deletes a pod; whether something replaces it is not looked at.",
        category: Category::Core,
        risk: RiskLevel::Medium,
        reversible: false,
        idempotent: false,
        targets: &[TargetKind::POD],
        rules: &[Rule {
            group: "",
            resource: "pods",
            verb: "delete",
            reason: "deletes the one pod that is named, by its UID",
        }],
        service_account: None,
        resources: Resources::DEFAULT,
    };

    fn needs(_: &Target, _: &Parameters, _: &Facts) -> Vec<Need> {
        Vec::new()
    }

    fn plan(target: &Target, parameters: &Parameters, _: &Facts) -> Result<Draft, PlanError> {
        let pod = &target.reference;
        if pod_removal::is_mirror(&target.live) {
            return Err(PlanError::RefuseTarget(format!(
                "{pod} is the image of a static pod, which comes back when it is deleted: remove its manifest on the \
                 node"
            )));
        }
        pod_removal::refuse_dropping(parameters.grace_period_seconds, parameters.force)?;
        let unowned = (PodOwner::of(target) == PodOwner::None)
            .then(|| RiskFactor::one_level("the pod has no owner: nothing replaces it"));
        let dropping = pod_removal::dropping_risk(parameters.grace_period_seconds);
        Ok(Draft {
            steps: vec![Step::Delete {
                target: pod.clone(),
                grace_period_seconds: parameters.grace_period_seconds,
            }],
            expectations: vec![Expectation::Gone {
                object: pod.clone(),
            }],
            risk_factors: unowned.into_iter().chain(dropping).collect(),
            summary: format!("delete {pod}"),
            ..Draft::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::every_action::{Case, Cases};
    use crate::fixtures::{bare_pod, owned_pod, target};

    const REPLICA_SET: (&str, &str, &str) = ("apps/v1", "ReplicaSet", "shop-7d9c");

    impl Cases for DeletePod {
        fn cases() -> Vec<Case> {
            let pod = target(TargetKind::POD, owned_pod("p-1", REPLICA_SET, true));
            let parameters = json!({"gracePeriodSeconds": 30});
            vec![Case::of::<Self>("", pod, parameters, Facts::default())]
        }
    }

    fn planned(live: Value, parameters: &Parameters) -> Result<Draft, PlanError> {
        DeletePod::plan(
            &target(TargetKind::POD, live),
            parameters,
            &Facts::default(),
        )
    }

    #[test]
    fn any_pod_goes_and_the_proof_is_that_its_uid_is_gone() {
        for live in [
            bare_pod("p-1", false),
            owned_pod("p-1", REPLICA_SET, true),
            owned_pod("p-1", ("batch/v1", "Job", "report"), true),
        ] {
            let draft = planned(live, &Parameters::default()).expect("plans");
            let pod = draft.steps[0].target().clone();
            assert_eq!(draft.expectations, [Expectation::Gone { object: pod }]);
        }
    }

    #[test]
    fn a_pod_that_nothing_replaces_and_one_that_is_dropped_raise_the_risk() {
        let factors = |live, grace_period_seconds| {
            let parameters = Parameters {
                force: true,
                grace_period_seconds,
            };
            planned(live, &parameters)
                .expect("plans")
                .risk_factors
                .len()
        };
        assert_eq!(factors(owned_pod("p-1", REPLICA_SET, true), None), 0);
        assert_eq!(factors(bare_pod("p-1", true), None), 1);
        assert_eq!(factors(bare_pod("p-1", true), Some(0)), 2);
    }

    #[test]
    fn a_pod_is_not_dropped_without_force() {
        let parameters = Parameters {
            force: false,
            grace_period_seconds: Some(0),
        };
        let error = planned(bare_pod("p-1", true), &parameters).expect_err("is refused");
        assert_eq!(
            error.to_string(),
            "spec.actionDefinition.parameters.gracePeriodSeconds is 0, which drops the pod while its processes may \
             still run: write 1 or more, or set force as well"
        );
    }

    #[test]
    fn the_image_of_a_static_pod_is_refused() {
        let mut mirror = bare_pod("p-1", true);
        mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
        let error = planned(mirror, &Parameters::default()).expect_err("is refused");
        assert_eq!(
            error.to_string(),
            "Pod/web/shop-p-1 is the image of a static pod, which comes back when it is deleted: remove its manifest \
             on the node"
        );
    }
}

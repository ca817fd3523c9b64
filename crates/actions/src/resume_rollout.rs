//! `resume_rollout`: lets go on the rollouts of a Deployment (BR-EXEC-006).

use kexec_api::execution::spec::{Category, RiskLevel};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::action::{Action, Draft, PlanError, Target};
use crate::facts::{Facts, Need};
use crate::metadata::{Metadata, Resources, TargetKind};
use crate::pausing;

pub(crate) struct ResumeRollout;

/// None but the common ones.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Parameters {}

impl Action for ResumeRollout {
    type Parameters = Parameters;

    const METADATA: Metadata = Metadata {
        action_type: "resume_rollout",
        aliases: &[],
        version: "v1.2",
        description: "Lets a Deployment roll out changes of its pod template again.",
        category: Category::Core,
        risk: RiskLevel::Low,
        reversible: true,
        idempotent: true,
        targets: &[TargetKind::DEPLOYMENT],
        rules: &[pausing::rule(
            "removes spec.paused, and changes nothing else of the Deployment",
        )],
        service_account: None,
        resources: Resources::DEFAULT,
    };

    fn needs(_: &Target, _: &Parameters, _: &Facts) -> Vec<Need> {
        Vec::new()
    }

    fn plan(target: &Target, _: &Parameters, _: &Facts) -> Result<Draft, PlanError> {
        let summary = format!(
            "resume {}: changes of its template that were held back are rolled out now",
            target.reference
        );
        pausing::draft(target, false, summary)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::every_action::{Case, Cases};
    use crate::fixtures::workload;

    impl Cases for ResumeRollout {
        fn cases() -> Vec<Case> {
            let mut target = workload(TargetKind::DEPLOYMENT);
            target.live["spec"]["paused"] = true.into();
            vec![Case::of::<Self>("", target, json!({}), Facts::default())]
        }
    }

    #[test]
    fn a_deployment_that_is_so_already_is_left_alone_and_an_odd_one_is_refused() {
        let plan = |paused: Value| {
            let mut target = workload(TargetKind::DEPLOYMENT);
            target.live["spec"]["paused"] = paused;
            ResumeRollout::plan(&target, &Parameters {}, &Facts::default())
        };
        assert_eq!(plan(json!(false)).expect("plans").steps, []);
        let error = plan(json!("odd")).expect_err("is odd");
        assert_eq!(
            error.to_string(),
            "failed to read spec.paused of Deployment/web/shop"
        );
    }
}

//! `pause_rollout`: holds back the rollouts of a Deployment (BR-EXEC-006).

use kexec_api::execution::spec::{Category, RiskLevel};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::action::{Action, Draft, PlanError, Target};
use crate::facts::{Facts, Need};
use crate::metadata::{Metadata, Resources, TargetKind};
use crate::pausing;

pub(crate) struct PauseRollout;

/// None but the common ones.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Parameters {}

impl Action for PauseRollout {
    type Parameters = Parameters;

    const METADATA: Metadata = Metadata {
        action_type: "pause_rollout",
        aliases: &[],
        version: "v1.2",
        description: "Keeps a Deployment from rolling out changes of its pod template.",
        category: Category::Core,
        risk: RiskLevel::Low,
        reversible: true,
        idempotent: true,
        targets: &[TargetKind::DEPLOYMENT],
        rules: &[pausing::rule(
            "sets spec.paused, and nothing else of the Deployment",
        )],
        service_account: None,
        resources: Resources::DEFAULT,
    };

    fn needs(_: &Target, _: &Parameters, _: &Facts) -> Vec<Need> {
        Vec::new()
    }

    fn plan(target: &Target, _: &Parameters, _: &Facts) -> Result<Draft, PlanError> {
        let summary = format!(
            "pause {}: changes of its template are held back until it is resumed",
            target.reference
        );
        pausing::draft(target, true, summary)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::every_action::{Case, Cases};
    use crate::fixtures::workload;

    impl Cases for PauseRollout {
        fn cases() -> Vec<Case> {
            let target = workload(TargetKind::DEPLOYMENT);

            vec![Case::of::<Self>("", target, json!({}), Facts::default())]
        }
    }

    #[test]
    fn a_deployment_that_is_so_already_is_left_alone_and_an_odd_one_is_refused() {
        let plan = |paused: Value| {
            let mut target = workload(TargetKind::DEPLOYMENT);
            target.live["spec"]["paused"] = paused;
            PauseRollout::plan(&target, &Parameters {}, &Facts::default())
        };
        assert_eq!(plan(json!(true)).expect("plans").steps, []);
        let error = plan(json!("odd")).expect_err("is odd");
        assert_eq!(
            error.to_string(),
            "failed to read spec.paused of Deployment/web/shop"
        );
    }
}

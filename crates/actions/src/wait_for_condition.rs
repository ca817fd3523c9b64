//! `wait_for_condition`: waits until its target has the expected conditions (SP-34, SP-66). It writes nothing; what it
//! waits for is watched, not asked for again and again, until the execution's time-out.

use kexec_api::execution::spec::{Category, RiskLevel};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::action::{Action, Draft, PlanError, Target};
use crate::facts::{Facts, Need};
use crate::metadata::{Metadata, Resources, TargetKind};
use crate::parameters::ExpectedCondition;

pub(crate) struct WaitForCondition;

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Parameters {
    /// The conditions to wait for, all of which must hold at the same time; at least one.
    #[schemars(length(max = 32))]
    expected_conditions: Vec<ExpectedCondition>,
}

impl Action for WaitForCondition {
    type Parameters = Parameters;

    const METADATA: Metadata = Metadata {
        action_type: "wait_for_condition",
        aliases: &[],
        version: "v1.0",
        description: "Waits until the target has the expected conditions, and writes nothing.",
        category: Category::Core,
        risk: RiskLevel::Low,
        reversible: false,
        idempotent: true,
        targets: TargetKind::READABLE,
        rules: &[],
        service_account: None,
        resources: Resources::DEFAULT,
    };

    fn needs(_: &Target, _: &Parameters, _: &Facts) -> Vec<Need> {
        Vec::new()
    }

    /// The conditions themselves become expectations as those of every action do.
    fn plan(target: &Target, parameters: &Parameters, _: &Facts) -> Result<Draft, PlanError> {
        if parameters.expected_conditions.is_empty() {
            return Err(PlanError::invalid_parameter(
                "parameters.expectedConditions",
                "names no condition to wait for: write at least one, such as type: Ready, status: \"True\"",
            ));
        }
        let conditions: Vec<String> = parameters
            .expected_conditions
            .iter()
            .map(|one| format!("{}={}", one.condition_type, one.status))
            .collect();
        Ok(Draft {
            summary: format!(
                "wait until {} has {}",
                target.reference,
                conditions.join(", ")
            ),
            ..Draft::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::every_action::{Case, Cases};
    use crate::fixtures::node;

    impl Cases for WaitForCondition {
        fn cases() -> Vec<Case> {
            let given = json!({"expectedConditions": [{"type": "Ready", "status": "True"}]});
            vec![Case::of::<Self>(
                "",
                node(&json!({})),
                given,
                Facts::default(),
            )]
        }
    }

    #[test]
    fn there_must_be_a_condition_to_wait_for() {
        let target = node(&json!({}));
        let error = WaitForCondition::plan(&target, &Parameters::default(), &Facts::default());
        assert_eq!(
            error.expect_err("is refused").to_string(),
            "spec.actionDefinition.parameters.expectedConditions names no condition to wait for: write at least one, \
             such as type: Ready, status: \"True\""
        );
    }

    #[test]
    fn all_conditions_are_told() {
        let condition = |kind: &str| ExpectedCondition {
            condition_type: kind.into(),
            status: "True".into(),
            reason: None,
        };
        let parameters = Parameters {
            expected_conditions: vec![condition("Ready"), condition("Fit")],
        };
        let target = node(&json!({}));
        let draft = WaitForCondition::plan(&target, &parameters, &Facts::default());
        assert_eq!(
            draft.expect("plans").summary,
            "wait until Node/worker-1 has Ready=True, Fit=True"
        );
    }
}

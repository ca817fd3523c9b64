//! `notify_only`: tells a message by the execution's own event and step result, and does nothing to its target, which the
//! message is about (ADR-002).

use kexec_api::execution::spec::{Category, RiskLevel};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::action::{Action, Draft, PlanError, Target};
use crate::facts::{Facts, Need};
use crate::metadata::{Metadata, Resources, TargetKind};
use crate::validate_resource::exists;

pub(crate) struct NotifyOnly;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Parameters {
    /// What to tell: it becomes the plan's summary and the note of the event that the execution has started.
    #[schemars(length(min = 1, max = 512))]
    message: String,
}

impl Action for NotifyOnly {
    type Parameters = Parameters;

    const METADATA: Metadata = Metadata {
        action_type: "notify_only",
        aliases: &[],
        version: "v1.0",
        description: "Tells a message about the target by an event, and does nothing to it.",
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

    fn plan(target: &Target, parameters: &Parameters, _: &Facts) -> Result<Draft, PlanError> {
        Ok(Draft {
            summary: format!("{}: {}", target.reference, parameters.message),
            expectations: vec![exists(&target.reference)],
            ..Draft::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::action::Planner;
    use crate::every_action::{Case, Cases};
    use crate::fixtures::{node, parameters};

    impl Cases for NotifyOnly {
        fn cases() -> Vec<Case> {
            let given = json!({"message": "look at its disk"});
            vec![Case::of::<Self>(
                "",
                node(&json!({})),
                given,
                Facts::default(),
            )]
        }
    }

    #[test]
    fn the_message_and_what_it_is_about_are_the_summary() {
        let parameters = Parameters {
            message: "look at its disk".into(),
        };
        let draft = NotifyOnly::plan(&node(&json!({})), &parameters, &Facts::default());
        let draft = draft.expect("plans");
        assert_eq!(
            (draft.summary.as_str(), draft.steps.len()),
            ("Node/worker-1: look at its disk", 0)
        );
    }

    #[test]
    fn there_must_be_a_message() {
        let planner = Planner::of::<NotifyOnly>();
        let sentence = |given| {
            let error = planner.check(&parameters(given));
            error.expect_err("does not fit").to_string()
        };
        assert_eq!(
            sentence(json!({})),
            "spec.actionDefinition.parameters.message is missing: write text"
        );
        assert_eq!(
            sentence(json!({"message": ""})),
            "spec.actionDefinition.parameters.message is \"\": write at least 1 character"
        );
    }
}

//! `uncordon_node`: lets new pods onto a node again (BR-EXEC-003, SP-22).

use kexec_api::execution::spec::{Category, RiskLevel};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::action::{Action, Draft, PlanError, Target};
use crate::facts::{Facts, Need};
use crate::metadata::{Metadata, Resources, TargetKind};
use crate::schedulability::{self, Schedulability};

pub(crate) struct UncordonNode;

/// None but the common ones.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Parameters {}

impl Action for UncordonNode {
    type Parameters = Parameters;

    const METADATA: Metadata = Metadata {
        action_type: "uncordon_node",
        aliases: &[],
        version: "v1.2",
        description: "Marks a node schedulable again: new pods may be placed on it.",
        category: Category::Core,
        risk: RiskLevel::Low,
        reversible: true,
        idempotent: true,
        targets: &[TargetKind::NODE],
        rules: &[schedulability::rule(
            "removes spec.unschedulable, and changes nothing else of the node",
        )],
        service_account: None,
        resources: Resources::DEFAULT,
    };

    fn needs(_: &Target, _: &Parameters, _: &Facts) -> Vec<Need> {
        Vec::new()
    }

    fn plan(target: &Target, _: &Parameters, _: &Facts) -> Result<Draft, PlanError> {
        let mut draft = schedulability::draft(target, Schedulability::Schedulable)?;
        draft.summary = format!(
            "uncordon {}: new pods may be placed on it",
            target.reference
        );
        Ok(draft)
    }
}

#[cfg(test)]
mod tests {
    use kexec_api::plan::{Expectation, FieldValue};
    use serde_json::{Value, json};

    use super::*;
    use crate::every_action::{Case, Cases};
    use crate::fixtures::node;

    impl Cases for UncordonNode {
        fn cases() -> Vec<Case> {
            let cordoned = node(&json!({"unschedulable": true}));
            vec![Case::of::<Self>("", cordoned, json!({}), Facts::default())]
        }
    }

    fn planned(spec: &Value) -> Draft {
        UncordonNode::plan(&node(spec), &Parameters {}, &Facts::default()).expect("plans")
    }

    #[test]
    fn the_field_is_removed_since_the_api_never_shows_a_false() {
        let draft = planned(&json!({"unschedulable": true}));
        assert_eq!(
            draft.steps[0].diff(),
            ["spec.unschedulable: true -> (unset)"]
        );
        assert_eq!(
            draft.expectations,
            [Expectation::Fields {
                object: node(&json!({})).reference,
                fields: vec![FieldValue {
                    path: "/spec/unschedulable".into(),
                    value: None
                }],
            }]
        );
    }

    #[test]
    fn a_schedulable_node_is_left_alone() {
        assert_eq!(planned(&json!({})).steps, []);
        assert_eq!(planned(&json!({"unschedulable": false})).steps, []);
    }
}

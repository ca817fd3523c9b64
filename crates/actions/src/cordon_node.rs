//! `cordon_node`: keeps new pods off a node (BR-EXEC-003, SP-21). Pods that run on it stay.

use kexec_api::execution::spec::{Category, RiskLevel};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::action::{Action, Draft, PlanError, RiskFactor, Target};
use crate::facts::{Facts, Need};
use crate::metadata::{Metadata, Resources, TargetKind};
use crate::schedulability::{self, Schedulability};

pub(crate) struct CordonNode;

/// None but the common ones.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Parameters {}

impl Action for CordonNode {
    type Parameters = Parameters;

    const METADATA: Metadata = Metadata {
        action_type: "cordon_node",
        aliases: &[],
        version: "v1.2",
        description: "Marks a node unschedulable: no new pods are placed on it, those on it stay.",
        category: Category::Core,
        risk: RiskLevel::Medium,
        reversible: true,
        idempotent: true,
        targets: &[TargetKind::NODE],
        rules: &[schedulability::rule(
            "sets spec.unschedulable, and nothing else of the node",
        )],
        service_account: None,
        resources: Resources::DEFAULT,
    };

    fn needs(_: &Target, _: &Parameters, _: &Facts) -> Vec<Need> {
        vec![schedulability::all_nodes()]
    }

    fn plan(target: &Target, _: &Parameters, facts: &Facts) -> Result<Draft, PlanError> {
        let nodes = facts
            .require_list(&schedulability::all_nodes())
            .map_err(PlanError::UseFact)?;
        let mut draft = schedulability::draft(target, Schedulability::Cordoned)?;
        draft.summary = format!("cordon {}: no new pods are placed on it", target.reference);
        if !draft.steps.is_empty() && schedulability::is_last(nodes, &target.reference.uid) {
            let text = "no other node takes pods: none can be placed until one does";
            draft.risk_factors.push(RiskFactor::one_level(text));
        }
        Ok(draft)
    }
}

#[cfg(test)]
mod tests {
    use kexec_api::plan::{Expectation, FieldChange, FieldValue, Step};
    use serde_json::{Value, json};

    use super::*;
    use crate::every_action::{Case, Cases};
    use crate::facts::Fact;
    use crate::fixtures::{facts, node, ready_node};
    use crate::schedulability::all_nodes;

    impl Cases for CordonNode {
        fn cases() -> Vec<Case> {
            let nodes = Fact::List(vec![ready_node("n-1"), ready_node("n-2")]);
            let world = facts([(all_nodes(), nodes)]);
            vec![Case::of::<Self>("", node(&json!({})), json!({}), world)]
        }
    }

    fn planned(spec: &Value, nodes: Vec<Value>) -> Result<Draft, PlanError> {
        CordonNode::plan(
            &node(spec),
            &Parameters {},
            &facts([(all_nodes(), Fact::List(nodes))]),
        )
    }

    #[test]
    fn a_schedulable_node_gets_the_field_and_a_cordoned_one_is_left_alone() {
        let draft = planned(&json!({}), vec![ready_node("n-1"), ready_node("n-2")]).expect("plans");
        assert_eq!(
            draft.steps,
            [Step::Patch {
                target: node(&json!({})).reference,
                subresource: None,
                changes: vec![FieldChange {
                    path: "/spec/unschedulable".into(),
                    before: None,
                    after: Some(true.into()),
                }],
            }]
        );
        assert_eq!(
            draft.expectations,
            [Expectation::Fields {
                object: node(&json!({})).reference,
                fields: vec![FieldValue {
                    path: "/spec/unschedulable".into(),
                    value: Some(true.into())
                }],
            }]
        );
        assert_eq!(draft.risk_factors, []);

        let again = planned(&json!({"unschedulable": true}), vec![]).expect("plans");
        assert_eq!((again.steps, again.risk_factors), (vec![], vec![]));
        assert_eq!(again.expectations, draft.expectations);
    }

    #[test]
    fn an_explicit_false_is_the_old_value_that_the_patch_tests() {
        let draft = planned(&json!({"unschedulable": false}), vec![]).expect("plans");
        assert_eq!(draft.steps[0].diff(), ["spec.unschedulable: false -> true"]);
    }

    #[test]
    fn the_last_node_that_takes_pods_raises_the_risk_by_a_level() {
        let mut tainted = ready_node("n-2");
        tainted["spec"]["taints"] =
            json!([{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]);
        let draft = planned(&json!({}), vec![ready_node("n-1"), tainted]).expect("plans");
        assert_eq!(
            draft.risk_factors,
            [RiskFactor::one_level(
                "no other node takes pods: none can be placed until one does"
            )]
        );
    }

    #[test]
    fn unread_nodes_are_not_taken_for_no_nodes() {
        let unread = CordonNode::plan(&node(&json!({})), &Parameters {}, &Facts::default());
        assert!(matches!(unread, Err(PlanError::UseFact(_))), "{unread:?}");
    }

    #[test]
    fn a_field_that_is_no_boolean_is_not_guessed_at() {
        let odd = planned(&json!({"unschedulable": "yes"}), vec![]).expect_err("cannot be read");
        assert_eq!(
            odd.to_string(),
            "failed to read spec.unschedulable of Node/worker-1"
        );
    }
}

//! `taint_node`: gives a node one taint, which keeps pods off that do not tolerate it (BR-K8S-003). With `NoExecute` those
//! that run on it go too.

use kexec_api::execution::spec::{Category, RiskLevel};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::action::{Action, Draft, PlanError, RiskFactor, Target};
use crate::facts::{Facts, Need};
use crate::metadata::{Metadata, Resources, TargetKind};
use crate::taints::{self, Effect, TaintName};

pub(crate) struct TaintNode;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Parameters {
    /// Key of the taint. One that begins with `node.kubernetes.io/` is refused: Kubernetes sets these itself.
    #[schemars(length(min = 1, max = 317))]
    key: String,
    /// Value of the taint; none when left out. Of a taint with the same key and effect the value is replaced.
    #[serde(default)]
    #[schemars(length(max = 63))]
    value: String,
    /// What becomes of pods that do not tolerate it: not placed here, placed here last, or not placed and those here
    /// evicted without regard to disruption budgets.
    effect: Effect,
}

impl Action for TaintNode {
    type Parameters = Parameters;

    const METADATA: Metadata = Metadata {
        action_type: "taint_node",
        aliases: &[],
        version: "v1.0",
        description: "Gives a node one taint; its other taints stay as they are.",
        category: Category::Core,
        risk: RiskLevel::High,
        reversible: true,
        idempotent: true,
        targets: &[TargetKind::NODE],
        rules: &[taints::rule(
            "sets one entry of spec.taints, and nothing else of the node",
        )],
        service_account: None,
        resources: Resources::DEFAULT,
    };

    fn needs(_: &Target, _: &Parameters, _: &Facts) -> Vec<Need> {
        Vec::new()
    }

    fn plan(target: &Target, parameters: &Parameters, _: &Facts) -> Result<Draft, PlanError> {
        let name = TaintName {
            key: &parameters.key,
            effect: parameters.effect,
        };
        let mut draft = taints::draft(target, name, Some(&parameters.value))?;
        draft.summary = format!(
            "taint {} with {}={}:{}",
            target.reference,
            parameters.key,
            parameters.value,
            parameters.effect.as_str()
        );
        if parameters.effect == Effect::NoExecute && !draft.steps.is_empty() {
            let text = "NoExecute ends the pods on the node that do not tolerate it, whatever their budgets say";
            draft.risk_factors.push(RiskFactor::one_level(text));
        }
        Ok(draft)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::action::Planner;
    use crate::every_action::{Case, Cases};
    use crate::fixtures::{node, parameters};

    impl Cases for TaintNode {
        fn cases() -> Vec<Case> {
            let given = json!({"key": "disk", "value": "slow", "effect": "NoSchedule"});
            let others = json!({"taints": [
                {"key": "disk", "value": "old", "effect": "NoSchedule"},
                {"key": "gpu", "effect": "NoSchedule"},
            ]});
            vec![
                Case::of::<Self>("", node(&json!({})), given.clone(), Facts::default()),
                Case::of::<Self>("other_value", node(&others), given, Facts::default()),
            ]
        }
    }

    fn planned(spec: &Value, key: &str, effect: Effect) -> Result<Draft, PlanError> {
        let parameters = Parameters {
            key: key.into(),
            value: String::new(),
            effect,
        };
        TaintNode::plan(&node(spec), &parameters, &Facts::default())
    }

    #[test]
    fn the_taint_comes_to_the_others_and_replaces_only_its_own_kind() {
        let other = json!({"taints": [{"key": "disk", "effect": "NoExecute"}]});
        let draft = planned(&other, "disk", Effect::NoSchedule).expect("plans");
        assert_eq!(
            draft.steps[0].diff(),
            [
                "spec.taints: [{\"effect\":\"NoExecute\",\"key\":\"disk\"}] -> \
                 [{\"effect\":\"NoExecute\",\"key\":\"disk\"},{\"effect\":\"NoSchedule\",\"key\":\"disk\"}]"
            ]
        );
    }

    #[test]
    fn a_taint_that_is_there_is_left_alone_with_all_that_belongs_to_it() {
        let there = json!({"taints": [{"key": "disk", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"}]});
        let draft = planned(&there, "disk", Effect::NoExecute).expect("plans");
        assert_eq!((draft.steps, draft.risk_factors), (vec![], vec![]));
    }

    #[test]
    fn no_execute_raises_the_risk_by_a_level() {
        let factors = |effect| {
            planned(&json!({}), "disk", effect)
                .expect("plans")
                .risk_factors
                .len()
        };
        assert_eq!(factors(Effect::NoExecute), 1);
        assert_eq!(factors(Effect::NoSchedule), 0);
        assert_eq!(factors(Effect::PreferNoSchedule), 0);
    }

    #[test]
    fn a_taint_of_kubernetes_itself_is_refused() {
        let error = planned(
            &json!({}),
            "node.kubernetes.io/unschedulable",
            Effect::NoSchedule,
        )
        .expect_err("is refused");
        assert_eq!(
            error.to_string(),
            "spec.actionDefinition.parameters.key is \"node.kubernetes.io/unschedulable\", which Kubernetes sets and \
             removes itself by the state of the node: use cordon_node or uncordon_node, or write a key of your own"
        );
    }

    #[test]
    fn taints_that_are_no_list_are_not_guessed_at() {
        let error = planned(&json!({"taints": "x"}), "disk", Effect::NoSchedule).expect_err("odd");
        assert_eq!(
            error.to_string(),
            "failed to read spec.taints of Node/worker-1"
        );
    }

    #[test]
    fn each_bad_parameter_has_its_own_sentence() {
        let planner = Planner::of::<TaintNode>();
        let cases = [
            (
                json!({"effect": "NoSchedule"}),
                "spec.actionDefinition.parameters.key is missing: write text",
            ),
            (
                json!({"key": "disk"}),
                "spec.actionDefinition.parameters.effect is missing: write text",
            ),
            (
                json!({"key": "disk", "effect": "Never"}),
                "spec.actionDefinition.parameters.effect is \"Never\": write one of \"NoSchedule\", \
                 \"PreferNoSchedule\", \"NoExecute\"",
            ),
            (
                json!({"key": "", "effect": "NoSchedule"}),
                "spec.actionDefinition.parameters.key is \"\": write at least 1 character",
            ),
        ];
        for (given, sentence) in cases {
            let error = planner.check(&parameters(given)).expect_err("does not fit");
            assert_eq!(error.to_string(), sentence);
        }
    }
}

//! `untaint_node`: removes one taint of a node, by its key and effect (BR-K8S-003).

use kexec_api::execution::spec::{Category, RiskLevel};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::action::{Action, Draft, PlanError, Target};
use crate::facts::{Facts, Need};
use crate::metadata::{Metadata, Resources, TargetKind};
use crate::taints::{self, Effect, TaintName};

pub(crate) struct UntaintNode;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Parameters {
    /// Key of the taint. One that begins with `node.kubernetes.io/` is refused: Kubernetes removes these itself.
    #[schemars(length(min = 1, max = 317))]
    key: String,
    /// Effect of the taint.
    effect: Effect,
}

impl Action for UntaintNode {
    type Parameters = Parameters;

    const METADATA: Metadata = Metadata {
        action_type: "untaint_node",
        aliases: &[],
        version: "v1.0",
        description: "Removes one taint of a node; its other taints stay as they are.",
        category: Category::Core,
        risk: RiskLevel::High,
        reversible: true,
        idempotent: true,
        targets: &[TargetKind::NODE],
        rules: &[taints::rule(
            "removes one entry of spec.taints, and changes nothing else of the node",
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
        let mut draft = taints::draft(target, name, None)?;
        draft.summary = format!(
            "remove the taint {}:{} from {}",
            parameters.key,
            parameters.effect.as_str(),
            target.reference
        );
        Ok(draft)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::every_action::{Case, Cases};
    use crate::fixtures::node;

    impl Cases for UntaintNode {
        fn cases() -> Vec<Case> {
            let disk = json!({"key": "disk", "value": "slow", "effect": "NoSchedule"});
            let gpu = json!({"key": "gpu", "effect": "NoSchedule"});
            let given = json!({"key": "disk", "effect": "NoSchedule"});
            let one = node(&json!({"taints": [disk]}));
            let two = node(&json!({"taints": [disk, gpu]}));
            vec![
                Case::of::<Self>("", one, given.clone(), Facts::default()),
                Case::of::<Self>("of_two", two, given, Facts::default()),
            ]
        }
    }

    fn planned(spec: &Value, effect: Effect) -> Draft {
        let parameters = Parameters {
            key: "disk".into(),
            effect,
        };
        UntaintNode::plan(&node(spec), &parameters, &Facts::default()).expect("plans")
    }

    #[test]
    fn the_last_taint_takes_the_list_with_it_since_the_api_shows_no_empty_one() {
        let spec = json!({"taints": [{"key": "disk", "effect": "NoSchedule"}]});
        assert_eq!(
            planned(&spec, Effect::NoSchedule).steps[0].diff(),
            ["spec.taints: [{\"effect\":\"NoSchedule\",\"key\":\"disk\"}] -> (unset)"]
        );
    }

    #[test]
    fn a_taint_of_another_effect_is_another_taint() {
        let spec = json!({"taints": [{"key": "disk", "effect": "NoSchedule"}]});
        assert_eq!(planned(&spec, Effect::NoExecute).steps, []);
        assert_eq!(planned(&json!({}), Effect::NoSchedule).steps, []);
    }
}

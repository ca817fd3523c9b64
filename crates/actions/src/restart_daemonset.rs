//! `restart_daemonset`: replaces all pods of a DaemonSet by new ones (BR-EXEC-002).

use kexec_api::execution::spec::{Category, RiskLevel};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::action::{Action, Draft, PlanError, Target};
use crate::facts::{Facts, Need};
use crate::metadata::{Metadata, Resources, Rule, TargetKind};
use crate::{pod_template, restart};

pub(crate) struct RestartDaemonSet;

/// None but the common ones.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Parameters {}

impl Action for RestartDaemonSet {
    type Parameters = Parameters;

    const METADATA: Metadata = Metadata {
        action_type: "restart_daemonset",
        aliases: &[],
        version: "v1.2",
        description: "Replaces all pods of a DaemonSet node by node.",
        category: Category::Core,
        risk: RiskLevel::Medium,
        reversible: true,
        idempotent: false,
        targets: &[TargetKind::DAEMON_SET],
        rules: &[Rule {
            group: "apps",
            resource: "daemonsets",
            verb: "patch",
            reason: "sets the annotation restartedAt of the pod template, and nothing else of the DaemonSet",
        }],
        service_account: None,
        resources: Resources::DEFAULT,
    };

    fn needs(target: &Target, _: &Parameters, _: &Facts) -> Vec<Need> {
        pod_template::needs(target)
    }

    fn plan(target: &Target, _: &Parameters, facts: &Facts) -> Result<Draft, PlanError> {
        restart::draft(target, facts)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::every_action::{Case, Cases};
    use crate::fixtures::{workload, workload_facts};

    impl Cases for RestartDaemonSet {
        fn cases() -> Vec<Case> {
            let target = workload(TargetKind::DAEMON_SET);
            let facts = workload_facts(Vec::new());
            vec![Case::of::<Self>("", target, json!({}), facts)]
        }
    }
}

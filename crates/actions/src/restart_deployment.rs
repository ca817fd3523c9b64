//! `restart_deployment`: replaces all pods of a Deployment by new ones (BR-EXEC-002, ADR-002).

use kexec_api::execution::spec::{Category, RiskLevel};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::action::{Action, Draft, PlanError, Target};
use crate::facts::{Facts, Need};
use crate::metadata::{Metadata, Resources, Rule, TargetKind};
use crate::{pod_template, restart};

pub(crate) struct RestartDeployment;

/// None but the common ones.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Parameters {}

impl Action for RestartDeployment {
    type Parameters = Parameters;

    const METADATA: Metadata = Metadata {
        action_type: "restart_deployment",
        aliases: &["rollout_restart"],
        version: "v1.2",
        description: "Replaces all pods of a Deployment by a new ReplicaSet.",
        category: Category::Core,
        risk: RiskLevel::Medium,
        reversible: true,
        idempotent: false,
        targets: &[TargetKind::DEPLOYMENT],
        rules: &[Rule {
            group: "apps",
            resource: "deployments",
            verb: "patch",
            reason: "sets the annotation restartedAt of the pod template, and nothing else of the Deployment",
        }],
        service_account: Some("deployment-restarter"),
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
    use crate::fixtures::{workload, workload_facts, workload_pod};

    impl Cases for RestartDeployment {
        fn cases() -> Vec<Case> {
            let target = workload(TargetKind::DEPLOYMENT);
            let facts = workload_facts(vec![workload_pod("p-1"), workload_pod("p-2")]);
            vec![Case::of::<Self>("", target, json!({}), facts)]
        }
    }
}

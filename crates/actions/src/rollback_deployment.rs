//! `rollback_deployment`: brings back the pod template of an earlier revision of a Deployment (BR-EXEC-006, SP-15, SP-67).

use kexec_api::execution::spec::{Category, RiskLevel};

use crate::action::{Action, Draft, PlanError, Target};
use crate::facts::{Facts, Need};
use crate::metadata::{Metadata, Resources, Rule, TargetKind};
use crate::revisions::{self, Parameters};

pub(crate) struct RollbackDeployment;

impl Action for RollbackDeployment {
    type Parameters = Parameters;

    const METADATA: Metadata = Metadata {
        action_type: "rollback_deployment",
        aliases: &[],
        version: "v1.2",
        description: "Brings back the pod template of an earlier revision of a Deployment, kept in a ReplicaSet.",
        category: Category::Core,
        risk: RiskLevel::Medium,
        reversible: true,
        idempotent: false,
        targets: &[TargetKind::DEPLOYMENT],
        rules: &[Rule {
            group: "apps",
            resource: "deployments",
            verb: "patch",
            reason: "sets the fields of the pod template that differ from the revision, and nothing else",
        }],
        service_account: None,
        resources: Resources::DEFAULT,
    };

    fn needs(target: &Target, _: &Parameters, _: &Facts) -> Vec<Need> {
        revisions::needs(target)
    }

    fn plan(target: &Target, parameters: &Parameters, facts: &Facts) -> Result<Draft, PlanError> {
        revisions::draft(target, parameters, facts)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::every_action::{Case, Cases};
    use crate::fixtures::{replica_set, with_revisions, workload};

    impl Cases for RollbackDeployment {
        fn cases() -> Vec<Case> {
            let target = workload(TargetKind::DEPLOYMENT);
            let kept = vec![replica_set(2, "shop:0.9"), replica_set(3, "shop:1")];
            let facts = with_revisions(&target, kept, Vec::new());
            vec![Case::of::<Self>("", target, json!({}), facts)]
        }
    }
}

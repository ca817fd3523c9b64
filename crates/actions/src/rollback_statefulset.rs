//! `rollback_statefulset`: brings back the pod template of an earlier revision of a StatefulSet (BR-EXEC-006, SP-67).

use kexec_api::execution::spec::{Category, RiskLevel};

use crate::action::{Action, Draft, PlanError, Target};
use crate::facts::{Facts, Need};
use crate::metadata::{Metadata, Resources, Rule, TargetKind};
use crate::revisions::{self, Parameters};

pub(crate) struct RollbackStatefulSet;

impl Action for RollbackStatefulSet {
    type Parameters = Parameters;

    const METADATA: Metadata = Metadata {
        action_type: "rollback_statefulset",
        aliases: &[],
        version: "v1.2",
        description: "Brings back the pod template of an earlier revision of a StatefulSet, kept in a ControllerRevision.",
        category: Category::Core,
        risk: RiskLevel::Medium,
        reversible: true,
        idempotent: false,
        targets: &[TargetKind::STATEFUL_SET],
        rules: &[Rule {
            group: "apps",
            resource: "statefulsets",
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
    use crate::fixtures::{controller_revision, with_revisions, workload};

    impl Cases for RollbackStatefulSet {
        fn cases() -> Vec<Case> {
            let target = workload(TargetKind::STATEFUL_SET);
            let kept = vec![
                controller_revision(&target, 2, "shop:0.9"),
                controller_revision(&target, 3, "shop:1"),
            ];
            let facts = with_revisions(&target, kept, Vec::new());
            vec![Case::of::<Self>("", target, json!({}), facts)]
        }
    }
}

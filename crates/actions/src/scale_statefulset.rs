//! `scale_statefulset`: sets the replicas of a StatefulSet through its scale subresource (BR-EXEC-001, SP-28). Its pods come
//! and go in order; what becomes of their volumes and what an autoscaler makes of the new number is told as risk.

use kexec_api::execution::spec::{Category, RiskLevel};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::action::{Action, Draft, PlanError, RiskFactor, Target};
use crate::facts::{Facts, Need};
use crate::metadata::{Metadata, Resources, Rule, TargetKind};
use crate::{rollout, scaling};

pub(crate) struct ScaleStatefulSet;

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Parameters {
    /// Replicas the StatefulSet gets (SP-54).
    #[schemars(range(min = 0, max = scaling::MAX_REPLICAS))]
    replicas: u32,
}

impl Action for ScaleStatefulSet {
    type Parameters = Parameters;

    const METADATA: Metadata = Metadata {
        action_type: "scale_statefulset",
        aliases: &[],
        version: "v1.2",
        description: "Sets the number of replicas of a StatefulSet.",
        category: Category::Core,
        risk: RiskLevel::Medium,
        reversible: true,
        idempotent: true,
        targets: &[TargetKind::STATEFUL_SET],
        rules: &[Rule {
            group: "apps",
            resource: "statefulsets/scale",
            verb: "patch",
            reason: "sets spec.replicas, and nothing else of the StatefulSet",
        }],
        service_account: None,
        resources: Resources::DEFAULT,
    };

    fn needs(target: &Target, _: &Parameters, _: &Facts) -> Vec<Need> {
        let mut needs = scaling::needs(target);
        needs.push(autoscalers(target));
        needs
    }

    fn plan(target: &Target, parameters: &Parameters, facts: &Facts) -> Result<Draft, PlanError> {
        let mut draft = scaling::draft(target, parameters.replicas, facts)?;
        let autoscalers = facts
            .require_list(&autoscalers(target))
            .map_err(PlanError::UseFact)?;
        if !draft.steps.is_empty() {
            let before = rollout::replicas(&target.live, &target.reference)?;
            let volumes = volumes_lost(target, before, parameters.replicas);
            let texts = volumes.into_iter().chain(undone_by(target, autoscalers));
            draft.risk_factors.extend(texts.map(RiskFactor::one_level));
        }
        Ok(draft)
    }
}

/// The need for all autoscalers of the namespace.
fn autoscalers(target: &Target) -> Need {
    Need::all(
        TargetKind::HORIZONTAL_POD_AUTOSCALER.to_kind(),
        target.reference.namespace.as_deref(),
    )
}

/// Whether the volumes of the pods that go are deleted with them: no rollback brings them back.
fn volumes_lost(target: &Target, before: u32, after: u32) -> Option<String> {
    let policy = "/spec/persistentVolumeClaimRetentionPolicy/whenScaled";
    let deletes = target
        .live
        .pointer(policy)
        .is_some_and(|policy| policy == "Delete");
    (deletes && after < before).then(|| {
        "the volumes of the pods that go are deleted for good: \
         persistentVolumeClaimRetentionPolicy.whenScaled is Delete"
            .to_owned()
    })
}

/// The autoscalers of the workload, each of which will set the number it finds right.
fn undone_by(target: &Target, autoscalers: &[Value]) -> Vec<String> {
    let scales = |autoscaler: &&Value| {
        let scaled = |key: &str| {
            let reference = autoscaler.pointer("/spec/scaleTargetRef");
            reference
                .and_then(|reference| reference.get(key))
                .and_then(Value::as_str)
        };
        scaled("kind") == Some(&target.reference.kind)
            && scaled("name") == Some(&target.reference.name)
    };
    let text = |autoscaler: &Value| {
        let name = autoscaler.pointer("/metadata/name").and_then(Value::as_str);
        format!(
            "HorizontalPodAutoscaler \"{}\" scales it, too, and may undo it",
            name.unwrap_or_default()
        )
    };
    autoscalers.iter().filter(scales).map(text).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::every_action::{Case, Cases};
    use crate::facts::Fact;
    use crate::fixtures::{facts, target};

    impl Cases for ScaleStatefulSet {
        fn cases() -> Vec<Case> {
            let facts = world(vec![autoscaler("StatefulSet", "store")]);
            let parameters = json!({"replicas": 5});
            vec![Case::of::<Self>("", stateful_set(3), parameters, facts)]
        }
    }

    fn stateful_set(replicas: u32) -> Target {
        let live = json!({
            "metadata": {"namespace": "web", "name": "store", "uid": "s-1"},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "store"}}},
        });
        target(TargetKind::STATEFUL_SET, live)
    }

    fn autoscaler(kind: &str, name: &str) -> Value {
        json!({
            "metadata": {"name": "auto"},
            "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": kind, "name": name}},
        })
    }

    fn world(of_namespace: Vec<Value>) -> Facts {
        let pods = Need::pods(Some("web"), "app=store");
        let autoscalers = autoscalers(&stateful_set(1));
        facts([
            (pods, Fact::List(Vec::new())),
            (autoscalers, Fact::List(of_namespace)),
        ])
    }

    fn risks(target: &Target, replicas: u32, facts: &Facts) -> Vec<String> {
        let draft = ScaleStatefulSet::plan(target, &Parameters { replicas }, facts);
        let factors = draft.expect("plans").risk_factors;
        factors.into_iter().map(|factor| factor.text).collect()
    }

    #[test]
    fn an_autoscaler_of_the_very_workload_is_named() {
        let named = ["HorizontalPodAutoscaler \"auto\" scales it, too, and may undo it"];
        let with = |kind, name, replicas| {
            risks(
                &stateful_set(3),
                replicas,
                &world(vec![autoscaler(kind, name)]),
            )
        };
        assert_eq!(with("StatefulSet", "store", 5), named);
        assert_eq!(with("StatefulSet", "other", 5), [""; 0]);
        assert_eq!(with("Deployment", "store", 5), [""; 0]);
        assert_eq!(with("StatefulSet", "store", 3), [""; 0], "nothing changes");
    }

    #[test]
    fn volumes_that_go_with_their_pods_are_told_of() {
        let mut target = stateful_set(3);
        let world = world(Vec::new());
        target.live["spec"]["persistentVolumeClaimRetentionPolicy"] =
            json!({"whenScaled": "Retain"});
        assert_eq!(risks(&target, 2, &world), [""; 0]);
        target.live["spec"]["persistentVolumeClaimRetentionPolicy"] =
            json!({"whenScaled": "Delete"});
        assert_eq!(risks(&target, 4, &world), [""; 0]);
        assert_eq!(
            risks(&target, 2, &world),
            [
                "the volumes of the pods that go are deleted for good: persistentVolumeClaimRetentionPolicy.whenScaled is Delete"
            ]
        );
    }

    #[test]
    fn an_unread_autoscaler_is_not_taken_for_none() {
        let pods = Need::pods(Some("web"), "app=store");
        let facts = facts([(pods, Fact::List(Vec::new()))]);
        let draft = ScaleStatefulSet::plan(&stateful_set(3), &Parameters { replicas: 5 }, &facts);
        assert!(matches!(draft, Err(PlanError::UseFact(_))));
    }
}

//! A rolling restart of a workload: an annotation of its pod template gets a value it did not have, and every pod is
//! replaced. The three kinds differ in nothing but their names.

use serde_json::{Value, json};

use crate::action::{Draft, PlanError, Target};
use crate::facts::Facts;
use crate::pod_template::{self, TemplateChange};

/// The annotation that `kubectl rollout restart` sets, so that both restart in the same way.
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// The draft of a restart. Its stamp is the time at which the execution was created: a later execution restarts anew, and
/// the plan of this one is the same whenever it is made. Two that were created in the same second are one restart.
pub(crate) fn draft(target: &Target, facts: &Facts) -> Result<Draft, PlanError> {
    let template = pod_template::of(target)?;
    let stamp = Value::from(target.asked_at.as_str());
    let restarted = with_annotation(template, &stamp)
        .ok_or_else(|| PlanError::unreadable("spec.template.metadata", &target.reference))?;
    let fits = |pod: &Value| annotation(pod) == Some(&stamp);
    let summary = format!(
        "restart {}: all its pods are replaced, as its update strategy has it",
        target.reference
    );
    let change = TemplateChange::to(template, &restarted, &fits, summary);
    pod_template::draft(target, facts, change)
}

fn annotation(pod: &Value) -> Option<&Value> {
    let annotations = pod.pointer("/metadata/annotations");
    annotations.and_then(|annotations| annotations.get(RESTARTED_AT))
}

fn with_annotation(template: &Value, stamp: &Value) -> Option<Value> {
    let mut restarted = template.clone();
    let metadata = restarted
        .pointer_mut("/metadata")
        .and_then(Value::as_object_mut)?;
    let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
    let annotations = annotations.as_object_mut()?;
    annotations.insert(RESTARTED_AT.to_owned(), stamp.clone());
    Some(restarted)
}

#[cfg(test)]
mod tests {
    use kexec_api::plan::Expectation;

    use super::*;
    use crate::fixtures::{workload, workload_facts, workload_pod};
    use crate::metadata::TargetKind;

    #[test]
    fn the_stamp_is_the_time_of_the_execution_and_every_pod_without_it_must_go() {
        let target = workload(TargetKind::DEPLOYMENT);
        let mut new = workload_pod("p-new");
        new["metadata"]["annotations"] = json!({RESTARTED_AT: target.asked_at});
        let mut earlier = workload_pod("p-earlier");
        earlier["metadata"]["annotations"] = json!({RESTARTED_AT: "2026-06-30T12:00:00Z"});
        let pods = vec![workload_pod("p-old"), new, earlier];
        let draft = draft(&target, &workload_facts(pods)).expect("plans");
        assert_eq!(
            draft.steps[0].diff(),
            [
                "spec.template.metadata.annotations: (unset) -> {\"kubectl.kubernetes.io/restartedAt\":\"2026-07-01T12:00:00Z\"}"
            ]
        );
        let rolled_out = draft.expectations.into_iter().find_map(|one| match one {
            Expectation::RolledOut { old_pods, .. } => Some(old_pods),
            _ => None,
        });
        assert_eq!(
            rolled_out,
            Some(["p-old", "p-earlier"].into_iter().collect())
        );
    }

    #[test]
    fn a_restart_is_made_once_for_each_second_in_which_it_was_asked_for() {
        let mut target = workload(TargetKind::DEPLOYMENT);
        target.live["spec"]["template"]["metadata"]["annotations"] =
            json!({"other": "kept", RESTARTED_AT: target.asked_at});
        let again = draft(&target, &workload_facts(Vec::new())).expect("plans");
        assert_eq!(again.steps, []);
        target.asked_at = "2026-07-01T12:00:01Z".into();
        let later = draft(&target, &workload_facts(Vec::new())).expect("plans");
        assert_eq!(
            later.steps[0].diff(),
            [
                "spec.template.metadata.annotations[kubectl.kubernetes.io/restartedAt]: \"2026-07-01T12:00:00Z\" -> \"2026-07-01T12:00:01Z\""
            ]
        );
    }

    #[test]
    fn a_template_that_is_odd_is_not_guessed_at() {
        let mut target = workload(TargetKind::DEPLOYMENT);
        target.live["spec"]["template"]["metadata"] = json!({"annotations": "odd"});
        let error = draft(&target, &workload_facts(Vec::new())).expect_err("is odd");
        assert_eq!(
            error.to_string(),
            "failed to read spec.template.metadata of Deployment/web/shop"
        );
    }
}

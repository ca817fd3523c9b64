//! The disruption budgets over a pod: which there are, and whether one forbids its eviction now. What an action makes
//! of that does not belong here.

use serde_json::Value;

use crate::facts::Need;
use crate::label_selector;
use crate::metadata::TargetKind;
use crate::pod_owner;

/// The need for all budgets of a namespace; `None` for those of all namespaces.
pub(crate) fn all(namespace: Option<&str>) -> Need {
    Need::List {
        kind: TargetKind::POD_DISRUPTION_BUDGET.to_kind(),
        namespace: namespace.map(str::to_owned),
        selector: String::new(),
    }
}

/// Those of the budgets that a pod is counted in, by namespace and selector.
pub(crate) fn over<'a>(budgets: &'a [Value], pod: &Value) -> Vec<&'a Value> {
    let namespace = pod.pointer("/metadata/namespace");
    let labels = pod.pointer("/metadata/labels");
    let counts = |budget: &&Value| {
        budget.pointer("/metadata/namespace") == namespace
            && label_selector::picks(budget.pointer("/spec/selector"), labels)
    };
    budgets.iter().filter(counts).collect()
}

/// Name of a budget.
pub(crate) fn name(budget: &Value) -> &str {
    budget
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Whether a budget forbids the eviction of a pod now, as the API server will see it: it allows none, and the pod
/// counts as healthy or the budget guards the unhealthy ones too. Ended and going pods go in any case.
pub(crate) fn forbids(budget: &Value, pod: &Value) -> bool {
    let allowed = budget
        .pointer("/status/disruptionsAllowed")
        .and_then(Value::as_i64)
        .unwrap_or(0);
    let policy = budget
        .pointer("/spec/unhealthyPodEvictionPolicy")
        .and_then(Value::as_str);
    let count = |field: &str| {
        budget
            .pointer(&format!("/status/{field}"))
            .and_then(Value::as_i64)
            .unwrap_or(0)
    };
    let is_healthy_enough =
        count("currentHealthy") >= count("desiredHealthy") && count("desiredHealthy") > 0;
    let counts = pod_owner::is_ready(pod) || !(policy == Some("AlwaysAllow") || is_healthy_enough);
    pod_owner::is_active(pod) && pod_owner::phase(pod) != "Pending" && allowed <= 0 && counts
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures::{bare_pod, budget};

    #[test]
    fn a_budget_counts_the_pods_of_its_namespace_that_it_selects() {
        let mut elsewhere = budget("elsewhere", 0);
        elsewhere["metadata"]["namespace"] = "db".into();
        let mut other = budget("other", 0);
        other["spec"]["selector"] = json!({"matchLabels": {"app": "other"}});
        let mut everything = budget("everything", 0);
        everything["spec"]["selector"] = json!({});
        let mut nothing = budget("nothing", 0);
        nothing["spec"] = json!({});
        let budgets = [elsewhere, other, everything, nothing, budget("shop", 0)];
        let names: Vec<&str> = over(&budgets, &bare_pod("p-1", true))
            .into_iter()
            .map(name)
            .collect();
        assert_eq!(names, ["everything", "shop"]);
    }

    #[test]
    fn a_budget_that_allows_none_forbids_what_runs_and_counts() {
        let ready = bare_pod("p-1", true);
        assert!(forbids(&budget("b", 0), &ready));
        assert!(!forbids(&budget("b", 1), &ready));
        for phase in ["Pending", "Failed", "Succeeded"] {
            let mut pod = ready.clone();
            pod["status"]["phase"] = phase.into();
            assert!(!forbids(&budget("b", 0), &pod), "{phase}");
        }
        let mut going = ready;
        going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        assert!(!forbids(&budget("b", 0), &going));
    }

    #[test]
    fn an_unready_pod_is_held_only_where_the_budget_is_short_and_guards_it() {
        let unready = bare_pod("p-1", false);
        let with = |healthy: i64, policy: &str| {
            let mut budget = budget("b", 0);
            budget["status"]["currentHealthy"] = healthy.into();
            budget["status"]["desiredHealthy"] = 2.into();
            budget["spec"]["unhealthyPodEvictionPolicy"] = policy.into();
            budget
        };
        assert!(forbids(&with(1, "IfHealthyBudget"), &unready));
        assert!(!forbids(&with(2, "IfHealthyBudget"), &unready));
        assert!(!forbids(&with(1, "AlwaysAllow"), &unready));
    }
}

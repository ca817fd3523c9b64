//! What makes a rollout riskier than others: a time without a pod that serves, and disruption budgets, which a rollout does
//! not heed. What an action as such risks does not belong here.

use serde_json::Value;

use crate::action::{PlanError, RiskFactor, Target};
use crate::facts::{Facts, Need};
use crate::metadata::TargetKind;
use crate::rollout;

/// The need for the disruption budgets of the workload's namespace.
pub(crate) fn budgets(target: &Target) -> Need {
    Need::all(
        TargetKind::POD_DISRUPTION_BUDGET.to_kind(),
        target.reference.namespace.as_deref(),
    )
}

/// What raises the risk of rolling out a new template.
pub(crate) fn factors(target: &Target, facts: &Facts) -> Result<Vec<RiskFactor>, PlanError> {
    let budgets = facts
        .require_list(&budgets(target))
        .map_err(PlanError::UseFact)?;
    let texts = outage(target)?.into_iter().chain(tight(target, budgets));
    Ok(texts.map(RiskFactor::one_level).collect())
}

/// Why nothing may serve for a while.
fn outage(target: &Target) -> Result<Option<String>, PlanError> {
    let live = &target.live;
    if target.reference.kind == TargetKind::DAEMON_SET.kind {
        return Ok(None);
    }
    let replicas = rollout::replicas(live, &target.reference)?;
    let is_recreated = live
        .pointer("/spec/strategy/type")
        .is_some_and(|kind| kind == "Recreate");
    let unavailable = live.pointer("/spec/strategy/rollingUpdate/maxUnavailable");
    let may_be_gone = target.reference.kind == TargetKind::STATEFUL_SET.kind
        || unavailable.is_some_and(is_one_of_one);
    let text = match replicas {
        0 => None,
        _ if is_recreated => {
            Some("strategy Recreate: nothing serves between the last old pod and the first new one")
        }
        1 if may_be_gone => Some("single replica: nothing serves until the new pod is ready"),
        _ => None,
    };
    Ok(text.map(str::to_owned))
}

/// Whether an amount is one when it is taken of one pod; a share is rounded down.
fn is_one_of_one(amount: &Value) -> bool {
    amount == "100%" || amount.as_u64().is_some_and(|count| count > 0)
}

/// The disruption budgets that pick the workload's pods and allow no disruption now.
fn tight(target: &Target, budgets: &[Value]) -> Vec<String> {
    let labels = target.live.pointer("/spec/template/metadata/labels");
    let is_tight = |budget: &&Value| {
        let allowed = budget.pointer("/status/disruptionsAllowed");
        let selector = budget.pointer("/spec/selector");
        selector.is_some_and(|selector| rollout::selects(selector, labels))
            && allowed.and_then(Value::as_u64).unwrap_or(0) == 0
    };
    let text = |budget: &Value| {
        let name = budget.pointer("/metadata/name").and_then(Value::as_str);
        format!(
            "PodDisruptionBudget \"{}\" allows no disruption now, and a rollout does not heed it",
            name.unwrap_or_default()
        )
    };
    budgets.iter().filter(is_tight).map(text).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::facts::Fact;
    use crate::fixtures::{facts, workload};

    fn texts(kind: TargetKind, spec: &Value, budgets_now: Vec<Value>) -> Vec<String> {
        let mut target = workload(kind);
        for (key, value) in spec.as_object().expect("is an object") {
            target.live["spec"][key] = value.clone();
        }
        let facts = facts([(budgets(&target), Fact::List(budgets_now))]);
        let factors = factors(&target, &facts).expect("factors");
        factors.into_iter().map(|factor| factor.text).collect()
    }

    #[test]
    fn a_single_replica_counts_where_its_only_pod_goes_first() {
        let single = ["single replica: nothing serves until the new pod is ready"];
        let rolling = |unavailable: Value| json!({"replicas": 1, "strategy": {"rollingUpdate": {"maxUnavailable": unavailable}}});
        let of = |spec: Value| texts(TargetKind::DEPLOYMENT, &spec, Vec::new());
        assert_eq!(of(rolling(json!(1))), single);
        assert_eq!(of(rolling(json!("100%"))), single);
        assert_eq!(of(rolling(json!("25%"))), [""; 0]);
        assert_eq!(of(rolling(json!(0))), [""; 0]);
        assert_eq!(of(json!({"replicas": 2})), [""; 0]);
        assert_eq!(
            texts(
                TargetKind::STATEFUL_SET,
                &json!({"replicas": 1}),
                Vec::new()
            ),
            single
        );
        assert_eq!(
            texts(TargetKind::DAEMON_SET, &json!({}), Vec::new()),
            [""; 0]
        );
    }

    #[test]
    fn recreating_all_pods_leaves_none_for_a_while() {
        let recreate =
            |replicas: u32| json!({"replicas": replicas, "strategy": {"type": "Recreate"}});
        assert_eq!(
            texts(TargetKind::DEPLOYMENT, &recreate(3), Vec::new()),
            ["strategy Recreate: nothing serves between the last old pod and the first new one"]
        );
        assert_eq!(
            texts(TargetKind::DEPLOYMENT, &recreate(0), Vec::new()),
            [""; 0]
        );
    }

    #[test]
    fn a_budget_of_the_pods_that_allows_nothing_is_named() {
        let budget = |name: &str, app: &str, allowed: u32| {
            json!({
                "metadata": {"name": name}, "spec": {"selector": {"matchLabels": {"app": app}}},
                "status": {"disruptionsAllowed": allowed},
            })
        };
        let budgets = vec![
            budget("tight", "shop", 0),
            budget("wide", "shop", 1),
            budget("other", "cart", 0),
        ];
        assert_eq!(
            texts(TargetKind::DAEMON_SET, &json!({}), budgets),
            [
                "PodDisruptionBudget \"tight\" allows no disruption now, and a rollout does not heed it"
            ]
        );
    }
}

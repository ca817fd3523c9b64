//! What the actions on workloads share: reading replicas and selectors, and which pods crash-loop.

use kexec_api::plan::ObjectRef;
use serde_json::Value;

use crate::action::PlanError;

/// `spec.replicas` of a workload; 1 when unset, as the API server defaults it.
pub(crate) fn replicas(live: &Value, object: &ObjectRef) -> Result<u32, PlanError> {
    match live.pointer("/spec/replicas") {
        None => Ok(1),
        Some(value) => value
            .as_u64()
            .and_then(|replicas| u32::try_from(replicas).ok())
            .ok_or_else(|| PlanError::unreadable("spec.replicas", object)),
    }
}

/// The label selector of a workload in its string form.
pub(crate) fn selector(live: &Value, object: &ObjectRef) -> Result<String, PlanError> {
    live.pointer("/spec/selector")
        .and_then(string_form)
        .ok_or_else(|| PlanError::unreadable("spec.selector", object))
}

/// A `metav1.LabelSelector` in the string form that list requests take; `None` when it selects nothing or is odd.
fn string_form(selector: &Value) -> Option<String> {
    let labels = selector.get("matchLabels").and_then(Value::as_object);
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    let labels = labels.into_iter().flatten().map(equality);
    let expressions = expressions.into_iter().flatten().map(expression_form);
    let terms: Vec<String> = labels.chain(expressions).collect::<Option<_>>()?;
    (!terms.is_empty()).then(|| terms.join(","))
}

/// Whether a `metav1.LabelSelector` picks an object of these labels. One that is odd or says nothing picks none.
pub(crate) fn selects(selector: &Value, labels: Option<&Value>) -> bool {
    let label = |key: &str| labels.and_then(|labels| labels.get(key));
    let equal = selector.get("matchLabels").and_then(Value::as_object);
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    let fits = |expression: &Value| {
        let key = expression.get("key").and_then(Value::as_str);
        let held = label(key.unwrap_or_default());
        let values = expression.get("values").and_then(Value::as_array);
        let listed = values.zip(held).is_some_and(|(all, one)| all.contains(one));
        match expression.get("operator").and_then(Value::as_str) {
            Some("In") => listed,
            Some("NotIn") => !listed,
            Some("Exists") => held.is_some(),
            Some("DoesNotExist") => held.is_none(),
            _ => false,
        }
    };
    string_form(selector).is_some()
        && equal
            .into_iter()
            .flatten()
            .all(|(key, value)| label(key) == Some(value))
        && expressions.into_iter().flatten().all(fits)
}

/// A plain map of labels, as the selector of a `ReplicationController`, in the string form; `None` as above.
pub(crate) fn equality_form(labels: &Value) -> Option<String> {
    let terms: Vec<String> = labels
        .as_object()?
        .iter()
        .map(equality)
        .collect::<Option<_>>()?;
    (!terms.is_empty()).then(|| terms.join(","))
}

fn equality((key, value): (&String, &Value)) -> Option<String> {
    Some(format!("{key}={}", value.as_str()?))
}

fn expression_form(expression: &Value) -> Option<String> {
    let key = expression.get("key")?.as_str()?;
    let values = || -> Option<String> {
        let values = expression.get("values")?.as_array()?;
        let values: Option<Vec<&str>> = values.iter().map(Value::as_str).collect();
        Some(values?.join(","))
    };
    match expression.get("operator")?.as_str()? {
        "In" => Some(format!("{key} in ({})", values()?)),
        "NotIn" => Some(format!("{key} notin ({})", values()?)),
        "Exists" => Some(key.to_owned()),
        "DoesNotExist" => Some(format!("!{key}")),
        _ => None,
    }
}

/// UIDs of the pods that crash-loop.
pub(crate) fn crash_looping(pods: &[Value]) -> Vec<String> {
    pods.iter()
        .filter(|pod| crash_loops(pod))
        .filter_map(uid)
        .collect()
}

/// Whether a container of the pod waits in `CrashLoopBackOff`.
fn crash_loops(pod: &Value) -> bool {
    let statuses = pod
        .pointer("/status/containerStatuses")
        .and_then(Value::as_array);
    statuses.into_iter().flatten().any(|status| {
        status
            .pointer("/state/waiting/reason")
            .and_then(Value::as_str)
            == Some("CrashLoopBackOff")
    })
}

/// UID of an object.
pub(crate) fn uid(object: &Value) -> Option<String> {
    object
        .pointer("/metadata/uid")
        .and_then(Value::as_str)
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selectors_take_the_string_form_that_list_requests_take() {
        let all = json!({
            "matchLabels": {"app": "shop"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["web", "api"]},
                {"key": "zone", "operator": "NotIn", "values": ["b"]},
                {"key": "track", "operator": "Exists"},
                {"key": "canary", "operator": "DoesNotExist"},
            ],
        });
        assert_eq!(
            string_form(&all).as_deref(),
            Some("app=shop,tier in (web,api),zone notin (b),track,!canary")
        );
    }

    #[test]
    fn a_selector_picks_what_fits_all_its_terms() {
        let labels = json!({"app": "shop", "tier": "web"});
        let picks = |selector: Value| selects(&selector, Some(&labels));
        let expression = |operator: &str, key: &str, values: Value| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
        assert!(picks(json!({"matchLabels": {"app": "shop"}})));
        assert!(!picks(
            json!({"matchLabels": {"app": "shop", "tier": "api"}})
        ));
        assert!(picks(expression("In", "tier", json!(["web", "api"]))));
        assert!(!picks(expression("In", "zone", json!(["a"]))));
        assert!(picks(expression("NotIn", "zone", json!(["a"]))));
        assert!(!picks(expression("NotIn", "tier", json!(["web"]))));
        assert!(picks(expression("Exists", "tier", json!([]))));
        assert!(!picks(expression("DoesNotExist", "tier", json!([]))));
        assert!(!picks(json!({})) && !picks(expression("Gt", "tier", json!(["1"]))));
        assert!(!selects(&json!({"matchLabels": {"app": "shop"}}), None));
    }

    #[test]
    fn a_selector_that_selects_nothing_or_is_odd_has_no_string_form() {
        for odd in [
            json!({}),
            json!({"matchLabels": {"app": 1}}),
            json!({"matchExpressions": [{"key": "tier", "operator": "Gt", "values": ["1"]}]}),
            json!({"matchExpressions": [{"key": "tier", "operator": "In"}]}),
        ] {
            assert_eq!(string_form(&odd), None, "{odd}");
        }
        assert_eq!(equality_form(&json!({})), None);
        assert_eq!(equality_form(&json!({"a": "b"})).as_deref(), Some("a=b"));
    }
}

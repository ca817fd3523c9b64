//! Whether labels fit a `metav1.LabelSelector`. Its string form, which list requests take, is made in `rollout`.

use serde_json::Value;

/// Whether `selector` picks the object with these `labels`. An empty selector picks all; one that is absent, or that
/// has an operator nobody knows, none.
pub(crate) fn picks(selector: Option<&Value>, labels: Option<&Value>) -> bool {
    let Some(selector) = selector.filter(|selector| selector.is_object()) else {
        return false;
    };
    let label = |key: &str| labels.and_then(|labels| labels.get(key));
    let equal = selector.get("matchLabels").and_then(Value::as_object);
    let equal = equal
        .into_iter()
        .flatten()
        .all(|(key, value)| label(key) == Some(value));
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    equal
        && expressions.into_iter().flatten().all(|expression| {
            let key = expression.get("key").and_then(Value::as_str);
            holds(expression, key.and_then(label))
        })
}

/// Whether one expression holds for the value of its key; `NotIn` holds without one.
fn holds(expression: &Value, value: Option<&Value>) -> bool {
    let values = expression.get("values").and_then(Value::as_array);
    let listed = value.is_some_and(|value| values.is_some_and(|values| values.contains(value)));
    match expression.get("operator").and_then(Value::as_str) {
        Some("In") => listed,
        Some("NotIn") => !listed,
        Some("Exists") => value.is_some(),
        Some("DoesNotExist") => value.is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_selector_picks_what_has_its_labels_and_meets_its_expressions() {
        let labels = json!({"app": "shop", "tier": "web"});
        let picked = [
            json!({}),
            json!({"matchLabels": {"app": "shop"}}),
            json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["shop", "x"]}]}),
            json!({"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["x"]}]}),
            json!({"matchExpressions": [{"key": "tier", "operator": "Exists"}, {"key": "x", "operator": "DoesNotExist"}]}),
        ];
        for selector in picked {
            assert!(picks(Some(&selector), Some(&labels)), "{selector}");
        }
        let left = [
            json!(null),
            json!({"matchLabels": {"app": "shop", "tier": "db"}}),
            json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["x"]}]}),
            json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["shop"]}]}),
            json!({"matchExpressions": [{"key": "zone", "operator": "Exists"}]}),
            json!({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}),
            json!({"matchExpressions": [{"key": "app", "operator": "Gt", "values": ["1"]}]}),
        ];
        for selector in left {
            assert!(!picks(Some(&selector), Some(&labels)), "{selector}");
        }
        assert!(!picks(None, Some(&labels)));
        assert!(!picks(Some(&json!({"matchLabels": {"a": "b"}})), None));
    }
}

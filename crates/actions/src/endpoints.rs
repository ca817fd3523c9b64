//! Which Services send traffic to a pod, and to which pods their endpoints lead now. What an action or a proof makes of
//! it does not belong here.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::facts::Need;
use crate::metadata::TargetKind;

/// Label by which an `EndpointSlice` names its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The need for all Services of a namespace.
pub(crate) fn services(namespace: Option<&str>) -> Need {
    Need::List {
        kind: TargetKind::SERVICE.to_kind(),
        namespace: namespace.map(str::to_owned),
        selector: String::new(),
    }
}

/// The need for the `EndpointSlices` of some Services of a namespace; `None` when there are no Services.
#[must_use]
pub fn slices<'a>(
    namespace: Option<&str>,
    services: impl IntoIterator<Item = &'a str>,
) -> Option<Need> {
    let names: Vec<&str> = services.into_iter().collect();
    (!names.is_empty()).then(|| Need::List {
        kind: TargetKind::ENDPOINT_SLICE.to_kind(),
        namespace: namespace.map(str::to_owned),
        selector: format!("{SERVICE_NAME} in ({})", names.join(",")),
    })
}

/// Names of those of the Services that select a pod, sorted. One without a selector, or of type `ExternalName`, has no
/// endpoints of the cluster's making.
pub(crate) fn selecting<'a>(services: &'a [Value], pod: &Value) -> BTreeSet<&'a str> {
    let selects = |service: &&Value| {
        let selector = service.pointer("/spec/selector").and_then(Value::as_object);
        let is_external = service
            .pointer("/spec/type")
            .is_some_and(|kind| kind == "ExternalName");
        let labels = pod.pointer("/metadata/labels");
        let label = |key| labels.and_then(|labels| labels.get(key));
        !is_external
            && selector.is_some_and(|selector| {
                !selector.is_empty()
                    && selector
                        .iter()
                        .all(|(key, value)| label(key) == Some(value))
            })
    };
    let name = |service: &'a Value| service.pointer("/metadata/name").and_then(Value::as_str);
    services.iter().filter(selects).filter_map(name).collect()
}

/// UIDs of the pods that a Service's ready endpoints lead to.
#[must_use]
pub fn ready_pods<'a>(slices: &'a [Value], service: &str) -> BTreeSet<&'a str> {
    let of_service = |slice: &&Value| {
        let labels = slice.pointer("/metadata/labels");
        labels.and_then(|labels| labels.get(SERVICE_NAME)) == Some(&service.into())
    };
    let endpoints = slices
        .iter()
        .filter(of_service)
        .filter_map(|slice| slice.get("endpoints").and_then(Value::as_array));
    endpoints
        .flatten()
        .filter(|endpoint| is_ready(endpoint))
        .filter_map(|endpoint| endpoint.pointer("/targetRef/uid").and_then(Value::as_str))
        .collect()
}

/// Whether an endpoint takes traffic: the API has an unknown `ready` mean yes.
fn is_ready(endpoint: &Value) -> bool {
    endpoint
        .pointer("/conditions/ready")
        .is_none_or(|ready| ready == &Value::Bool(true))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures::bare_pod;

    #[test]
    fn a_service_selects_a_pod_that_has_all_labels_of_its_selector() {
        let service = |name: &str, spec: Value| json!({"metadata": {"name": name}, "spec": spec});
        let services = [
            service("shop", json!({"selector": {"app": "shop"}})),
            service(
                "narrow",
                json!({"selector": {"app": "shop", "tier": "web"}}),
            ),
            service("other", json!({"selector": {"app": "other"}})),
            service("by-hand", json!({})),
            service("empty", json!({"selector": {}})),
            service(
                "outside",
                json!({"type": "ExternalName", "selector": {"app": "shop"}}),
            ),
        ];
        let mut pod = bare_pod("p-1", true);
        assert_eq!(selecting(&services, &pod), BTreeSet::from(["shop"]));
        pod["metadata"]["labels"]["tier"] = "web".into();
        assert_eq!(
            selecting(&services, &pod),
            BTreeSet::from(["narrow", "shop"])
        );
        pod["metadata"]["labels"] = Value::Null;
        assert_eq!(selecting(&services, &pod), BTreeSet::new());
    }

    #[test]
    fn only_ready_endpoints_of_the_service_that_lead_to_pods_count() {
        let endpoint = |uid: &str, conditions: Value| json!({"targetRef": {"kind": "Pod", "uid": uid}, "conditions": conditions});
        let slice = |service: &str, endpoints: Value| json!({"metadata": {"labels": {SERVICE_NAME: service}}, "endpoints": endpoints});
        let slices = [
            slice(
                "shop",
                json!([
                    endpoint("p-1", json!({"ready": true})),
                    endpoint("p-2", json!({"ready": false})),
                ]),
            ),
            slice(
                "shop",
                json!([
                    endpoint("p-1", json!({"ready": true})),
                    endpoint("p-3", json!({})),
                    {"addresses": ["10.0.0.1"], "conditions": {"ready": true}},
                ]),
            ),
            slice("other", json!([endpoint("p-4", json!({"ready": true}))])),
            slice("shop", Value::Null),
        ];
        assert_eq!(ready_pods(&slices, "shop"), BTreeSet::from(["p-1", "p-3"]));
    }

    #[test]
    fn the_slices_of_several_services_are_one_need_and_those_of_none_is_none() {
        assert_eq!(slices(Some("web"), []), None);
        assert_eq!(
            slices(Some("web"), ["a", "b"]).map(|need| need.to_string()),
            Some("endpointslices in \"web\" matching kubernetes.io/service-name in (a,b)".into())
        );
    }
}

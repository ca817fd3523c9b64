//! The downward API: a pod's own fields as text, by field path.

use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::HOST_ADDRESS;

/// The value at `path`; `None` for a path that the downward API does not have.
pub(super) fn value(pod: &Pod, address: Ipv4Addr, path: &str) -> Option<String> {
    let spec = pod.spec.as_ref();
    match path {
        "metadata.name" => Some(pod.name_any()),
        "metadata.namespace" => pod.namespace(),
        "metadata.uid" => pod.uid(),
        "metadata.labels" => Some(lines(pod.labels())),
        "metadata.annotations" => Some(lines(pod.annotations())),
        "spec.nodeName" => spec.and_then(|spec| spec.node_name.clone()),
        "spec.serviceAccountName" => spec.and_then(|spec| spec.service_account_name.clone()),
        "status.podIP" | "status.podIPs" => Some(address.to_string()),
        "status.hostIP" | "status.hostIPs" => Some(HOST_ADDRESS.to_string()),
        other => entry(pod, other),
    }
}

/// `metadata.labels['key']` and `metadata.annotations['key']`; a missing key is an empty text, as with a kubelet.
fn entry(pod: &Pod, path: &str) -> Option<String> {
    let (map, key) = path.strip_suffix("']")?.split_once("['")?;
    let map = match map {
        "metadata.labels" => pod.labels(),
        "metadata.annotations" => pod.annotations(),
        _ => return None,
    };
    Some(map.get(key).cloned().unwrap_or_default())
}

fn lines(map: &std::collections::BTreeMap<String, String>) -> String {
    let lines: Vec<String> = map
        .iter()
        .map(|(key, value)| format!("{key}={value:?}"))
        .collect();
    lines.join("\n")
}

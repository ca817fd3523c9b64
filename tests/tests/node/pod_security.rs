//! Pod Security `restricted` is enforced on the operator's namespace: its own pods pass, others do not.

use k8s_openapi::api::core::v1::{Namespace, Pod};
use kexec_tests::harness::Scene;
use kube::api::{Api, PostParams};
use serde_json::json;

use super::turns;

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_namespace_takes_no_pod_that_is_not_confined() {
    let _turn = turns::shared().await;
    let scene = Scene::real("confined").await;
    let namespaces: Api<Namespace> = Api::all(scene.client.clone());
    let namespace = namespaces
        .get(&scene.system_namespace)
        .await
        .expect("a namespace");
    let labels = namespace.metadata.labels.expect("labels");
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "restricted");
    let pods: Api<Pod> = scene.system_api();
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "unconfined"},
        "spec": {"containers": [{"name": "main", "image": "nginx:1.29"}]},
    });
    let pod = serde_json::from_value(pod).expect("a pod");
    let refused = pods
        .create(&PostParams::default(), &pod)
        .await
        .expect_err("a refusal")
        .to_string();
    assert!(
        refused.contains("violates PodSecurity \"restricted"),
        "{refused}"
    );
}

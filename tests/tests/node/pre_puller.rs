//! The pre-puller of the chart keeps the runner's image on every node (ADR-35).

use k8s_openapi::api::core::v1::Pod;
use kexec_tests::harness::{Scene, eventually};
use kube::api::{Api, ListParams};

use super::{operator, turns};

/// Nodes of the pre-puller's pods that run, in order.
async fn nodes(pods: &Api<Pod>) -> Vec<String> {
    let label = "app.kubernetes.io/component=image-prepuller";
    let pods = pods.list(&ListParams::default().labels(label)).await;
    let runs = |pod: &Pod| {
        let statuses = pod.status.iter();
        let mut statuses = statuses.flat_map(|status| status.container_statuses.iter().flatten());
        statuses.any(|status| status.ready)
    };
    let pods = pods.expect("pods").items.into_iter().filter(runs);
    let mut nodes: Vec<_> = pods.filter_map(|pod| pod.spec?.node_name).collect();
    nodes.sort();
    nodes
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_has_a_pod_of_the_pre_puller_that_stays_until_it_is_switched_off() {
    let _turn = turns::alone().await;
    let scene = Scene::real("pre-puller").await;
    let pods: Api<Pod> = scene.system_api();
    operator::set(&scene, "prePuller.enabled=true").await;
    assert_eq!(nodes(&pods).await, ["node-1", "node-2"]);
    operator::set(&scene, "prePuller.enabled=false").await;
    eventually("the pre-puller's end", || async {
        nodes(&pods).await.is_empty().then_some(())
    })
    .await;
}

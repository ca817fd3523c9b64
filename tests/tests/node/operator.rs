//! The operator that all stories share: its pod, and how a story sets values of its release.

use k8s_openapi::api::core::v1::Pod;
use kexec_api::names;
use kexec_tests::harness::{Scene, eventually};
use kexec_tests::helm::{RELEASE, chart, helm_on, run};
use kube::api::{Api, ListParams};

/// The operator's pod that is not on its way out.
pub async fn pod(scene: &Scene) -> Pod {
    let pods: Api<Pod> = scene.system_api();
    let label = format!(
        "{}={},app.kubernetes.io/component=controller",
        names::LABEL_APP_NAME,
        names::CONTROLLER_SERVICE_ACCOUNT
    );
    eventually("the operator's pod", || async {
        let found = pods
            .list(&ListParams::default().labels(&label))
            .await
            .ok()?;
        let mut stay = found.items.into_iter();
        stay.find(|pod| pod.metadata.deletion_timestamp.is_none())
    })
    .await
}

/// Upgrades the release by these values, such as `a.b=1,c=2`, and waits until all of it runs. The others stay.
pub async fn set(scene: &Scene, values: &str) {
    let mut helm = helm_on(scene.cluster.plane());
    helm.args(["upgrade", RELEASE])
        .arg(chart())
        .args(["--namespace", &scene.system_namespace])
        .args(["--reuse-values", "--set", values])
        .args(["--wait", "--timeout", "90s"]);
    tokio::task::spawn_blocking(move || run(&mut helm))
        .await
        .expect("a task")
        .unwrap_or_else(|error| panic!("{error}"));
}

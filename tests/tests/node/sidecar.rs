//! A mesh puts containers of its own into the runner's pod, although the pod asks to be left alone.

use kexec_tests::harness::{Ending, Scene};

use super::altered::alter_runners;
use super::turns;

/// The proxy of a mesh, but for where it is put and whether it is restarted.
const PROXY: &str = r#""name": dyn("mesh-proxy"), "image": dyn("nginx:1.29"), "securityContext": dyn({
    "allowPrivilegeEscalation": dyn(false), "capabilities": dyn({"drop": ["ALL"]})
})"#;

async fn completes_with(name: &str, operation: &str) {
    let _turn = turns::shared().await;
    let scene = Scene::real(name).await;
    scene.deployment("web", 1).await;
    alter_runners(&scene, operation).await;
    let created = scene.create(&scene.scaling("up", "web", 2)).await;
    let has_proxy = |pod: &k8s_openapi::api::core::v1::Pod| {
        let spec = pod.spec.as_ref();
        let inits = spec
            .and_then(|spec| spec.init_containers.as_ref())
            .into_iter()
            .flatten();
        let mains = spec.map(|spec| &spec.containers).into_iter().flatten();
        inits
            .chain(mains)
            .any(|container| container.name == "mesh-proxy")
    };
    scene
        .pod(&created, "the runner's pod with a proxy", has_proxy)
        .await;
    let execution = scene.ends("up", Ending::COMPLETED).await;
    assert_eq!(scene.replicas("web").await, 2);
    scene.job_expires(&execution).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_native_sidecar_does_not_hold_up_the_end() {
    let operation = format!(
        r#"JSONPatch{{op: "add", path: "/spec/initContainers/0", value: {{"restartPolicy": dyn("Always"), {PROXY}}}}}"#
    );
    completes_with("native", &operation).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_never_ends_does_not_hold_up_the_end() {
    let operation =
        format!(r#"JSONPatch{{op: "add", path: "/spec/containers/0", value: {{{PROXY}}}}}"#);
    completes_with("classic", &operation).await;
}

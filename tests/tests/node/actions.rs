//! Each action once, from its request to its proof, with real pods on both sides.

use kexec_tests::harness::{Ending, Scene};

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_scaled() {
    let scene = Scene::real("scale").await;
    scene.deployment("web", 1).await;
    scene.create(&scene.scaling("up", "web", 3)).await;
    scene.ends("up", Ending::COMPLETED).await;
    assert_eq!(scene.replicas("web").await, 3);
}

//! The runner's node is lost: nobody reports an end any more, so the deadline ends the wait and the target decides (I4,
//! I5).

use k8s_openapi::api::core::v1::Pod;
use kexec_api::condition::{FailureClass, Reason};
use kexec_api::phase::Outcome;
use kexec_tests::harness::{Ending, Scene, StandIn, error_of};
use serde_json::{Value, json};

/// Holds `before` right before its write and `after` right after it.
const BOTH_ARE_HELD: &str = r#"
case $name in
  before) say holding; await go; exec "$runner" "$@" ;;
  after) "$runner" "$@"; code=$?; say written; await go; exit $code ;;
esac
exec "$runner" "$@"
"#;

fn short(mut execution: Value) -> Value {
    execution["spec"]["executionConfig"]["timeout"] = json!("20s");
    execution["spec"]["executionConfig"]["validationConfig"] = json!({"healthCheckTimeout": "5s"});
    execution
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_node_ends_its_attempts_at_their_deadline_and_no_later() {
    let scene = Scene::alone("node").await;
    scene.deployment("web", 2).await;
    scene.deployment("shop", 2).await;
    let _operator = scene.operator().await;
    let stand_in = StandIn::new(&scene, BOTH_ARE_HELD);
    let before = scene
        .create(&short(scene.scaling("before", "web", 4)))
        .await;
    let after = scene
        .create(&short(scene.scaling("after", "shop", 4)))
        .await;
    stand_in.says("holding").await;
    stand_in.says("written").await;
    let is_running = |pod: &Pod| {
        pod.status
            .as_ref()
            .is_some_and(|status| status.phase.as_deref() == Some("Running"))
    };
    for execution in [&before, &after] {
        scene
            .pod(execution, "the runner's pod to run", is_running)
            .await;
    }

    scene.cluster.node().partition();

    let late = Ending::failed(Reason::DeadlineExceeded, FailureClass::Timeout);
    let before = scene.ends("before", late).await;
    assert!(
        error_of(&before).contains("nothing was written"),
        "{}",
        error_of(&before)
    );
    assert_eq!(
        (
            scene.effects_on("deployments", "web"),
            scene.replicas("web").await
        ),
        (0, 2)
    );
    // Its pods are on the lost node, so that nobody can say whether they came to be.
    let unknown = Ending {
        outcome: Some(Outcome::Unknown),
        ..late
    };
    let after = scene.ends("after", unknown).await;
    assert_eq!(
        (
            scene.effects_on("deployments", "shop"),
            scene.replicas("shop").await
        ),
        (1, 4)
    );
    drop(stand_in);
    scene.cluster.node().resume();
    scene.goes_on_after(&before, "web").await;
    scene.goes_on_after(&after, "shop").await;
    assert_eq!(scene.effects_on("deployments", "web"), 1);
}

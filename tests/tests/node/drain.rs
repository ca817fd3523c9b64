//! A node is drained while a runner runs on it. Its target is on the other one; the operator, in the second story, is on
//! the drained one and has to move itself.

use kexec_api::condition::{FailureClass, Reason};
use kexec_api::phase::{Outcome, Phase};
use kexec_devcluster::RealNode;
use kexec_tests::harness::{Ending, Scene, error_of, eventually};

use super::altered::{alter_no_more, alter_runners, stand_in};
use super::disruptions::runs;
use super::{operator, turns};

/// Drains the node of the held runner, which is that of the operator or the other one; how the execution ended.
async fn drained(name: &str, with_operator: bool) -> (Scene, Ending) {
    let scene = Scene::real(name).await;
    scene.deployment("web", 1).await;
    let operator = operators_node(&scene).await;
    let nodes = scene.cluster.real_nodes().iter().map(RealNode::name);
    let (there, elsewhere): (Vec<_>, Vec<_>) =
        nodes.partition(|node| (*node == operator) == with_operator);
    let (drained, other) = (there[0], elsewhere[0]);
    alter_runners(&scene, &stand_in("hold")).await;
    scene.kubectl(&["cordon", other]).await;
    let created = scene.create(&scene.scaling("up", "web", 2)).await;
    let pod = runs(&scene, &created).await;
    assert_eq!(
        pod.spec.and_then(|spec| spec.node_name).as_deref(),
        Some(drained)
    );
    scene.kubectl(&["uncordon", other]).await;

    scene.kubectl(&["drain", drained, "--timeout=80s"]).await;

    let execution = scene.ended("up").await;
    assert_eq!(scene.replicas("web").await, 1, "{}", error_of(&execution));
    scene.kubectl(&["uncordon", drained]).await;
    alter_no_more(&scene).await;
    scene.goes_on_after(&execution, "web").await;
    let ending = Ending::of(&execution);
    (scene, ending)
}

/// The node of the operator's pod.
async fn operators_node(scene: &Scene) -> String {
    eventually("the operator's pod to be placed", || async {
        operator::pod(scene).await.spec?.node_name
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_on_a_drained_node_ends_the_execution_unwritten() {
    let _turn = turns::alone().await;
    let (_, ending) = drained("drained", false).await;
    let expected = Ending::failed(Reason::RunnerKilled, FailureClass::Infrastructure);
    assert_eq!(ending, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_is_drained_with_its_runner_moves_and_still_tells_the_end() {
    let _turn = turns::alone().await;
    let (_, ending) = drained("moved", true).await;
    // Whether the pod's end can still be read when the operator is back is a matter of seconds.
    assert!(
        matches!(
            ending.reason,
            Some(Reason::RunnerKilled | Reason::RunnerLost)
        ),
        "{ending:?}"
    );
    let rest = (ending.phase, ending.class, ending.outcome);
    let expected = (
        Some(Phase::Failed),
        Some(FailureClass::Infrastructure),
        Some(Outcome::Failed),
    );
    assert_eq!(rest, expected);
}

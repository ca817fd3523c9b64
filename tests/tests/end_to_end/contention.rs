//! Targets that change under a plan, and executions that want the same target or slot: no stale write, one after the
//! other, nobody forgotten (I1, BR-EXEC-015, BR-EXEC-024, BR-EXEC-025).

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kexec_api::condition::{ConditionType, FailureClass, Reason};
use kexec_api::execution::KubernetesExecution;
use kexec_api::names;
use kexec_api::phase::Phase;
use kexec_tests::audit::{Call, service_account};
use kexec_tests::harness::{
    Ending, HELD_BEFORE_THE_WRITE, Scene, StandIn, error_of, eventually, phase,
};
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

/// Holds back the runner of the execution `first` only.
const FIRST_IS_HELD: &str =
    r#"case $name in first) say holding; await go ;; esac; exec "$runner" "$@""#;

fn stale() -> Ending {
    Ending::failed(Reason::PlanStale, FailureClass::Precondition)
}

/// An execution `up` that scales `web` from 2 to 4, planned and tried, but not yet written.
async fn planned(scene: &Scene) -> StandIn {
    scene.deployment("web", 2).await;
    let stand_in = StandIn::new(scene, HELD_BEFORE_THE_WRITE);
    scene.create(&scene.scaling("up", "web", 4)).await;
    stand_in.says("holding").await;
    stand_in
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_changed_after_planning_is_not_written() {
    let scene = Scene::new("changed").await;
    let _operator = scene.operator().await;
    let stand_in = planned(&scene).await;
    let deployments: Api<Deployment> = scene.api();
    let change = Patch::Merge(json!({"spec": {"replicas": 3}}));
    deployments
        .patch("web", &PatchParams::default(), &change)
        .await
        .expect("changed");
    stand_in.say("go");

    let execution = scene.ends("up", stale()).await;

    let error = error_of(&execution);
    assert!(error.contains("changed after it was planned"), "{error}");
    assert_eq!(
        (
            scene.effects_on("deployments", "web"),
            scene.replicas("web").await
        ),
        (0, 3)
    );
    drop(stand_in);
    scene.goes_on_after(&execution, "web").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_replaced_under_its_name_is_not_written() {
    let scene = Scene::new("renewed").await;
    let _operator = scene.operator().await;
    let stand_in = planned(&scene).await;
    let deployments: Api<Deployment> = scene.api();
    deployments
        .delete("web", &DeleteParams::foreground())
        .await
        .expect("deleted");
    eventually("the Deployment to be gone", || async {
        deployments
            .get_opt("web")
            .await
            .ok()?
            .is_none()
            .then_some(())
    })
    .await;
    scene.deployment("web", 2).await;
    stand_in.say("go");

    let execution = scene.ends("up", stale()).await;

    let error = error_of(&execution);
    assert!(
        error.contains("changed after it was planned") && error.contains("UID"),
        "{error}"
    );
    assert_eq!(
        (
            scene.effects_on("deployments", "web"),
            scene.replicas("web").await
        ),
        (0, 2)
    );
    drop(stand_in);
    scene.goes_on_after(&execution, "web").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_deleted_after_planning_is_said_to_be_gone() {
    let scene = Scene::new("vanished").await;
    let _operator = scene.operator().await;
    let stand_in = planned(&scene).await;
    let deployments: Api<Deployment> = scene.api();
    deployments
        .delete("web", &DeleteParams::background())
        .await
        .expect("deleted");
    stand_in.say("go");

    let execution = scene.ends("up", stale()).await;

    let error = error_of(&execution);
    assert!(error.contains("does not exist any more"), "{error}");
    drop(stand_in);
    scene.deployment("web", 2).await;
    scene.goes_on_after(&execution, "web").await;
}

/// Waits until an execution waits for its turn; its place in the queue.
async fn queued(scene: &Scene, name: &str) -> KubernetesExecution {
    let execution = scene
        .reaches(name, "the queue", |execution| {
            execution
                .status
                .as_ref()
                .is_some_and(|status| status.queue.is_some())
        })
        .await;
    assert_eq!(phase(&execution), Some(Phase::Pending));
    let status = execution.status.as_ref().expect("a status");
    let ready = status.condition(ConditionType::Ready).expect("a condition");
    assert_eq!(ready.known_reason(), Some(Reason::Queued));
    execution
}

fn says_it_waits(execution: &KubernetesExecution, what: &str) {
    let status = execution.status.as_ref();
    let ready = status.and_then(|status| status.condition(ConditionType::Ready));
    let message = ready
        .and_then(|ready| ready.message.clone())
        .unwrap_or_default();
    assert!(message.contains(what), "{message}");
}

fn with_priority(mut execution: Value, priority: &str) -> Value {
    execution["spec"]["executionConfig"]["priority"] = json!(priority);
    execution
}

#[tokio::test(flavor = "multi_thread")]
async fn two_executions_on_one_target_run_one_after_the_other() {
    let scene = Scene::new("two").await;
    scene.deployment("web", 2).await;
    let _operator = scene.operator().await;
    let stand_in = StandIn::new(&scene, FIRST_IS_HELD);
    scene.create(&scene.scaling("first", "web", 4)).await;
    stand_in.says("holding").await;
    scene.create(&scene.scaling("second", "web", 3)).await;
    let second = queued(&scene, "second").await;
    says_it_waits(&second, &format!("{}/first", scene.namespace));
    assert_eq!(scene.effects_on("deployments", "web"), 0);
    stand_in.say("go");

    scene.ends("first", Ending::COMPLETED).await;
    let second = scene.ends("second", Ending::COMPLETED).await;

    assert_one_after_the_other(&scene, 2);
    assert_eq!(
        (
            scene.effects_on("deployments", "web"),
            scene.replicas("web").await
        ),
        (2, 3)
    );
    assert!(second.status.expect("a status").queue.is_none());
}

/// Asserts by the audit log that no attempt began before the one before it was over: from the creation of a Job to the
/// write of its execution's end, no other Job of the scene is created.
fn assert_one_after_the_other(scene: &Scene, expected: usize) {
    let operator = service_account(&scene.system_namespace, names::CONTROLLER_SERVICE_ACCOUNT);
    let text = |call: &Call, parent: &str, field: &str| {
        let object = call.request_object.as_ref();
        let text = object.and_then(|object| object.pointer(parent)?.get(field)?.as_str());
        text.unwrap_or_default().to_owned()
    };
    let (mut at_work, mut begun) = (None, 0);
    let calls = scene.calls();
    for call in calls
        .writes_by(&operator)
        .into_iter()
        .filter(|call| call.succeeded())
    {
        let of = text(call, "/metadata/labels", names::LABEL_EXECUTION_NAMESPACE);
        match (call.verb.as_str(), call.resource.as_str()) {
            ("create", "jobs") if of == scene.namespace => {
                let uid = text(call, "/metadata/labels", names::LABEL_EXECUTION_UID);
                assert_eq!(at_work, None, "while {at_work:?} was at work, {uid} began");
                at_work = Some(uid);
                begun += 1;
            }
            ("update", "kubernetesexecutions") if call.namespace == scene.namespace => {
                let phase = Phase::from_text(&text(call, "/status", "phase"));
                if phase.is_some_and(Phase::is_terminal) {
                    at_work.take_if(|uid| *uid == text(call, "/metadata", "uid"));
                }
            }
            _ => {}
        }
    }
    assert_eq!((begun, at_work), (expected, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_on_one_target_never_overlap_not_even_over_a_restart() {
    let scene = Scene::new("lock").await;
    scene.deployment("web", 2).await;
    let operator = scene.operator().await;
    let stand_in = StandIn::new(&scene, HELD_BEFORE_THE_WRITE);
    scene.create(&scene.scaling("first", "web", 4)).await;
    stand_in.says("holding").await;
    for (name, replicas) in [("second", 3), ("third", 5)] {
        scene.create(&scene.scaling(name, "web", replicas)).await;
        queued(&scene, name).await;
    }
    operator.kill();
    let _operator = scene.operator().await;
    // Once the one that came last waits, those before it have been looked at again.
    scene.create(&scene.scaling("last", "web", 6)).await;
    queued(&scene, "last").await;
    stand_in.say("go");

    for name in ["first", "second", "third", "last"] {
        scene.ends(name, Ending::COMPLETED).await;
    }

    assert_eq!(scene.effects_on("deployments", "web"), 4);
    assert_one_after_the_other(&scene, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_higher_priority_goes_first_among_those_that_wait() {
    let scene = Scene::new("priority").await;
    scene.deployment("web", 2).await;
    let _operator = scene.operator().await;
    let stand_in = StandIn::new(&scene, FIRST_IS_HELD);
    scene.create(&scene.scaling("first", "web", 4)).await;
    stand_in.says("holding").await;
    for (name, replicas, priority) in [("low", 5, "low"), ("high", 3, "high")] {
        let execution = with_priority(scene.scaling(name, "web", replicas), priority);
        let created = scene.create(&execution).await;
        queued(&scene, name).await;
        // Among equals the older goes first, by creation times that are whole seconds.
        let created = created.metadata.creation_timestamp.expect("a time").0;
        eventually("the next second", || async {
            (Timestamp::now().as_second() > created.as_second()).then_some(())
        })
        .await;
    }
    stand_in.say("go");

    for name in ["first", "high", "low"] {
        scene.ends(name, Ending::COMPLETED).await;
    }

    // Who wrote last had its turn last.
    assert_eq!(
        (
            scene.effects_on("deployments", "web"),
            scene.replicas("web").await
        ),
        (3, 5)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn executions_on_different_targets_wait_for_a_slot() {
    let scene = Scene::new("slot").await;
    scene.deployment("web", 2).await;
    scene.deployment("shop", 2).await;
    let _operator = scene.operator_with(&["--max-concurrent", "1"]).await;
    let stand_in = StandIn::new(&scene, FIRST_IS_HELD);
    scene.create(&scene.scaling("first", "web", 4)).await;
    stand_in.says("holding").await;
    scene.create(&scene.scaling("second", "shop", 3)).await;
    says_it_waits(&queued(&scene, "second").await, "one of the slots");
    assert_eq!(scene.effects_on("deployments", "shop"), 0);
    stand_in.say("go");

    scene.ends("first", Ending::COMPLETED).await;
    scene.ends("second", Ending::COMPLETED).await;

    assert_eq!(
        (scene.replicas("web").await, scene.replicas("shop").await),
        (4, 3)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_execution_hands_its_target_on() {
    let scene = Scene::new("hand-on").await;
    scene.deployment("web", 2).await;
    let _operator = scene.operator().await;
    let body = r#"case $name in first) say holding; await go; exit 1 ;; esac; exec "$runner" "$@""#;
    let stand_in = StandIn::new(&scene, body);
    scene.create(&scene.scaling("first", "web", 4)).await;
    stand_in.says("holding").await;
    scene.create(&scene.scaling("second", "web", 3)).await;
    queued(&scene, "second").await;
    stand_in.say("go");

    scene
        .ends(
            "first",
            Ending::failed(Reason::InvalidResult, FailureClass::Unknown),
        )
        .await;
    scene.ends("second", Ending::COMPLETED).await;

    assert_eq!(
        (
            scene.effects_on("deployments", "web"),
            scene.replicas("web").await
        ),
        (1, 3)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_outlives_the_operator() {
    let scene = Scene::new("restart").await;
    scene.deployment("web", 2).await;
    let operator = scene.operator().await;
    let stand_in = StandIn::new(&scene, FIRST_IS_HELD);
    scene.create(&scene.scaling("first", "web", 4)).await;
    stand_in.says("holding").await;
    scene.create(&scene.scaling("second", "web", 3)).await;
    queued(&scene, "second").await;
    operator.kill();
    let _operator = scene.operator().await;
    stand_in.say("go");

    scene.ends("first", Ending::COMPLETED).await;
    scene.ends("second", Ending::COMPLETED).await;

    assert_eq!(
        (
            scene.effects_on("deployments", "web"),
            scene.replicas("web").await
        ),
        (2, 3)
    );
}

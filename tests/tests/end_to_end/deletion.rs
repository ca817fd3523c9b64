//! Executions that are deleted at any moment: the runner is stopped, nothing is undone, nothing is left and
//! nothing hangs (I8).

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kexec_api::execution::KubernetesExecution;
use kexec_api::names;
use kexec_api::phase::Phase;
use kexec_devcluster::node::Fault;
use kexec_tests::harness::{
    Ending, HELD_AFTER_THE_WRITE, HELD_BEFORE_THE_WRITE, Scene, StandIn, eventually, fault_on,
    phase,
};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams};
use serde_json::{Value, json};

/// Has finished Jobs removed at once.
const SHORT_LIVED: [&str; 2] = ["--job-ttl-seconds", "1"];

/// Holds back the runner of the execution `first` only.
pub const FIRST_IS_HELD: &str =
    r#"case $name in first) say holding; await go ;; esac; exec "$runner" "$@""#;

/// Deletes an execution as its user, and waits until it is gone: no finalizer holds it.
async fn delete(scene: &Scene, name: &str) {
    let executions: Api<KubernetesExecution> = scene.api();
    let found = executions.get(name).await.expect("an execution");
    assert_eq!(found.finalizers(), &[] as &[String]);
    let by_user: Api<KubernetesExecution> = Api::namespaced(scene.user.clone(), &scene.namespace);
    by_user
        .delete(name, &DeleteParams::default())
        .await
        .expect("deleted");
    eventually("the execution to be gone", || async {
        executions.get_opt(name).await.ok()?.is_none().then_some(())
    })
    .await;
}

/// Waits until nothing of an execution is left in the system namespace: no Job, no pod, no claim.
pub async fn leaves_nothing(scene: &Scene, execution: &KubernetesExecution) {
    nothing_but_leases(scene, execution).await;
    let leases: Api<Lease> = scene.system_api();
    let of_it = of(execution);
    eventually("its claim to be gone", || async {
        leases
            .list(&of_it)
            .await
            .ok()?
            .items
            .is_empty()
            .then_some(())
    })
    .await;
}

async fn nothing_but_leases(scene: &Scene, execution: &KubernetesExecution) {
    let (jobs, pods): (Api<Job>, Api<Pod>) = (scene.system_api(), scene.system_api());
    let of_it = of(execution);
    eventually("its Job and pod to be gone", || async {
        let none = jobs.list(&of_it).await.ok()?.items.is_empty()
            && pods.list(&of_it).await.ok()?.items.is_empty();
        none.then_some(())
    })
    .await;
}

fn of(execution: &KubernetesExecution) -> ListParams {
    let uid = execution.uid().unwrap_or_default();
    ListParams::default().labels(&format!("{}={uid}", names::LABEL_EXECUTION_UID))
}

/// Another execution on the same Deployment has its turn and succeeds.
pub async fn goes_on(scene: &Scene, replicas: i32) {
    scene
        .create(&scene.scaling("next", "web", replicas.into()))
        .await;
    scene.ends("next", Ending::COMPLETED).await;
    assert_eq!(scene.replicas("web").await, replicas);
}

/// The execution `up`, which is to scale `web` from 2 to 4, as it runs.
pub async fn running(scene: &Scene, body: &str, word: &str) -> (KubernetesExecution, StandIn) {
    scene.deployment("web", 2).await;
    let stand_in = StandIn::new(scene, body);
    let execution = scene.create(&scene.scaling("up", "web", 4)).await;
    stand_in.says(word).await;
    let is_running = |pod: &Pod| {
        pod.status
            .as_ref()
            .is_some_and(|status| status.phase.as_deref() == Some("Running"))
    };
    scene
        .pod(&execution, "the runner's pod to run", is_running)
        .await;
    (execution, stand_in)
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_running_execution_stops_its_runner_and_leaves_nothing() {
    let scene = Scene::new("delete").await;
    let _operator = scene.operator_with(&SHORT_LIVED).await;
    let body = "trap 'say stopped; exit 1' TERM; say holding; await go";
    let (execution, stand_in) = running(&scene, body, "holding").await;

    delete(&scene, "up").await;

    stand_in.says("stopped").await;
    leaves_nothing(&scene, &execution).await;
    drop(stand_in);
    assert_eq!(scene.effects_on("deployments", "web"), 0);
    goes_on(&scene, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pod_of_a_deleted_execution_is_stopped_by_its_deadline_and_kept_for_its_log() {
    let scene = Scene::new("stop").await;
    let _operator = scene.operator().await;
    let (execution, _stand_in) = running(&scene, HELD_BEFORE_THE_WRITE, "holding").await;

    delete(&scene, "up").await;

    let has_ended = |pod: &Pod| {
        pod.status
            .as_ref()
            .is_some_and(|status| status.reason.as_deref() == Some("DeadlineExceeded"))
    };
    let pod = scene
        .pod(
            &execution,
            "the pod to be stopped by its deadline",
            has_ended,
        )
        .await;
    assert_eq!(
        pod.spec.and_then(|spec| spec.active_deadline_seconds),
        Some(1)
    );
    scene.job_expires(&execution).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_an_execution_undoes_nothing_and_its_claim_goes_with_its_job() {
    let scene = Scene::new("undo").await;
    let _operator = scene.operator_with(&SHORT_LIVED).await;
    let (execution, stand_in) = running(&scene, HELD_AFTER_THE_WRITE, "written").await;
    let leases: Api<Lease> = scene.system_api();
    leases
        .get(&scene.job_name(&execution))
        .await
        .expect("the runner's claim");

    delete(&scene, "up").await;

    leaves_nothing(&scene, &execution).await;
    drop(stand_in);
    assert_eq!(
        (
            scene.effects_on("deployments", "web"),
            scene.replicas("web").await
        ),
        (1, 4)
    );
    goes_on(&scene, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_an_execution_whose_pod_has_not_started_keeps_it_from_ever_starting() {
    let scene = Scene::new("unstarted").await;
    scene.deployment("web", 2).await;
    let operator = scene.operator_with(&SHORT_LIVED).await;
    let fault = fault_on(&scene, Fault::NeverStart);
    let execution = scene.create(&scene.scaling("up", "web", 4)).await;
    scene.pod(&execution, "the runner's pod", |_| true).await;

    delete(&scene, "up").await;

    nothing_but_leases(&scene, &execution).await;
    drop(fault);
    goes_on(&scene, 3).await;
    // The tombstone is removed by the sweep, of which one comes with the start.
    operator.kill();
    let _operator = scene.operator_with(&SHORT_LIVED).await;
    leaves_nothing(&scene, &execution).await;
    assert_eq!(scene.effects_on("deployments", "web"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_an_execution_nobody_has_seen_leaves_nothing_to_do() {
    let scene = Scene::new("unseen").await;
    scene.deployment("web", 2).await;
    let execution = scene.create(&scene.scaling("up", "web", 4)).await;
    delete(&scene, "up").await;
    let _operator = scene.operator().await;
    goes_on(&scene, 3).await;
    leaves_nothing(&scene, &execution).await;
    assert_eq!(scene.effects_on("deployments", "web"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_queued_execution_frees_its_place() {
    let scene = Scene::new("place").await;
    scene.deployment("web", 2).await;
    let _operator = scene.operator_with(&["--max-concurrent", "1"]).await;
    let stand_in = StandIn::new(&scene, FIRST_IS_HELD);
    scene.create(&scene.scaling("first", "web", 4)).await;
    stand_in.says("holding").await;
    let second = scene
        .create(&ahead_of_others(scene.scaling("second", "web", 6)))
        .await;
    queued(&scene, "second").await;
    scene.create(&scene.scaling("third", "web", 3)).await;
    queued(&scene, "third").await;

    delete(&scene, "second").await;
    stand_in.say("go");

    scene.ends("first", Ending::COMPLETED).await;
    scene.ends("third", Ending::COMPLETED).await;
    leaves_nothing(&scene, &second).await;
    assert_eq!(
        (
            scene.effects_on("deployments", "web"),
            scene.replicas("web").await
        ),
        (2, 3)
    );
}

pub fn ahead_of_others(mut execution: Value) -> Value {
    execution["spec"]["executionConfig"]["priority"] = json!("high");
    execution
}

pub async fn queued(scene: &Scene, name: &str) {
    let is_queued = |execution: &KubernetesExecution| {
        let status = execution.status.as_ref();
        phase(execution) == Some(Phase::Pending)
            && status.is_some_and(|status| status.queue.is_some())
    };
    scene.reaches(name, "the queue", is_queued).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_the_namespace_of_a_running_execution_hangs_in_nothing() {
    let scene = Scene::new("namespace").await;
    let _operator = scene.operator_with(&SHORT_LIVED).await;
    let (execution, _stand_in) = running(&scene, HELD_BEFORE_THE_WRITE, "holding").await;
    let namespaces: Api<Namespace> = Api::all(scene.client.clone());

    namespaces
        .delete(&scene.namespace, &DeleteParams::default())
        .await
        .expect("deleted");

    eventually("the namespace to be gone", || async {
        namespaces
            .get_opt(&scene.namespace)
            .await
            .ok()?
            .is_none()
            .then_some(())
    })
    .await;
    leaves_nothing(&scene, &execution).await;
    assert_eq!(scene.effects_on("deployments", "web"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_while_the_operator_is_down_is_seen_at_its_next_start() {
    let scene = Scene::new("down").await;
    let operator = scene.operator_with(&SHORT_LIVED).await;
    let (execution, stand_in) = running(&scene, HELD_BEFORE_THE_WRITE, "holding").await;
    operator.kill();
    delete(&scene, "up").await;

    let _operator = scene.operator_with(&SHORT_LIVED).await;

    leaves_nothing(&scene, &execution).await;
    drop(stand_in);
    assert_eq!(scene.effects_on("deployments", "web"), 0);
    goes_on(&scene, 3).await;
}

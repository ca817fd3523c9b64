//! The actions on workloads and their rollouts, on the cluster's own controllers.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::{
    ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet,
};
use k8s_openapi::api::core::v1::Pod;
use kexec_api::condition::Reason;
use kexec_api::execution::KubernetesExecution;
use kexec_api::phase::Phase;
use kexec_tests::harness::{Scene, eventually};
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::case::{Case, assert_ended};
use super::pods;

/// Replicas of a workload that has any.
const REPLICAS: usize = 2;

/// The three kinds, each with the name of a workload of it.
const KINDS: [(&str, &str); 3] = [
    ("Deployment", "web"),
    ("StatefulSet", "store"),
    ("DaemonSet", "agent"),
];

/// Puts a workload of a kind in place, and waits for its pods: two, or one on the node that plays pods.
async fn workload(scene: &Scene, kind: &str, name: &str) -> Vec<Pod> {
    scene.apply(&manifest(scene, kind, name)).await;
    pods(scene, name, count(kind)).await
}

fn count(kind: &str) -> usize {
    if kind == "DaemonSet" { 1 } else { REPLICAS }
}

fn manifest(scene: &Scene, kind: &str, name: &str) -> Value {
    let resources = json!({"limits": {"memory": "64Mi"}, "requests": {"memory": "32Mi"}});
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": kind,
        "metadata": {"name": name, "namespace": scene.namespace},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "nodeSelector": {"kubernetes.io/os": "linux"},
                    "containers": [{"name": "main", "image": "played", "resources": resources}],
                },
            },
        },
    });
    if kind != "DaemonSet" {
        object["spec"]["replicas"] = REPLICAS.into();
    }
    if kind == "StatefulSet" {
        object["spec"]["serviceName"] = name.into();
    }
    object
}

fn uids(pods: &[Pod]) -> BTreeSet<Option<String>> {
    pods.iter().map(ResourceExt::uid).collect()
}

/// A workload as it is.
async fn live(scene: &Scene, kind: &str, name: &str) -> Value {
    let found = match kind {
        "Deployment" => {
            serde_json::to_value(scene.api::<Deployment>().get(name).await.expect("is there"))
        }
        "StatefulSet" => serde_json::to_value(
            scene
                .api::<StatefulSet>()
                .get(name)
                .await
                .expect("is there"),
        ),
        _ => serde_json::to_value(scene.api::<DaemonSet>().get(name).await.expect("is there")),
    };
    found.expect("is JSON")
}

/// The container of a workload's template.
async fn container(scene: &Scene, kind: &str, name: &str) -> Value {
    live(scene, kind, name).await["spec"]["template"]["spec"]["containers"][0].clone()
}

/// Changes a Deployment by hand.
async fn change(scene: &Scene, name: &str, patch: Value) {
    let deployments: Api<Deployment> = scene.api();
    deployments
        .patch(name, &PatchParams::default(), &Patch::Strategic(patch))
        .await
        .expect("changed");
}

/// Has an action done to a workload by an execution of the workload's name.
async fn done(scene: &Scene, action: &str, (kind, name): (&str, &str), parameters: &Value) {
    let target = ("apps/v1", kind, name);
    scene
        .create(&scene.execution(name, action, target, parameters))
        .await;
    let status = scene.ended(name).await.status.expect("a status");
    assert_ended(&status, Phase::Completed, Reason::ExecutionCompleted);
}

/// Takes back what an execution did, as its requester may ask.
async fn take_back(scene: &Scene, execution: &str) {
    let executions: Api<KubernetesExecution> =
        Api::namespaced(scene.user.clone(), &scene.namespace);
    let asked = json!({"spec": {"control": {"rollback": true}}});
    executions
        .patch(execution, &PatchParams::default(), &Patch::Merge(asked))
        .await
        .expect("asked for");
    scene
        .reaches(execution, "rolled-back", |execution| {
            let status = execution.status.as_ref();
            status.and_then(|status| status.phase) == Some(Phase::RolledBack)
        })
        .await;
}

/// Has every pod of a workload replaced, once for each execution.
async fn restarts(action: &str, kind: &str) {
    let scene = Scene::new("rollout").await;
    let before = uids(&workload(&scene, kind, "web").await);
    let _operator = scene.operator().await;
    let case = Case::new(&scene, action, "web", json!({}));

    case.tries().await;
    assert_eq!(uids(&pods(&scene, "web", count(kind)).await), before);
    case.reaches_its_goal().await;
    let after = uids(&pods(&scene, "web", count(kind)).await);
    assert!(after.is_disjoint(&before), "{after:?} {before:?}");

    // What was restarted since the second in which an execution was created is as that one asks.
    let done: KubernetesExecution = scene.api().get("do").await.expect("is there");
    let created = done.creation_timestamp().expect("has a time").0;
    eventually("the next second", || async {
        (jiff::Timestamp::now().as_second() > created.as_second()).then_some(())
    })
    .await;
    let again = case.run("again").await;
    assert_ended(&again, Phase::Completed, Reason::ExecutionCompleted);
    let later = uids(&pods(&scene, "web", count(kind)).await);
    assert!(later.is_disjoint(&after), "{later:?} {after:?}");
    assert_eq!(case.writes(), (3, 2), "each execution restarts once");
    case.makes_just_the_calls_it_was_granted().await;
}

pub(super) async fn restart_deployment(action: &str) {
    restarts(action, "Deployment").await;
}

pub(super) async fn restart_statefulset(action: &str) {
    restarts(action, "StatefulSet").await;
}

pub(super) async fn restart_daemonset(action: &str) {
    restarts(action, "DaemonSet").await;
}

/// Sets the replicas of a StatefulSet.
pub(super) async fn scale_statefulset(action: &str) {
    let scene = Scene::new("scalests").await;
    workload(&scene, "StatefulSet", "web").await;
    let _operator = scene.operator().await;
    let case = Case::new(&scene, action, "web", json!({"replicas": 3}));

    case.tries().await;
    assert_eq!(
        live(&scene, "StatefulSet", "web").await["spec"]["replicas"],
        REPLICAS
    );
    case.reaches_its_goal().await;
    assert_eq!(pods(&scene, "web", 3).await.len(), 3);
    case.changes_nothing_more().await;
    case.makes_just_the_calls_it_was_granted().await;
}

/// Has a Deployment hold back changes of its template.
pub(super) async fn pause_rollout(action: &str) {
    let scene = Scene::new("pause").await;
    let before = uids(&workload(&scene, "Deployment", "web").await);
    let _operator = scene.operator().await;
    let case = Case::new(&scene, action, "web", json!({}));

    case.tries().await;
    case.reaches_its_goal().await;
    let paused = live(&scene, "Deployment", "web").await["spec"]["paused"].clone();
    assert_eq!(paused, true);
    case.changes_nothing_more().await;
    case.makes_just_the_calls_it_was_granted().await;

    let target = ("apps/v1", "Deployment", "web");
    scene
        .create(&scene.execution("restart", "restart_deployment", target, &json!({})))
        .await;
    let status = scene.ended("restart").await.status.expect("a status");
    assert_ended(&status, Phase::Failed, Reason::InvalidTarget);
    let error = status.error.expect("an error");
    assert!(
        error.contains("is paused, so nothing would be rolled out: resume it first"),
        "{error}"
    );
    assert_eq!(uids(&pods(&scene, "web", REPLICAS).await), before);
}

/// Has a paused Deployment go on.
pub(super) async fn resume_rollout(action: &str) {
    let scene = Scene::new("resume").await;
    workload(&scene, "Deployment", "web").await;
    change(&scene, "web", json!({"spec": {"paused": true}})).await;
    let _operator = scene.operator().await;
    let case = Case::new(&scene, action, "web", json!({}));

    case.tries().await;
    let paused = live(&scene, "Deployment", "web").await["spec"]["paused"].clone();
    assert_eq!(paused, true);
    case.reaches_its_goal().await;
    let paused = live(&scene, "Deployment", "web").await["spec"]["paused"].clone();
    assert_eq!(paused, Value::Null);
    case.changes_nothing_more().await;
    case.makes_just_the_calls_it_was_granted().await;
}

/// Has workloads run another image; taken back, one runs the old image again.
pub(super) async fn set_image(action: &str) {
    let scene = Scene::new("image").await;
    let before = uids(&workload(&scene, "Deployment", "web").await);
    let _operator = scene.operator().await;
    let images = json!({"images": {"main": "played:2"}});
    let case = Case::new(&scene, action, "web", images.clone());

    case.tries().await;
    let container_of = |kind, name| container(&scene, kind, name);
    assert_eq!(container_of("Deployment", "web").await["image"], "played");
    case.reaches_its_goal().await;
    assert_eq!(container_of("Deployment", "web").await["image"], "played:2");
    assert!(uids(&pods(&scene, "web", REPLICAS).await).is_disjoint(&before));
    case.changes_nothing_more().await;

    for (kind, name) in KINDS.into_iter().skip(1) {
        workload(&scene, kind, name).await;
        done(&scene, action, (kind, name), &images).await;
        assert_eq!(container_of(kind, name).await["image"], "played:2");
    }
    case.makes_just_the_calls_it_was_granted().await;

    take_back(&scene, "do").await;
    assert_eq!(container_of("Deployment", "web").await["image"], "played");
}

/// Waits until the controller of `web` keeps two revisions.
async fn two_revisions(scene: &Scene, kind: &str) {
    let of_web = ListParams::default().labels("app=web");
    eventually("two revisions", || async {
        let kept = if kind == "Deployment" {
            let all = scene.api::<ReplicaSet>().list(&of_web).await.ok()?;
            all.items.len()
        } else {
            let all = scene.api::<ControllerRevision>().list(&of_web).await.ok()?;
            all.items.len()
        };
        (kept == 2).then_some(())
    })
    .await;
}

/// Brings back the image that a workload had before.
async fn rolls_back(action: &str, kind: &str) {
    let scene = Scene::new("rollback").await;
    workload(&scene, kind, "web").await;
    let mut changed = manifest(&scene, kind, "web");
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = "played:2".into();
    scene.apply(&changed).await;
    let _operator = scene.operator().await;
    let case = Case::new(&scene, action, "web", json!({"rollbackRevision": 1}));
    two_revisions(&scene, kind).await;

    case.tries().await;
    assert_eq!(container(&scene, kind, "web").await["image"], "played:2");
    case.reaches_its_goal().await;
    assert_eq!(container(&scene, kind, "web").await["image"], "played");
    case.makes_just_the_calls_it_was_granted().await;
}

pub(super) async fn rollback_deployment(action: &str) {
    rolls_back(action, "Deployment").await;
}

pub(super) async fn rollback_statefulset(action: &str) {
    rolls_back(action, "StatefulSet").await;
}

pub(super) async fn rollback_daemonset(action: &str) {
    rolls_back(action, "DaemonSet").await;
}

/// Raises what containers may use and ask for.
pub(super) async fn increase_resources(action: &str) {
    let scene = Scene::new("increase").await;
    let before = uids(&workload(&scene, "Deployment", "web").await);
    let _operator = scene.operator().await;
    let asked =
        json!({"resourceLimits": {"memory": "1024Mi"}, "resourceRequests": {"cpu": "0.01"}});
    let raised = json!({"limits": {"memory": "1Gi"}, "requests": {"cpu": "10m", "memory": "32Mi"}});
    let case = Case::new(&scene, action, "web", asked.clone());

    case.tries().await;
    case.reaches_its_goal().await;
    let container_of = |kind, name| container(&scene, kind, name);
    assert_eq!(container_of("Deployment", "web").await["resources"], raised);
    assert!(uids(&pods(&scene, "web", REPLICAS).await).is_disjoint(&before));
    case.changes_nothing_more().await;
    for (kind, name) in KINDS.into_iter().skip(1) {
        workload(&scene, kind, name).await;
        done(&scene, action, (kind, name), &asked).await;
        assert_eq!(container_of(kind, name).await["resources"], raised);
    }
    case.makes_just_the_calls_it_was_granted().await;
}

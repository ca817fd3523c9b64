//! Each action through everything on a real cluster: a dry run writes nothing, a run reaches its goal, a second one
//! changes nothing more, and the calls its account made are exactly the rules it was granted. A new action brings a
//! function that puts a live target in place.

mod case;
mod cron_jobs;
mod drains;
mod evictions;
mod lookers;
mod restarts;
mod rollouts;

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod};
use kexec_api::condition::Reason;
use kexec_api::phase::Phase;
use kexec_core::Registry;
use kexec_tests::harness::{Scene, eventually};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use case::Case;
pub(super) use case::assert_ended;
use cron_jobs::{resume_cronjob, suspend_cronjob};
use drains::drain_node;
use evictions::evict_pod;
use lookers::{notify_only, validate_resource, wait_for_condition};
use rollouts::{
    increase_resources, pause_rollout, restart_daemonset, restart_deployment, restart_statefulset,
    resume_rollout, rollback_daemonset, rollback_deployment, rollback_statefulset,
    scale_statefulset, set_image,
};

/// Makes a test of each of these functions, which bear the names of actions.
macro_rules! tried {
    ($($action:ident),* $(,)?) => {
        /// The actions that are tried here.
        const TRIED: &[&str] = &[$(stringify!($action)),*];

        mod through_everything {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $action() {
                    super::$action(stringify!($action)).await;
                }
            )*
        }
    };
}

tried! {
    cordon_node,
    delete_pod,
    drain_node,
    evict_pod,
    increase_resources,
    modify_configmap,
    notify_only,
    pause_rollout,
    restart_daemonset,
    restart_deployment,
    restart_pod,
    restart_statefulset,
    resume_cronjob,
    resume_rollout,
    rollback_daemonset,
    rollback_deployment,
    rollback_statefulset,
    scale_deployment,
    scale_statefulset,
    set_image,
    suspend_cronjob,
    taint_node,
    uncordon_node,
    untaint_node,
    validate_resource,
    wait_for_condition,
}

#[test]
fn every_action_is_tried() {
    for action in Registry::built_in().action_types() {
        assert!(
            TRIED.contains(&action),
            "{action} is not tried on a real cluster: write the function \"{action}\" in actions.rs, which puts a \
             live target in place, and name it in tried!"
        );
    }
}

/// Sets the replicas.
async fn scale_deployment(action: &str) {
    let scene = Scene::new("scale").await;
    scene.deployment("web", 2).await;
    let _operator = scene.operator().await;
    let case = Case::new(&scene, action, "web", json!({"replicas": 3}));

    case.tries().await;
    assert_eq!(scene.replicas("web").await, 2);
    case.reaches_its_goal().await;
    assert_eq!(scene.replicas("web").await, 3);
    case.changes_nothing_more().await;
    case.makes_just_the_calls_it_was_granted().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_scaled_to_zero_and_back() {
    let scene = Scene::new("zero").await;
    scene.deployment("web", 1).await;
    let _operator = scene.operator().await;

    for (name, replicas) in [("down", 0), ("up", 2)] {
        scene.create(&scene.scaling(name, "web", replicas)).await;
        let status = scene.ended(name).await.status.expect("a status");
        assert_ended(&status, Phase::Completed, Reason::ExecutionCompleted);
        assert_eq!(i64::from(scene.replicas("web").await), replicas);
    }
}

/// The pods of a workload, ready and not on their way out, once there are that many.
async fn pods(scene: &Scene, app: &str, count: usize) -> Vec<Pod> {
    let pods: Api<Pod> = scene.api();
    let of_app = ListParams::default().labels(&format!("app={app}"));
    eventually("the pods to be ready", || async {
        let pods = pods.list(&of_app).await.ok()?.items;
        let is_settled = pods.len() == count && pods.iter().all(is_ready);
        is_settled.then_some(pods)
    })
    .await
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    pod.metadata.deletion_timestamp.is_none()
        && conditions
            .into_iter()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Has the pod's owner replace it, and only it.
async fn restart_pod(action: &str) {
    let scene = Scene::new("restart").await;
    scene.deployment("web", 2).await;
    let before = pods(&scene, "web", 2).await;
    let target = before[0].name_any();
    let _operator = scene.operator().await;
    let parameters =
        json!({"customConfig": {"preWarmReplacement": true, "monitoringDuration": "5m"}});
    let case = Case::new(&scene, action, &target, parameters);

    case.tries().await;
    assert_eq!(pods(&scene, "web", 2).await[0].uid(), before[0].uid());
    let status = case.reaches_its_goal().await;
    let summary = status
        .plan
        .and_then(|plan| plan.summary)
        .expect("a summary");
    assert!(
        summary.contains("customConfig.preWarmReplacement is not performed"),
        "{summary}"
    );
    let after = pods(&scene, "web", 2).await;
    let uids: BTreeSet<_> = after.iter().map(ResourceExt::uid).collect();
    assert!(
        !uids.contains(&before[0].uid()) && uids.contains(&before[1].uid()),
        "only the named pod is replaced"
    );

    let again = case.run("again").await;
    assert_ended(&again, Phase::Failed, Reason::TargetNotFound);
    assert_eq!(case.writes(), (2, 1), "its replacement is another target");
    case.makes_just_the_calls_it_was_granted().await;
}

/// Deletes the pod, and only it.
async fn delete_pod(action: &str) {
    let scene = Scene::new("delete").await;
    scene.deployment("web", 2).await;
    let before = pods(&scene, "web", 2).await;
    let target = before[0].name_any();
    let _operator = scene.operator().await;
    let case = Case::new(&scene, action, &target, json!({"gracePeriodSeconds": 1}));

    case.tries().await;
    assert_eq!(pods(&scene, "web", 2).await[0].uid(), before[0].uid());
    case.reaches_its_goal().await;
    let pods: Api<Pod> = scene.api();
    assert_eq!(pods.get_opt(&target).await.expect("an answer"), None);

    let again = case.run("again").await;
    assert_ended(&again, Phase::Failed, Reason::TargetNotFound);
    assert_eq!(case.writes(), (2, 1));
    case.makes_just_the_calls_it_was_granted().await;
}

async fn config_map(scene: &Scene, content: &Value) {
    let mut object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": scene.namespace},
    });
    for (key, value) in content.as_object().expect("an object") {
        object[key] = value.clone();
    }
    scene.apply(&object).await;
}

async fn data(scene: &Scene) -> Value {
    let maps: Api<ConfigMap> = scene.api();
    let map = maps.get("settings").await.expect("a ConfigMap");
    json!({"data": map.data, "binaryData": map.binary_data})
}

/// Sets and removes the named keys.
async fn modify_configmap(action: &str) {
    let scene = Scene::new("configmap").await;
    config_map(
        &scene,
        &json!({"data": {"color": "red", "old": "x", "older": "x", "kept": "k", "odd.key": "o"}}),
    )
    .await;
    let before = data(&scene).await;
    let _operator = scene.operator().await;
    let bytes = json!({"bytes": "AAE="});
    let parameters = json!({
        "data": {"color": "blue", "old": null, "new": "n"}, "binaryData": bytes, "remove": ["older", "never"],
    });
    let case = Case::new(&scene, action, "settings", parameters);

    case.tries().await;
    assert_eq!(data(&scene).await, before);
    case.reaches_its_goal().await;
    let expected = json!({"color": "blue", "kept": "k", "new": "n", "odd.key": "o"});
    assert_eq!(
        data(&scene).await,
        json!({"data": expected, "binaryData": bytes})
    );
    case.changes_nothing_more().await;
    case.makes_just_the_calls_it_was_granted().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_data_of_a_configmap_may_come_and_go_as_a_whole() {
    let scene = Scene::new("whole").await;
    config_map(&scene, &json!({})).await;
    let _operator = scene.operator().await;
    let steps = [
        (
            "come",
            json!({"data": {"color": "red"}}),
            json!({"color": "red"}),
        ),
        (
            "stay",
            json!({"data": {"color": null, "shape": "round"}}),
            json!({"shape": "round"}),
        ),
        ("go", json!({"data": {"shape": null}}), Value::Null),
        ("absent", json!({"data": {"shape": null}}), Value::Null),
    ];

    for (name, parameters, expected) in steps {
        scene
            .create(&scene.execution(
                name,
                "modify_configmap",
                ("v1", "ConfigMap", "settings"),
                &parameters,
            ))
            .await;
        let status = scene.ended(name).await.status.expect("a status");
        let reason = if name == "absent" {
            Reason::NoChange
        } else {
            Reason::ExecutionCompleted
        };
        assert_ended(&status, Phase::Completed, reason);
        assert_eq!(data(&scene).await["data"], expected, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_immutable_configmap_is_refused() {
    let scene = Scene::new("immutable").await;
    config_map(
        &scene,
        &json!({"data": {"color": "red"}, "immutable": true}),
    )
    .await;
    let _operator = scene.operator().await;
    let parameters = json!({"data": {"color": "blue"}});

    scene
        .create(&scene.execution(
            "paint",
            "modify_configmap",
            ("v1", "ConfigMap", "settings"),
            &parameters,
        ))
        .await;

    let status = scene.ended("paint").await.status.expect("a status");
    assert_ended(&status, Phase::Failed, Reason::InvalidTarget);
    assert!(
        status
            .error
            .as_deref()
            .is_some_and(|error| error.contains("immutable")),
        "{:?}",
        status.error
    );
    assert_eq!(
        (status.job, scene.effects_on("configmaps", "settings")),
        (None, 0)
    );
}

/// A Node without a machine. No pod is placed on it, since it is never ready, and its end disturbs nobody's idea of how
/// many nodes are well.
struct SpareNode {
    nodes: Api<Node>,
    name: String,
}

impl SpareNode {
    async fn new(scene: &Scene, spec: &Value) -> Self {
        let name = format!("{}-node", scene.namespace);
        let labels = json!({"node.kubernetes.io/exclude-disruption": "true"});
        let metadata = json!({"name": name, "labels": labels});
        scene
            .apply(&json!({"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec}))
            .await;
        Self {
            nodes: Api::all(scene.client.clone()),
            name,
        }
    }

    async fn unschedulable(&self) -> Option<bool> {
        self.nodes
            .get(&self.name)
            .await
            .expect("a Node")
            .spec
            .and_then(|spec| spec.unschedulable)
    }

    /// The node's taints of that key, with their values and effects.
    async fn taints(&self, key: &str) -> Vec<(Option<String>, String)> {
        let node = self.nodes.get(&self.name).await.expect("a Node");
        let taints = node.spec.and_then(|spec| spec.taints).unwrap_or_default();
        let of_key = taints.into_iter().filter(|taint| taint.key == key);
        of_key.map(|taint| (taint.value, taint.effect)).collect()
    }

    /// Waits until the node's own taints, by which Kubernetes keeps pods off a machine that is not there, are all set.
    async fn settled(&self) {
        // Of a node that once said how it is, Kubernetes gives up hope soon.
        let status = json!({"status": {"conditions": [{
            "type": "Ready", "status": "False", "reason": "Played",
            "lastHeartbeatTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z",
        }]}});
        self.nodes
            .patch_status(&self.name, &PatchParams::default(), &Patch::Merge(&status))
            .await
            .expect("patched");
        eventually("the taints of a node without a machine", || async {
            let node = self.nodes.get(&self.name).await.ok()?;
            let taints = node.spec?.taints.unwrap_or_default();
            let unreachable = "node.kubernetes.io/unreachable";
            let own = taints.iter().filter(|taint| taint.key == unreachable);
            (own.count() == 2).then_some(())
        })
        .await;
    }

    async fn remove(self) {
        self.nodes
            .delete(&self.name, &DeleteParams::default())
            .await
            .expect("deleted");
    }
}

/// Keeps new pods off.
async fn cordon_node(action: &str) {
    let scene = Scene::new("cordon").await;
    let node = SpareNode::new(&scene, &json!({})).await;
    let _operator = scene.operator().await;
    let case = Case::new(&scene, action, &node.name, json!({}));

    case.tries().await;
    assert_eq!(node.unschedulable().await, None);
    case.reaches_its_goal().await;
    assert_eq!(node.unschedulable().await, Some(true));
    case.changes_nothing_more().await;
    case.makes_just_the_calls_it_was_granted().await;
    node.remove().await;
}

/// Lets new pods on again.
async fn uncordon_node(action: &str) {
    let scene = Scene::new("uncordon").await;
    let node = SpareNode::new(&scene, &json!({"unschedulable": true})).await;
    let _operator = scene.operator().await;
    let case = Case::new(&scene, action, &node.name, json!({}));

    case.tries().await;
    assert_eq!(node.unschedulable().await, Some(true));
    case.reaches_its_goal().await;
    assert_eq!(node.unschedulable().await, None);
    case.changes_nothing_more().await;
    case.makes_just_the_calls_it_was_granted().await;
    node.remove().await;
}

/// Gives the node a taint.
async fn taint_node(action: &str) {
    let scene = Scene::new("taint").await;
    let node = SpareNode::new(&scene, &json!({})).await;
    node.settled().await;
    let _operator = scene.operator().await;
    let parameters = json!({"key": "disk", "value": "slow", "effect": "NoSchedule"});
    let case = Case::new(&scene, action, &node.name, parameters);

    case.tries().await;
    assert_eq!(node.taints("disk").await, []);
    case.reaches_its_goal().await;
    let expected = [(Some("slow".to_owned()), "NoSchedule".to_owned())];
    assert_eq!(node.taints("disk").await, expected);
    case.changes_nothing_more().await;
    case.makes_just_the_calls_it_was_granted().await;
    node.remove().await;
}

/// Takes one taint off and leaves the others.
async fn untaint_node(action: &str) {
    let scene = Scene::new("untaint").await;
    let taints = json!([
        {"key": "disk", "value": "slow", "effect": "NoSchedule"},
        {"key": "disk", "effect": "PreferNoSchedule"},
    ]);
    let node = SpareNode::new(&scene, &json!({"taints": taints})).await;
    node.settled().await;
    let _operator = scene.operator().await;
    let parameters = json!({"key": "disk", "effect": "NoSchedule"});
    let case = Case::new(&scene, action, &node.name, parameters);

    case.tries().await;
    assert_eq!(node.taints("disk").await.len(), 2);
    case.reaches_its_goal().await;
    let expected = [(None, "PreferNoSchedule".to_owned())];
    assert_eq!(node.taints("disk").await, expected);
    case.changes_nothing_more().await;
    case.makes_just_the_calls_it_was_granted().await;
    node.remove().await;
}

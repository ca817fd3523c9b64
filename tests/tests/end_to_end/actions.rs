//! The five actions, each through everything on a real cluster: a dry run writes nothing, a run reaches its goal, a
//! second one changes nothing more, and the calls its account made are exactly the rules it was granted.

mod case;

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod};
use kexec_api::condition::Reason;
use kexec_api::phase::Phase;
use kexec_tests::harness::{Scene, eventually};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams};
use serde_json::{Value, json};

use case::{Case, assert_ended};

#[tokio::test(flavor = "multi_thread")]
async fn scale_deployment_sets_the_replicas() {
    let scene = Scene::new("scale").await;
    scene.deployment("web", 2).await;
    let _operator = scene.operator().await;
    let case = Case {
        scene: &scene,
        action: "scale_deployment",
        account: "kexec-scale-deployment",
        resource: "deployments",
        target: ("apps/v1", "Deployment", "web"),
        parameters: json!({"replicas": 3}),
    };

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

#[tokio::test(flavor = "multi_thread")]
async fn restart_pod_has_its_owner_replace_it() {
    let scene = Scene::new("restart").await;
    scene.deployment("web", 2).await;
    let before = pods(&scene, "web", 2).await;
    let target = before[0].name_any();
    let _operator = scene.operator().await;
    let case = Case {
        scene: &scene,
        action: "restart_pod",
        account: "kexec-restart-pod",
        resource: "pods",
        target: ("v1", "Pod", &target),
        parameters: json!({"customConfig": {"preWarmReplacement": true, "monitoringDuration": "5m"}}),
    };

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

    let again = case.run("again", &case.parameters).await;
    assert_ended(&again, Phase::Failed, Reason::TargetNotFound);
    assert_eq!(case.writes(), (2, 1), "its replacement is another target");
    case.makes_just_the_calls_it_was_granted().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pod_of_a_stateful_set_is_replaced_by_one_of_the_same_name_and_another_uid() {
    let scene = Scene::new("stateful").await;
    scene
        .apply(&json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": "db", "namespace": scene.namespace},
            "spec": {
                "replicas": 2, "serviceName": "db",
                "selector": {"matchLabels": {"app": "db"}},
                "template": {
                    "metadata": {"labels": {"app": "db"}},
                    "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "main", "image": "played"}]},
                },
            },
        }))
        .await;
    let before = pods(&scene, "db", 2).await;
    let _operator = scene.operator().await;

    scene
        .create(&scene.execution("restart", "restart_pod", ("v1", "Pod", "db-0"), &json!({})))
        .await;

    let status = scene.ended("restart").await.status.expect("a status");
    assert_ended(&status, Phase::Completed, Reason::ExecutionCompleted);
    let after = pods(&scene, "db", 2).await;
    let uid = |pods: &[Pod]| {
        pods.iter()
            .find(|pod| pod.name_any() == "db-0")
            .and_then(ResourceExt::uid)
    };
    assert!(uid(&after).is_some() && uid(&after) != uid(&before));
    assert_eq!(scene.effects_on("pods", "db-0"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_pod_is_not_restarted_unless_it_is_forced() {
    let scene = Scene::new("bare").await;
    let metadata =
        json!({"name": "alone", "namespace": scene.namespace, "labels": {"app": "alone"}});
    let spec = json!({"terminationGracePeriodSeconds": 1, "containers": [{"name": "main", "image": "played"}]});
    scene
        .apply(&json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}))
        .await;
    pods(&scene, "alone", 1).await;
    let _operator = scene.operator().await;
    let restart = |name, parameters| {
        scene.execution(name, "restart_pod", ("v1", "Pod", "alone"), &parameters)
    };

    scene.create(&restart("refused", json!({}))).await;
    let status = scene.ended("refused").await.status.expect("a status");
    assert_ended(&status, Phase::Failed, Reason::InvalidTarget);
    let error = status.error.expect("an error");
    assert!(
        error.contains("has no owner, so nothing would replace it: create it by a Deployment"),
        "{error}"
    );
    assert_eq!((status.job, scene.effects_on("pods", "alone")), (None, 0));

    scene
        .create(&restart("forced", json!({"force": true})))
        .await;
    let status = scene.ended("forced").await.status.expect("a status");
    assert_ended(&status, Phase::Completed, Reason::ExecutionCompleted);
    let pods: Api<Pod> = scene.api();
    assert_eq!(pods.get_opt("alone").await.expect("an answer"), None);
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

#[tokio::test(flavor = "multi_thread")]
async fn modify_configmap_sets_and_removes_the_named_keys() {
    let scene = Scene::new("configmap").await;
    config_map(
        &scene,
        &json!({"data": {"color": "red", "old": "x", "older": "x", "kept": "k", "odd.key": "o"}}),
    )
    .await;
    let before = data(&scene).await;
    let _operator = scene.operator().await;
    let bytes = json!({"bytes": "AAE="});
    let case = Case {
        scene: &scene,
        action: "modify_configmap",
        account: "configmap-patcher",
        resource: "configmaps",
        target: ("v1", "ConfigMap", "settings"),
        parameters: json!({
            "data": {"color": "blue", "old": null, "new": "n"}, "binaryData": bytes, "remove": ["older", "never"],
        }),
    };

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
    async fn new(scene: &Scene) -> Self {
        let name = format!("{}-node", scene.namespace);
        let labels = json!({"node.kubernetes.io/exclude-disruption": "true"});
        scene.apply(&json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}})).await;
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

    async fn remove(self) {
        self.nodes
            .delete(&self.name, &DeleteParams::default())
            .await
            .expect("deleted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cordon_node_keeps_new_pods_off_and_uncordon_node_lets_them_on_again() {
    let scene = Scene::new("cordon").await;
    let node = SpareNode::new(&scene).await;
    let operator = scene.operator().await;
    let cordon = Case {
        scene: &scene,
        action: "cordon_node",
        account: "kexec-cordon-node",
        resource: "nodes",
        target: ("v1", "Node", &node.name),
        parameters: json!({}),
    };

    cordon.tries().await;
    assert_eq!(node.unschedulable().await, None);
    cordon.reaches_its_goal().await;
    assert_eq!(node.unschedulable().await, Some(true));
    cordon.changes_nothing_more().await;
    cordon.makes_just_the_calls_it_was_granted().await;

    operator.stop().await;
    let scene = Scene::new("uncordon").await;
    let _operator = scene.operator().await;
    let uncordon = Case {
        scene: &scene,
        action: "uncordon_node",
        account: "kexec-uncordon-node",
        ..cordon
    };
    uncordon.tries().await;
    assert_eq!(node.unschedulable().await, Some(true));
    uncordon.reaches_its_goal().await;
    assert_eq!(node.unschedulable().await, None);
    uncordon.changes_nothing_more().await;
    uncordon.makes_just_the_calls_it_was_granted().await;
    node.remove().await;
}

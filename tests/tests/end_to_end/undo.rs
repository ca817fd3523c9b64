//! The runner's rollback on a real API server: a process of its own, run by hand as a user who may patch and nothing else,
//! undoes what it did before, and only what is still its own (BR-EXEC-014, I7).

use std::process::Command;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kexec_api::names::{
    ENV_JOB_UID, ENV_PLAN_HASH, ENV_POD_NAMESPACE, ENV_POD_UID, ENV_TERMINATION_LOG, ENV_WORK_ORDER,
};
use kexec_api::plan::{FieldChange, ObjectRef, PlanContent, Step};
use kexec_api::work::StepOutcome::{Foreign, Unneeded, Written};
use kexec_api::work::{ExecutionRef, Stage, StepOutcome, WorkOrder, WorkOutcome, WorkResult};
use kexec_tests::harness::{Scene, binary, eventually};
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

type Records = Vec<(u32, Option<u32>, StepOutcome)>;

/// A Deployment `web` and a ConfigMap `settings`, and runners that act on them.
struct Undoing {
    scene: Scene,
    folder: tempfile::TempDir,
    plan: PlanContent,
}

fn change(path: &str, before: Option<Value>, after: Option<Value>) -> FieldChange {
    FieldChange {
        path: path.to_owned(),
        before,
        after,
    }
}

impl Undoing {
    /// Begins with that many replicas, which the plan makes `wanted`, and with the data `{a: old, b: old}`, which the
    /// plan makes `{a: ours, b: ours, c: ours}`. The scale subresource leaves out a zero.
    async fn begin(name: &str, replicas: u32, wanted: u32) -> Self {
        let scene = Scene::new(name).await;
        scene.apply_deployment("web", replicas, "ready").await;
        apply_settings(&scene).await;
        let deployment = object_ref(&scene, "apps/v1", "Deployment", "deployments", "web");
        let config_map = object_ref(&scene, "v1", "ConfigMap", "configmaps", "settings");
        let deployments: Api<Deployment> = scene.api();
        let config_maps: Api<ConfigMap> = scene.api();
        let deployment = ObjectRef {
            uid: uid_of(&deployments, "web").await,
            ..deployment
        };
        let config_map = ObjectRef {
            uid: uid_of(&config_maps, "settings").await,
            ..config_map
        };
        let plan = plan(deployment, config_map, replicas, wanted);
        let folder = tempfile::tempdir().expect("a folder");
        let undoing = Self {
            scene,
            folder,
            plan,
        };
        undoing.grant_patches().await;
        undoing
    }

    fn username(&self) -> String {
        format!("{}-runner", self.scene.namespace)
    }

    /// Gives the runner's user what an action's ServiceAccount has: patch, and the claim.
    async fn grant_patches(&self) {
        let (name, namespace) = (self.username(), &self.scene.namespace);
        let metadata = json!({"name": name, "namespace": namespace});
        let rule = |group: &str, resource: &str, verbs: &[&str]| json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
        self.scene
            .apply(&json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata,
                "rules": [
                    rule("apps", "deployments/scale", &["patch"]),
                    rule("", "configmaps", &["patch"]),
                    rule("coordination.k8s.io", "leases", &["create", "get"]),
                ],
            }))
            .await;
        self.scene
            .apply(&json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata,
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}],
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            }))
            .await;
        let plane = self.scene.cluster.plane();
        let config = plane.config_for_user(&name, &[]).await.expect("a user");
        let as_runner: Api<ConfigMap> =
            Api::namespaced(Client::try_from(config).expect("a client"), namespace);
        let nothing = Patch::Merge(json!({}));
        eventually("the runner's rights", || async {
            as_runner
                .patch("settings", &PatchParams::default().dry_run(), &nothing)
                .await
                .ok()
        })
        .await;
    }

    /// Runs one stage as an attempt of that number to its end.
    async fn run(&self, stage: Stage, attempt: u32) -> (Option<i32>, WorkResult) {
        let order = WorkOrder {
            execution: ExecutionRef {
                namespace: self.scene.namespace.clone(),
                name: "undone".to_owned(),
                uid: "11111111-2222-3333-4444-555555555555".to_owned(),
            },
            attempt,
            stage,
            deadline: "2100-01-01T00:00:00Z".parse().expect("a time"),
            plan_hash: self.plan.hash().expect("a hash"),
            plan: self.plan.clone(),
        };
        let plane = self.scene.cluster.plane();
        let kubeconfig = self.folder.path().join("kubeconfig");
        plane
            .kubeconfig_for_user(&kubeconfig, &self.username(), &[])
            .expect("a kubeconfig");
        let result = self.folder.path().join("result");
        let mut command = Command::new(binary("kexec-runner"));
        command
            .arg("execute")
            .env_clear()
            .env("KUBECONFIG", kubeconfig)
            .env(ENV_TERMINATION_LOG, &result)
            .env(
                ENV_WORK_ORDER,
                serde_json::to_string(&order).expect("an order"),
            )
            .env(ENV_PLAN_HASH, order.plan_hash.as_str())
            .env(ENV_POD_NAMESPACE, &self.scene.namespace)
            .env(ENV_POD_UID, "u-pod")
            .env(ENV_JOB_UID, "u-job");
        let output = tokio::task::spawn_blocking(move || command.output())
            .await
            .expect("a task")
            .expect("a runner");
        let result = std::fs::read(result).expect("a result");
        let result = serde_json::from_slice(&result).expect("a result");
        (output.status.code(), result)
    }

    /// Runs the plan, which must be done.
    async fn execute(&self) {
        let (code, result) = self.run(Stage::Execute, 1).await;
        assert_eq!(
            (code, result.outcome),
            (Some(0), WorkOutcome::Done),
            "{result:?}"
        );
    }

    /// Rolls back, and says how it ended.
    async fn roll_back(&self, attempt: u32) -> (Option<i32>, WorkOutcome, Records) {
        let (code, result) = self.run(Stage::Rollback, attempt).await;
        assert!(!format!("{result:?}").contains("theirs"), "{result:?}");
        let records = result.steps.iter();
        let records = records.map(|record| (record.step, record.field, record.outcome));
        (code, result.outcome, records.collect())
    }

    async fn somebody_patches(&self, data: Value) {
        let config_maps: Api<ConfigMap> = self.scene.api();
        let patch = Patch::Merge(json!({ "data": data }));
        config_maps
            .patch("settings", &PatchParams::default(), &patch)
            .await
            .expect("patched");
    }

    async fn settings(&self) -> ConfigMap {
        let config_maps: Api<ConfigMap> = self.scene.api();
        config_maps.get("settings").await.expect("a ConfigMap")
    }

    async fn data(&self) -> Value {
        json!(self.settings().await.data)
    }
}

/// The plan and its inverse, which takes everything back in reverse order.
fn plan(deployment: ObjectRef, config_map: ObjectRef, replicas: u32, wanted: u32) -> PlanContent {
    let shown = |replicas: u32| (replicas > 0).then(|| replicas.into());
    let keys = ["a", "b", "c"].map(|key| {
        let before = (key != "c").then(|| "old".into());
        change(&format!("/data/{key}"), before, Some("ours".into()))
    });
    let steps = vec![
        Step::Patch {
            target: deployment.clone(),
            subresource: Some("scale".to_owned()),
            changes: vec![change("/spec/replicas", shown(replicas), shown(wanted))],
        },
        Step::Patch {
            target: config_map.clone(),
            subresource: None,
            changes: keys.into(),
        },
    ];
    PlanContent {
        action: "undone".to_owned(),
        version: "v1.2".to_owned(),
        targets: vec![deployment, config_map],
        rollback: steps.iter().rev().filter_map(Step::inverse).collect(),
        steps,
        expectations: Vec::new(),
        permissions: Vec::new(),
    }
}

fn object_ref(
    scene: &Scene,
    api_version: &str,
    kind: &str,
    resource: &str,
    name: &str,
) -> ObjectRef {
    ObjectRef {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        resource: resource.to_owned(),
        namespace: Some(scene.namespace.clone()),
        name: name.to_owned(),
        uid: String::new(),
    }
}

async fn uid_of<K>(objects: &Api<K>, name: &str) -> String
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let found = objects.get(name).await.expect("an object");
    found.uid().expect("a UID")
}

async fn apply_settings(scene: &Scene) {
    let metadata = json!({"name": "settings", "namespace": scene.namespace});
    let data = json!({"a": "old", "b": "old"});
    scene
        .apply(
            &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}),
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_takes_back_all_that_is_ours() {
    let undoing = Undoing::begin("undo-all", 2, 0).await;
    undoing.execute().await;
    assert_eq!(undoing.scene.replicas("web").await, 0);
    let (code, outcome, records) = undoing.roll_back(1).await;
    assert_eq!((code, outcome), (Some(0), WorkOutcome::Done));
    assert_eq!(records, [(0, None, Written), (1, None, Written)]);
    assert_eq!(undoing.data().await, json!({"a": "old", "b": "old"}));
    assert_eq!(undoing.scene.replicas("web").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_leaves_what_somebody_changed_since_and_writes_nothing_twice() {
    let undoing = Undoing::begin("undo-some", 0, 2).await;
    undoing.execute().await;
    undoing.somebody_patches(json!({"b": "theirs"})).await;
    let (code, outcome, records) = undoing.roll_back(1).await;
    assert_eq!((code, outcome), (Some(3), WorkOutcome::PreconditionFailed));
    // The inverse of a step goes through its changes from the last to the first: c, b, a.
    let expected = [
        (0, Some(0), Written),
        (0, Some(1), Foreign),
        (0, Some(2), Written),
        (1, None, Written),
    ];
    assert_eq!(records, expected);
    assert_eq!(undoing.data().await, json!({"a": "old", "b": "theirs"}));
    assert_eq!(undoing.scene.replicas("web").await, 0);

    let before = undoing.settings().await.resource_version();
    let (code, outcome, records) = undoing.roll_back(2).await;
    assert_eq!((code, outcome), (Some(3), WorkOutcome::PreconditionFailed));
    let expected = [
        (0, Some(0), Unneeded),
        (0, Some(1), Foreign),
        (0, Some(2), Unneeded),
        (1, None, Unneeded),
    ];
    assert_eq!(records, expected);
    assert_eq!(undoing.settings().await.resource_version(), before);

    // Without any data the keys' map is gone too, and with it what the action added.
    undoing
        .somebody_patches(json!({"a": null, "b": null}))
        .await;
    let (_, _, records) = undoing.roll_back(3).await;
    let expected = [
        (0, Some(0), Unneeded),
        (0, Some(1), Foreign),
        (0, Some(2), Foreign),
        (1, None, Unneeded),
    ];
    assert_eq!(records, expected);
    assert_eq!(undoing.data().await, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_of_replaced_and_deleted_objects_writes_nothing() {
    let undoing = Undoing::begin("undo-none", 1, 0).await;
    undoing.execute().await;
    let config_maps: Api<ConfigMap> = undoing.scene.api();
    let deployments: Api<Deployment> = undoing.scene.api();
    let how = DeleteParams::default();
    config_maps.delete("settings", &how).await.expect("deleted");
    deployments.delete("web", &how).await.expect("deleted");
    eventually("the Deployment to be gone", || async {
        deployments
            .get_opt("web")
            .await
            .ok()?
            .is_none()
            .then_some(())
    })
    .await;
    apply_settings(&undoing.scene).await;
    let ours = json!({"a": "ours", "b": "ours", "c": "ours"});
    undoing.somebody_patches(ours.clone()).await;
    let (code, outcome, records) = undoing.roll_back(1).await;
    assert_eq!((code, outcome), (Some(3), WorkOutcome::PreconditionFailed));
    assert_eq!(records, [(0, None, Foreign), (1, None, Foreign)]);
    assert_eq!(undoing.data().await, ours);
}

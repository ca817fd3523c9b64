//! Many executions at once, and more than one controller.

use futures::future::join_all;
use k8s_openapi::api::batch::v1::Job;
use kexec_api::names;
use kexec_api::phase::Phase;
use kexec_tests::audit::Target;
use kexec_tests::harness::{Scene, phase};
use kube::Api;
use kube::api::ListParams;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_executions_at_once_all_end_right() {
    let scene = Scene::new("load").await;
    let (deployments, config_maps) = (30, 70);
    let names: Vec<String> = (0..deployments)
        .map(|number| format!("web-{number}"))
        .collect();
    join_all(names.iter().map(|name| scene.deployment(name, 1))).await;
    let settings: Vec<String> = (0..config_maps)
        .map(|number| format!("settings-{number}"))
        .collect();
    join_all(settings.iter().map(|name| config_map(&scene, name))).await;
    let _operator = scene.operator().await;

    let scalings = names.iter().map(|name| scene.scaling(name, name, 2));
    let changes = settings.iter().map(|name| change(&scene, name));
    let executions: Vec<_> = scalings.chain(changes).collect();
    join_all(executions.iter().map(|execution| scene.create(execution))).await;

    for name in names.iter().chain(&settings) {
        let execution = scene.ended(name).await;
        assert_eq!(
            phase(&execution),
            Some(Phase::Completed),
            "{name}: {:#?}",
            execution.status
        );
    }
    let calls = scene.calls();
    let effects = |resource, name| {
        let namespace = &scene.namespace;
        calls
            .effects_on(&Target {
                resource,
                namespace,
                name,
            })
            .len()
    };
    for name in &names {
        assert_eq!(
            (scene.replicas(name).await, effects("deployments", name)),
            (2, 1),
            "{name}"
        );
    }
    for name in &settings {
        assert_eq!(effects("configmaps", name), 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_controllers_have_one_effect() {
    let scene = Scene::new("two").await;
    let targets: Vec<String> = (0..8).map(|number| format!("web-{number}")).collect();
    join_all(targets.iter().map(|name| scene.deployment(name, 1))).await;
    let _operators = (scene.operator().await, scene.operator().await);

    let executions: Vec<_> = targets
        .iter()
        .map(|name| scene.scaling(name, name, 3))
        .collect();
    join_all(executions.iter().map(|execution| scene.create(execution))).await;

    for name in &targets {
        let execution = scene.ended(name).await;
        assert_eq!(
            phase(&execution),
            Some(Phase::Completed),
            "{name}: {:#?}",
            execution.status
        );
        assert_eq!(
            (
                scene.replicas(name).await,
                scene.effects_on("deployments", name)
            ),
            (3, 1),
            "{name}"
        );
        let jobs: Api<Job> = scene.system_api();
        let of_it = ListParams::default().labels(&format!(
            "{}={}",
            names::LABEL_EXECUTION_UID,
            execution.metadata.uid.unwrap_or_default()
        ));
        assert_eq!(
            jobs.list(&of_it).await.expect("Jobs").items.len(),
            1,
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn applying_the_same_execution_twice_has_one_effect() {
    let scene = Scene::new("twice").await;
    scene.deployment("web", 1).await;
    let _operator = scene.operator().await;
    let execution = scene.scaling("up", "web", 2);

    scene.apply(&execution).await;
    scene.apply(&execution).await;
    scene.ended("up").await;
    scene.apply(&execution).await;
    // A later execution is run by the same operator, so whatever the second application had caused is over.
    scene.create(&scene.scaling("later", "web", 3)).await;
    let later = scene.ended("later").await;

    assert_eq!(phase(&later), Some(Phase::Completed));
    assert_eq!(
        (
            scene.replicas("web").await,
            scene.effects_on("deployments", "web")
        ),
        (3, 2)
    );
}

async fn config_map(scene: &Scene, name: &str) {
    let metadata = json!({"name": name, "namespace": scene.namespace});
    scene.apply(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"mode": "slow"}})).await;
}

fn change(scene: &Scene, name: &str) -> serde_json::Value {
    let parameters = json!({"data": {"mode": "fast"}});
    scene.execution(
        name,
        "modify_configmap",
        ("v1", "ConfigMap", name),
        &parameters,
    )
}

//! What the schema can tell to be wrong is refused when it is asked for, with a message that names the field, what is
//! wrong and, where a rule of ours says it, what to write instead.

mod table;
mod warnings;

use kexec_api::execution::KubernetesExecution;
use kexec_tests::harness::{Scene, said};
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use table::{CONFIG, TARGET, configuration, parameters, set, targets};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_schema_can_tell_is_refused_with_the_field_and_what_to_write() {
    let scene = Scene::new("schema").await;
    for (parent, field, value, words) in [targets(), parameters(), configuration()].concat() {
        let mut execution = scene.scaling("wrong", "web", 2);
        let what = format!("{parent}/{field}: {value}");
        set(&mut execution, parent, field, value);
        let refused = scene.try_create(&execution).await;
        assert!(refused.is_err(), "{what} was let in");
        let refusal = said(refused);
        for word in words {
            assert!(
                refusal.contains(word),
                "{what}: {word:?} is not in {refusal:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_left_out_may_be_null() {
    let scene = Scene::new("nulls").await;
    for (number, (parent, field)) in [
        ("/spec/actionDefinition", "parameters"),
        ("/spec/actionDefinition", "actionMetadata"),
        ("/spec", "executionConfig"),
        ("/spec", "control"),
        ("/spec", "ttlSecondsAfterFinished"),
        (CONFIG, "timeout"),
        (TARGET, "labels"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut execution = scene.scaling(&format!("null-{number}"), "web", 2);
        set(&mut execution, parent, field, Value::Null);
        let created = scene.create(&execution).await;
        let config = created.spec.execution_config;
        assert!(
            config.timeout().as_secs() >= 60,
            "{field}: the default stands in its place"
        );
        let mut without = scene.scaling(&format!("without-{number}"), "web", 2);
        without
            .pointer_mut(parent)
            .and_then(Value::as_object_mut)
            .expect("the parent")
            .remove(field);
        scene.create(&without).await;
    }
}

/// Changes the execution `fixed` by a merge patch, as the scene's user.
async fn change(scene: &Scene, patch: Value) -> Result<KubernetesExecution, kube::Error> {
    let executions: Api<KubernetesExecution> =
        Api::namespaced(scene.user.clone(), &scene.namespace);
    executions
        .patch("fixed", &PatchParams::default(), &Patch::Merge(patch))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_can_neither_be_changed_nor_removed_nor_added() {
    let scene = Scene::new("fixed").await;
    let mut execution = scene.scaling("fixed", "web", 2);
    execution["spec"]["actionDefinition"]["parameters"]["own"] = json!({"list": [1]});
    scene.create(&execution).await;

    let changes = [
        ("actionDefinition", json!({"parameters": {"replicas": 3}})),
        (
            "actionDefinition",
            json!({"parameters": {"own": {"list": [2]}}}),
        ),
        ("actionDefinition", json!({"parameters": {"own": null}})),
        (
            "actionDefinition",
            json!({"targetResource": {"name": "other"}}),
        ),
        ("executionConfig", json!({"timeout": "2m"})),
        ("requestedBy", json!({"username": "somebody"})),
        ("requestedBy", Value::Null),
        ("ttlSecondsAfterFinished", json!(5)),
        (
            "alertRemediationRef",
            json!({"name": "a", "namespace": "b"}),
        ),
    ];
    for (field, value) in changes {
        let refusal = said(change(&scene, json!({"spec": {field: value.clone()}})).await);
        for word in [
            &format!("spec.{field}"),
            "create a new KubernetesExecution, and set control.cancel",
        ] {
            assert!(refusal.contains(word), "{field} {value}: {refusal}");
        }
    }
    let refusal = said(change(&scene, json!({ "spec": null })).await);
    assert!(refusal.contains("spec: Required value"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_of_control_can_be_set_and_not_be_taken_back() {
    let scene = Scene::new("switch").await;
    scene.create(&scene.scaling("fixed", "web", 2)).await;
    let control = |control: Value| change(&scene, json!({"spec": {"control": control}}));

    control(json!({"cancel": true})).await.expect("it is let");
    for back in [json!({"cancel": false}), Value::Null] {
        let refusal = said(control(back).await);
        for word in ["spec.control.cancel", "leave it true"] {
            assert!(refusal.contains(word), "{refusal}");
        }
    }
}

//! Runners' pods as something else than the operator makes them: changed at admission, as a mesh or an administrator
//! would. Which story needs which change is the story's matter.

use k8s_openapi::api::core::v1::Pod;
use kexec_api::names;
use kexec_tests::harness::{Scene, eventually};
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

/// Label by which a changed pod is known.
const ALTERED: &str = "altered";

/// The stand-in for the runner that this word makes of it; see `hack/real-node/images/stand-in.sh`.
pub fn stand_in(behavior: &str) -> String {
    format!(
        r#"JSONPatch{{op: "replace", path: "/spec/containers/0/image", value: "kexec-stand-in:dev"}},
           JSONPatch{{op: "add", path: "/spec/containers/0/env/-", value: {{"name": "STAND_IN", "value": "{behavior}"}}}}"#
    )
}

/// Applies JSON Patch operations, as CEL, to every pod of the scene's runners from now on.
pub async fn alter_runners(scene: &Scene, operations: &str) {
    let name = format!("runners-of-{}", scene.namespace);
    let (version, metadata) = ("admissionregistration.k8s.io/v1", json!({"name": name}));
    let is_ours = format!(
        "object.metadata.?labels['{}'].orValue('') == '{}'",
        names::LABEL_EXECUTION_NAMESPACE,
        scene.namespace
    );
    let mark =
        format!(r#"JSONPatch{{op: "add", path: "/metadata/labels/{ALTERED}", value: "yes"}}"#);
    scene
        .apply(&json!({
            "apiVersion": version, "kind": "MutatingAdmissionPolicy", "metadata": metadata,
            "spec": {
                "failurePolicy": "Fail",
                "reinvocationPolicy": "Never",
                "matchConstraints": {"resourceRules": [
                    {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]},
                ]},
                "matchConditions": [{"name": "is-ours", "expression": is_ours}],
                "mutations": [
                    {"patchType": "JSONPatch", "jsonPatch": {"expression": format!("[{operations}, {mark}]")}},
                ],
            },
        }))
        .await;
    scene
        .apply(&json!({
            "apiVersion": version, "kind": "MutatingAdmissionPolicyBinding", "metadata": metadata,
            "spec": {"policyName": name},
        }))
        .await;
    eventually("the alteration to be in force", || async {
        is_altered(scene).await.then_some(())
    })
    .await;
}

/// Leaves the pods of the scene's runners as they are made, from now on.
pub async fn alter_no_more(scene: &Scene) {
    let name = format!("runners-of-{}", scene.namespace);
    for kind in ["mutatingadmissionpolicybinding", "mutatingadmissionpolicy"] {
        scene.kubectl(&["delete", kind, &name]).await;
    }
    eventually("the alteration to be over", || async {
        (!is_altered(scene).await).then_some(())
    })
    .await;
}

/// Whether a pod like those of the scene's runners would be altered. Nothing is created.
async fn is_altered(scene: &Scene) -> bool {
    let pods: Api<Pod> = scene.system_api();
    let only_try = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let probe = serde_json::from_value(probe(&scene.namespace)).expect("a pod");
    let created = pods.create(&only_try, &probe).await;
    let labels = created.ok().and_then(|pod| pod.metadata.labels);
    labels.is_some_and(|labels| labels.contains_key(ALTERED))
}

/// A pod that a policy would take for a runner's, and that Pod Security `restricted` lets pass.
fn probe(namespace: &str) -> Value {
    let confined = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    let container = |name| json!({"name": name, "image": "probe", "env": [{"name": "PROBE"}], "resources": {"requests": {"cpu": "1m"}}, "securityContext": confined});
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "probe", "labels": {names::LABEL_EXECUTION_NAMESPACE: namespace}},
        "spec": {
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "initContainers": [container(names::CONTAINER_DRY_RUN)],
            "containers": [container(names::CONTAINER_EXECUTE)],
        },
    })
}

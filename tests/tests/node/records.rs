//! What a runner leaves behind is kept where people look for it: the result in its termination message, the record in its
//! log, and what a failed dry run said.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kexec_api::condition::{FailureClass, Reason};
use kexec_api::names;
use kexec_api::work::{WorkOutcome, WorkResult};
use kexec_tests::harness::{Ending, Scene};
use kube::ResourceExt;
use serde_json::{Value, json};

use super::turns;

fn ended<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let inits = status.init_container_statuses.iter().flatten();
    let mut all = inits.chain(status.container_statuses.iter().flatten());
    all.find(|it| {
        it.name == name
            && it
                .state
                .as_ref()
                .is_some_and(|state| state.terminated.is_some())
    })
}

fn message(pod: &Pod, container: &str) -> String {
    let state = ended(pod, container).and_then(|it| it.state.clone());
    let end = state.and_then(|state| state.terminated).expect("an end");
    end.message.expect("a termination message")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_result_and_the_record_of_a_success_are_kept() {
    let _turn = turns::shared().await;
    let scene = Scene::real("records").await;
    scene.deployment("web", 1).await;
    let created = scene.create(&scene.scaling("up", "web", 2)).await;
    let execution = scene.ends("up", Ending::COMPLETED).await;
    scene.job_expires(&execution).await;

    let is_over = |pod: &Pod| ended(pod, names::CONTAINER_EXECUTE).is_some();
    let pod = scene.pod(&created, "the runner's end", is_over).await;
    for (container, dry_run) in [
        (names::CONTAINER_DRY_RUN, true),
        (names::CONTAINER_EXECUTE, false),
    ] {
        let result: WorkResult = serde_json::from_str(&message(&pod, container)).expect("a result");
        assert_eq!(
            (result.outcome, result.dry_run),
            (WorkOutcome::Done, dry_run)
        );
        let of_container = [
            "-n",
            &scene.system_namespace,
            "logs",
            &pod.name_any(),
            "-c",
            container,
        ];
        let log = scene.kubectl(&of_container).await;
        let lines: Vec<Value> = log
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert!(!lines.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_failed_dry_run_said_is_kept() {
    let _turn = turns::shared().await;
    let scene = Scene::real("dry-run").await;
    scene.deployment("web", 1).await;
    refuse_scaling(&scene).await;
    let created = scene.create(&scene.scaling("up", "web", 2)).await;
    let expected = Ending::failed(Reason::DryRunFailed, FailureClass::Action);
    scene.ends("up", expected).await;
    let is_over = |pod: &Pod| ended(pod, names::CONTAINER_DRY_RUN).is_some();
    let pod = scene.pod(&created, "the dry run's end", is_over).await;
    let said = message(&pod, names::CONTAINER_DRY_RUN);
    assert!(said.contains("not while the moon is full"), "{said}");
}

/// Has a policy refuse to scale anything in the scene's namespace.
async fn refuse_scaling(scene: &Scene) {
    let name = format!("frozen-{}", scene.namespace);
    let (version, metadata) = ("admissionregistration.k8s.io/v1", json!({"name": name}));
    scene
        .apply(&json!({
            "apiVersion": version, "kind": "ValidatingAdmissionPolicy", "metadata": metadata,
            "spec": {
                "matchConstraints": {"resourceRules": [{
                    "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments/scale"],
                    "operations": ["UPDATE"],
                }]},
                "matchConditions": [
                    {"name": "here", "expression": format!("request.namespace == '{}'", scene.namespace)},
                ],
                "validations": [{"expression": "false", "message": "not while the moon is full"}],
            },
        }))
        .await;
    scene
        .apply(&json!({
            "apiVersion": version, "kind": "ValidatingAdmissionPolicyBinding", "metadata": metadata,
            "spec": {"policyName": name, "validationActions": ["Deny"]},
        }))
        .await;
    let probe = [
        "-n",
        &scene.namespace,
        "scale",
        "deployment",
        "web",
        "--replicas=2",
        "--dry-run=server",
    ];
    kexec_tests::harness::eventually("the refusal to be in force", || async {
        let mut command = scene.cluster.plane().kubectl();
        command.args(probe);
        let output = tokio::task::spawn_blocking(move || command.output())
            .await
            .ok()?
            .ok()?;
        (!output.status.success()).then_some(())
    })
    .await;
}

//! A cluster with nothing of ours in it, on whose node the controller's image and the runner's run as processes; and the
//! release in it.

use std::path::Path;

use k8s_openapi::api::apps::v1::Deployment;
use kexec_api::execution::KubernetesExecution;
use kexec_api::phase::Phase;
use kexec_devcluster::node::BEHAVIOR;
use kexec_devcluster::{ControlPlane, ControlPlaneOptions, NodeOptions, ProcessNode};
use kexec_tests::audit::AuditLog;
use kexec_tests::harness::{apply, binary, create, eventually, phase};
use kexec_tests::helm::{RELEASE, helm_on, run};
use kube::api::Api;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

pub const SYSTEM: &str = "kubernaut-system";

/// The images of the release, as the node knows them.
const IMAGES: &str = "image.tag=dev,runner.image.tag=dev";

pub struct Site {
    pub plane: ControlPlane,
    pub client: Client,
    _node: ProcessNode,
}

impl Site {
    /// A cluster whose system namespace takes no pod that does not meet Pod Security `restricted`.
    pub async fn new() -> Self {
        let plane = ControlPlane::start(ControlPlaneOptions::default())
            .await
            .expect("a control plane");
        let mut options = NodeOptions::new(binary("kexec-runner"));
        let controller = binary("kubernaut-executor");
        options
            .more_images
            .insert("kubernaut-executor:dev".to_owned(), controller);
        let node = ProcessNode::start(&plane, options).await.expect("a node");
        let client = plane.client().expect("a client");
        let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
        let metadata = json!({"name": SYSTEM, "labels": labels});
        apply(
            &client,
            &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}),
        )
        .await;
        Self {
            plane,
            client,
            _node: node,
        }
    }

    /// Runs Helm on the release.
    pub async fn helm(&self, arguments: &[&str]) -> String {
        let mut command = helm_on(&self.plane);
        command.args(arguments).args(["--namespace", SYSTEM]);
        tokio::task::spawn_blocking(move || run(&mut command))
            .await
            .expect("a task")
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// `helm install` or `helm upgrade`, with the images of this checkout.
    pub async fn release(&self, verb: &str, chart: &Path, more: &[&str]) {
        let chart = chart.to_string_lossy();
        let mut arguments = vec![
            verb,
            RELEASE,
            &chart,
            "--set",
            IMAGES,
            "--wait",
            "--timeout",
            "90s",
        ];
        arguments.extend(more);
        self.helm(&arguments).await;
    }

    /// A namespace with a Deployment `web` whose pods the node plays.
    pub async fn workload(&self, namespace: &str, behavior: &str) {
        let metadata = json!({"name": namespace});
        apply(
            &self.client,
            &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}),
        )
        .await;
        apply(
            &self.client,
            &json!({
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": "web", "namespace": namespace},
                "spec": {
                    "replicas": 1,
                    "selector": {"matchLabels": {"app": "web"}},
                    "template": {
                        "metadata": {"labels": {"app": "web"}, "annotations": {BEHAVIOR: behavior}},
                        "spec": {"containers": [{"name": "main", "image": "played"}]},
                    },
                },
            }),
        )
        .await;
    }

    /// Creates an execution, as soon as the policies let it and say who asked.
    pub async fn ask(
        &self,
        name: &str,
        namespace: &str,
        definition: &Value,
    ) -> KubernetesExecution {
        let execution = json!({
            "apiVersion": "kubernetesexecution.kubernaut.io/v1alpha1", "kind": "KubernetesExecution",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"actionDefinition": definition},
        });
        eventually("the execution to be admitted", || async {
            create(&self.client, &execution).await.ok()
        })
        .await
    }

    /// Asks for that many replicas of `web`.
    pub async fn scale(&self, name: &str, namespace: &str, replicas: i64) -> KubernetesExecution {
        let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "namespace": namespace, "name": "web"});
        let definition = json!({
            "actionType": "scale_deployment", "targetResource": target, "parameters": {"replicas": replicas},
        });
        self.ask(name, namespace, &definition).await
    }

    pub async fn execution(&self, name: &str, namespace: &str) -> Option<KubernetesExecution> {
        let executions: Api<KubernetesExecution> = Api::namespaced(self.client.clone(), namespace);
        executions.get_opt(name).await.expect("an answer")
    }

    /// Waits for an execution's end.
    pub async fn ended(&self, name: &str, namespace: &str) -> KubernetesExecution {
        let has_ended = |found: &KubernetesExecution| phase(found).is_some_and(Phase::is_terminal);
        eventually(&format!("{name} to end"), || async {
            self.execution(name, namespace).await.filter(has_ended)
        })
        .await
    }

    pub async fn replicas(&self, namespace: &str) -> Option<i32> {
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), namespace);
        let found = deployments.get("web").await.expect("a Deployment");
        found.spec.and_then(|spec| spec.replicas)
    }

    pub fn audit(&self) -> AuditLog {
        AuditLog::new(self.plane.audit_log())
    }
}

/// Whether the execution is the same object, with the same end.
pub fn assert_survived(before: &KubernetesExecution, now: Option<KubernetesExecution>) {
    let now = now.expect("the execution is still there");
    assert_eq!(before.uid(), now.uid());
    let end = |one: &KubernetesExecution| {
        let status = one.status.clone().unwrap_or_default();
        (status.phase, status.step_result, status.conditions)
    };
    assert_eq!(end(before), end(&now));
}

//! A test's own part of the cluster: a namespace with a user who may execute in it, what stands in it, and the audit log
//! since the scene began.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod, ServiceAccount};
use kexec_api::execution::KubernetesExecution;
use kexec_api::names;
use kexec_api::phase::Phase;
use kexec_api::work::Stage;
use kexec_devcluster::node::BEHAVIOR;
use kube::api::{Api, DynamicObject, ListParams, PostParams};
use kube::runtime::wait::await_condition;
use kube::{Client, Config, ResourceExt};
use serde_json::{Value, json};
use xtask::install::{Installation, LABEL_INSTALLATION};

use super::cluster::{Cluster, SHARED, WORKLOAD_IMAGE, apply, install};
use super::operator::Operator;
use super::rights::rights;
use super::wait::{DEADLINE, eventually};
use crate::audit::{Calls, Mark, Target};

/// The time-out that executions of tests get unless they say otherwise.
pub const EXECUTION_TIMEOUT: Duration = Duration::from_mins(1);

/// A test's part of the cluster.
pub struct Scene {
    /// The cluster.
    pub cluster: &'static Cluster,
    /// An administrator's client.
    pub client: Client,
    /// The scene's namespace: executions and their targets live in it.
    pub namespace: String,
    /// Client of a user who may execute every action in the namespace, and on nodes.
    pub user: Client,
    /// Namespace of the operator, its Jobs and their claims.
    pub system_namespace: String,
    /// Suffix of the cluster-scoped objects of the scene's installation.
    pub suffix: String,
    mark: Mark,
}

impl Scene {
    /// A scene of that name.
    pub async fn new(name: &str) -> Self {
        Self::begin(Cluster::shared().await, numbered(name), &SHARED).await
    }

    /// A scene in a cluster of its own: the test may lose its node.
    pub async fn alone(name: &str) -> Self {
        Self::begin(Cluster::alone().await, numbered(name), &SHARED).await
    }

    /// A scene with an installation of its own: the test may alter its policies, its rights and its system namespace.
    pub async fn isolated(name: &str) -> Self {
        let cluster = Cluster::shared().await;
        let namespace = numbered(name);
        let installation = Installation {
            system_namespace: &format!("{namespace}-system"),
            suffix: &namespace,
        };
        let client = Client::try_from(cluster.admin()).expect("a client");
        install(&client, &installation).await;
        Self::begin(cluster, namespace.clone(), &installation).await
    }

    /// A scene on real nodes, whose executions are run by the operator in its pod.
    pub async fn real(name: &str) -> Self {
        let installation = Installation::default();
        Self::begin(Cluster::real().await, numbered(name), &installation).await
    }

    async fn begin(
        cluster: &'static Cluster,
        namespace: String,
        installation: &Installation<'_>,
    ) -> Self {
        let client = Client::try_from(cluster.admin()).expect("a client");
        let labels = json!({LABEL_INSTALLATION: installation.suffix});
        let metadata = json!({"name": namespace, "labels": labels});
        apply(
            &client,
            &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}),
        )
        .await;
        let username = format!("{namespace}-user");
        for object in rights(&namespace, &username) {
            apply(&client, &object).await;
        }
        let user = cluster
            .plane()
            .config_for_user(&username, &[])
            .await
            .expect("a user");
        let scene = Self {
            cluster,
            client,
            user: Client::try_from(user).expect("a client"),
            mark: cluster.audit().mark().expect("an audit log"),
            system_namespace: installation.system_namespace.to_owned(),
            suffix: installation.suffix.to_owned(),
            namespace,
        };
        scene.wait_for_rights_and_policies().await;
        scene
    }

    /// The configuration of the operator's ServiceAccount.
    pub async fn operator_config(&self) -> Config {
        let token = self
            .token_of(&self.system_namespace, names::CONTROLLER_SERVICE_ACCOUNT)
            .await;
        let mut config = self.cluster.admin();
        config.auth_info = kube::config::AuthInfo {
            token: Some(token.into()),
            ..kube::config::AuthInfo::default()
        };
        config
    }

    /// A token of a ServiceAccount.
    pub async fn token_of(&self, namespace: &str, account: &str) -> String {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                expiration_seconds: Some(7200),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let answer = accounts
            .create_token_request(account, &PostParams::default(), &request)
            .await
            .expect("a token");
        answer.status.expect("a status").token
    }

    /// Starts an operator that runs this scene's executions.
    pub async fn operator(&self) -> Operator {
        self.operator_with(&[]).await
    }

    /// Starts an operator with more arguments.
    pub async fn operator_with(&self, more: &[&str]) -> Operator {
        self.operator_by(self.operator_config().await, more)
    }

    /// Starts an operator that reaches the API server in this way.
    #[must_use]
    pub fn operator_by(&self, config: Config, more: &[&str]) -> Operator {
        let mut arguments = vec![
            "--system-namespace",
            &self.system_namespace,
            "--installation-suffix",
            &self.suffix,
        ];
        arguments.extend(more);
        Operator::start(config, &self.namespace, &arguments)
    }

    /// Applies any object, as an administrator.
    pub async fn apply(&self, object: &Value) {
        apply(&self.client, object).await;
    }

    /// Applies a Deployment whose pods the node plays as `behavior` says.
    pub async fn apply_deployment(&self, name: &str, replicas: u32, behavior: &str) {
        self.apply(&json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}, "annotations": {BEHAVIOR: behavior}},
                    "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "main", "image": WORKLOAD_IMAGE}]},
                },
            },
        }))
        .await;
    }

    /// A Deployment with that many replicas, all available.
    pub async fn deployment(&self, name: &str, replicas: u32) -> Deployment {
        self.apply_deployment(name, replicas, "ready").await;
        let deployments: Api<Deployment> = self.api();
        eventually("the Deployment to be available", || async {
            let found = deployments.get(name).await.ok()?;
            let status = found.status.clone().unwrap_or_default();
            let wanted = i32::try_from(replicas).ok()?;
            let settled = status.available_replicas.unwrap_or(0) == wanted
                && status.observed_generation == found.metadata.generation;
            settled.then_some(found)
        })
        .await
    }

    /// The objects of a kind in the scene's namespace.
    #[must_use]
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The objects of a kind in the system namespace.
    #[must_use]
    pub fn system_api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.system_namespace)
    }

    /// An execution of `action` on an object of the scene, not created yet. It is not rolled back by itself, so that a test
    /// of an attempt sees what the attempt left.
    #[must_use]
    pub fn execution(
        &self,
        name: &str,
        action: &str,
        target: (&str, &str, &str),
        parameters: &Value,
    ) -> Value {
        let (api_version, kind, target) = target;
        let mut resource = json!({"apiVersion": api_version, "kind": kind, "name": target});
        if kind != "Node" {
            resource["namespace"] = json!(self.namespace);
        }
        json!({
            "apiVersion": "kubernetesexecution.kubernaut.io/v1alpha1",
            "kind": "KubernetesExecution",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "actionDefinition": {"actionType": action, "targetResource": resource, "parameters": parameters},
                "executionConfig": {
                    "timeout": format!("{}s", EXECUTION_TIMEOUT.as_secs()),
                    "safetyConfig": {"rollbackConfig": {"enableAutoRollback": false}},
                },
            },
        })
    }

    /// An execution that scales a Deployment of the scene.
    #[must_use]
    pub fn scaling(&self, name: &str, deployment: &str, replicas: i64) -> Value {
        self.execution(
            name,
            "scale_deployment",
            ("apps/v1", "Deployment", deployment),
            &json!({"replicas": replicas}),
        )
    }

    /// Creates an execution as the scene's user.
    pub async fn create(&self, execution: &Value) -> KubernetesExecution {
        self.try_create(execution)
            .await
            .unwrap_or_else(|error| panic!("not created: {error:?}"))
    }

    /// Creates an execution as the scene's user, if admission lets it.
    pub async fn try_create(&self, execution: &Value) -> Result<KubernetesExecution, kube::Error> {
        create(&self.user, execution).await
    }

    /// Waits until the execution has ended.
    pub async fn ended(&self, name: &str) -> KubernetesExecution {
        self.reaches(name, "a terminal phase", |execution| {
            phase(execution).is_some_and(Phase::is_terminal)
        })
        .await
    }

    /// Waits until the execution is as wanted.
    pub async fn reaches(
        &self,
        name: &str,
        what: &str,
        is: impl Fn(&KubernetesExecution) -> bool,
    ) -> KubernetesExecution {
        let executions: Api<KubernetesExecution> = self.api();
        let wanted = |execution: Option<&KubernetesExecution>| execution.is_some_and(&is);
        match tokio::time::timeout(DEADLINE, await_condition(executions, name, wanted)).await {
            Ok(Ok(Some(execution))) => execution,
            other => {
                self.print(name).await;
                panic!(
                    "{}/{name} did not reach {what} in {DEADLINE:?}: {other:?}",
                    self.namespace
                );
            }
        }
    }

    /// Runs `wait` within the deadline; prints the execution when it does not end.
    pub async fn within<T>(&self, name: &str, what: &str, wait: impl Future<Output = T>) -> T {
        if let Ok(done) = tokio::time::timeout(DEADLINE, wait).await {
            return done;
        }
        self.print(name).await;
        panic!("{what} did not happen in {DEADLINE:?}");
    }

    /// Name of the Job of an execution's first attempt.
    #[must_use]
    pub fn job_name(&self, execution: &KubernetesExecution) -> String {
        names::job_name(&execution.uid().unwrap_or_default(), 1, Stage::Execute)
    }

    /// Waits for the pod of the execution's Job to be as wanted.
    pub async fn pod(
        &self,
        execution: &KubernetesExecution,
        what: &str,
        is: impl Fn(&Pod) -> bool,
    ) -> Pod {
        let pods: Api<Pod> = self.system_api();
        let of_job = ListParams::default().labels(&format!(
            "batch.kubernetes.io/job-name={}",
            self.job_name(execution)
        ));
        eventually(what, || async {
            let found = pods.list(&of_job).await.ok()?;
            found.items.into_iter().find(&is)
        })
        .await
    }

    /// All calls since the scene began.
    #[must_use]
    pub fn calls(&self) -> Calls {
        self.cluster.audit().since(self.mark).expect("an audit log")
    }

    /// How many effects runners had on an object of the scene since it began.
    #[must_use]
    pub fn effects_on(&self, resource: &str, name: &str) -> usize {
        let target = Target {
            resource,
            namespace: &self.namespace,
            name,
        };
        self.calls().effects_on(&target).len()
    }

    /// What kubectl prints, as an administrator.
    pub async fn kubectl(&self, arguments: &[&str]) -> String {
        let mut command = self.cluster.plane().kubectl();
        command.args(arguments);
        let output = tokio::task::spawn_blocking(move || command.output())
            .await
            .expect("a task")
            .expect("kubectl runs");
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("text")
    }

    /// `spec.replicas` of a Deployment.
    pub async fn replicas(&self, deployment: &str) -> i32 {
        let deployments: Api<Deployment> = self.api();
        let found = deployments.get(deployment).await.expect("a Deployment");
        found
            .spec
            .and_then(|spec| spec.replicas)
            .unwrap_or_default()
    }

    /// Prints what is known of an execution, for a test that failed.
    pub async fn print(&self, name: &str) {
        let executions: Api<KubernetesExecution> = self.api();
        let execution = executions.get_opt(name).await.ok().flatten();
        eprintln!(
            "execution {}/{name}:\n{}",
            self.namespace,
            pretty(&execution)
        );
        let uid = execution
            .and_then(|execution| execution.uid())
            .unwrap_or_default();
        let of_it = ListParams::default().labels(&format!("{}={uid}", names::LABEL_EXECUTION_UID));
        let jobs: Api<Job> = self.system_api();
        let pods: Api<Pod> = self.system_api();
        let events: Api<Event> = self.system_api();
        eprintln!(
            "Jobs:\n{}",
            pretty(&jobs.list(&of_it).await.map(|list| list.items).ok())
        );
        eprintln!(
            "pods:\n{}",
            pretty(&pods.list(&of_it).await.map(|list| list.items).ok())
        );
        for event in events
            .list(&ListParams::default())
            .await
            .map(|list| list.items)
            .unwrap_or_default()
        {
            if event
                .involved_object
                .name
                .as_deref()
                .is_some_and(|name| name.contains(&uid))
            {
                eprintln!("event: {:?} {:?}", event.reason, event.message);
            }
        }
    }
}

/// The name with a number that makes it the only one of this process.
fn numbered(name: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("{name}-{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// Creates an execution as whoever the client is.
pub async fn create(
    client: &Client,
    execution: &Value,
) -> Result<KubernetesExecution, kube::Error> {
    create_with(client, execution, &PostParams::default()).await
}

pub(super) async fn create_with(
    client: &Client,
    execution: &Value,
    how: &PostParams,
) -> Result<KubernetesExecution, kube::Error> {
    let namespace = execution
        .pointer("/metadata/namespace")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let resource = kube::api::ApiResource::erase::<KubernetesExecution>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let object: DynamicObject = serde_json::from_value(execution.clone()).expect("an object");
    let created = api.create(how, &object).await?;
    created
        .try_parse()
        .map_err(|error| kube::Error::Service(Box::new(error)))
}

/// The phase of an execution.
#[must_use]
pub fn phase(execution: &KubernetesExecution) -> Option<Phase> {
    execution.status.as_ref().and_then(|status| status.phase)
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

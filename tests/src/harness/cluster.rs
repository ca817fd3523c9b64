//! The cluster all tests of a process share: control plane, process node, CRD and one installation of ours.

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use kexec_api::names;
use kexec_devcluster::{
    ControlPlane, ControlPlaneOptions, Location, NodeOptions, ProcessNode, RealCluster, RealNode,
};
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use xtask::install::Installation;

use super::eventually;
use crate::audit::AuditLog;

/// Image that the process node runs as our runner.
pub const RUNNER_IMAGE: &str = "kubernaut-runner:dev";

/// Image of what targets run: real nodes have one of that name, the process node plays it.
pub const WORKLOAD_IMAGE: &str = "nginx:1.29";

/// The installation that scenes use unless they make one of their own. It has a suffix because one without would have
/// its policies judge the executions of all others.
pub const SHARED: Installation<'static> = Installation {
    system_namespace: names::DEFAULT_SYSTEM_NAMESPACE,
    suffix: "shared",
};

/// The shared cluster. It ends with the process: its programs die with whoever started them.
pub struct Cluster {
    plane: ControlPlane,
    nodes: Nodes,
    /// Keeps the tasks of the node alive.
    _runtime: Runtime,
}

enum Nodes {
    Process(ProcessNode),
    Real(Vec<RealNode>),
}

/// Schema of `spec.executionConfig.monitoringConfig.progressInterval`.
const LOOSENED: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/executionConfig\
                        /properties/monitoringConfig/properties/progressInterval";

static CLUSTER: OnceLock<Cluster> = OnceLock::new();

static REAL: OnceLock<Option<Cluster>> = OnceLock::new();

impl Cluster {
    /// The shared cluster, started by whoever asks first.
    pub async fn shared() -> &'static Self {
        let start = || CLUSTER.get_or_init(Self::start);
        tokio::task::spawn_blocking(start)
            .await
            .expect("the cluster starts")
    }

    /// A cluster for one test that breaks it.
    pub async fn alone() -> &'static Self {
        let start = || -> &'static Self { Box::leak(Box::new(Self::start())) };
        tokio::task::spawn_blocking(start)
            .await
            .expect("the cluster starts")
    }

    /// The shared cluster with two real nodes and the operator in a pod. Only inside `devcluster isolate`.
    pub async fn real() -> &'static Self {
        let start = || REAL.get_or_init(|| catch_unwind(Self::start_real).ok());
        let cluster = tokio::task::spawn_blocking(start).await.expect("a task");
        // Another try would find the addresses taken; why the first one failed has been said.
        cluster.as_ref().expect("the cluster starts")
    }

    fn start_real() -> Self {
        let runtime = runtime();
        let root = repository();
        let started = RealCluster::start(Location::Temporary, &root, |_| {});
        let RealCluster { plane, nodes } = runtime
            .block_on(started)
            .unwrap_or_else(|error| panic!("{error:#?}"));
        Self {
            plane,
            nodes: Nodes::Real(nodes),
            _runtime: runtime,
        }
    }

    fn start() -> Self {
        let runtime = runtime();
        let (plane, node) = runtime.block_on(async {
            let plane = ControlPlane::start(ControlPlaneOptions::default())
                .await
                .unwrap_or_else(|error| panic!("{error:?}"));
            let runner = binary("kexec-runner");
            let node = ProcessNode::start(&plane, NodeOptions::new(runner))
                .await
                .unwrap_or_else(|error| panic!("{error:?}"));
            let client = Client::try_from(plane.admin_config()).expect("a client");
            install_crd(&client).await;
            install(&client, &SHARED).await;
            (plane, node)
        });
        Self {
            plane,
            nodes: Nodes::Process(node),
            _runtime: runtime,
        }
    }

    /// The control plane.
    #[must_use]
    pub fn plane(&self) -> &ControlPlane {
        &self.plane
    }

    /// The process node.
    #[must_use]
    pub fn node(&self) -> &ProcessNode {
        match &self.nodes {
            Nodes::Process(node) => node,
            Nodes::Real(_) => panic!("this cluster has real nodes"),
        }
    }

    /// The real nodes.
    #[must_use]
    pub fn real_nodes(&self) -> &[RealNode] {
        match &self.nodes {
            Nodes::Process(_) => panic!("this cluster has a process node"),
            Nodes::Real(nodes) => nodes,
        }
    }

    /// How an administrator reaches it.
    #[must_use]
    pub fn admin(&self) -> Config {
        self.plane.admin_config()
    }

    /// What every call left behind.
    #[must_use]
    pub fn audit(&self) -> AuditLog {
        AuditLog::new(self.plane.audit_log())
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A program of ours, built beside this test.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    let folders = test.ancestors().skip(1).take(2);
    let found = folders
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("{name} is not built: run the tests by `make test`, or run `make build` first")
    })
}

/// Applies the manifests of an installation, the CRD excepted.
pub async fn install(client: &Client, installation: &Installation<'_>) {
    for object in xtask::install::install_objects(installation).expect("manifests") {
        apply(client, &object).await;
    }
}

/// Applies the CRD and waits until it is established. One field takes more than it does as shipped, so that a test can
/// have an execution that passes the schema, as it might an older or altered one, and that the operator cannot read.
async fn install_crd(client: &Client) {
    let mut crd = serde_json::to_value(kexec_api::execution::crd()).expect("a CRD");
    *crd.pointer_mut(LOOSENED).expect("the field") = json!({"type": "string", "default": "10s"});
    apply(client, &crd).await;
    let name = crd
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    eventually("the CRD to be established", || {
        established(client.clone(), name.clone())
    })
    .await;
}

async fn established(client: Client, name: String) -> Option<()> {
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
    let api: Api<CustomResourceDefinition> = Api::all(client);
    let conditions = api.get(&name).await.ok()?.status?.conditions?;
    conditions
        .iter()
        .any(|one| one.type_ == "Established" && one.status == "True")
        .then_some(())
}

/// Applies one object, whatever it is.
pub async fn apply(client: &Client, object: &Value) {
    let text = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let (api_version, kind, name) = (text("/apiVersion"), text("/kind"), text("/metadata/name"));
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let plural = match kind.to_lowercase() {
        kind if kind.ends_with('y') => format!("{}ies", kind.trim_end_matches('y')),
        kind if kind.ends_with('s') => kind,
        kind => format!("{kind}s"),
    };
    let resource = ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: api_version.clone(),
        kind: kind.clone(),
        plural,
    };
    let api: Api<DynamicObject> = match text("/metadata/namespace") {
        namespace if namespace.is_empty() => Api::all_with(client.clone(), &resource),
        namespace => Api::namespaced_with(client.clone(), &namespace, &resource),
    };
    let how = PatchParams::apply("tests").force();
    let applied = api.patch(&name, &how, &Patch::Apply(object)).await;
    if let Err(error) = applied {
        panic!(
            "{kind} {name} was not applied: {error:?}\n{}",
            json!(object)
        );
    }
}

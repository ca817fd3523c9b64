//! The process node: a Kubernetes node without containers. It runs the pods of known images as child processes of
//! real binaries, and plays all others (testing.md, layer 2, is its contract). Binding pods to nodes is the
//! kube-scheduler's; nothing here decides what should run.

mod addresses;
mod container;
mod environment;
mod expansion;
mod faults;
mod fields;
mod host;
mod images;
mod lifecycle;
mod live;
mod logs;
mod played;
mod pods;
mod record;
mod registration;
mod sight;
mod sources;
mod stop;
mod token;
mod volumes;

use std::{collections::BTreeMap, io, net::Ipv4Addr, path::PathBuf, sync::Arc};

use tokio::task::AbortHandle;

pub use faults::{ActiveFault, Fault, Faults};
pub use played::BEHAVIOR;

use self::host::{Cluster, Host};
use crate::{
    background::{self, StartRuntimeError},
    certificates::Authority,
    control_plane::{AccessError, ControlPlane, MASTERS},
};

/// Where a node is reached.
const HOST_ADDRESS: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// The group by which the audit policy knows process nodes.
const NODES: &str = "devcluster:nodes";

/// How a process node is started.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// Name of the Node.
    pub name: String,
    /// The image whose pods run as processes.
    pub runner_image: String,
    /// The program that stands for that image's entrypoint.
    pub runner_binary: PathBuf,
    /// More images and the programs that stand for their entrypoints.
    pub more_images: BTreeMap<String, PathBuf>,
    /// Labels of the Node, beside the usual ones.
    pub labels: BTreeMap<String, String>,
    /// Pods of which the processes run at once; more wait as `Pending`.
    pub max_running_pods: usize,
    /// Pods that may be bound to the node.
    pub max_pods: u32,
}

impl NodeOptions {
    /// A node called `process-node` that runs `runner_binary` for the image `kubernaut-runner:dev`.
    #[must_use]
    pub fn new(runner_binary: impl Into<PathBuf>) -> Self {
        Self {
            name: "process-node".to_owned(),
            runner_image: "kubernaut-runner:dev".to_owned(),
            runner_binary: runner_binary.into(),
            more_images: BTreeMap::new(),
            labels: BTreeMap::new(),
            max_running_pods: 64,
            max_pods: 5000,
        }
    }

    /// The same node under another name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }
}

/// What kept a node from starting.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The background runtime.
    #[error("failed to start the node's threads")]
    Runtime(#[source] StartRuntimeError),
    /// Its task ended without an answer.
    #[error("failed to start the node's tasks")]
    Task,
    /// The node's way to the API server.
    #[error("failed to reach the API server")]
    Access(#[source] AccessError),
    /// The endpoint for logs.
    #[error("failed to serve logs")]
    ServeLogs(#[source] logs::LogsError),
    /// The node's folder.
    #[error("failed to make '{}'", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The Node or its Lease.
    #[error("failed to register node '{name}'")]
    Register {
        /// Its name.
        name: String,
        /// Why.
        source: Box<kube::Error>,
    },
}

/// A running process node. Dropping it ends its tasks and kills its processes; its Node object stays, as that of a
/// machine that lost power does.
#[derive(Debug)]
pub struct ProcessNode {
    host: Arc<Host>,
    tasks: Vec<AbortHandle>,
}

impl ProcessNode {
    /// Starts a node of `plane` and registers it. Several nodes may be started under different names.
    pub async fn start(plane: &ControlPlane, options: NodeOptions) -> Result<Self, NodeError> {
        let runtime = background::handle().map_err(NodeError::Runtime)?;
        let user = format!("system:node:{}", options.name);
        let config = plane
            .config_for_user(&user, &[MASTERS, NODES])
            .await
            .map_err(NodeError::Access)?;
        let folder = plane.folder().join("nodes").join(&options.name);
        let cluster = Cluster {
            url: plane.url().to_owned(),
            ca_pem: plane.ca_pem().to_owned(),
            version: String::new(),
        };
        let authority = plane.authority();
        // On the node's own threads: clients, sockets and tasks must not depend on the caller's runtime.
        runtime
            .spawn(Self::launch(options, config, cluster, folder, authority))
            .await
            .map_err(|_| NodeError::Task)?
    }

    async fn launch(
        options: NodeOptions,
        config: kube::Config,
        mut cluster: Cluster,
        folder: PathBuf,
        authority: Arc<Authority>,
    ) -> Result<Self, NodeError> {
        let listener = logs::Listener::bind(&authority, &options.name)
            .await
            .map_err(NodeError::ServeLogs)?;
        let pods = folder.join("pods");
        std::fs::create_dir_all(&pods)
            .map_err(|source| NodeError::Folder { path: pods, source })?;
        let client = kube::Client::try_from(config)
            .map_err(|source| NodeError::Access(AccessError::Client(Box::new(source))))?;
        let register = |source| NodeError::Register {
            name: options.name.clone(),
            source: Box::new(source),
        };
        let version = client.apiserver_version().await.map_err(&register)?;
        cluster.version = version.git_version;
        let host = Host::new(options.clone(), client, cluster, folder, listener.port());
        let host = Arc::new(host);
        registration::register(&host).await.map_err(&register)?;
        let tasks = vec![
            tokio::spawn(registration::beat(Arc::clone(&host))).abort_handle(),
            tokio::spawn(registration::stay_ready(Arc::clone(&host))).abort_handle(),
            tokio::spawn(pods::follow(Arc::clone(&host))).abort_handle(),
            tokio::spawn(listener.serve(Arc::clone(&host))).abort_handle(),
        ];
        Ok(Self { host, tasks })
    }

    /// The Node's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.host.options.name
    }

    /// Where faults are asked for.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.host.faults
    }

    /// Process ids of all pod processes that run now.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        self.host.pids()
    }

    /// Cuts the node off: no heartbeat, no report, nothing seen. Its processes run on, and their deadlines hold.
    pub fn partition(&self) {
        self.host.set_link(false);
    }

    /// Ends a [`ProcessNode::partition`]: what happened meanwhile is reported, and pods that are gone are ended.
    pub fn resume(&self) {
        self.host.set_link(true);
    }

    /// The machine loses power: all processes end at once and nothing is reported ever again. The Node stays.
    pub async fn crash(self) {
        self.host.set_link(false);
        self.end().await;
    }

    /// Ends the node's tasks and processes and waits for their end. The Node stays until it is deleted.
    pub async fn stop(self) {
        self.end().await;
    }

    async fn end(&self) {
        for task in &self.tasks {
            task.abort();
        }
        self.host.kill_processes().await;
    }
}

impl Drop for ProcessNode {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

//! A cluster of real nodes with the operator in it, as the demo and the tests have it: what it consists of, in which
//! order it starts. Only inside `devcluster isolate`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    control_plane::{ControlPlane, ControlPlaneError, ControlPlaneOptions, Location},
    installation::{self, InstallationError},
    real_node::{RealHost, RealNode, RealNodeError},
};

/// The nodes: two, because a Job about a node never runs on that node, and a drained one's pods must go somewhere.
const NODES: [&str; 2] = ["node-1", "node-2"];

/// Archives of the images that nodes have, below the repository's root, as `hack/real-node/images.sh` leaves them.
const IMAGES: [&str; 5] = ["controller", "runner", "sandbox", "stand-in", "workload"];

/// How long a kubelet may be silent: on a busy machine it is late at times.
const NODE_GRACE: Duration = Duration::from_secs(40);

/// What kept the cluster from starting.
#[derive(Debug, thiserror::Error)]
pub enum RealClusterError {
    /// The machine or a node.
    #[error("failed to start the nodes")]
    Node(#[source] RealNodeError),
    /// The control plane.
    #[error("failed to start the control plane")]
    ControlPlane(#[source] ControlPlaneError),
    /// The operator.
    #[error("failed to install the operator")]
    Install(#[source] InstallationError),
}

/// A control plane, two nodes and the operator in a pod.
#[derive(Debug)]
pub struct RealCluster {
    /// The nodes; they end with this.
    pub nodes: Vec<RealNode>,
    /// The control plane.
    pub plane: ControlPlane,
}

impl RealCluster {
    /// Starts everything and waits until the operator is available. `root` is that of the repository; `say` is told
    /// what has been done.
    pub async fn start(
        location: Location,
        root: &Path,
        say: impl Fn(&str),
    ) -> Result<Self, RealClusterError> {
        let host = RealHost::prepare().await.map_err(RealClusterError::Node)?;
        let mut options = ControlPlaneOptions {
            location,
            listen: host.listen(),
            ..ControlPlaneOptions::default()
        };
        options.controllers.node_monitor_grace = NODE_GRACE;
        let plane = ControlPlane::start(options)
            .await
            .map_err(RealClusterError::ControlPlane)?;
        say(&format!("control plane ready at {}", plane.url()));
        let images: [PathBuf; _] =
            IMAGES.map(|image| root.join(format!(".devcluster/images/{image}.tar")));
        let nodes = RealNode::start_all(&host, &plane, &NODES, &images)
            .await
            .map_err(RealClusterError::Node)?;
        say(&format!(
            "nodes '{}' ready: containerd and a kubelet each",
            NODES.join("' and '")
        ));
        installation::install(&plane, root)
            .await
            .map_err(RealClusterError::Install)?;
        say("operator available, in a pod of its image");
        Ok(Self { nodes, plane })
    }
}

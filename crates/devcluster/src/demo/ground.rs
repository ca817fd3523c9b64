//! The cluster on which the demo plays: with a node of processes and the operator as one, or with real nodes and the
//! operator in a pod. What is played is the same.

use std::path::Path;

use clap::ValueEnum;

use crate::{
    cli::{
        instance::{Claim, InstanceError},
        progress::Progress,
        up::{Cluster, Up, UpError},
    },
    control_plane::{ControlPlane, Location},
    real_cluster::{RealCluster, RealClusterError},
};

/// What runs the pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum NodeKind {
    /// Processes that stand for pods.
    Process,
    /// A kubelet, containerd and runc.
    Containerd,
}

/// What kept the cluster from starting.
#[derive(Debug, thiserror::Error)]
pub enum GroundError {
    /// The one with a process node.
    #[error("failed to start a cluster with process nodes")]
    Process(#[source] UpError),
    /// The folder.
    #[error("failed to take the folder")]
    Claim(#[source] InstanceError),
    /// The one with real nodes.
    #[error("failed to start a cluster with real nodes")]
    Real(#[source] RealClusterError),
}

/// A running cluster.
#[derive(Debug)]
pub(super) enum Ground {
    Process(Box<Cluster>),
    Real(Box<RealCluster>, Claim),
}

impl Ground {
    /// Starts one; `up` says what a cluster with process nodes consists of.
    pub(super) async fn start(
        kind: NodeKind,
        folder: &Path,
        up: Up,
        progress: Progress,
    ) -> Result<Self, GroundError> {
        match kind {
            NodeKind::Process => {
                let cluster = up.start(progress).await.map_err(GroundError::Process)?;
                Ok(Self::Process(Box::new(cluster)))
            }
            NodeKind::Containerd => {
                let claim = Claim::take(folder).map_err(GroundError::Claim)?;
                let location = Location::Folder(folder.to_owned());
                let say = |what: &str| progress.say(what);
                let cluster = RealCluster::start(location, Path::new("."), say).await;
                let cluster = cluster.map_err(GroundError::Real)?;
                Ok(Self::Real(Box::new(cluster), claim))
            }
        }
    }

    /// Its control plane.
    pub(super) fn plane(&self) -> &ControlPlane {
        match self {
            Self::Process(cluster) => &cluster.plane,
            Self::Real(cluster, _) => &cluster.plane,
        }
    }

    /// Whether the operator is a process of ours, which answers at a local port.
    pub(super) fn has_process(&self) -> bool {
        match self {
            Self::Process(_) => true,
            Self::Real(..) => false,
        }
    }

    /// Ends everything.
    pub(super) async fn stop(self) {
        match self {
            Self::Process(cluster) => cluster.stop().await,
            Self::Real(cluster, claim) => {
                drop(cluster.nodes);
                cluster.plane.stop().await;
                drop(claim);
            }
        }
    }
}

//! A real Kubernetes control plane and a process node on this machine, for tests and for people: etcd,
//! kube-apiserver, kube-controller-manager and kube-scheduler as child processes with their own certificates and
//! data ([`control_plane`]), and a node that runs the pods of our runner image as processes and plays all others
//! ([`node`]), or a kubelet with containerd and runc ([`real_node`]). Nothing outside its folder is touched and everything it started ends with it. Development only:
//! nothing here is part of the operator.

mod background;
pub mod certificates;
pub mod cli;
pub mod control_plane;
pub mod demo;
pub mod installation;
pub mod kubeconfig;
pub mod node;
pub mod operator;
pub mod processes;
pub mod programs;
pub mod real_cluster;
pub mod real_node;

pub use control_plane::{ControlPlane, ControlPlaneError, ControlPlaneOptions, Listen, Location};
pub use node::{Fault, NodeOptions, ProcessNode};
pub use real_cluster::{RealCluster, RealClusterError};
pub use real_node::{RealHost, RealNode};

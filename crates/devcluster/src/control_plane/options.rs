//! What a control plane can be asked for. How it is turned into flags is [`super::arguments`]'s.

use std::{net::Ipv4Addr, path::PathBuf, time::Duration};

/// Where a control plane keeps its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A folder of its own below `.devcluster/tmp`, removed at the end (or, after a SIGKILL, by the next start).
    Temporary,
    /// This folder, in which files of an earlier run are replaced. The logs in it stay.
    Folder(PathBuf),
}

/// Where the API server takes connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// At a free port of 127.0.0.1.
    Loopback,
    /// At port 443 of every address, so that pods reach it at the address of its Service. Only for a network namespace
    /// of our own.
    PodNetwork {
        /// The address that it tells others, which nodes reach.
        advertised: Ipv4Addr,
    },
}

/// How a control plane is started.
#[derive(Clone, Debug)]
pub struct ControlPlaneOptions {
    /// Where its data is.
    pub location: Location,
    /// Where the API server takes connections.
    pub listen: Listen,
    /// Whether the kube-scheduler runs. Without it nothing binds pods: process nodes do not.
    pub scheduler: bool,
    /// The built-in controllers.
    pub controllers: ControllerOptions,
    /// More flags for the API server, after ours.
    pub apiserver_arguments: Vec<String>,
    /// How long everything may take until it is ready.
    pub start_timeout: Duration,
}

impl Default for ControlPlaneOptions {
    fn default() -> Self {
        Self {
            location: Location::Temporary,
            listen: Listen::Loopback,
            scheduler: true,
            controllers: ControllerOptions::default(),
            apiserver_arguments: Vec::new(),
            start_timeout: Duration::from_mins(2),
        }
    }
}

/// Flags of the kube-controller-manager that change how fast it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControllerOptions {
    /// Requests per second to the API server, on average.
    pub qps: u32,
    /// Requests per second to the API server, at most.
    pub burst: u32,
    /// Jobs worked on at once.
    pub job_syncs: u32,
    /// Garbage collections at once.
    pub garbage_collections: u32,
    /// How long a node may be silent before it is `NotReady`. A process node renews its Lease every second.
    pub node_monitor_grace: Duration,
}

impl Default for ControllerOptions {
    fn default() -> Self {
        Self {
            qps: 500,
            burst: 1000,
            job_syncs: 20,
            garbage_collections: 20,
            node_monitor_grace: Duration::from_secs(8),
        }
    }
}

impl ControllerOptions {
    /// What kube-controller-manager does without flags.
    #[must_use]
    pub fn kubernetes_defaults() -> Self {
        Self {
            qps: 20,
            burst: 30,
            job_syncs: 5,
            garbage_collections: 20,
            node_monitor_grace: Duration::from_secs(50),
        }
    }
}

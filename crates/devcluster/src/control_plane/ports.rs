//! Free ports on 127.0.0.1. A port is free when it was found; that a stranger takes it before its program does is
//! possible, and the start is then tried again with others.

use std::{io, net::TcpListener};

use super::options::Listen;

/// The port of the API server where pods reach it: that of its Service.
const SERVICE_PORT: u16 = 443;

/// Ports of one control plane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    pub(super) etcd_clients: u16,
    pub(super) etcd_peers: u16,
    pub(super) apiserver: u16,
}

impl Ports {
    /// Free ports, all different: each is held until all are found.
    pub(super) fn find(listen: Listen) -> io::Result<Self> {
        let held = [listener()?, listener()?, listener()?];
        let [clients, peers, apiserver] = &held;
        Ok(Self {
            etcd_clients: clients.local_addr()?.port(),
            etcd_peers: peers.local_addr()?.port(),
            apiserver: match listen {
                Listen::Loopback => apiserver.local_addr()?.port(),
                Listen::PodNetwork { .. } => SERVICE_PORT,
            },
        })
    }
}

fn listener() -> io::Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", 0))
}

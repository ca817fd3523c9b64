//! Free ports on 127.0.0.1. A port is free when it was found; that a stranger takes it before its program does is
//! possible, and the start is then tried again with others.

use std::{io, net::TcpListener};

/// Ports of one control plane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    pub(super) etcd_clients: u16,
    pub(super) etcd_peers: u16,
    pub(super) apiserver: u16,
}

impl Ports {
    /// Three free ports, all different: each is held until all are found.
    pub(super) fn find() -> io::Result<Self> {
        let held = [listener()?, listener()?, listener()?];
        let [clients, peers, apiserver] = &held;
        Ok(Self {
            etcd_clients: clients.local_addr()?.port(),
            etcd_peers: peers.local_addr()?.port(),
            apiserver: apiserver.local_addr()?.port(),
        })
    }
}

fn listener() -> io::Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", 0))
}

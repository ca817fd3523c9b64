//! The operator's own images on real nodes: kubelet, containerd and runc. `make e2e` runs these, inside namespaces of
//! their own. Few, whole stories; what a process node can show is shown in `end_to_end`.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::large_futures,
    reason = "a test ends when what it stands on breaks, and its futures live once each"
)]

mod actions;
mod altered;
mod demo;
mod disruptions;
mod drain;
mod images;
mod isolation;
mod load;
mod operator;
mod pod_security;
mod pre_puller;
mod records;
mod sidecar;
mod turns;

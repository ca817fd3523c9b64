//! Addresses of pods. Those in status come from 10.244.0.0/16 and lead nowhere (a loopback address would be refused
//! in an `EndpointSlice`); the process itself may listen on the 127.244.0.0/16 address with the same last two numbers.

use std::{
    net::Ipv4Addr,
    sync::atomic::{AtomicU16, Ordering},
};

/// Counts through all nodes of this process, so that no two pods of a cluster share an address.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// Gives out addresses.
#[derive(Debug)]
pub(super) struct Addresses;

impl Addresses {
    /// The next address; after 65,000 pods they come again.
    #[expect(
        clippy::unused_self,
        reason = "the node's address source, as its callers see it"
    )]
    pub(super) fn next(&self) -> Ipv4Addr {
        let number = NEXT.fetch_add(1, Ordering::Relaxed) % 65_000;
        let [high, low] = (number + 2).to_be_bytes();
        Ipv4Addr::new(10, 244, high, low)
    }
}

/// The address on which a process of the pod with this address may listen.
pub(super) fn loopback(address: Ipv4Addr) -> Ipv4Addr {
    let [_, second, third, fourth] = address.octets();
    Ipv4Addr::new(127, second, third, fourth)
}

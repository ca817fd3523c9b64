//! Calls on the leader Lease, on a client of their own: they wait for no other call, and no fence refuses them. Each
//! write carries the resource version of what it replaces.

use std::sync::Arc;

use k8s_openapi::api::coordination::v1::Lease;
use kexec_api::names;
use kube::api::{Api, PostParams};
use kube::{Client, Config, ResourceExt};

use super::{CallError, ConnectError, calls_of, client, timed};
use crate::leadership::Fence;
use crate::metrics::Metrics;

/// The leader Lease, as the API server holds it.
#[derive(Clone)]
pub struct Leases {
    client: Client,
    metrics: Arc<Metrics>,
}

impl Leases {
    /// A client for nothing else.
    pub fn connect(config: &Config, metrics: Arc<Metrics>) -> Result<Self, ConnectError> {
        Ok(Self {
            client: client(calls_of(config), &Fence::open())?,
            metrics,
        })
    }

    fn api(&self, namespace: &str) -> Api<Lease> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// The Lease, if there is one; not from a cache.
    pub async fn read(&self, namespace: &str, name: &str) -> Result<Option<Lease>, CallError> {
        let api = self.api(namespace);
        timed(&self.metrics, "read the leader Lease", api.get_opt(name)).await
    }

    /// Creates the Lease, if there is none.
    pub async fn create(&self, lease: &Lease) -> Result<Lease, CallError> {
        let api = self.api(&lease.namespace().unwrap_or_default());
        let how = by_us();
        timed(
            &self.metrics,
            "create the leader Lease",
            api.create(&how, lease),
        )
        .await
    }

    /// Replaces the Lease, if it still has the resource version that it is given with.
    pub async fn replace(&self, lease: &Lease) -> Result<Lease, CallError> {
        let api = self.api(&lease.namespace().unwrap_or_default());
        let (how, name) = (by_us(), lease.name_any());
        timed(
            &self.metrics,
            "write the leader Lease",
            api.replace(&name, &how, lease),
        )
        .await
    }
}

fn by_us() -> PostParams {
    PostParams {
        field_manager: Some(names::CONTROLLER_FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    }
}

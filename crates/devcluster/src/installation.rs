//! The operator inside a cluster with real nodes, as pods of its image. How it is installed there is decided here alone,
//! for the demo and the tests.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use k8s_openapi::api::apps::v1::Deployment;
use kexec_api::names;
use kube::Api;
use tokio::time::{Instant, sleep};

use crate::{
    cli::up::{UpError, apply},
    control_plane::{AccessError, ControlPlane},
};

/// What is applied, in this order, from the root of the repository.
const MANIFESTS: [&str; 5] = [
    "config/crd",
    "config/operator",
    "config/rbac",
    "config/policies",
    "hack/real-node/controller.yaml",
];

/// How long the operator may take until it is available.
const LIMIT: Duration = Duration::from_mins(2);

/// Between two looks at it.
const INTERVAL: Duration = Duration::from_millis(100);

/// What kept the operator from being installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallationError {
    /// A manifest.
    #[error("failed to apply the manifests")]
    Apply(#[source] UpError),
    /// A client.
    #[error("failed to reach the API server")]
    Access(#[source] AccessError),
    /// It did not become available.
    #[error("failed to see the operator available within {} s", LIMIT.as_secs())]
    NotAvailable,
}

/// Installs the operator and waits until it is available. `root` is that of the repository.
pub async fn install(plane: &ControlPlane, root: &Path) -> Result<(), InstallationError> {
    for manifest in MANIFESTS {
        apply(plane, &PathBuf::from(root).join(manifest))
            .await
            .map_err(InstallationError::Apply)?;
    }
    let client = plane.client().map_err(InstallationError::Access)?;
    let deployments: Api<Deployment> = Api::namespaced(client, names::DEFAULT_SYSTEM_NAMESPACE);
    let deadline = Instant::now() + LIMIT;
    while !is_available(&deployments).await {
        if Instant::now() >= deadline {
            return Err(InstallationError::NotAvailable);
        }
        sleep(INTERVAL).await;
    }
    Ok(())
}

async fn is_available(deployments: &Api<Deployment>) -> bool {
    let found = deployments.get(names::CONTROLLER_SERVICE_ACCOUNT).await;
    found.is_ok_and(|deployment| {
        let status = deployment.status.unwrap_or_default();
        status.available_replicas.unwrap_or(0) > 0
            && status.observed_generation == deployment.metadata.generation
    })
}

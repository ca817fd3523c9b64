//! The operator inside a cluster with real nodes, as its chart installs it. How that is done is decided here alone, for
//! the demo and the tests.

use std::{io, path::Path, time::Duration};

use k8s_openapi::api::apps::v1::Deployment;
use kexec_api::names;
use kube::Api;
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

use crate::{
    cli::up::{UpError, apply},
    control_plane::{AccessError, ControlPlane},
    programs::{self, ProgramsError},
};

/// The namespace with the Pod Security label that the chart's documentation asks for.
const NAMESPACE: &str = "config/operator";

const CHART: &str = "charts/kubernaut-executor";

/// The images that nodes have, and one controller: it is the one that a story is about.
const VALUES: &str = "image.tag=dev,runner.image.tag=dev,controller.replicas=1";

/// How long the operator may take until it is available.
const LIMIT: Duration = Duration::from_mins(2);

/// Between two looks at it.
const INTERVAL: Duration = Duration::from_millis(100);

/// What kept the operator from being installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallationError {
    /// Its namespace.
    #[error("failed to make the operator's namespace")]
    Namespace(#[source] UpError),
    /// Helm is missing.
    #[error("failed to find helm; run `make helm-bin`")]
    FindHelm(#[source] ProgramsError),
    /// Helm did not run.
    #[error("failed to run helm")]
    RunHelm(#[source] io::Error),
    /// Helm said no.
    #[error("failed to install the chart: {0}")]
    Helm(String),
    /// A client.
    #[error("failed to reach the API server")]
    Access(#[source] AccessError),
    /// It did not become available.
    #[error("failed to see the operator available within {} s", LIMIT.as_secs())]
    NotAvailable,
}

/// Installs the operator and waits until it is available. `root` is that of the repository.
pub async fn install(plane: &ControlPlane, root: &Path) -> Result<(), InstallationError> {
    apply(plane, &root.join(NAMESPACE))
        .await
        .map_err(InstallationError::Namespace)?;
    install_chart(plane, &root.join(CHART)).await?;
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

async fn install_chart(plane: &ControlPlane, chart: &Path) -> Result<(), InstallationError> {
    let home = programs::home().map_err(InstallationError::FindHelm)?;
    let program = home.join("bin/helm");
    if !program.is_file() {
        return Err(InstallationError::FindHelm(ProgramsError::Missing {
            program: "helm",
            directory: home.join("bin"),
        }));
    }
    let mut helm = Command::new(program);
    for variable in ["HELM_CONFIG_HOME", "HELM_DATA_HOME", "HELM_CACHE_HOME"] {
        helm.env(variable, plane.folder().join("operator"));
    }
    let output = helm
        .args(["install", "kubernaut-executor"])
        .arg(chart)
        .args(["--namespace", names::DEFAULT_SYSTEM_NAMESPACE])
        .args(["--set", VALUES])
        .env("KUBECONFIG", plane.kubeconfig())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(InstallationError::RunHelm)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(InstallationError::Helm(said))
}

async fn is_available(deployments: &Api<Deployment>) -> bool {
    let found = deployments.get(names::CONTROLLER_SERVICE_ACCOUNT).await;
    found.is_ok_and(|deployment| {
        let status = deployment.status.unwrap_or_default();
        status.available_replicas.unwrap_or(0) > 0
            && status.observed_generation == deployment.metadata.generation
    })
}

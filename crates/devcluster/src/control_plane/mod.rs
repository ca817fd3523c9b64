//! A real control plane: starts its programs in order, waits until the cluster is fit for use, and ends it. What
//! runs on it (nodes, the operator) is decided elsewhere, and how it is reached stands in [`access`].

pub mod access;
mod arguments;
mod error;
mod folder;
mod keys;
mod options;
mod ports;
mod readiness;

use std::{fs, path::PathBuf, sync::Arc};

use tokio::time::Instant;

pub use access::AccessError;
pub use error::ControlPlaneError;
pub use folder::FolderError;
pub use keys::KeysError;
pub(crate) use keys::MASTERS;
pub use options::{ControlPlaneOptions, ControllerOptions, Listen, Location};

use self::{folder::Folder, ports::Ports};
use crate::{
    certificates::Authority,
    kubeconfig::{self, Credential},
    processes::{Child, Order, Program},
    programs::Programs,
};

/// Starts that may fail because a stranger took one of our ports.
const ATTEMPTS: u32 = 3;

#[derive(Debug)]
struct Part {
    name: &'static str,
    child: Child,
}

/// A running control plane. Dropping it kills its programs at once; [`ControlPlane::stop`] also waits for their end.
/// It does not depend on the runtime it was started in, so tests with a runtime each may share it.
#[derive(Debug)]
pub struct ControlPlane {
    // Dropped in this order: the programs end before their folder goes.
    parts: Vec<Part>,
    authority: Arc<Authority>,
    programs: Programs,
    ports: Ports,
    url: String,
    ca_pem: String,
    kubeconfig: PathBuf,
    audit_log: PathBuf,
    admin: kube::Config,
    folder: Folder,
}

impl ControlPlane {
    /// Starts a control plane and waits until it is fit for use: `/readyz`, the built-in namespaces, the `default`
    /// ServiceAccount and the root certificate's ConfigMap.
    pub async fn start(options: ControlPlaneOptions) -> Result<Self, ControlPlaneError> {
        let mut attempt = 1;
        loop {
            match Self::start_once(&options).await {
                Err(error) if error.is_taken_port() && attempt < ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }

    async fn start_once(options: &ControlPlaneOptions) -> Result<Self, ControlPlaneError> {
        let deadline = Instant::now() + options.start_timeout;
        let mut plane = Self::prepare(options).await?;
        let etcd = arguments::etcd(&plane.folder, plane.ports);
        let apiserver = arguments::apiserver(&plane.folder, plane.ports, options);
        let controllers = arguments::controller_manager(&plane.folder, &options.controllers);
        let executables = plane.programs.clone();
        plane.run("etcd", executables.etcd, etcd).await?;
        readiness::etcd(&plane, deadline).await?;
        plane
            .run("kube-apiserver", executables.kube_apiserver, apiserver)
            .await?;
        readiness::apiserver(&plane, deadline).await?;
        plane
            .run(
                "kube-controller-manager",
                executables.kube_controller_manager,
                controllers,
            )
            .await?;
        if options.scheduler {
            plane.start_scheduler(options).await?;
        }
        readiness::controllers(&plane, deadline).await?;
        Ok(plane)
    }

    async fn prepare(options: &ControlPlaneOptions) -> Result<Self, ControlPlaneError> {
        let programs = Programs::find().map_err(ControlPlaneError::FindPrograms)?;
        let folder = Folder::open(&options.location).map_err(ControlPlaneError::Folder)?;
        let ports = Ports::find(options.listen).map_err(ControlPlaneError::FindPorts)?;
        let authority = Authority::generate().map_err(ControlPlaneError::Authority)?;
        let url = format!("https://127.0.0.1:{}", ports.apiserver);
        let identity = keys::write(&folder, &authority, &url).map_err(ControlPlaneError::Keys)?;
        let ca_pem = authority.identity().certificate;
        let yaml = kubeconfig::render(&url, &ca_pem, &Credential::Certificate(&identity))
            .map_err(|source| ControlPlaneError::Keys(KeysError::Write(source)))?;
        let kubeconfig = folder.file("kubeconfig");
        kubeconfig::write_private(&kubeconfig, &yaml)
            .map_err(|source| ControlPlaneError::Keys(KeysError::Write(source)))?;
        let admin = access::config(&yaml)
            .await
            .map_err(ControlPlaneError::Access)?;
        Ok(Self {
            parts: Vec::new(),
            authority: Arc::new(authority),
            programs,
            ports,
            url,
            ca_pem,
            kubeconfig,
            audit_log: folder.log("audit"),
            admin,
            folder,
        })
    }

    async fn start_scheduler(
        &mut self,
        options: &ControlPlaneOptions,
    ) -> Result<(), ControlPlaneError> {
        let path = self.folder.key_file("kube-scheduler.yaml");
        let content = arguments::scheduler_configuration(&self.folder, &options.controllers);
        fs::write(&path, content).map_err(|source| ControlPlaneError::Write {
            path: path.clone(),
            source,
        })?;
        let executable = self.programs.kube_scheduler.clone();
        self.run("kube-scheduler", executable, arguments::scheduler(&path))
            .await
    }

    async fn run(
        &mut self,
        name: &'static str,
        executable: PathBuf,
        arguments: Vec<String>,
    ) -> Result<(), ControlPlaneError> {
        let child = Program::new(executable, self.folder.log(name))
            .arguments(arguments)
            .start()
            .await
            .map_err(|source| ControlPlaneError::Start {
                program: name,
                source,
            })?;
        self.parts.push(Part { name, child });
        Ok(())
    }

    /// Ends every program and waits until all are gone; a temporary folder is then removed. There is no orderly
    /// shutdown: nothing of the data is used again.
    pub async fn stop(mut self) {
        for part in &self.parts {
            part.child.order(Order::Kill);
        }
        for part in self.parts.drain(..) {
            part.child.ended().await;
        }
    }

    /// The process ids of the control plane's programs, by name.
    #[must_use]
    pub fn pids(&self) -> Vec<(&'static str, u32)> {
        self.parts
            .iter()
            .map(|part| (part.name, part.child.pid()))
            .collect()
    }

    /// Waits until one of the programs has ended, which none should, and names it.
    pub async fn failed(&self) -> &'static str {
        let ends = self.parts.iter().map(|part| {
            Box::pin(async move {
                part.child.ended().await;
                part.name
            })
        });
        futures::future::select_all(ends).await.0
    }
}

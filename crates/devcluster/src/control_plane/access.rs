//! Ways to reach a running control plane: clients, kubeconfigs for other users, kubectl.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use kube::config::{KubeConfigOptions, Kubeconfig};

use super::ControlPlane;
use crate::{
    certificates::{Authority, CertificateError},
    kubeconfig::{self, Credential, KubeconfigError},
};

/// What kept a way to the cluster from being made.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The user's certificate.
    #[error("failed to issue a certificate")]
    Issue(#[source] CertificateError),
    /// The kubeconfig file.
    #[error("failed to write a kubeconfig")]
    Write(#[source] KubeconfigError),
    /// The kubeconfig is not one the client library takes.
    #[error("failed to read back a kubeconfig")]
    Read(#[source] Box<kube::config::KubeconfigError>),
    /// The client.
    #[error("failed to make a client")]
    Client(#[source] Box<kube::Error>),
}

impl ControlPlane {
    /// The administrator's kubeconfig file; everything is embedded in it.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The administrator's client configuration.
    #[must_use]
    pub fn admin_config(&self) -> kube::Config {
        self.admin.clone()
    }

    /// A new client for the administrator. It belongs to the runtime it is made in: make one per test.
    pub fn client(&self) -> Result<kube::Client, AccessError> {
        kube::Client::try_from(self.admin_config())
            .map_err(|source| AccessError::Client(Box::new(source)))
    }

    /// The API server's address, `https://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The certificate of the cluster's authority, PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The API server's audit log, one JSON event per line. A line is there before its response is seen whole.
    #[must_use]
    pub fn audit_log(&self) -> &Path {
        &self.audit_log
    }

    /// The folder with the cluster's data, keys and logs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `kubectl` as the administrator.
    #[must_use]
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(&self.programs.kubectl);
        command
            .env("KUBECONFIG", &self.kubeconfig)
            .env("KUBECACHEDIR", self.folder.file("kubectl-cache"));
        command
    }

    /// The client configuration of the user `name` in `groups` (at most two), by a new client certificate.
    pub async fn config_for_user(
        &self,
        name: &str,
        groups: &[&str],
    ) -> Result<kube::Config, AccessError> {
        config(&self.user_yaml(name, groups)?).await
    }

    /// Writes a kubeconfig for the user `name` in `groups` (at most two), by a new client certificate.
    pub fn kubeconfig_for_user(
        &self,
        path: &Path,
        name: &str,
        groups: &[&str],
    ) -> Result<PathBuf, AccessError> {
        write(path, &self.user_yaml(name, groups)?)
    }

    /// Writes a kubeconfig for the holder of `token`.
    pub fn kubeconfig_for_token(&self, path: &Path, token: &str) -> Result<PathBuf, AccessError> {
        write(path, &self.yaml(&Credential::Token(token))?)
    }

    /// Writes a kubeconfig for the holder of the token in `token_file`, which is read again when it changes.
    pub fn kubeconfig_for_token_file(
        &self,
        path: &Path,
        token_file: &Path,
    ) -> Result<PathBuf, AccessError> {
        write(path, &self.yaml(&Credential::TokenFile(token_file))?)
    }

    pub(crate) fn authority(&self) -> Arc<Authority> {
        Arc::clone(&self.authority)
    }

    fn user_yaml(&self, name: &str, groups: &[&str]) -> Result<String, AccessError> {
        let identity = self
            .authority
            .client(name, groups)
            .map_err(AccessError::Issue)?;
        self.yaml(&Credential::Certificate(&identity))
    }

    fn yaml(&self, credential: &Credential<'_>) -> Result<String, AccessError> {
        kubeconfig::render(&self.url, &self.ca_pem, credential).map_err(AccessError::Write)
    }
}

/// The client configuration in a kubeconfig.
pub(super) async fn config(yaml: &str) -> Result<kube::Config, AccessError> {
    let read = |source| AccessError::Read(Box::new(source));
    let kubeconfig = Kubeconfig::from_yaml(yaml).map_err(read)?;
    kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(read)
}

fn write(path: &Path, yaml: &str) -> Result<PathBuf, AccessError> {
    kubeconfig::write_private(path, yaml).map_err(AccessError::Write)?;
    Ok(path.to_owned())
}

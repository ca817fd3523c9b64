//! What can go wrong while a control plane starts.

use std::{io, path::PathBuf};

use super::{access::AccessError, folder::FolderError, keys::KeysError};
use crate::{certificates::CertificateError, processes::StartError, programs::ProgramsError};

/// What kept a control plane from starting.
#[derive(Debug, thiserror::Error)]
pub enum ControlPlaneError {
    /// Its programs are missing.
    #[error("failed to find the cluster's programs")]
    FindPrograms(#[source] ProgramsError),
    /// Its folder.
    #[error("failed to prepare the cluster's folder")]
    Folder(#[source] FolderError),
    /// A file in it.
    #[error("failed to write '{}'", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its certificate authority.
    #[error("failed to make the cluster's certificate authority")]
    Authority(#[source] CertificateError),
    /// Its keys.
    #[error("failed to make the cluster's keys")]
    Keys(#[source] KeysError),
    /// No free ports.
    #[error("failed to find free ports on 127.0.0.1")]
    FindPorts(#[source] io::Error),
    /// A program did not start.
    #[error("failed to start '{program}'")]
    Start {
        /// Its name.
        program: &'static str,
        /// Why.
        source: StartError,
    },
    /// A program ended before the cluster was ready.
    #[error("'{program}' ended before the cluster was ready; the end of its log:\n{log}")]
    Ended {
        /// Its name.
        program: &'static str,
        /// The end of its log.
        log: String,
    },
    /// The cluster was not ready in time.
    #[error("the cluster was not ready in time: still waiting for {waiting_for}")]
    NotReady {
        /// What was still missing.
        waiting_for: String,
    },
    /// The way to reach it.
    #[error("failed to reach the cluster")]
    Access(#[source] AccessError),
}

impl ControlPlaneError {
    /// Whether another try with other ports may help.
    pub(super) fn is_taken_port(&self) -> bool {
        matches!(self, Self::Ended { log, .. } if log.contains("address already in use"))
    }
}

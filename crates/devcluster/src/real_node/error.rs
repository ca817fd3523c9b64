//! What can go wrong while a real node starts.

use std::{io, path::PathBuf};

use super::isolation::IsolationError;
use crate::{
    certificates::CertificateError, control_plane::AccessError, kubeconfig::KubeconfigError,
    processes::StartError, programs::ProgramsError,
};

/// What kept a real node from starting.
#[derive(Debug, thiserror::Error)]
pub enum RealNodeError {
    /// We are not where a node may be.
    #[error("failed to find namespaces of our own")]
    Isolation(#[source] IsolationError),
    /// A program that is built here.
    #[error("failed to find the node's programs; run `make node-bin`")]
    FindPrograms(#[source] ProgramsError),
    /// A program that Debian packages bring.
    #[error("failed to find '{program}'; install the Debian package '{package}'")]
    FindPackaged {
        /// The program.
        program: &'static str,
        /// Its package.
        package: &'static str,
    },
    /// A command that prepares the machine or the node.
    #[error("failed to run '{command}': {message}")]
    Command {
        /// The command line.
        command: String,
        /// What it said.
        message: String,
    },
    /// A command did not even start.
    #[error("failed to start '{command}'")]
    Spawn {
        /// The command line.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// The node's cgroup.
    #[error("failed to make the cgroup '{cgroup}'")]
    Cgroup {
        /// Its path in each hierarchy.
        cgroup: String,
        /// Why.
        source: io::Error,
    },
    /// A folder.
    #[error("failed to make '{}'", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file.
    #[error("failed to configure the node")]
    Write(#[source] KubeconfigError),
    /// The kubelet's certificates.
    #[error("failed to issue the kubelet's certificates")]
    Certificate(#[source] CertificateError),
    /// A client.
    #[error("failed to reach the API server")]
    Access(#[source] AccessError),
    /// A program did not start.
    #[error("failed to start '{}'", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        source: StartError,
    },
    /// It took too long, or a program ended.
    #[error("failed to see {waiting_for}; the end of '{}':\n{end}", log.display())]
    NotReady {
        /// What was awaited.
        waiting_for: &'static str,
        /// The log of the program concerned.
        log: PathBuf,
        /// The end of that log.
        end: String,
    },
}

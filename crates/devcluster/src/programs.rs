//! Where the cluster's programs come from: `KUBEBUILDER_ASSETS`, else `.devcluster/bin` of this checkout, else an
//! error that says how to build them. Nothing is downloaded or built here.

use std::{
    env, io,
    path::{Path, PathBuf},
};

/// Folder, relative to the checkout, for everything the dev cluster writes.
pub const HOME: &str = ".devcluster";

const ASSETS_VARIABLE: &str = "KUBEBUILDER_ASSETS";

/// The programs of the control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    /// The cluster's store.
    pub etcd: PathBuf,
    /// The API server.
    pub kube_apiserver: PathBuf,
    /// The built-in controllers.
    pub kube_controller_manager: PathBuf,
    /// The scheduler.
    pub kube_scheduler: PathBuf,
    /// The command line client.
    pub kubectl: PathBuf,
}

/// What kept the programs from being found.
#[derive(Debug, thiserror::Error)]
pub enum ProgramsError {
    /// A program is missing.
    #[error("failed to find '{program}' in '{}': run `make cluster-bin`", directory.display())]
    Missing {
        /// Its name.
        program: &'static str,
        /// Where it should be.
        directory: PathBuf,
    },
    /// The current directory is unknown.
    #[error("failed to read the current directory")]
    CurrentDirectory(#[source] io::Error),
}

impl Programs {
    /// The programs from `KUBEBUILDER_ASSETS` if it is set, else from `bin` of [`home`].
    pub fn find() -> Result<Self, ProgramsError> {
        match env::var_os(ASSETS_VARIABLE) {
            Some(assets) => Self::inside(Path::new(&assets)),
            None => Self::inside(&home()?.join("bin")),
        }
    }

    /// The programs in `directory`.
    pub fn inside(directory: &Path) -> Result<Self, ProgramsError> {
        let program = |program: &'static str| {
            let path = directory.join(program);
            if path.is_file() {
                Ok(path)
            } else {
                Err(ProgramsError::Missing {
                    program,
                    directory: directory.to_owned(),
                })
            }
        };
        Ok(Self {
            etcd: program("etcd")?,
            kube_apiserver: program("kube-apiserver")?,
            kube_controller_manager: program("kube-controller-manager")?,
            kube_scheduler: program("kube-scheduler")?,
            kubectl: program("kubectl")?,
        })
    }
}

/// The dev cluster's folder: `.devcluster` of the nearest directory upwards that has one (tests run in their crate's
/// folder), else of the current directory.
pub fn home() -> Result<PathBuf, ProgramsError> {
    let current = env::current_dir().map_err(ProgramsError::CurrentDirectory)?;
    Ok(current
        .ancestors()
        .map(|directory| directory.join(HOME))
        .find(|candidate| candidate.is_dir())
        .unwrap_or_else(|| current.join(HOME)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_names_itself_and_the_command_that_builds_it() {
        let empty = tempfile::tempdir().unwrap();
        let error = Programs::inside(empty.path()).unwrap_err().to_string();
        assert!(error.contains("'etcd'"), "{error}");
        assert!(error.contains("make cluster-bin"), "{error}");
    }
}

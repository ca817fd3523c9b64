//! Where the programs of a real node come from: those built here from `bin` of [`programs::home`], the others from
//! Debian's packages. Nothing is installed here.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::error::RealNodeError;
use crate::programs::{self, ProgramsError};

/// Where Debian's package puts the CNI plug-ins.
pub(super) const CNI_PLUGINS: &str = "/usr/lib/cni";

/// Programs that must be in `PATH`, and Debian's packages of them.
const PACKAGED: [(&str, &str); 3] = [("runc", "runc"), ("ip", "iproute2"), ("mount", "mount")];

/// The programs of a real node.
#[derive(Clone, Debug)]
pub(super) struct NodePrograms {
    pub(super) containerd: PathBuf,
    pub(super) ctr: PathBuf,
    pub(super) kubelet: PathBuf,
    /// Where containerd finds its shim, and the shim runc.
    pub(super) path: OsString,
}

impl NodePrograms {
    /// All of them, or an error that says how to get the one that is missing.
    pub(super) fn find() -> Result<Self, RealNodeError> {
        let home = programs::home().map_err(RealNodeError::FindPrograms)?;
        let home = std::path::absolute(home)
            .map_err(|error| RealNodeError::FindPrograms(ProgramsError::CurrentDirectory(error)))?;
        let found = Self::inside(&home.join("bin"))?;
        for (program, package) in PACKAGED {
            let folders = env::split_paths(&found.path).collect::<Vec<_>>();
            if !folders.iter().any(|folder| folder.join(program).is_file()) {
                return Err(RealNodeError::FindPackaged { program, package });
            }
        }
        if !Path::new(CNI_PLUGINS).join("bridge").is_file() {
            return Err(RealNodeError::FindPackaged {
                program: "bridge",
                package: "containernetworking-plugins",
            });
        }
        Ok(found)
    }

    fn inside(bin: &Path) -> Result<Self, RealNodeError> {
        let program = |program: &'static str| {
            let path = bin.join(program);
            let missing = || ProgramsError::Missing {
                program,
                directory: bin.to_owned(),
            };
            path.is_file()
                .then_some(path)
                .ok_or_else(|| RealNodeError::FindPrograms(missing()))
        };
        program("containerd-shim-runc-v2")?;
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(bin.to_owned())
            .chain(env::split_paths(&path))
            .chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
        Ok(Self {
            containerd: program("containerd")?,
            ctr: program("ctr")?,
            kubelet: program("kubelet")?,
            path: env::join_paths(folders).unwrap_or(path),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_of_the_node_names_the_command_that_builds_it() {
        let empty = tempfile::tempdir().unwrap();
        let error = NodePrograms::inside(empty.path()).unwrap_err();
        assert!(error.to_string().contains("make node-bin"), "{error}");
    }
}

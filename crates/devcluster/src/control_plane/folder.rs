//! The folder of one control plane: the names of the files in it, and its end. A temporary one is removed when it is
//! dropped (of a chosen one only the logs stay); those whose owner was killed are removed by the next start, which sees that nobody holds their lock.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::options::Location;
use crate::programs;

const LOCK: &str = "lock";

/// What a cluster leaves in its folder, beside its logs.
const CONTENT: [&str; 6] = [
    "etcd",
    "pki",
    "nodes",
    "operator",
    "kubectl-cache",
    "kubeconfig",
];

/// The folder of one control plane.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    temporary: bool,
    /// Held open: whoever can lock it knows that we are gone.
    _lock: Option<File>,
}

/// What kept the folder from being made.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// `.devcluster` cannot be located.
    #[error("failed to locate the folder of the dev cluster")]
    Locate(#[source] programs::ProgramsError),
    /// A folder or file in it cannot be made.
    #[error("failed to make '{}'", path.display())]
    Make {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Folder {
    pub(crate) fn open(location: &Location) -> Result<Self, FolderError> {
        let folder = match location {
            Location::Temporary => Self::temporary()?,
            Location::Folder(path) => Self {
                path: absolute(path)?,
                temporary: false,
                _lock: None,
            },
        };
        folder.clear();
        // The audit log is counted, so it begins with the cluster.
        let _ = fs::remove_dir_all(folder.file("logs"));
        make(&folder.path)?;
        for directory in ["logs", "pki", "nodes"] {
            make(&folder.file(directory))?;
        }
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(crate) fn log(&self, program: &str) -> PathBuf {
        self.path.join("logs").join(format!("{program}.log"))
    }

    pub(crate) fn key_file(&self, name: &str) -> PathBuf {
        self.path.join("pki").join(name)
    }

    /// Removes what an earlier cluster left here. Nothing of it is used again, and old keys are of no use to anyone.
    fn clear(&self) {
        for name in CONTENT {
            let path = self.file(name);
            // What is not there needs no removal; what cannot be removed fails when it is written.
            let _ = if path.is_dir() {
                fs::remove_dir_all(path)
            } else {
                fs::remove_file(path)
            };
        }
    }

    fn temporary() -> Result<Self, FolderError> {
        let parent = programs::home().map_err(FolderError::Locate)?.join("tmp");
        make(&parent)?;
        remove_abandoned(&parent);
        loop {
            let path = tempfile::Builder::new()
                .prefix("cluster-")
                .tempdir_in(&parent)
                .map_err(|source| failed(&parent, source))?
                .keep();
            let lock = path.join(LOCK);
            let file = File::create(&lock).map_err(|source| failed(&lock, source))?;
            // Someone else's start may take it for abandoned between these two lines; then take another.
            if file.try_lock().is_ok() {
                return Ok(Self {
                    path,
                    temporary: true,
                    _lock: Some(file),
                });
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary {
            // What cannot be removed now is removed by the next start.
            let _ = fs::remove_dir_all(&self.path);
        } else {
            self.clear();
        }
    }
}

fn remove_abandoned(parent: &Path) {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    for entry in entries {
        let abandoned =
            File::open(entry.path().join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok());
        if abandoned {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn make(directory: &Path) -> Result<(), FolderError> {
    fs::create_dir_all(directory).map_err(|source| failed(directory, source))
}

fn absolute(path: &Path) -> Result<PathBuf, FolderError> {
    std::path::absolute(path).map_err(|source| failed(path, source))
}

fn failed(path: &Path, source: io::Error) -> FolderError {
    FolderError::Make {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_whose_owner_is_gone_is_removed_and_a_held_one_is_not() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["abandoned", "held"] {
            fs::create_dir(parent.path().join(name)).unwrap();
            File::create(parent.path().join(name).join(LOCK)).unwrap();
        }
        let held = File::open(parent.path().join("held").join(LOCK)).unwrap();
        held.lock().unwrap();
        remove_abandoned(parent.path());
        assert!(!parent.path().join("abandoned").exists());
        assert!(parent.path().join("held").exists());
    }
}

//! The namespaces in which a real node lives: network, mounts and process ids of its own, so that it changes nothing of
//! the machine and ends with its first process. Entering them is [`enter`]'s; whoever prepares a node asks for the
//! proof that it is inside, [`Isolation::current`].

use std::{
    env,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::{Pid, geteuid, test_kill_process};

/// Variable that tells the inside which namespaces are the outside's.
const OUTSIDE_VARIABLE: &str = "DEVCLUSTER_OUTSIDE";

/// Variable that tells the inside its cgroup.
const CGROUP_VARIABLE: &str = "DEVCLUSTER_CGROUP";

/// Begin of the name of our cgroups; the process that made one follows.
const CGROUP_PREFIX: &str = "devcluster-";

/// Where the kernel shows its cgroups.
pub(super) const CGROUPS: &str = "/sys/fs/cgroup";

/// The namespaces that must not be the machine's.
const NAMESPACES: [&str; 3] = ["net", "mnt", "pid"];

/// Why there are no namespaces of our own.
#[derive(Debug, thiserror::Error)]
pub enum IsolationError {
    /// Only root may make them.
    #[error("a real node needs root: run it as root, or use the process node, which does not")]
    NotRoot,
    /// We are outside.
    #[error(
        "a real node would change this machine's network: run it by `devcluster isolate -- COMMAND`, as `make e2e` \
         and `make demo NODE=containerd` do"
    )]
    Outside,
    /// The kernel or the machine refuses them.
    #[error("this machine does not let root make namespaces: {0}")]
    Refused(String),
    /// A namespace cannot be read.
    #[error("failed to read '{}'", path.display())]
    Read {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// `unshare` is missing.
    #[error("failed to run 'unshare'; install the Debian package 'util-linux'")]
    Run(#[source] io::Error),
}

/// Proof that this process is inside.
#[derive(Clone, Debug)]
pub struct Isolation {
    cgroup: String,
}

impl Isolation {
    /// The proof, unless we are outside.
    pub fn current() -> Result<Self, IsolationError> {
        let outside = env::var(OUTSIDE_VARIABLE).map_err(|_| IsolationError::Outside)?;
        let outside: Vec<&str> = outside.split_whitespace().collect();
        for inside in namespaces()? {
            if outside.contains(&inside.as_str()) {
                return Err(IsolationError::Outside);
            }
        }
        let cgroup = env::var(CGROUP_VARIABLE).map_err(|_| IsolationError::Outside)?;
        Ok(Self { cgroup })
    }

    /// The cgroup that is ours, from the root of each hierarchy.
    pub(super) fn cgroup(&self) -> &str {
        &self.cgroup
    }
}

/// The command that runs `program` in namespaces of its own; they end with it, and it when it is killed.
pub fn enter(program: &[OsString]) -> Result<Command, IsolationError> {
    if !geteuid().is_root() {
        return Err(IsolationError::NotRoot);
    }
    let allowed = unshare()
        .arg("true")
        .output()
        .map_err(IsolationError::Run)?;
    if !allowed.status.success() {
        let said = String::from_utf8_lossy(&allowed.stderr).trim().to_owned();
        return Err(IsolationError::Refused(said));
    }
    let mut command = unshare();
    command
        .args(program)
        .env(OUTSIDE_VARIABLE, namespaces()?.join(" "))
        .env(
            CGROUP_VARIABLE,
            format!("{}/{CGROUP_PREFIX}{}", outer_cgroup(), std::process::id()),
        );
    Ok(command)
}

/// The cgroup around ours: none, or that of the isolation in which this process is already. Only the cgroups in it are
/// named by process ids that mean something here.
fn outer_cgroup() -> String {
    env::var(CGROUP_VARIABLE).unwrap_or_default()
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args([
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--mount-proc",
        "--kill-child",
        "--",
    ]);
    command
}

fn namespaces() -> Result<Vec<String>, IsolationError> {
    let read = |name| {
        let path = Path::new("/proc/self/ns").join(name);
        let link = fs::read_link(&path);
        link.map(|link| link.display().to_string())
            .map_err(|source| IsolationError::Read { path, source })
    };
    NAMESPACES.into_iter().map(read).collect()
}

/// Removes the cgroups of this process and of those that are gone: unlike all else they outlive their processes.
pub fn remove_cgroups() {
    let outer = outer_cgroup();
    for hierarchy in hierarchies() {
        for cgroup in folders(&hierarchy.join(outer.trim_start_matches('/'))) {
            let name = cgroup.file_name().and_then(|name| name.to_str());
            let owner = name.and_then(|name| name.strip_prefix(CGROUP_PREFIX));
            let owner = owner.and_then(|owner| owner.parse().ok());
            if owner.is_some_and(is_over) {
                remove(&cgroup);
            }
        }
    }
}

/// The roots of all hierarchies: one with cgroup v2, one for each controller with v1.
pub(super) fn hierarchies() -> Vec<PathBuf> {
    let root = Path::new(CGROUPS);
    if root.join("cgroup.controllers").is_file() {
        return vec![root.to_owned()];
    }
    folders(root)
}

fn is_over(owner: u32) -> bool {
    let pid = i32::try_from(owner).ok().and_then(Pid::from_raw);
    owner == std::process::id() || pid.is_none_or(|pid| test_kill_process(pid).is_err())
}

/// The kernel refuses to remove a cgroup in which a process is.
fn remove(cgroup: &Path) {
    for child in folders(cgroup) {
        remove(&child);
    }
    let _ = fs::remove_dir(cgroup);
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_no_node_is_prepared() {
        let refused = Isolation::current().unwrap_err();
        assert!(matches!(refused, IsolationError::Outside));
        assert!(refused.to_string().contains("make e2e"), "{refused}");
    }
}

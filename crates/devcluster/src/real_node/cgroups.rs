//! The cgroup of a node, made before its kubelet, which does not make its root itself. Removing it is
//! [`super::isolation`]'s.

use std::{fs, io, path::Path};

use super::isolation::hierarchies;

/// What a v1 cgroup must have before a process can be in it.
const CPUSET: [&str; 2] = ["cpuset.cpus", "cpuset.mems"];

/// What a cgroup gets of the processors, v1 and v2: sixteen times what one process outside gets. All pods are in here
/// together, and what they compete with, the control plane and the tests, is outside: with the kernel's default a busy
/// machine starves them until their probes fail.
const WEIGHT: [(&str, &str); 2] = [("cpu.shares", "16384"), ("cpu.weight", "1600")];

/// Makes the cgroup and its parents in every hierarchy.
pub(super) fn make(cgroup: &str) -> io::Result<()> {
    for hierarchy in hierarchies() {
        let mut folder = hierarchy;
        for part in cgroup.split('/').filter(|part| !part.is_empty()) {
            let parent = folder.clone();
            folder.push(part);
            fs::create_dir_all(&folder)?;
            inherit(&parent, &folder)?;
            weigh(&folder)?;
        }
    }
    Ok(())
}

fn inherit(parent: &Path, child: &Path) -> io::Result<()> {
    for file in CPUSET {
        let (from, to) = (parent.join(file), child.join(file));
        // A v2 hierarchy inherits by itself, and other v1 hierarchies have no such file.
        if to.is_file() && fs::read_to_string(&to)?.trim().is_empty() {
            fs::write(&to, fs::read_to_string(from)?)?;
        }
    }
    Ok(())
}

fn weigh(cgroup: &Path) -> io::Result<()> {
    for (file, weight) in WEIGHT {
        let file = cgroup.join(file);
        if file.is_file() {
            fs::write(file, weight)?;
        }
    }
    Ok(())
}

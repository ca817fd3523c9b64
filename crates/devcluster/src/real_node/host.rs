//! What the machine lends to real nodes, made ready inside the namespaces: loopback with the address of the API
//! server's Service (there is no kube-proxy), the bridge that pods are on, and empty folders where container software
//! keeps its state. Which files lie there is [`super::configuration`]'s.

use std::process::Output;

use tokio::process::Command;

use super::{
    configuration::{ADDRESS, BRIDGE, NETWORK_BITS},
    error::RealNodeError,
    isolation::Isolation,
    programs::NodePrograms,
};
use crate::control_plane::Listen;

/// The address of the Service `kubernetes`.
const SERVICE: &str = "10.96.0.1/32";

/// Folders that get a file system in memory: nothing of the machine is seen or changed in them.
const STATE: [&str; 3] = ["/run", "/var/lib", "/var/log"];

/// The machine, ready for real nodes.
#[derive(Debug)]
pub struct RealHost {
    programs: NodePrograms,
    isolation: Isolation,
}

impl RealHost {
    /// Makes the machine ready, inside namespaces of our own and nowhere else. Once is enough for all nodes.
    pub async fn prepare() -> Result<Self, RealNodeError> {
        let isolation = Isolation::current().map_err(RealNodeError::Isolation)?;
        let programs = NodePrograms::find()?;
        for folder in STATE {
            sh(&[
                "mount",
                "-t",
                "tmpfs",
                "-o",
                "mode=755",
                "devcluster",
                folder,
            ])
            .await?;
        }
        let bridge = format!("{ADDRESS}/{NETWORK_BITS}");
        for arguments in [
            &["link", "set", "lo", "up"][..],
            &["address", "add", SERVICE, "dev", "lo"],
            &["link", "add", BRIDGE, "type", "bridge"],
            &["address", "add", &bridge, "dev", BRIDGE],
            &["link", "set", BRIDGE, "up"],
        ] {
            sh(&[&["ip"], arguments].concat()).await?;
        }
        Ok(Self {
            programs,
            isolation,
        })
    }

    /// How the control plane is reached from pods here.
    #[must_use]
    pub fn listen(&self) -> Listen {
        Listen::PodNetwork {
            advertised: ADDRESS,
        }
    }

    pub(super) fn programs(&self) -> &NodePrograms {
        &self.programs
    }

    pub(super) fn cgroup(&self) -> &str {
        self.isolation.cgroup()
    }
}

async fn sh(line: &[&str]) -> Result<(), RealNodeError> {
    let mut words = line.iter();
    let mut command = Command::new(words.next().copied().unwrap_or_default());
    command.args(words);
    run(command).await
}

/// Runs a command to its end.
pub(super) async fn run(mut command: Command) -> Result<(), RealNodeError> {
    let words = std::iter::once(command.as_std().get_program()).chain(command.as_std().get_args());
    let line = words.map(|word| word.to_string_lossy()).collect::<Vec<_>>();
    let line = line.join(" ");
    match command.output().await {
        Ok(Output { status, .. }) if status.success() => Ok(()),
        Ok(output) => Err(RealNodeError::Command {
            command: line,
            message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        }),
        Err(source) => Err(RealNodeError::Spawn {
            command: line,
            source,
        }),
    }
}

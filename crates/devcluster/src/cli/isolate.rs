//! `devcluster isolate`: a command in namespaces of its own, with all that it starts. When the command ends, or this
//! process is killed, the kernel ends everything in them; what is left is a few empty cgroups, which are removed here.

use std::{ffi::OsString, io, process::ExitCode};

use tokio::{
    process::Command,
    signal::unix::{SignalKind, signal},
};

use super::shown;
use crate::{
    processes::launcher::{self, LauncherError},
    real_node::isolation::{self, IsolationError},
};

/// What kept the command from running in namespaces of its own.
#[derive(Debug, thiserror::Error)]
enum IsolateError {
    /// The namespaces.
    #[error("failed to make namespaces of our own")]
    Enter(#[source] IsolationError),
    /// The launcher.
    #[error("failed to find the launcher of child processes")]
    FindLauncher(#[source] LauncherError),
    /// The runtime, the command or the signals.
    #[error("failed to run the command")]
    Run(#[source] io::Error),
}

/// Runs the command and ends as it did.
pub(super) fn main(program: &[OsString]) -> ExitCode {
    let result = isolated(program);
    isolation::remove_cgroups();
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => shown(Err(error)),
    }
}

fn isolated(program: &[OsString]) -> Result<u8, IsolateError> {
    isolation::remove_cgroups();
    let unshare = isolation::enter(program).map_err(IsolateError::Enter)?;
    let mut command = Command::new(launcher::find().map_err(IsolateError::FindLauncher)?);
    command
        .args(["run-as-child", "--parent"])
        .arg(std::process::id().to_string())
        .arg("--")
        .arg(unshare.get_program())
        .args(unshare.get_args())
        .kill_on_drop(true);
    for (name, value) in unshare.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    // One thread, and it lives as long as the process: the child is tied to the thread that started it.
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .and_then(|runtime| runtime.block_on(until_it_ends(command)))
        .map_err(IsolateError::Run)
}

async fn until_it_ends(mut command: Command) -> io::Result<u8> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut child = command.spawn()?;
    loop {
        tokio::select! {
            status = child.wait() => {
                let code = status?.code().and_then(|code| u8::try_from(code).ok());
                return Ok(code.unwrap_or(1));
            }
            // The terminal tells the command too, which ends in its own way.
            _ = interrupt.recv() => {}
            _ = terminate.recv() => child.start_kill()?,
        }
    }
}

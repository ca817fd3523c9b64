//! `devcluster run-as-child`: the program between us and every process we start. It asks the kernel to kill it when
//! its parent dies, then becomes the program itself; the request survives `exec`. Doing this in the child between
//! fork and exec would need `unsafe`, so it is a program of its own. Finding that program is decided here too.

use std::{
    env,
    ffi::OsString,
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

/// Environment variable that names the launcher's binary when it is not found beside the current one.
pub const LAUNCHER_VARIABLE: &str = "DEVCLUSTER_LAUNCHER";

const BINARY: &str = "devcluster";

/// Exit code of the launcher when it did not become the program (a shell's "command not found").
const NOT_STARTED: u8 = 127;

/// What kept the launcher from being found or from becoming its program.
#[derive(Debug, thiserror::Error)]
pub enum LauncherError {
    /// No `devcluster` binary beside the running one.
    #[error(
        "failed to find the binary 'devcluster' beside '{}'; run `cargo build -p kexec-devcluster` or set \
         {LAUNCHER_VARIABLE}",
        beside.display()
    )]
    Find {
        /// The running program.
        beside: PathBuf,
    },
    /// The path of the running program is unknown.
    #[error("failed to read the path of the running program")]
    OwnPath(#[source] io::Error),
}

/// The launcher: from [`LAUNCHER_VARIABLE`], or the running program if it is `devcluster`, or the binary of that
/// name beside it or one directory up (test binaries live in `deps/`).
pub fn find() -> Result<PathBuf, LauncherError> {
    if let Some(path) = env::var_os(LAUNCHER_VARIABLE) {
        return Ok(PathBuf::from(path));
    }
    let own = env::current_exe().map_err(LauncherError::OwnPath)?;
    if own.file_name().is_some_and(|name| name == BINARY) {
        return Ok(own);
    }
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|directory| directory.join(BINARY))
        .find(|candidate| is_file(candidate))
        .ok_or(LauncherError::Find { beside: own })
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file())
}

/// Becomes `program`, which the kernel kills when the thread that started us ends. Returns only on failure.
///
/// `parent` is the process that asked for it: if it is no longer our parent, it died before we could ask the kernel
/// to tell us, and the program must not start at all.
#[must_use]
pub fn run_as_child(parent: u32, program: &OsString, arguments: &[OsString]) -> ExitCode {
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        eprintln!("failed to tie this process to its parent: {error}");
        return ExitCode::from(NOT_STARTED);
    }
    if !is_parent(parent) {
        eprintln!("not started: process {parent}, which asked for it, is gone");
        return ExitCode::from(NOT_STARTED);
    }
    let error = Command::new(program).args(arguments).exec();
    eprintln!("failed to start '{}': {error}", program.display());
    ExitCode::from(NOT_STARTED)
}

fn is_parent(expected: u32) -> bool {
    i32::try_from(expected)
        .ok()
        .and_then(Pid::from_raw)
        .is_some_and(|expected| getppid() == Some(expected))
}

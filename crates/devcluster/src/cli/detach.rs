//! `devcluster up --detach`: the same command again in a session of its own, with its output in a file, of which we
//! show what is new until the cluster is ready or the attempt has failed.

use std::{
    env,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use super::instance::{self, InstanceError};

/// Between two looks at the other process.
const INTERVAL: Duration = Duration::from_millis(50);

/// What kept the cluster from coming up in the background.
#[derive(Debug, thiserror::Error)]
pub(super) enum DetachError {
    /// The log or its folder.
    #[error("failed to use '{}'", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It runs already.
    #[error("failed to start another cluster")]
    Running(#[source] InstanceError),
    /// The process did not start.
    #[error("failed to start the cluster's own process")]
    Spawn(#[source] io::Error),
    /// It ended before the cluster was ready; it has said why.
    #[error("the cluster did not come up; see '{}'", log.display())]
    Failed {
        /// Its log.
        log: PathBuf,
    },
}

/// Runs this very command line without `--detach` in the background and returns when its cluster is ready.
pub(super) fn detach(folder: &Path) -> Result<(), DetachError> {
    if let Some(state) = instance::running(folder) {
        return Err(DetachError::Running(InstanceError::Running {
            folder: folder.to_owned(),
            pid: state.pid,
        }));
    }
    fs::create_dir_all(folder).map_err(|source| failed(folder, source))?;
    let log = folder.join("devcluster.log");
    let output = File::create(&log).map_err(|source| failed(&log, source))?;
    let errors = output.try_clone().map_err(|source| failed(&log, source))?;
    let mut child = Command::new(env::current_exe().map_err(DetachError::Spawn)?)
        .args(foreground(env::args().skip(1)))
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .map_err(DetachError::Spawn)?;
    let mut shown = File::open(&log).map_err(|source| failed(&log, source))?;
    let pid = child.id();
    loop {
        let ended = has_ended(&mut child)?;
        let ready = instance::running(folder).is_some_and(|state| state.ready && state.pid == pid);
        show(&mut shown).map_err(|source| failed(&log, source))?;
        if ended {
            return Err(DetachError::Failed { log });
        }
        if ready && said_what_next(&log) {
            return show(&mut shown).map_err(|source| failed(&log, source));
        }
        thread::sleep(INTERVAL);
    }
}

/// The arguments without `--detach` and with a session of its own.
fn foreground(arguments: impl Iterator<Item = String>) -> Vec<String> {
    let mut result: Vec<String> = arguments.collect();
    let end = result.iter().position(|argument| argument == "--");
    let end = end.unwrap_or(result.len());
    for argument in result.iter_mut().take(end) {
        if argument == "--detach" {
            "--own-session".clone_into(argument);
        }
    }
    result
}

/// The last thing the other process says: until then its output is still shown here.
fn said_what_next(log: &Path) -> bool {
    fs::read_to_string(log).is_ok_and(|text| text.contains("devcluster down"))
}

fn has_ended(child: &mut Child) -> Result<bool, DetachError> {
    child
        .try_wait()
        .map(|status| status.is_some())
        .map_err(DetachError::Spawn)
}

fn show(log: &mut File) -> io::Result<()> {
    let mut new = Vec::new();
    log.read_to_end(&mut new)?;
    io::stdout().write_all(&new)?;
    io::stdout().flush()
}

fn failed(path: &Path, source: io::Error) -> DetachError {
    DetachError::Log {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_flag_is_replaced_not_one_of_the_operator() {
        let given = ["up", "--detach", "--", "--detach"].map(str::to_owned);
        assert_eq!(
            foreground(given.into_iter()),
            ["up", "--own-session", "--", "--detach"]
        );
    }
}

//! The one dev cluster of a folder: who runs it, whether it is ready, and what must be gone after it. The lock, which
//! the kernel releases when its holder dies, says whether it runs; the state file only adds details.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

/// How long an orderly end may take.
const GRACE: Duration = Duration::from_secs(30);

/// Between two looks at what is ending.
const INTERVAL: Duration = Duration::from_millis(50);

/// What a running dev cluster says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The process that runs it.
    pub pid: u32,
    /// When that process started, in the kernel's ticks: a pid alone may be a stranger's by now.
    pub started: String,
    /// Whether it is ready for use.
    pub ready: bool,
    /// The API server.
    pub url: String,
    /// The programs it runs.
    pub programs: Vec<(String, u32)>,
}

/// What can go wrong with a folder's dev cluster.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// It runs already.
    #[error("the dev cluster in '{}' is running already (process {pid}); end it with `devcluster down`", folder.display())]
    Running {
        /// Its folder.
        folder: PathBuf,
        /// Its process.
        pid: u32,
    },
    /// A file of it.
    #[error("failed to use '{}'", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The process in its state file is another one by now.
    #[error("process {pid} does not run the dev cluster in '{}' any more, but something holds its lock", folder.display())]
    Stranger {
        /// The folder.
        folder: PathBuf,
        /// The process.
        pid: u32,
    },
    /// It would not end.
    #[error("failed to end the dev cluster: still running: {}", left.join(", "))]
    StillRunning {
        /// What is left.
        left: Vec<String>,
    },
}

/// The right to run the dev cluster of a folder, held by its process.
#[derive(Debug)]
pub struct Claim {
    folder: PathBuf,
    state: State,
    _lock: File,
}

impl Claim {
    /// Takes the folder, unless its cluster runs.
    pub fn take(folder: &Path) -> Result<Self, InstanceError> {
        fs::create_dir_all(folder).map_err(|source| failed(folder, source))?;
        let path = lock_file(folder);
        let lock = File::create(&path).map_err(|source| failed(&path, source))?;
        if lock.try_lock().is_err() {
            return Err(InstanceError::Running {
                folder: folder.to_owned(),
                pid: read(folder).map_or(0, |state| state.pid),
            });
        }
        let pid = std::process::id();
        let state = State {
            pid,
            started: started(pid).unwrap_or_default(),
            ..State::default()
        };
        let claim = Self {
            folder: folder.to_owned(),
            state,
            _lock: lock,
        };
        claim.write()?;
        Ok(claim)
    }

    /// Adds what is known of the cluster by now.
    pub fn update(&mut self, change: impl FnOnce(&mut State)) -> Result<(), InstanceError> {
        change(&mut self.state);
        self.write()
    }

    /// Process id of the program of that name, as it was written down.
    #[must_use]
    pub fn pid_of(&self, program: &str) -> Option<u32> {
        let mut programs = self.state.programs.iter();
        programs
            .find(|(name, _)| name == program)
            .map(|(_, pid)| *pid)
    }

    fn write(&self) -> Result<(), InstanceError> {
        let path = state_file(&self.folder);
        let new = path.with_extension("new");
        let text = serde_json::to_vec(&self.state).map_err(|error| failed(&path, error.into()))?;
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, &path))
            .map_err(|source| failed(&path, source))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // A leftover is harmless: without the lock nobody believes it.
        let _ = fs::remove_file(state_file(&self.folder));
    }
}

/// What runs in `folder`, if something does.
#[must_use]
pub fn running(folder: &Path) -> Option<State> {
    let lock = File::open(lock_file(folder)).ok()?;
    match lock.try_lock() {
        Ok(()) => None,
        Err(_) => Some(read(folder).unwrap_or_default()),
    }
}

/// Ends what runs in `folder` and waits until all of it is gone; false if nothing ran.
pub fn end(folder: &Path) -> Result<bool, InstanceError> {
    let Some(state) = running(folder) else {
        return Ok(false);
    };
    if started(state.pid).as_ref() != Some(&state.started) {
        return Err(InstanceError::Stranger {
            folder: folder.to_owned(),
            pid: state.pid,
        });
    }
    signal(state.pid, Signal::TERM);
    if !wait(GRACE, || running(folder).is_none()) {
        signal(state.pid, Signal::KILL);
    }
    let gone = || running(folder).is_none() && state.programs.iter().all(|(_, pid)| !lives(*pid));
    if wait(GRACE, gone) {
        return Ok(true);
    }
    let left = state.programs.into_iter().filter(|(_, pid)| lives(*pid));
    Err(InstanceError::StillRunning {
        left: left.map(|(name, pid)| format!("{name} ({pid})")).collect(),
    })
}

fn wait(limit: Duration, condition: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !condition() {
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(INTERVAL);
    }
    true
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = pid_of(pid) {
        // An error means that it has ended.
        let _ = kill_process(pid, signal);
    }
}

/// Whether the process runs; one that has ended and that nobody has asked about does not.
#[must_use]
pub fn lives(pid: u32) -> bool {
    fields(pid).is_some_and(|fields| fields.first().is_some_and(|state| state != "Z"))
}

fn pid_of(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// When the process started, in ticks.
fn started(pid: u32) -> Option<String> {
    fields(pid)?.into_iter().nth(19)
}

/// The fields of the process's `stat` after its name, which may hold anything: the first one is its state.
fn fields(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

fn read(folder: &Path) -> Option<State> {
    serde_json::from_slice(&fs::read(state_file(folder)).ok()?).ok()
}

fn state_file(folder: &Path) -> PathBuf {
    folder.join("state.json")
}

fn lock_file(folder: &Path) -> PathBuf {
    folder.join("lock")
}

fn failed(path: &Path, source: io::Error) -> InstanceError {
    InstanceError::File {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_can_be_taken_once_and_again_after_it_was_let_go() {
        let folder = tempfile::tempdir().unwrap();
        let claim = Claim::take(folder.path()).unwrap();
        let again = Claim::take(folder.path()).unwrap_err();
        assert!(matches!(again, InstanceError::Running { pid, .. } if pid == std::process::id()));
        assert_eq!(running(folder.path()).unwrap().pid, std::process::id());
        drop(claim);
        assert_eq!(running(folder.path()), None);
        assert!(Claim::take(folder.path()).is_ok());
    }

    #[test]
    fn a_process_that_is_not_the_one_that_started_the_cluster_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mut claim = Claim::take(folder.path()).unwrap();
        claim
            .update(|state| "long ago".clone_into(&mut state.started))
            .unwrap();
        let refused = end(folder.path()).unwrap_err();
        assert!(matches!(refused, InstanceError::Stranger { .. }));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let refused = Claim::take(Path::new("/proc/none")).unwrap_err();
        assert!(matches!(refused, InstanceError::File { .. }));
        assert!(refused.to_string().contains("/proc/none"));
    }
}

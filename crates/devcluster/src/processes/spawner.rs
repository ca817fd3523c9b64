//! Starts child processes, all from one OS thread. The kernel ties "kill me when my parent dies" to the *thread*
//! that forked, so a child started from a pool thread could be killed at any time; this thread lives as long as the
//! process. How a child is watched is [`super::child`]'s.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{File, OpenOptions},
    io,
    path::PathBuf,
    process::Stdio,
    sync::{Mutex, OnceLock, PoisonError, mpsc},
    thread,
};

use tokio::{process::Command, sync::oneshot};

use super::{
    child::Child,
    launcher::{self, LauncherError},
};
use crate::background::{self, StartRuntimeError};

/// A program to start, with all that it gets from us.
#[derive(Clone, Debug)]
pub struct Program {
    /// The executable; looked up in `PATH` when it has no slash.
    pub executable: PathBuf,
    /// Its arguments, without the program's own name.
    pub arguments: Vec<OsString>,
    /// Variables it gets.
    pub environment: BTreeMap<OsString, OsString>,
    /// Whether it gets our own variables as well.
    pub inherit_environment: bool,
    /// Where it runs; our own directory when absent.
    pub directory: Option<PathBuf>,
    /// The file its stdout and stderr are appended to.
    pub log: PathBuf,
}

impl Program {
    /// `executable` with our own environment and its output in `log`.
    #[must_use]
    pub fn new(executable: impl Into<PathBuf>, log: impl Into<PathBuf>) -> Self {
        Self {
            executable: executable.into(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            inherit_environment: true,
            directory: None,
            log: log.into(),
        }
    }

    /// The same program with these arguments.
    #[must_use]
    pub fn arguments<I, A>(mut self, arguments: I) -> Self
    where
        I: IntoIterator<Item = A>,
        A: Into<OsString>,
    {
        self.arguments = arguments.into_iter().map(Into::into).collect();
        self
    }

    /// The same program with one more environment variable.
    #[must_use]
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Starts the program; it ends at the latest when this process does.
    pub async fn start(self) -> Result<Child, StartError> {
        let (answer, started) = oneshot::channel();
        thread_of_births()?
            .send((self, answer))
            .map_err(|_| StartError::ThreadGone)?;
        started.await.map_err(|_| StartError::ThreadGone)?
    }
}

/// Why a program was not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The launcher is missing.
    #[error("failed to find the launcher of child processes")]
    FindLauncher(#[source] LauncherError),
    /// The log file cannot be written.
    #[error("failed to open the log '{}'", path.display())]
    OpenLog {
        /// The log.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The operating system refused.
    #[error("failed to start '{}'", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The background runtime is missing.
    #[error("failed to watch child processes")]
    Runtime(#[source] StartRuntimeError),
    /// The thread that starts children could not be made or has ended.
    #[error("failed to reach the thread that starts child processes")]
    ThreadGone,
}

type Request = (Program, oneshot::Sender<Result<Child, StartError>>);

fn thread_of_births() -> Result<mpsc::Sender<Request>, StartError> {
    static SENDER: OnceLock<Mutex<Option<mpsc::Sender<Request>>>> = OnceLock::new();
    let cell = SENDER.get_or_init(|| Mutex::new(None));
    let mut sender = cell.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(sender) = sender.as_ref() {
        return Ok(sender.clone());
    }
    let runtime = background::handle().map_err(StartError::Runtime)?;
    let (requests, inbox) = mpsc::channel::<Request>();
    thread::Builder::new()
        .name("devcluster-births".to_owned())
        .spawn(move || {
            let _runtime = runtime.enter();
            for (program, answer) in inbox {
                // A caller that went away drops the child with the answer, which ends it.
                let _ = answer.send(start(&program));
            }
        })
        .map_err(|_| StartError::ThreadGone)?;
    *sender = Some(requests.clone());
    Ok(requests)
}

fn start(program: &Program) -> Result<Child, StartError> {
    let launcher = launcher::find().map_err(StartError::FindLauncher)?;
    let (stdout, stderr) = open_log(program)?;
    let mut command = Command::new(launcher);
    command
        .args(["run-as-child", "--parent"])
        .arg(std::process::id().to_string())
        .arg("--")
        .arg(&program.executable)
        .args(&program.arguments);
    if !program.inherit_environment {
        command.env_clear();
    }
    if let Some(directory) = &program.directory {
        command.current_dir(directory);
    }
    // A group of its own: Ctrl-C in our terminal is ours to act on, and a forced end takes the group.
    let child = command
        .envs(&program.environment)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .map_err(|source| spawn_error(program, source))?;
    Child::watch(child).ok_or_else(|| spawn_error(program, io::ErrorKind::NotFound.into()))
}

fn spawn_error(program: &Program, source: io::Error) -> StartError {
    StartError::Spawn {
        program: program.executable.clone(),
        source,
    }
}

fn open_log(program: &Program) -> Result<(File, File), StartError> {
    let open = || {
        let log = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&program.log)?;
        Ok((log.try_clone()?, log))
    };
    open().map_err(|source| StartError::OpenLog {
        path: program.log.clone(),
        source,
    })
}

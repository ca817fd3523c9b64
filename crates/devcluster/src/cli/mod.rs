//! The command line of `devcluster`: what can be asked for, and how an error is shown. Each command is carried out by
//! a module of its own.

mod detach;
pub mod instance;
mod isolate;
pub mod progress;
pub mod up;

use std::{
    error::Error,
    ffi::OsString,
    io::IsTerminal,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use self::up::Up;
use crate::{demo::Demo, processes::launcher};

/// Exit code of `status` when nothing runs.
const NOT_RUNNING: u8 = 3;

/// A real Kubernetes control plane and a process node on this machine, for development.
#[derive(Debug, Parser)]
#[command(name = "devcluster", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts a cluster and keeps it until Ctrl-C.
    Up(Up),
    /// Ends the cluster and waits until everything is gone.
    Down {
        /// The cluster's folder.
        #[arg(long, default_value = ".devcluster")]
        dir: PathBuf,
    },
    /// Says whether the cluster runs; exit code 3 if not.
    Status {
        /// The cluster's folder.
        #[arg(long, default_value = ".devcluster")]
        dir: PathBuf,
    },
    /// Shows one execution from its request to its proof, on a cluster of its own.
    Demo(Demo),
    /// Runs a command in namespaces of its own, where a real node may be; needs root.
    Isolate {
        /// The command and its arguments.
        #[arg(last = true, required = true)]
        program: Vec<OsString>,
    },
    /// Becomes a program that ends when its parent does.
    #[command(hide = true)]
    RunAsChild {
        /// The process that must still be our parent.
        #[arg(long)]
        parent: u32,
        /// The program and its arguments.
        #[arg(last = true, required = true)]
        program: Vec<OsString>,
    },
}

/// Runs what the command line asks for.
#[must_use]
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Up(up) if up.detach => shown(detach::detach(&up.dir)),
        Command::Up(up) => run_up(&up),
        Command::Down { dir } => down(&dir),
        Command::Status { dir } => status(&dir),
        Command::Demo(demo) => demo.main(),
        Command::Isolate { program } => isolate::main(&program),
        Command::RunAsChild { parent, program } => match program.split_first() {
            Some((program, arguments)) => launcher::run_as_child(parent, program, arguments),
            None => ExitCode::FAILURE,
        },
    }
}

fn run_up(up: &Up) -> ExitCode {
    log_to_stderr();
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => shown(runtime.block_on(up.run())),
        Err(error) => shown(Err(error)),
    }
}

fn down(dir: &Path) -> ExitCode {
    match instance::end(dir) {
        Ok(true) => println!("the dev cluster in '{}' is gone", dir.display()),
        Ok(false) => println!("no dev cluster runs in '{}'", dir.display()),
        Err(error) => return shown(Err(error)),
    }
    ExitCode::SUCCESS
}

fn status(dir: &Path) -> ExitCode {
    let Some(state) = instance::running(dir) else {
        println!("no dev cluster runs in '{}'", dir.display());
        return ExitCode::from(NOT_RUNNING);
    };
    let condition = if state.ready { "ready" } else { "starting" };
    println!("{condition}: process {} {}", state.pid, state.url);
    for (name, pid) in &state.programs {
        println!("  {name}: process {pid}");
    }
    println!("  KUBECONFIG={}", dir.join("kubeconfig").display());
    ExitCode::SUCCESS
}

fn log_to_stderr() {
    // The client library logs every refused try while the API server starts as an error.
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("warn,kube_client=off"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}

/// Shows an error with all its causes, one per line.
pub fn shown<E: Error>(result: Result<(), E>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    eprintln!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  because: {error}");
        cause = error.source();
    }
    ExitCode::FAILURE
}

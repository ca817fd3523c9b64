//! The process around the work: arguments, signals, log, clock, client, and the result at the end. Nothing about
//! steps is decided here.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use jiff::Timestamp;
use kexec_api::names::ENV_TERMINATION_LOG;
use kexec_api::work::{WorkOutcome, WorkResult};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::client::{ConnectError, connect};
use crate::limits::Limits;
use crate::meter::{CallFigures, Meter};
use crate::order::{Assignment, ReadOrderError, Subject, read};
use crate::result::{assemble, full_line, hand_over, message};
use crate::run::{Report, run as run_steps};
use crate::server::{Server, with_causes};
use crate::text::{MAX_TEXT_CHARS, printable};

/// Where the kubelet reads the result.
const TERMINATION_LOG: &str = "/dev/termination-log";

/// Runs the steps of a plan in a Job's container.
///
/// The work order, and which of its stages to run, comes from the environment.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the steps of the work order's stage.
    ///
    /// Exit codes: 0 done, 1 failed, interrupted or unknown, 2 could not start, 3 the target is no longer as planned,
    /// 4 another pod holds the claim.
    Execute {
        /// Send every write with dryRun=All: the API server checks it and persists nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Does nothing until it is told to end: keeps the image on a node (ADR-35).
    Idle,
}

/// Why the work could not start.
#[derive(Debug, thiserror::Error)]
enum PrepareError {
    /// There is no order that fits.
    #[error("failed to take the work order")]
    ReadOrder(#[source] ReadOrderError),
    /// The process could not be stopped cleanly, so it does not begin.
    #[error("failed to listen for signals")]
    ListenForSignals(#[source] std::io::Error),
    /// There is no way to the API server.
    #[error("failed to prepare the connection to the API server")]
    Connect(#[source] ConnectError),
}

/// Runs the process to its end and returns its exit code.
pub async fn run(arguments: &Arguments) -> ExitCode {
    match arguments.command {
        Command::Execute { dry_run } => execute(dry_run).await,
        Command::Idle => idle().await,
    }
}

/// Exit code 2 when it cannot be told to end, as for anything else that could not start.
async fn idle() -> ExitCode {
    start_log();
    match stop_on_signals() {
        Ok(stop) => {
            tracing::info!("idle until told to end");
            stop.cancelled().await;
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(&with_causes(&PrepareError::ListenForSignals(error)));
            ExitCode::from(WorkOutcome::CouldNotStart.exit_code())
        }
    }
}

/// Runs the stage of the work order and reports how it ended.
async fn execute(dry_run: bool) -> ExitCode {
    start_log();
    let environment = |name: &str| std::env::var(name).ok();
    let result = work(dry_run, environment).await;
    let path = environment(ENV_TERMINATION_LOG)
        .map_or_else(|| PathBuf::from(TERMINATION_LOG), PathBuf::from);
    report(&result, &path);
    ExitCode::from(result.outcome.exit_code())
}

/// Does the work and assembles its result; every failure is one.
pub async fn work(dry_run: bool, environment: impl Fn(&str) -> Option<String>) -> WorkResult {
    let (began, meter) = (Instant::now(), Meter::start());
    let (subject, report, figures) = match prepare(dry_run, &environment).await {
        Ok((server, limits, assignment)) => {
            let report = run_steps(&server, &limits, &assignment).await;
            (Subject::from(&assignment.order), report, server.figures())
        }
        Err(error) => (
            Subject::guess(&environment),
            Report::could_not_start(printable(&with_causes(&error), MAX_TEXT_CHARS)),
            CallFigures::default(),
        ),
    };
    assemble(
        subject,
        dry_run,
        report,
        meter.read(&figures, began.elapsed()),
    )
}

/// The order, its limits and the server to run it against.
async fn prepare(
    dry_run: bool,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<(Server, Limits, Assignment), PrepareError> {
    let stop = stop_on_signals().map_err(PrepareError::ListenForSignals)?;
    let assignment = read(dry_run, environment).map_err(PrepareError::ReadOrder)?;
    let limits = Limits::new(assignment.order.deadline, stop, Timestamp::now);
    let client = connect().await.map_err(PrepareError::Connect)?;
    Ok((Server::new(client), limits, assignment))
}

/// A token that is cancelled by SIGTERM or SIGINT. Without a handler the first process of a container ignores both.
fn stop_on_signals() -> Result<CancellationToken, std::io::Error> {
    let stop = CancellationToken::new();
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let stopping = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to stop; no further write begins");
        stopping.cancel();
    });
    Ok(stop)
}

/// JSON lines on stdout. The client library's own events are left out: they repeat the server's words unescaped.
fn start_log() {
    let log = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_env_filter(EnvFilter::new("kexec_runner=info"))
        .finish();
    // A log that is there already is as good.
    tracing::subscriber::set_global_default(log).ok();
}

/// Hands the result over: whole to stdout as the last line, shortened to `path`. The exit code stands whatever
/// happens here, since it is all that is left then.
fn report(result: &WorkResult, path: &Path) {
    let shown = full_line(result).map(|line| writeln!(std::io::stdout(), "{line}"));
    if let Err(error) = &shown {
        complain(&with_causes(error));
    } else if let Ok(Err(error)) = &shown {
        complain(&format!("failed to write the result to stdout: {error}"));
    }
    if let Err(error) = message(result).and_then(|message| hand_over(&message, path)) {
        complain(&with_causes(&error));
    }
}

/// Says it on stderr; there is nobody left to tell when that fails too.
fn complain(what: &str) {
    writeln!(std::io::stderr(), "kexec-runner: {what}").ok();
}

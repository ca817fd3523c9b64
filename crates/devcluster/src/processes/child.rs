//! One running child: signals, its exit, and its end when nobody holds it any more. A signal can never reach a
//! stranger that got the same pid, because the task that sends it is the one that reaps the child.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid},
};
use tokio::{
    sync::{mpsc, watch},
    task::spawn_blocking,
};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// The operating system could not say.
    Unknown,
}

impl Exit {
    /// The code a container runtime reports: the exit code, or 128 + the signal's number.
    #[must_use]
    pub fn container_code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128_i32.saturating_add(signal),
            Self::Unknown => 255,
        }
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, Some(signal)) => Self::Signal(signal),
            (None, None) => Self::Unknown,
        }
    }
}

/// What a child can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// SIGTERM to the process itself, as a kubelet does to a container's first process.
    Terminate,
    /// SIGKILL to the process and everything in its group.
    Kill,
}

/// A child process. When the last clone is dropped, it is killed.
#[derive(Clone, Debug)]
pub struct Child {
    pid: u32,
    orders: mpsc::UnboundedSender<Order>,
    exit: watch::Receiver<Option<Exit>>,
}

impl Child {
    /// Watches a child that was just started in a process group of its own; `None` if it was reaped already.
    /// Must be called within a runtime that outlives the child.
    pub(super) fn watch(child: tokio::process::Child) -> Option<Self> {
        let pid = child.id()?;
        let group = Pid::from_raw(i32::try_from(pid).ok()?)?;
        let (orders, inbox) = mpsc::unbounded_channel();
        let (report, exit) = watch::channel(None);
        tokio::spawn(supervise(child, group, inbox, report));
        Some(Self { pid, orders, exit })
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a signal; without effect once the process has ended.
    pub fn order(&self, order: Order) {
        // The supervisor is gone only after the process is.
        let _ = self.orders.send(order);
    }

    /// How the process ended, if it did.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// Waits for the end of the process.
    pub async fn ended(&self) -> Exit {
        let mut exit = self.exit.clone();
        exit.wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|ended| *ended)
            .unwrap_or(Exit::Unknown)
    }
}

async fn supervise(
    mut child: tokio::process::Child,
    group: Pid,
    mut orders: mpsc::UnboundedReceiver<Order>,
    report: watch::Sender<Option<Exit>>,
) {
    let mut held = true;
    let mut end = spawn_blocking(move || await_end(group));
    loop {
        tokio::select! {
            _ = &mut end => break,
            order = orders.recv(), if held => {
                held = order.is_some();
                // An error means that the process ended meanwhile, which is seen next.
                let _ = match order.unwrap_or(Order::Kill) {
                    Order::Terminate => kill_process(group, Signal::TERM),
                    Order::Kill => kill_process_group(group, Signal::KILL),
                };
            }
        }
    }
    // What the process left behind goes with it, as in a container. It is not reaped yet, so the group is still its
    // own and nobody else's.
    let _ = kill_process_group(group, Signal::KILL);
    report.send_replace(Some(child.wait().await.map_or(Exit::Unknown, Exit::from)));
}

/// Waits for the end of the process without reaping it.
fn await_end(process: Pid) {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while let Err(Errno::INTR) = waitid(WaitId::Pid(process), options) {}
}

//! When and why a running pod must stop: its deletion, its `activeDeadlineSeconds` (which may be lowered while it
//! runs), or that it vanished. How its processes are ended follows from the request.

use std::{future, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::{
    faults::Fault,
    record::Verdict,
    sight::{Seen, Sight, deletion_grace},
};
use crate::processes::{Child, Exit, Order};

/// Grace for the processes of a pod whose object is gone.
const VANISHED_GRACE: Duration = Duration::from_secs(1);

/// Why a pod must stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Removed,
    DeadlineExceeded,
}

/// A request to stop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    pub(super) cause: Cause,
    kill_at: Instant,
}

/// Where requests to stop are made.
#[derive(Debug)]
pub(super) struct Stops(watch::Sender<Option<Stop>>);

/// Where requests to stop are seen.
#[derive(Clone, Debug)]
pub(super) struct StopSignal(watch::Receiver<Option<Stop>>);

impl Stops {
    pub(super) fn new() -> (Self, StopSignal) {
        let (sender, receiver) = watch::channel(None);
        (Self(sender), StopSignal(receiver))
    }

    /// Asks to stop within `grace`. The first cause stays; a shorter grace always wins.
    fn request(&self, cause: Cause, grace: Duration) {
        let kill_at = Instant::now() + grace;
        self.0.send_if_modified(|stop| match stop {
            Some(stop) if stop.kill_at <= kill_at => false,
            Some(stop) => {
                stop.kill_at = kill_at;
                true
            }
            None => {
                *stop = Some(Stop { cause, kill_at });
                true
            }
        });
    }

    /// Watches the pod and asks to stop when it must. Never returns.
    pub(super) async fn follow(&self, mut sight: Sight, started: Timestamp, faults: &[Fault]) {
        let survives = faults.contains(&Fault::SurviveForceDelete);
        loop {
            let pod = match sight.now() {
                Seen::Gone(_) => {
                    if !survives {
                        self.request(Cause::Removed, VANISHED_GRACE);
                    }
                    return future::pending().await;
                }
                Seen::Here(pod) => pod,
            };
            let forced = deletion_grace(&pod) == Some(Duration::ZERO);
            if let Some(grace) = deletion_grace(&pod)
                && !(forced && survives)
            {
                self.request(Cause::Removed, grace);
            }
            tokio::select! {
                () = deadline(&pod, started) => {
                    self.request(Cause::DeadlineExceeded, termination_grace(&pod));
                    sight.changed().await;
                }
                () = sight.changed() => {}
            }
        }
    }
}

impl StopSignal {
    /// The request, if there is one.
    pub(super) fn requested(&self) -> Option<Stop> {
        *self.0.borrow()
    }

    /// Returns when there is a request.
    pub(super) async fn wait(&self) {
        let mut stop = self.0.clone();
        if stop.wait_for(Option::is_some).await.is_err() {
            future::pending::<()>().await;
        }
    }

    /// Waits for the end of `child`; when a stop is requested, SIGTERM, and SIGKILL when the grace is over.
    pub(super) async fn end_of(&self, child: &Child) -> Exit {
        tokio::select! {
            exit = child.ended() => return exit,
            () = self.wait() => child.order(Order::Terminate),
        }
        let mut stop = self.0.clone();
        loop {
            let kill_at = stop
                .borrow_and_update()
                .map_or_else(Instant::now, |stop| stop.kill_at);
            tokio::select! {
                exit = child.ended() => return exit,
                () = sleep_until(kill_at) => {
                    child.order(Order::Kill);
                    return child.ended().await;
                }
                Ok(()) = stop.changed() => {}
            }
        }
    }
}

impl Cause {
    /// What a pod stopped for this cause fails with, whatever its containers did.
    pub(super) fn verdict(self) -> Option<Verdict> {
        match self {
            Self::Removed => None,
            Self::DeadlineExceeded => Some(Verdict {
                reason: "DeadlineExceeded",
                message: "Pod was active on the node longer than the specified deadline",
            }),
        }
    }
}

/// Returns when the pod has been active for longer than it may.
async fn deadline(pod: &Pod, started: Timestamp) {
    let limit = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.active_deadline_seconds)
        .and_then(|seconds| u64::try_from(seconds).ok());
    let Some(limit) = limit else {
        return future::pending().await;
    };
    let active = Timestamp::now().duration_since(started);
    let active = Duration::try_from(active).unwrap_or_default();
    sleep(Duration::from_secs(limit).saturating_sub(active)).await;
}

fn termination_grace(pod: &Pod) -> Duration {
    let seconds = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.termination_grace_period_seconds)
        .unwrap_or(30);
    Duration::from_secs(seconds.try_into().unwrap_or_default())
}

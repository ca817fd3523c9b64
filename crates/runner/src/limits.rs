//! When the work must stop: at the order's deadline, or when asked to. Says only whether and why, and waits no longer
//! than that; what stopping means is decided where the work is done.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

/// Why the work must stop.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StopReason {
    /// The process got SIGTERM or SIGINT.
    #[error("the pod was asked to stop")]
    Asked,
    /// The order's deadline is over.
    #[error("the deadline \"{0}\" is over")]
    DeadlineOver(Timestamp),
}

/// The bounds of one run.
#[derive(Clone)]
pub struct Limits {
    deadline: Timestamp,
    stop: CancellationToken,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl Limits {
    /// Bounds by an absolute `deadline` and a token that is cancelled when the process is asked to stop.
    #[must_use]
    pub fn new(
        deadline: Timestamp,
        stop: CancellationToken,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        Self {
            deadline,
            stop,
            clock: Arc::new(clock),
        }
    }

    /// The time now, by the clock that the deadline is compared with.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// `Err` when the work must stop before its next write.
    pub fn check(&self) -> Result<(), StopReason> {
        if self.stop.is_cancelled() {
            return Err(StopReason::Asked);
        }
        if self.now() >= self.deadline {
            return Err(StopReason::DeadlineOver(self.deadline));
        }
        Ok(())
    }

    /// Waits for `delay`, or until the work must stop, whichever comes first.
    pub async fn wait(&self, delay: Duration) -> Result<(), StopReason> {
        self.check()?;
        let left =
            Duration::try_from(self.deadline.duration_since(self.now())).unwrap_or(Duration::ZERO);
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = tokio::time::sleep(delay.min(left)) => {}
        }
        self.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::limits;

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_a_wait_and_is_told() {
        let (limits, _stop) = limits(3);
        assert_eq!(limits.check(), Ok(()));
        let began = limits.now();
        let ended = limits.wait(Duration::from_hours(1)).await;
        assert_eq!(ended, Err(StopReason::DeadlineOver(limits.deadline)));
        assert_eq!(limits.now().duration_since(began).as_secs(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_to_stop_ends_a_wait_at_once() {
        let (limits, stop) = limits(3600);
        let began = limits.now();
        let waiting = limits.clone();
        let wait = tokio::spawn(async move { waiting.wait(Duration::from_mins(1)).await });
        tokio::task::yield_now().await;
        stop.cancel();
        assert_eq!(wait.await.unwrap(), Err(StopReason::Asked));
        assert_eq!(limits.now(), began);
    }
}

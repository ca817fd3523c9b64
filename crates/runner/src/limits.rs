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
    /// The share of the time that this part of the work got is over.
    #[error("its share of the time is over")]
    ShareOver,
}

/// Shortest share of the time: what is transient gets a chance to pass.
const MIN_SHARE: Duration = Duration::from_secs(15);

/// The bounds of one run.
#[derive(Clone)]
pub struct Limits {
    deadline: Timestamp,
    /// When this part of the work must leave the time to others.
    share_end: Option<Timestamp>,
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
            share_end: None,
            stop,
            clock: Arc::new(clock),
        }
    }

    /// The same bounds for the next of `parts` parts of the work that must not keep the others from being tried: it gets
    /// an equal share of the time left, or 15 s when that is more.
    #[must_use]
    pub fn share(&self, parts: usize) -> Self {
        let parts = u32::try_from(parts).unwrap_or(u32::MAX).max(1);
        let share = (self.left() / parts).max(MIN_SHARE);
        let share_end = self.now().checked_add(share).ok();
        Self {
            share_end: share_end.into_iter().chain(self.share_end).min(),
            ..self.clone()
        }
    }

    /// The same bounds for a part of the work that must end by `end`.
    #[must_use]
    pub fn until(&self, end: Timestamp) -> Self {
        Self {
            share_end: Some(self.share_end.map_or(end, |share| share.min(end))),
            ..self.clone()
        }
    }

    /// The time left to the deadline or to the end of the share, whichever comes first.
    fn left(&self) -> Duration {
        let end = self
            .share_end
            .map_or(self.deadline, |end| end.min(self.deadline));
        Duration::try_from(end.duration_since(self.now())).unwrap_or(Duration::ZERO)
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
        if self.share_end.is_some_and(|end| self.now() >= end) {
            return Err(StopReason::ShareOver);
        }
        Ok(())
    }

    /// Waits for `delay`, or until the work must stop, whichever comes first.
    pub async fn wait(&self, delay: Duration) -> Result<(), StopReason> {
        self.check()?;
        let left = self.left();
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
    async fn a_share_ends_before_the_deadline_and_leaves_the_rest_to_others() {
        let (limits, _stop) = limits(100);
        let share = limits.share(4);
        let began = limits.now();
        let ended = share.wait(Duration::from_hours(1)).await;
        assert_eq!(ended, Err(StopReason::ShareOver));
        assert_eq!(limits.now().duration_since(began).as_secs(), 25);
        assert_eq!(limits.check(), Ok(()));
        let smallest = limits.share(1000);
        assert_eq!(
            smallest.wait(Duration::from_hours(1)).await,
            Err(StopReason::ShareOver)
        );
        assert_eq!(limits.now().duration_since(began).as_secs(), 40);
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_of_a_share_ends_with_it_and_neither_outlives_the_deadline() {
        let (limits, _stop) = limits(20);
        let share = limits.share(20).share(1);
        assert_eq!(
            share.wait(Duration::from_hours(1)).await,
            Err(StopReason::ShareOver)
        );
        let last = limits.share(3);
        assert_eq!(
            last.wait(Duration::from_hours(1)).await,
            Err(StopReason::DeadlineOver(limits.deadline))
        );
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

//! Whether the watches work: read once, and not failing for long (I11).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// How long a watch may fail before the operator does not count as alive any more.
const FAILING_FOR_TOO_LONG: Duration = Duration::from_mins(5);

/// How long after its last error a watch counts as failing that has brought nothing since: one that goes on failing
/// errs again sooner, one that works may have nothing to bring.
const ERRS_AGAIN_WITHIN: Duration = Duration::from_secs(90);

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    synced: bool,
    /// The first and the last error of the present series.
    errors: Option<(Instant, Instant)>,
}

impl Seen {
    /// Since when it has been failing, if it is.
    fn failing_since(&self) -> Option<Instant> {
        let (first, last) = self.errors?;
        (last.elapsed() < ERRS_AGAIN_WITHIN).then_some(first)
    }
}

/// The state of every watch by name.
#[derive(Debug)]
pub struct WatchHealth {
    watches: Mutex<BTreeMap<&'static str, Seen>>,
    changed: Notify,
}

impl WatchHealth {
    /// Watches of these names, none of them read yet.
    #[must_use]
    pub fn new(names: &[&'static str]) -> Self {
        Self {
            watches: Mutex::new(names.iter().map(|name| (*name, Seen::default())).collect()),
            changed: Notify::new(),
        }
    }

    /// The watch brought something.
    pub fn progressed(&self, name: &'static str) {
        self.update(name, |seen| seen.errors = None);
    }

    /// The watch has brought everything there was.
    pub fn synced(&self, name: &'static str) {
        self.update(name, |seen| seen.synced = true);
    }

    /// The watch failed.
    pub fn failed(&self, name: &'static str) {
        self.update(name, |seen| {
            let now = Instant::now();
            seen.errors = Some((seen.failing_since().unwrap_or(now), now));
        });
    }

    /// Whether every watch was read once and none is failing.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches
            .values()
            .all(|seen| seen.synced && seen.failing_since().is_none())
    }

    /// Whether no watch has been failing for too long.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.values().all(|seen| {
            seen.failing_since()
                .is_none_or(|since| since.elapsed() < FAILING_FOR_TOO_LONG)
        })
    }

    fn update(&self, name: &'static str, change: impl FnOnce(&mut Seen)) {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        change(watches.entry(name).or_default());
        drop(watches);
        self.changed.notify_waiters();
    }

    /// Waits until every watch was read once. One that fails since then is begun again by itself, and brings nothing
    /// that would tell so while there is nothing to bring.
    pub async fn wait_until_synced(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.is_synced() {
                return;
            }
            changed.await;
        }
    }

    fn is_synced(&self) -> bool {
        let watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.values().all(|seen| seen.synced)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_watch_that_fails_after_it_was_read_holds_up_no_start() {
        let health = WatchHealth::new(&["jobs"]);
        assert!(health.wait_until_synced().now_or_never().is_none());
        health.synced("jobs");
        health.failed("jobs");
        assert!(!health.is_ready());
        assert!(health.wait_until_synced().now_or_never().is_some());
    }
}

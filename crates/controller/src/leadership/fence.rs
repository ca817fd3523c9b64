//! Whether this process may write now. Every write asks right before it is sent, without a call: a process that was
//! paused finds its time over the moment it wakes. Who leads is decided elsewhere.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

/// What a write is refused with.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("this replica does not lead, or does not any more")]
pub struct NotLeading;

/// Until when writes pass.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Term {
    /// For ever: there is no election.
    Unlimited,
    /// Until then, by the monotonic clock.
    Until(Instant),
    /// Not at all.
    Over,
}

/// Lets writes pass while this process leads.
#[derive(Clone, Debug)]
pub struct Fence(Arc<watch::Sender<Term>>);

impl Fence {
    /// A fence that lets everything pass, where there is no election.
    #[must_use]
    pub fn open() -> Self {
        Self(Arc::new(watch::Sender::new(Term::Unlimited)))
    }

    /// A fence that lets nothing pass before it is extended.
    #[must_use]
    pub fn closed() -> Self {
        Self(Arc::new(watch::Sender::new(Term::Over)))
    }

    /// Lets writes pass until then.
    pub fn extend(&self, until: Instant) {
        self.0.send_replace(Term::Until(until));
    }

    /// Lets nothing pass any more.
    pub fn close(&self) {
        self.0.send_replace(Term::Over);
    }

    /// Lets a write pass now, or not.
    pub fn pass(&self) -> Result<(), NotLeading> {
        match *self.0.borrow() {
            Term::Unlimited => Ok(()),
            Term::Until(until) if Instant::now() < until => Ok(()),
            Term::Until(_) | Term::Over => Err(NotLeading),
        }
    }

    /// Waits until writes pass.
    pub async fn wait_until_open(&self) {
        let mut term = self.0.subscribe();
        // The sender lives as long as this fence.
        drop(term.wait_for(|term| *term != Term::Over).await);
    }
}

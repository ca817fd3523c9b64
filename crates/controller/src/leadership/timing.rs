//! How long a leadership lasts, and what must hold between these times.

use std::time::Duration;

use crate::cluster::CALL_TIMEOUT;

/// The times of an election.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timing {
    /// How long a replica waits, from the last change it saw of the Lease, until it takes it from its holder.
    pub lease: Duration,
    /// How long the leader acts after it sent the last renewal that succeeded.
    pub renew_deadline: Duration,
    /// Between two renewals, or two looks at the Lease.
    pub retry: Duration,
}

/// Times by which two replicas could act at once, or none.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TimingError {
    /// What the leader sent last could arrive when another one leads already.
    #[error(
        "failed to use a leader Lease of {lease:?}: it must be at least {shortest:?}, the renew deadline and the {CALL_TIMEOUT:?} \
         that a call may take: set a longer --leader-lease-seconds or a shorter --leader-renew-deadline-seconds"
    )]
    OutliveCalls {
        /// The Lease as it was asked for.
        lease: Duration,
        /// The shortest one that would do.
        shortest: Duration,
    },
    /// A single late renewal would end the leadership.
    #[error(
        "failed to renew the leader Lease every {retry:?}: it must be more than 0 s and at most half the renew deadline of \
         {renew_deadline:?}: set other --leader-retry-seconds"
    )]
    RenewInTime {
        /// The time between renewals as it was asked for.
        retry: Duration,
        /// The deadline.
        renew_deadline: Duration,
    },
}

impl Timing {
    /// Times that keep a leader from acting when another one may.
    pub fn new(
        lease: Duration,
        renew_deadline: Duration,
        retry: Duration,
    ) -> Result<Self, TimingError> {
        let shortest = renew_deadline.saturating_add(CALL_TIMEOUT);
        if lease < shortest {
            return Err(TimingError::OutliveCalls { lease, shortest });
        }
        if retry.is_zero() || retry.saturating_mul(2) > renew_deadline {
            return Err(TimingError::RenewInTime {
                retry,
                renew_deadline,
            });
        }
        Ok(Self {
            lease,
            renew_deadline,
            retry,
        })
    }
}

//! What a replica does next about the leader Lease, from what it saw of it and its own monotonic clock. Pure: no call,
//! no clock. The times written in a Lease are for people: machines' wall clocks are never compared, another holder's
//! time is counted from the moment its last change was seen here.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::ResourceExt;

use super::timing::Timing;

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Read the Lease.
    Read,
    /// Create the Lease.
    Create,
    /// Replace the Lease as it was seen, on condition that nobody did in between.
    Replace(Box<Lease>),
    /// Nothing before then.
    Wait {
        /// When to decide again.
        until: Instant,
    },
    /// It led, and does not any more.
    Lost(Loss),
}

/// Why a leadership is over.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Loss {
    /// No renewal succeeded in time.
    #[error("failed to renew the leader Lease within {0:?}")]
    Renew(Duration),
    /// Somebody else holds the Lease.
    #[error("failed to keep the leader Lease: {0:?} took it")]
    Keep(String),
}

/// A replica that leads, or would like to.
#[derive(Debug)]
pub struct Candidacy {
    identity: String,
    timing: Timing,
    /// The Lease as it was last read or written.
    seen: Option<Lease>,
    /// When that was; `None` when it may have changed unseen.
    seen_at: Option<Instant>,
    /// When the time of another holder is over.
    busy_until: Option<Instant>,
    /// Nothing is tried before.
    not_before: Option<Instant>,
    /// When the write was sent that the leadership stands on.
    led_from: Option<Instant>,
    /// Whether the last write was refused because the Lease had changed.
    was_refused: bool,
}

impl Candidacy {
    /// A replica that knows nothing yet. No other one, and no earlier life of it, may have its identity.
    #[must_use]
    pub fn new(identity: String, timing: Timing) -> Self {
        Self {
            identity,
            timing,
            seen: None,
            seen_at: None,
            busy_until: None,
            not_before: None,
            led_from: None,
            was_refused: false,
        }
    }

    /// What to do now.
    #[must_use]
    pub fn decide(&self, now: Instant) -> Decision {
        let deadline = self.deadline();
        if deadline.is_some_and(|deadline| deadline <= now) {
            return Decision::Lost(Loss::Renew(self.timing.renew_deadline));
        }
        let other = self
            .seen
            .as_ref()
            .and_then(|lease| self.other_holder(lease));
        if let (true, Some(other)) = (self.leads(), other) {
            return Decision::Lost(Loss::Keep(other.to_owned()));
        }
        let wait = |until: Instant| Decision::Wait {
            until: deadline.map_or(until, |deadline| deadline.min(until)),
        };
        if let Some(at) = self.not_before.filter(|at| now < *at) {
            return wait(at);
        }
        let Some(seen_at) = self.seen_at else {
            return Decision::Read;
        };
        let is_ours_to_take = self.leads() || (self.seen.is_some() && other.is_none());
        let busy_until = self.busy_until.filter(|until| now < *until);
        match busy_until.filter(|_| !is_ours_to_take) {
            None => self
                .seen
                .clone()
                .map_or(Decision::Create, |lease| Decision::Replace(Box::new(lease))),
            Some(_) if seen_at + self.timing.retry <= now => Decision::Read,
            Some(until) => wait(until.min(seen_at + self.timing.retry)),
        }
    }

    /// The Lease was read, and the answer was here at `now`.
    pub fn read(&mut self, lease: Option<Lease>, now: Instant) {
        if let Some(lease) = &lease
            && self.other_holder(lease).is_some()
            && !self.seen.as_ref().is_some_and(|seen| same(seen, lease))
        {
            self.busy_until = Some(now + self.term(lease));
        }
        // A Lease that was deleted is not free before its holder has noticed.
        self.seen = lease;
        self.seen_at = Some(now);
        self.not_before = None;
    }

    /// Our write succeeded; it was sent at `sent`, and nobody can take the Lease before `sent` and its time.
    pub fn wrote(&mut self, lease: Lease, sent: Instant) {
        self.seen = Some(lease);
        self.seen_at = Some(sent);
        self.busy_until = None;
        self.not_before = Some(sent + self.timing.retry);
        self.led_from = Some(sent);
        self.was_refused = false;
    }

    /// The write that was sent at `sent` was refused: the Lease is not what we took it for. It is read at once, but not
    /// again and again.
    pub fn refused(&mut self, sent: Instant) {
        if self.was_refused {
            self.failed(sent);
        } else {
            self.seen_at = None;
            self.was_refused = true;
        }
    }

    /// A call that was sent at `sent` failed. It may have changed the Lease.
    pub fn failed(&mut self, sent: Instant) {
        self.was_refused = false;
        self.seen_at = None;
        self.not_before = Some(sent + self.timing.retry);
    }

    /// Whether it leads, as far as it knows.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.led_from.is_some()
    }

    /// Until when the leadership lasts that it has.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.led_from.map(|sent| sent + self.timing.renew_deadline)
    }

    /// Who else holds the Lease that was last seen.
    #[must_use]
    pub fn seen_holder(&self) -> Option<&str> {
        self.seen
            .as_ref()
            .and_then(|lease| self.other_holder(lease))
    }

    /// The Lease as the holder writes it, with the resource version of what it replaces.
    #[must_use]
    pub fn held(&self, before: Lease, wall: Timestamp) -> Lease {
        let mut lease = before;
        let is_new = lease.metadata.resource_version.is_none();
        let is_ours = holder(&lease) == Some(self.identity.as_str());
        let spec = lease.spec.get_or_insert_default();
        if !is_ours {
            spec.acquire_time = Some(MicroTime(wall));
            let changes = spec.lease_transitions.unwrap_or_default();
            spec.lease_transitions = Some(changes.saturating_add(i32::from(!is_new)));
        }
        spec.holder_identity = Some(self.identity.clone());
        spec.lease_duration_seconds = Some(seconds(self.timing.lease));
        spec.renew_time = Some(MicroTime(wall));
        lease
    }

    /// The Lease as its holder leaves it for whoever comes next; `None` when somebody else holds it.
    #[must_use]
    pub fn released(&self, before: Lease, wall: Timestamp) -> Option<Lease> {
        if holder(&before) != Some(self.identity.as_str()) {
            return None;
        }
        let kept = before.spec.unwrap_or_default();
        Some(Lease {
            spec: Some(LeaseSpec {
                holder_identity: Some(String::new()),
                lease_duration_seconds: Some(1),
                renew_time: Some(MicroTime(wall)),
                ..kept
            }),
            ..before
        })
    }

    fn other_holder<'a>(&self, lease: &'a Lease) -> Option<&'a str> {
        holder(lease).filter(|holder| *holder != self.identity)
    }

    /// How long the holder of that Lease has from its last change: what it wrote itself, for it may have been told
    /// another time than we were.
    fn term(&self, lease: &Lease) -> Duration {
        let written = lease
            .spec
            .as_ref()
            .and_then(|spec| spec.lease_duration_seconds);
        let written = written.and_then(|seconds| u64::try_from(seconds).ok());
        written
            .filter(|seconds| *seconds > 0)
            .map_or(self.timing.lease, Duration::from_secs)
    }
}

/// Who holds a Lease; nobody when it was released.
fn holder(lease: &Lease) -> Option<&str> {
    let holder = lease.spec.as_ref()?.holder_identity.as_deref();
    holder.filter(|holder| !holder.is_empty())
}

/// Whether nothing was written between the two.
fn same(one: &Lease, other: &Lease) -> bool {
    one.uid() == other.uid() && one.resource_version() == other.resource_version()
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

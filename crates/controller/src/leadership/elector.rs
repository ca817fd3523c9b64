//! Performs what a candidacy decides: reads, takes, renews and releases the leader Lease, and opens and closes the
//! fence accordingly. It runs beside everything else, on calls that queue behind nothing.

use std::hash::{BuildHasher, RandomState};
use std::time::Instant;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kexec_api::names;
use kube::core::ObjectMeta;
use tokio_util::sync::CancellationToken;

use super::candidacy::{Candidacy, Decision, Loss};
use super::fence::Fence;
use super::timing::Timing;
use crate::cluster::{CALL_TIMEOUT, CallError, Class, Leases};

/// Which Lease it is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// A name that no other replica and no earlier life of this one has: that of the pod, for people, and 64 random bits.
pub(super) fn identity() -> String {
    let pod = std::env::var("POD_NAME").unwrap_or_else(|_| "kubernaut-executor".to_owned());
    let random = RandomState::new().hash_one(std::process::id());
    format!("{pod}_{random:016x}")
}

/// One replica's part in the election.
pub struct Elector {
    leases: Leases,
    place: Place,
    candidacy: Candidacy,
    fence: Fence,
    /// Who led when it was last told.
    told: Option<String>,
}

impl Elector {
    /// A replica that does not lead yet.
    #[must_use]
    pub fn new(leases: Leases, place: Place, timing: Timing, fence: Fence) -> Self {
        Self {
            leases,
            place,
            candidacy: Candidacy::new(identity(), timing),
            fence,
            told: None,
        }
    }

    /// Takes part until the leadership is lost or `retire` is cancelled; then the Lease is released, so that whatever
    /// writes must have ended before. The fence is closed whenever this returns.
    pub async fn run(mut self, retire: CancellationToken) -> Result<(), Loss> {
        let ended = retire
            .run_until_cancelled_owned(Box::pin(self.lead()))
            .await;
        self.fence.close();
        match ended {
            None => {
                self.release().await;
                Ok(())
            }
            Some(loss) => {
                tracing::error!(reason = %loss, "does not lead any more, and ends");
                Err(loss)
            }
        }
    }

    async fn lead(&mut self) -> Loss {
        loop {
            if let Some(loss) = self.step().await {
                return loss;
            }
        }
    }

    async fn step(&mut self) -> Option<Loss> {
        match self.candidacy.decide(Instant::now()) {
            Decision::Lost(loss) => return Some(loss),
            Decision::Wait { until } => tokio::time::sleep_until(until.into()).await,
            Decision::Read => self.read().await,
            Decision::Create => {
                let lease = self.candidacy.held(self.unwritten(), Timestamp::now());
                self.write(lease, false).await;
            }
            Decision::Replace(seen) => {
                let lease = self.candidacy.held(*seen, Timestamp::now());
                self.write(lease, true).await;
            }
        }
        None
    }

    async fn read(&mut self) {
        let sent = Instant::now();
        let deadline = self.candidacy.deadline();
        let read = self.leases.read(&self.place.namespace, &self.place.name);
        match before(deadline, read).await {
            Some(Ok(lease)) => self.candidacy.read(lease, Instant::now()),
            Some(Err(error)) => {
                tracing::warn!(%error, "the leader Lease was not read");
                self.candidacy.failed(sent);
            }
            None => self.candidacy.failed(sent),
        }
        self.tell();
    }

    async fn write(&mut self, lease: Lease, exists: bool) {
        let sent = Instant::now();
        let deadline = self.candidacy.deadline();
        let leases = &self.leases;
        let write = async {
            if exists {
                leases.replace(&lease).await
            } else {
                leases.create(&lease).await
            }
        };
        match before(deadline, write).await {
            Some(Ok(written)) => {
                let led = self.candidacy.leads();
                self.candidacy.wrote(written, sent);
                if let Some(until) = self.candidacy.deadline() {
                    self.fence.extend(until);
                }
                if !led {
                    tracing::info!(lease = self.place.name, "leads from now on");
                }
            }
            Some(Err(error)) => match error.class() {
                Class::Conflict | Class::Absent => {
                    tracing::debug!(%error, "the leader Lease has changed");
                    self.candidacy.refused(sent);
                }
                Class::Transient | Class::Denied | Class::Invalid | Class::Bug => {
                    tracing::warn!(%error, "the leader Lease was not written");
                    self.candidacy.failed(sent);
                }
            },
            None => self.candidacy.failed(sent),
        }
    }

    /// Says who leads when it is somebody else than before.
    fn tell(&mut self) {
        let holder = self.candidacy.seen_holder();
        if holder.is_some() && holder != self.told.as_deref() {
            self.told = holder.map(str::to_owned);
            tracing::info!(leader = self.told, "stands by");
        }
    }

    /// Leaves the Lease to whoever comes next, as far as that can be done in the time of one call: else it runs out.
    async fn release(&self) {
        let released = tokio::time::timeout(CALL_TIMEOUT, self.try_release()).await;
        match released {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the leader Lease was not released"),
            Err(_) => tracing::warn!("the leader Lease was not released in time"),
        }
    }

    async fn try_release(&self) -> Result<(), CallError> {
        loop {
            let read = self.leases.read(&self.place.namespace, &self.place.name);
            let released = read
                .await?
                .and_then(|lease| self.candidacy.released(lease, Timestamp::now()));
            let Some(released) = released else {
                return Ok(());
            };
            match self.leases.replace(&released).await {
                Ok(_) => {
                    tracing::info!(lease = self.place.name, "does not lead any more: released");
                    return Ok(());
                }
                // A renewal that was under way when we were told to stop.
                Err(error) if error.class() == Class::Conflict => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn unwritten(&self) -> Lease {
        Lease {
            metadata: ObjectMeta {
                name: Some(self.place.name.clone()),
                namespace: Some(self.place.namespace.clone()),
                labels: Some(
                    [(names::LABEL_APP_NAME.to_owned(), names::APP_NAME.to_owned())].into(),
                ),
                ..ObjectMeta::default()
            },
            spec: None,
        }
    }
}

/// The call's result, unless the deadline comes first.
async fn before<T>(deadline: Option<Instant>, call: impl Future<Output = T>) -> Option<T> {
    match deadline {
        None => Some(call.await),
        Some(deadline) => tokio::time::timeout_at(deadline.into(), call).await.ok(),
    }
}

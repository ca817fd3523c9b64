//! What the node sees of one pod through its watch: the newest version of it, or that it is gone.

use std::{future, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use tokio::sync::watch;

/// The sending end, held by the watch.
pub(super) type Sender = watch::Sender<Seen>;

/// The newest sight of a pod.
#[derive(Clone, Debug)]
pub(super) enum Seen {
    Here(Arc<Pod>),
    Gone(Arc<Pod>),
}

/// One pod as its worker sees it.
#[derive(Clone, Debug)]
pub(super) struct Sight(watch::Receiver<Seen>);

impl Sight {
    pub(super) fn new(pod: Arc<Pod>) -> (Sender, Self) {
        let (sender, receiver) = watch::channel(Seen::Here(pod));
        (sender, Self(receiver))
    }

    /// The newest sight.
    pub(super) fn now(&mut self) -> Seen {
        self.0.borrow_and_update().clone()
    }

    /// The pod as it was seen last.
    pub(super) fn pod(&self) -> Arc<Pod> {
        match &*self.0.borrow() {
            Seen::Here(pod) | Seen::Gone(pod) => Arc::clone(pod),
        }
    }

    /// Returns when there is something newer than the last [`Sight::now`].
    pub(super) async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            // The watch has let go of this pod: nothing new will ever be seen.
            future::pending::<()>().await;
        }
    }

    /// Returns when the pod is gone.
    pub(super) async fn gone(&mut self) {
        while matches!(self.now(), Seen::Here(_)) {
            self.changed().await;
        }
    }

    /// Returns when the pod is asked to go or gone, with the grace it is given.
    pub(super) async fn deletion(&mut self) -> Duration {
        loop {
            match self.now() {
                Seen::Gone(_) => return Duration::ZERO,
                Seen::Here(pod) => {
                    if let Some(grace) = deletion_grace(&pod) {
                        return grace;
                    }
                }
            }
            self.changed().await;
        }
    }
}

/// How long a pod that is being deleted may take; `None` when it is not being deleted.
pub(super) fn deletion_grace(pod: &Pod) -> Option<Duration> {
    pod.metadata.deletion_timestamp.as_ref()?;
    let seconds = pod.metadata.deletion_grace_period_seconds.unwrap_or(30);
    Some(Duration::from_secs(seconds.try_into().unwrap_or_default()))
}

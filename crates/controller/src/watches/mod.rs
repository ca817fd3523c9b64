//! What the operator sees without asking: executions, the Jobs and pods of attempts, and whatever a proof speaks of.
//! Watches only keep what they see and wake whom it concerns; they decide nothing.

mod attempts;
mod executions;
mod health;
mod proofs;

pub use attempts::Attempts;
pub use executions::{Executions, Guarded, prune};
pub use health::WatchHealth;
pub use proofs::Proofs;

use std::collections::HashMap;
use std::sync::Arc;

use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc;

/// Wakes the reconcile of an execution.
#[derive(Clone)]
pub struct Waker(Arc<HashMap<String, mpsc::UnboundedSender<ObjectRef<Guarded>>>>);

/// Where the woken of one scope come out.
pub type Woken = mpsc::UnboundedReceiver<ObjectRef<Guarded>>;

impl Waker {
    /// A waker for each scope: a namespace, or the empty text for all of them; and where the woken come out.
    #[must_use]
    pub fn new(scopes: &[String]) -> (Self, Vec<Woken>) {
        let (mut senders, mut receivers) = (HashMap::new(), Vec::new());
        for scope in scopes {
            let (sender, receiver) = mpsc::unbounded_channel();
            senders.insert(scope.clone(), sender);
            receivers.push(receiver);
        }
        (Self(Arc::new(senders)), receivers)
    }

    /// Wakes the execution; a controller that is ending is not woken any more.
    pub fn wake(&self, execution: ObjectRef<Guarded>) {
        let scope = execution
            .namespace
            .as_deref()
            .and_then(|namespace| self.0.get(namespace));
        if let Some(sender) = scope.or_else(|| self.0.get("")) {
            drop(sender.send(execution));
        }
    }
}

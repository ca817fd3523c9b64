//! What a replica does until it leads, and how it takes over: its stores are warm, nothing that it hears of is done
//! before, and all of it is looked at anew after. Who leads is decided elsewhere.

use std::sync::PoisonError;
use std::time::Duration;

use futures::future::select_all;
use kexec_api::execution::KubernetesExecution;
use kexec_api::phase::Phase;
use kexec_core::queue::Ticket;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use crate::leadership::Fence;
use crate::reconcile::{Context, Orphans};
use crate::watches::Woken;

/// How often what is gone is forgotten.
const FORGET_EVERY: Duration = Duration::from_mins(10);
/// How soon a failed look at the executions is repeated.
const RETRY: Duration = Duration::from_millis(500);

/// What the watches tell while nobody listens.
pub struct Unheard {
    /// Executions that changed, one receiver a scope.
    pub woken: Vec<Woken>,
    /// Executions that were deleted, and Jobs without one.
    pub orphans: Orphans,
}

impl Unheard {
    /// Lets go what was told; whoever takes over looks at everything.
    async fn let_go(&mut self) {
        loop {
            let woken = self.woken.iter_mut().map(|one| Box::pin(one.recv()));
            tokio::select! {
                _ = select_all(woken) => {}
                _ = self.orphans.gone.recv() => {}
                _ = self.orphans.jobs.recv() => {}
            }
        }
    }
}

/// Waits until this replica leads, and keeps nothing until then but what the watches show.
pub async fn stand_by(fence: &Fence, unheard: &mut Unheard, context: &Context) {
    let forget = async {
        loop {
            tokio::time::sleep(FORGET_EVERY).await;
            context
                .attempts
                .forget_gone(|uid| context.executions.by_uid(uid).is_some());
        }
    };
    tokio::select! {
        biased;
        () = fence.wait_until_open() => {}
        () = unheard.let_go() => {}
        () = forget => {}
    }
}

/// Begins where there is no other replica: the watches have just read everything.
pub fn begin(context: &Context) {
    let executions = context.executions.all();
    restore_turns(
        executions.iter().filter_map(|one| one.0.as_ref().ok()),
        context,
    );
}

/// Begins after another leader, with every unfinished execution as it is now: the watches may not have told yet what
/// that one did last. Everything is looked at.
pub async fn take_over(scopes: &[String], context: &Context) {
    for scope in scopes {
        let unfinished = loop {
            match context.cluster.unfinished_executions(scope).await {
                Ok(unfinished) => break unfinished,
                Err(error) => {
                    tracing::warn!(%error, "cannot take over yet");
                    tokio::time::sleep(RETRY).await;
                }
            }
        };
        restore_turns(&unfinished, context);
        for execution in unfinished {
            let uid = execution.uid().unwrap_or_default();
            context.memory.update(&uid, |remembered| {
                remembered.written = Some(Box::new(execution));
            });
        }
    }
    for execution in context.executions.all() {
        context.waker.wake(ObjectRef::from_obj(&*execution));
    }
}

/// Before anything is decided, everybody who was at work has the turn again.
fn restore_turns<'a>(
    executions: impl IntoIterator<Item = &'a KubernetesExecution>,
    context: &Context,
) {
    let mut queue = context.queue.lock().unwrap_or_else(PoisonError::into_inner);
    for execution in executions {
        let phase = execution.status.as_ref().and_then(|status| status.phase);
        if matches!(
            phase,
            Some(Phase::Executing | Phase::Monitoring | Phase::RollingBack)
        ) {
            queue.restore(Ticket::of(execution));
        }
    }
}

//! Reconcile: gather, decide, perform, until there is nothing more to do now.

mod gather;
mod orphans;
mod perform;
mod plans;
mod record;
mod undecodable;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::FutureExt;
use jiff::Timestamp;
use kexec_api::execution::KubernetesExecution;
use kexec_api::phase::Phase;
use kexec_core::Registry;
use kexec_core::attempt::attempt_of;
use kexec_core::decide::decide;
use kexec_core::queue::Queue;
use kexec_core::settings::Settings;
use kexec_core::view::View;
use kube::ResourceExt;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;

use crate::cluster::{CallError, Class, Cluster};
use crate::events::Events;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::policies::Policies;
use crate::watches::{Attempts, Executions, Guarded, Proofs, Waker};

pub use orphans::Orphans;
use perform::Step;

/// Most decisions in one reconcile; a longer one goes on in the next.
const MAX_DECISIONS: usize = 32;
/// How soon a reconcile is tried again after an error that may pass.
const RETRY_TRANSIENT: Duration = Duration::from_millis(500);
/// How soon after one that will hardly pass.
const RETRY_OTHER: Duration = Duration::from_secs(10);

/// Everything a reconcile uses.
pub struct Context {
    /// The actions.
    pub registry: Registry,
    /// The installation.
    pub settings: Settings,
    /// Namespaces whose executions are run; all of them when empty.
    pub execution_namespaces: Vec<String>,
    /// The API server.
    pub cluster: Cluster,
    /// The executions there are.
    pub executions: Executions,
    /// The attempts seen.
    pub attempts: Attempts,
    /// What is watched for proofs.
    pub proofs: Proofs,
    /// Who works on what.
    pub queue: Mutex<Queue>,
    /// What is remembered.
    pub memory: Memory,
    /// Whether the admission policies are in force.
    pub policies: Policies,
    /// What is told to people as events.
    pub events: Events,
    /// Wakes other executions.
    pub waker: Waker,
    /// The figures.
    pub metrics: Arc<Metrics>,
}

/// Why a reconcile ended early.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// A call failed.
    #[error("failed to reconcile: {0}")]
    Call(#[source] CallError),
    /// A bug: the reconcile panicked.
    #[error("failed to reconcile: it panicked")]
    Panic,
    /// What a proof needs could not be read in time.
    #[error("failed to reconcile: what the proof needs was not read in time")]
    ReadProof,
}

impl ReconcileError {
    /// What may be done about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Call(error) => error.class(),
            Self::Panic => Class::Bug,
            Self::ReadProof => Class::Transient,
        }
    }
}

/// Reconciles one execution; a panic in it ends nothing but this reconcile.
pub async fn reconcile(
    execution: Arc<Guarded>,
    context: Arc<Context>,
) -> Result<Action, ReconcileError> {
    let start = Instant::now();
    let result = AssertUnwindSafe(reconcile_guarded(&execution, &context))
        .catch_unwind()
        .await;
    let result = result.unwrap_or_else(|_| {
        context.metrics.panicked();
        Err(ReconcileError::Panic)
    });
    context.metrics.reconciled(start.elapsed(), result.is_err());
    result
}

/// When a failed reconcile is tried again.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the library hands it over so"
)]
pub fn after_error(execution: Arc<Guarded>, error: &ReconcileError, _: Arc<Context>) -> Action {
    let (namespace, name) = (
        execution.namespace().unwrap_or_default(),
        execution.name_any(),
    );
    tracing::warn!(%namespace, %name, %error, class = ?error.class(), "reconcile failed");
    Action::requeue(match error.class() {
        Class::Transient | Class::Conflict => RETRY_TRANSIENT,
        Class::Absent | Class::Denied | Class::Invalid | Class::Bug => RETRY_OTHER,
    })
}

async fn reconcile_guarded(
    execution: &Guarded,
    context: &Context,
) -> Result<Action, ReconcileError> {
    match &execution.0 {
        Ok(execution) => reconcile_execution(execution, context).await,
        Err(invalid) => undecodable::refuse(invalid, context)
            .await
            .map_err(ReconcileError::Call),
    }
}

#[tracing::instrument(name = "reconcile", skip_all, fields(
    execution.namespace = execution.namespace(),
    execution.name = execution.name_any(),
    execution.uid = execution.uid(),
    action = execution.spec.action_definition.action_type,
    attempt = attempt_of(execution),
    phase,
    decision,
))]
async fn reconcile_execution(
    execution: &KubernetesExecution,
    context: &Context,
) -> Result<Action, ReconcileError> {
    let mut state = gather::begin(execution, context);
    for _ in 0..MAX_DECISIONS {
        let now = Timestamp::now();
        gather::look(&mut state, context);
        let decision = decide(&View {
            now,
            execution: &state.execution,
            registry: &context.registry,
            settings: &context.settings,
            gathered: &state.gathered,
        });
        let span = tracing::Span::current();
        span.record("phase", state.phase().map(Phase::as_str));
        span.record("decision", decision.name());
        match perform::perform(decision, &mut state, context, now).await? {
            Step::Again => {}
            Step::Done(action) => return Ok(action),
        }
    }
    Ok(Action::requeue(RETRY_TRANSIENT))
}

/// The reference by which an execution is woken.
fn reference(execution: &KubernetesExecution) -> ObjectRef<Guarded> {
    let reference = ObjectRef::new(&execution.name_any());
    match execution.namespace() {
        Some(namespace) => reference.within(&namespace),
        None => reference,
    }
}

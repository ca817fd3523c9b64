//! The watch of executions: one for all namespaces, or one for each that is named. Every object is pruned on its way in;
//! one that cannot be decoded stops nothing.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures::{Stream, StreamExt, TryStreamExt, stream};
use kexec_api::execution::KubernetesExecution;
use kexec_api::execution::status::{ExecutionDetails, RollbackInfo};
use kube::api::Api;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{ObjectRef, Store, store::Writer};
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Client, Resource, ResourceExt};
use tokio::sync::mpsc;

use super::{Waker, WatchHealth};

/// An execution, or why it could not be decoded.
pub type Guarded = DeserializeGuard<KubernetesExecution>;

/// Name of this watch.
pub(super) const WATCH: &str = "executions";

/// The executions there are.
#[derive(Clone)]
pub struct Executions {
    by_uid: Arc<Mutex<HashMap<String, ObjectRef<Guarded>>>>,
    stores: Arc<Vec<Store<Guarded>>>,
}

impl Executions {
    /// Starts one watch a scope: a namespace, or the empty text for all of them. `gone` gets the UID of every
    /// execution that is deleted.
    pub fn watch(
        client: &Client,
        scopes: &[String],
        health: &Arc<WatchHealth>,
        waker: &Waker,
        gone: &mpsc::UnboundedSender<String>,
    ) -> (Self, impl Stream<Item = ()> + Send + use<>) {
        let by_uid = Arc::new(Mutex::new(HashMap::new()));
        let mut stores = Vec::new();
        let mut streams = Vec::new();
        for scope in scopes {
            let api = match scope.as_str() {
                "" => Api::<Guarded>::all(client.clone()),
                namespace => Api::namespaced(client.clone(), namespace),
            };
            let writer = Writer::default();
            stores.push(writer.as_reader());
            let mut keeper = Keeper {
                by_uid: Arc::clone(&by_uid),
                health: Arc::clone(health),
                waker: waker.clone(),
                gone: gone.clone(),
                scope: scope.clone(),
                listed: HashSet::new(),
            };
            let events = watcher(api, watcher::Config::default())
                .default_backoff()
                .map_ok(prune_event);
            streams.push(
                reflector(writer, events)
                    .map(move |event| keeper.keep(event))
                    .boxed(),
            );
        }
        let executions = Self {
            by_uid,
            stores: Arc::new(stores),
        };
        (executions, stream::select_all(streams))
    }

    /// The store of each scope, in their order.
    #[must_use]
    pub fn stores(&self) -> &[Store<Guarded>] {
        &self.stores
    }

    /// All executions.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Guarded>> {
        self.stores.iter().flat_map(Store::state).collect()
    }

    /// The execution with that UID, if there is one.
    #[must_use]
    pub fn by_uid(&self, uid: &str) -> Option<ObjectRef<Guarded>> {
        self.by_uid
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(uid)
            .cloned()
    }

    /// Waits until everything there was has been read.
    pub async fn wait_until_read(&self) {
        for store in self.stores.iter() {
            // A writer that is gone means that the operator is ending.
            drop(store.wait_until_ready().await);
        }
    }
}

struct Keeper {
    by_uid: Arc<Mutex<HashMap<String, ObjectRef<Guarded>>>>,
    health: Arc<WatchHealth>,
    waker: Waker,
    gone: mpsc::UnboundedSender<String>,
    /// The namespace, or the empty text for all of them.
    scope: String,
    /// UIDs that the list under way has shown.
    listed: HashSet<String>,
}

impl Keeper {
    /// After the watch began anew: what it did not list was deleted while nobody looked.
    fn forget_unlisted(&mut self) {
        let listed = std::mem::take(&mut self.listed);
        let mut by_uid = self.by_uid.lock().unwrap_or_else(PoisonError::into_inner);
        by_uid.retain(|uid, execution| {
            let is_in_scope =
                self.scope.is_empty() || execution.namespace.as_ref() == Some(&self.scope);
            let is_gone = is_in_scope && !listed.contains(uid);
            if is_gone {
                drop(self.gone.send(uid.clone()));
            }
            !is_gone
        });
    }

    fn keep(&mut self, event: Result<watcher::Event<Guarded>, watcher::Error>) {
        match event {
            Err(error) => {
                tracing::warn!(watch = WATCH, %error, "watch failed");
                self.health.failed(WATCH);
                return;
            }
            Ok(watcher::Event::Init) => self.listed.clear(),
            Ok(watcher::Event::InitDone) => {
                self.forget_unlisted();
                self.health.synced(WATCH);
            }
            Ok(watcher::Event::InitApply(execution)) => {
                self.listed.extend(execution.meta().uid.clone());
                self.seen(&execution);
            }
            Ok(watcher::Event::Apply(execution)) => self.seen(&execution),
            Ok(watcher::Event::Delete(execution)) => self.deleted(&execution),
        }
        self.health.progressed(WATCH);
    }

    fn seen(&self, execution: &Guarded) {
        let reference = ObjectRef::from_obj(execution);
        if let Some(uid) = execution.meta().uid.clone() {
            self.by_uid
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(uid, reference.clone());
        }
        self.waker.wake(reference);
    }

    fn deleted(&self, execution: &Guarded) {
        if let Some(uid) = execution.meta().uid.clone() {
            self.by_uid
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&uid);
            drop(self.gone.send(uid));
        }
    }
}

fn prune_event(event: watcher::Event<Guarded>) -> watcher::Event<Guarded> {
    match event {
        watcher::Event::Apply(execution) => watcher::Event::Apply(prune(execution)),
        watcher::Event::InitApply(execution) => watcher::Event::InitApply(prune(execution)),
        other @ (watcher::Event::Delete(_) | watcher::Event::Init | watcher::Event::InitDone) => {
            other
        }
    }
}

/// Keeps of a finished execution only what decides when it and its Job go: thousands of them are kept for days.
#[must_use]
pub fn prune(mut execution: Guarded) -> Guarded {
    execution.managed_fields_mut().clear();
    if let Ok(execution) = &mut execution.0 {
        execution.annotations_mut().clear();
        let finished = execution
            .status
            .as_ref()
            .and_then(|status| status.phase)
            .is_some_and(kexec_api::phase::Phase::is_terminal);
        if let (true, Some(status)) = (finished, &mut execution.status) {
            status.plan = None;
            status.validation_results = None;
            status.execution_details = status.execution_details.take().and_then(rollback_end);
            status.performance_metrics = None;
            status.action_registry = None;
            status.conditions = Vec::new();
            status.retry_info = None;
            let dry_run = execution.spec.action_definition.parameters.remove("dryRun");
            execution.spec.action_definition.parameters = dry_run
                .map(|value| ("dryRun".to_owned(), value))
                .into_iter()
                .collect();
        }
    }
    execution
}

/// When a rollback ended: the execution's time to live counts from there.
fn rollback_end(details: ExecutionDetails) -> Option<ExecutionDetails> {
    let ended = details.rollback_info?.rollback_completion_time?;
    Some(ExecutionDetails {
        rollback_info: Some(RollbackInfo {
            rollback_completion_time: Some(ended),
            ..RollbackInfo::default()
        }),
        ..ExecutionDetails::default()
    })
}

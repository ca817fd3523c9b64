//! Puts the operator together and runs it until it is told to stop.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use kexec_api::phase::Phase;
use kexec_core::Registry;
use kexec_core::queue::{Queue, Ticket};
use kube::Config;
use kube::runtime::controller::{Config as ControllerConfig, applier};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cluster::{Cluster, ConnectError};
use crate::events::Events;
use crate::memory::Memory;
use crate::metrics::{Metrics, MetricsError};
use crate::options::Options;
use crate::policies::{Installation, Policies, PoliciesError};
use crate::reconcile::{Context, Orphans, after_error, reconcile};
use crate::serve::{Served, serve};
use crate::watches::{Attempts, Executions, Proofs, Waker, WatchHealth};

/// Reconciles at once.
const CONCURRENCY: u16 = 32;
/// How long reconciles that are under way may go on once the operator is told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Why the operator ended, other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// No client.
    #[error("failed to connect: {0}")]
    Connect(#[source] ConnectError),
    /// No figures.
    #[error("failed to make the metrics: {0}")]
    MakeMetrics(#[source] MetricsError),
    /// The address of health and metrics cannot be used.
    #[error("failed to listen on {address}: {cause}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// The shipped policies cannot be read.
    #[error("failed to check the admission policies: {0}")]
    CheckPolicies(#[source] PoliciesError),
}

/// Runs the operator until `stop` is cancelled; then no reconcile is begun any more.
pub async fn run(
    config: Config,
    options: Options,
    stop: CancellationToken,
) -> Result<(), OperatorError> {
    let metrics = Arc::new(Metrics::new().map_err(OperatorError::MakeMetrics)?);
    let cluster = Cluster::connect(&config, &options.system_namespace, Arc::clone(&metrics))
        .map_err(OperatorError::Connect)?;
    let address = options.listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|cause| OperatorError::Listen { address, cause })?;
    let health = Arc::new(WatchHealth::new(&["executions", "jobs", "pods"]));
    let look_every = Duration::from_secs(u64::from(options.policy_look_seconds));
    let policies = Policies::new(options.without_policies, look_every);
    // Everything that runs beside the reconciles ends when this is dropped.
    let mut tasks = JoinSet::new();
    let served = Served {
        metrics: Arc::clone(&metrics),
        health: Arc::clone(&health),
        policies: policies.clone(),
    };
    tasks.spawn(serve_until(listener, served, stop.clone()));
    if !options.without_policies {
        let installation = Installation {
            system_namespace: options.system_namespace.clone(),
            suffix: options.installation_suffix.clone(),
        };
        tasks.spawn(watch_policies(
            policies.clone(),
            cluster.clone(),
            Arc::clone(&metrics),
            installation,
        ));
    }
    let parts = Parts {
        cluster,
        options,
        metrics,
        health,
        policies,
    };
    let grace = async {
        stop.cancelled().await;
        tracing::info!("told to stop: no reconcile is begun any more");
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        () = work(parts, &mut tasks, stop.clone()) => {}
        () = grace => tracing::warn!("ended with reconciles under way; what they left is picked up at the next start"),
    }
    Ok(())
}

async fn serve_until(listener: TcpListener, served: Served, stop: CancellationToken) {
    if let Err(error) = serve(listener, served, stop).await {
        tracing::error!(%error, "health and metrics are not served any more");
    }
}

async fn watch_policies(
    policies: Policies,
    cluster: Cluster,
    metrics: Arc<Metrics>,
    installation: Installation,
) {
    if let Err(error) = policies.watch(cluster, metrics, installation).await {
        tracing::error!(%error, "nothing is executed");
    }
}

/// What the work is done with.
struct Parts {
    cluster: Cluster,
    options: Options,
    metrics: Arc<Metrics>,
    health: Arc<WatchHealth>,
    policies: Policies,
}

/// Reads what there is, then reconciles until told to stop.
async fn work(parts: Parts, tasks: &mut JoinSet<()>, stop: CancellationToken) {
    let scopes = scopes(&parts.options.execution_namespaces);
    let (waker, woken) = Waker::new(&scopes);
    let (gone_sender, gone) = mpsc::unbounded_channel();
    let (orphan_sender, jobs) = mpsc::unbounded_channel();
    let watches = parts.cluster.watches();
    let (executions, events) =
        Executions::watch(&watches, &scopes, &parts.health, &waker, &gone_sender);
    tasks.spawn(events.for_each(|()| std::future::ready(())));
    executions.wait_until_read().await;
    let attempts = Attempts::new(
        executions.clone(),
        waker.clone(),
        orphan_sender,
        Arc::clone(&parts.health),
    );
    let namespace = parts.options.system_namespace.clone();
    tasks.spawn(
        attempts
            .clone()
            .watch_jobs(watches.clone(), namespace.clone()),
    );
    tasks.spawn(attempts.clone().watch_pods(watches.clone(), namespace));
    parts.health.wait_until_synced().await;
    parts.policies.wait_until_looked_at().await;
    let context = Arc::new(context(&parts, executions, attempts, waker, tasks));
    restore_turns(&context);
    tasks.spawn(Orphans { gone, jobs }.run(Arc::clone(&context)));
    let stores = context.executions.stores().to_vec();
    let appliers = stores.into_iter().zip(woken).map(|(store, woken)| {
        let context = Arc::clone(&context);
        let woken = stream::unfold(woken, |mut woken| async {
            woken.recv().await.map(|one| (one, woken))
        })
        .map(Ok::<_, std::convert::Infallible>);
        let woken = woken.take_until(stop.clone().cancelled_owned());
        let config = ControllerConfig::default().concurrency(CONCURRENCY);
        applier(
            |execution, context| reconcile(execution, context).boxed(),
            after_error,
            context,
            store,
            woken,
            config,
        )
        .for_each(|_| std::future::ready(()))
    });
    futures::future::join_all(appliers).await;
}

/// The namespaces to watch, or the empty text for all of them.
fn scopes(namespaces: &[String]) -> Vec<String> {
    if namespaces.is_empty() {
        vec![String::new()]
    } else {
        namespaces.to_vec()
    }
}

fn context(
    parts: &Parts,
    executions: Executions,
    attempts: Attempts,
    waker: Waker,
    tasks: &mut JoinSet<()>,
) -> Context {
    let (events, publish) = Events::new(
        parts.cluster.events(),
        Arc::clone(&parts.metrics),
        &parts.options.system_namespace,
    );
    tasks.spawn(publish);
    let settings = parts.options.settings();
    Context {
        registry: Registry::built_in(),
        queue: Mutex::new(Queue::new(settings.max_concurrent)),
        settings,
        execution_namespaces: parts.options.execution_namespaces.clone(),
        proofs: Proofs::new(parts.cluster.watches(), waker.clone()),
        cluster: parts.cluster.clone(),
        executions,
        attempts,
        memory: Memory::default(),
        policies: parts.policies.clone(),
        events,
        waker,
        metrics: Arc::clone(&parts.metrics),
    }
}

/// Before anything is decided, everybody who was at work has the turn again.
fn restore_turns(context: &Context) {
    let mut queue = context.queue.lock().unwrap_or_else(PoisonError::into_inner);
    for execution in context.executions.all() {
        let Ok(execution) = &execution.0 else {
            continue;
        };
        let phase = execution.status.as_ref().and_then(|status| status.phase);
        if matches!(phase, Some(Phase::Executing | Phase::Monitoring)) {
            queue.restore(Ticket::of(execution));
        }
    }
}

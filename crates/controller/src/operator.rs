//! Puts the operator together and runs it until it is told to stop.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use kexec_core::Registry;
use kexec_core::queue::Queue;
use kube::Config;
use kube::runtime::controller::{Config as ControllerConfig, applier};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::cluster::{Cluster, ConnectError, Leases};
use crate::events::Events;
use crate::leadership::{Elector, Fence, Loss, TimingError};
use crate::memory::Memory;
use crate::metrics::{Metrics, MetricsError};
use crate::options::Options;
use crate::policies::{Installation, Policies, PoliciesError};
use crate::reconcile::{Context, Orphans, after_error, reconcile};
use crate::serve::{Served, serve};
use crate::takeover::{Unheard, begin, stand_by, take_over};
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
    /// The times of the leader election do not fit each other.
    #[error("failed to prepare the leader election: {0}")]
    PrepareElection(#[source] TimingError),
    /// Another replica leads, or may: what this one was about to do is not to be done any more.
    #[error("failed to go on leading: {0}")]
    Lead(#[source] Loss),
    /// A bug: the leader election panicked.
    #[error("failed to take part in the leader election")]
    Elect(#[source] JoinError),
}

/// Runs the operator until `stop` is cancelled; then no reconcile is begun any more. A replica that led and does not any
/// more ends with an error, and is to be started anew.
pub async fn run(
    config: Config,
    options: Options,
    stop: CancellationToken,
) -> Result<(), OperatorError> {
    let metrics = Arc::new(Metrics::new().map_err(OperatorError::MakeMetrics)?);
    let fence = if options.leader_election {
        Fence::closed()
    } else {
        Fence::open()
    };
    let (namespace, connect) = (&options.system_namespace, OperatorError::Connect);
    let cluster =
        Cluster::connect(&config, namespace, Arc::clone(&metrics), &fence).map_err(connect)?;
    let leases = Leases::connect(&config, Arc::clone(&metrics)).map_err(connect)?;
    let address = options.listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|cause| OperatorError::Listen { address, cause })?;
    let look_every = Duration::from_secs(u64::from(options.policy_look_seconds));
    let parts = Parts {
        cluster,
        metrics,
        health: Arc::new(WatchHealth::new(&["executions", "jobs", "pods"])),
        policies: Policies::new(options.without_policies, look_every),
        fence,
        options,
    };
    let retire = CancellationToken::new();
    let mut election = elect(&parts, leases, retire.clone())?;
    // Everything that runs beside the reconciles ends when this is dropped.
    let mut tasks = JoinSet::new();
    tasks.spawn(serve_until(listener, parts.served(), stop.clone()));
    if !parts.options.without_policies {
        tasks.spawn(watch_policies(parts.clone()));
    }
    let grace = async {
        stop.cancelled().await;
        tracing::info!("told to stop: no reconcile is begun any more");
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        () = work(parts, &mut tasks, stop.clone()) => {}
        () = grace => tracing::warn!("ended with reconciles under way; what they left is picked up at the next start"),
        Some(ended) = election.join_next() => {
            return ended.map_err(OperatorError::Elect)?.map_err(OperatorError::Lead);
        }
    }
    // Whoever leads next finds that nothing is written here any more.
    tasks.shutdown().await;
    retire.cancel();
    while let Some(ended) = election.join_next().await {
        drop(ended.map_err(OperatorError::Elect)?);
    }
    Ok(())
}

/// Takes part in the leader election, where there is one, once this replica could lead.
fn elect(
    parts: &Parts,
    leases: Leases,
    retire: CancellationToken,
) -> Result<JoinSet<Result<(), Loss>>, OperatorError> {
    let mut election = JoinSet::new();
    if !parts.options.leader_election {
        return Ok(election);
    }
    let timing = parts
        .options
        .timing()
        .map_err(OperatorError::PrepareElection)?;
    let place = parts.options.leader_lease();
    let elector = Elector::new(leases, place, timing, parts.fence.clone());
    let (health, policies) = (Arc::clone(&parts.health), parts.policies.clone());
    election.spawn(async move {
        let is_ready = async {
            health.wait_until_synced().await;
            policies.wait_until_looked_at().await;
        };
        match retire.run_until_cancelled(is_ready).await {
            None => Ok(()),
            Some(()) => Box::pin(elector.run(retire)).await,
        }
    });
    Ok(election)
}

async fn serve_until(listener: TcpListener, served: Served, stop: CancellationToken) {
    if let Err(error) = serve(listener, served, stop).await {
        tracing::error!(%error, "health and metrics are not served any more");
    }
}

async fn watch_policies(parts: Parts) {
    let installation = Installation {
        system_namespace: parts.options.system_namespace,
        suffix: parts.options.installation_suffix,
    };
    let watched = parts
        .policies
        .watch(parts.cluster, parts.metrics, installation);
    if let Err(error) = watched.await {
        tracing::error!(%error, "nothing is executed");
    }
}

/// What the work is done with.
#[derive(Clone)]
struct Parts {
    cluster: Cluster,
    options: Options,
    metrics: Arc<Metrics>,
    health: Arc<WatchHealth>,
    policies: Policies,
    fence: Fence,
}

impl Parts {
    fn served(&self) -> Served {
        Served {
            metrics: Arc::clone(&self.metrics),
            health: Arc::clone(&self.health),
            policies: self.policies.clone(),
            fence: self.fence.clone(),
        }
    }
}

/// Reads what there is, stands by until this replica leads, then reconciles until told to stop.
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
    let orphans = Orphans { gone, jobs };
    let mut unheard = Unheard { woken, orphans };
    let context = context(&parts, executions, attempts, waker, tasks);
    let standing_by = async {
        stand_by(&parts.fence, &mut unheard, &context).await;
        if parts.options.leader_election {
            take_over(&scopes, &context).await;
        } else {
            begin(&context);
        }
    };
    if stop.run_until_cancelled(standing_by).await.is_none() {
        return;
    }
    let Unheard { woken, orphans } = unheard;
    let context = Arc::new(context);
    tasks.spawn(orphans.run(Arc::clone(&context)));
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

//! `devcluster demo`: a cluster of its own with the operator in it, one execution from its request to its proof, and the
//! end of it all. What is told of the objects is [`facts`]'s, what the demo is about [`story`]'s.

mod facts;
mod ground;
mod ready;
mod screen;
mod story;

use std::{io, net::TcpListener, path::PathBuf, process::ExitCode, time::Duration};

use futures::{Stream, StreamExt, stream};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kexec_api::{execution::KubernetesExecution, names, phase::Phase};
use kube::{
    Api, Client, Resource,
    api::PostParams,
    runtime::{WatchStreamExt, watcher},
};
use serde::de::DeserializeOwned;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::timeout,
};

use self::{
    facts::Fact,
    ground::{Ground, GroundError, NodeKind},
    ready::NotReady,
    screen::Screen,
    story::{Story, StoryError, USER, place},
};
use crate::{
    cli::{
        progress::Progress,
        shown,
        up::{Up, UpError, apply},
    },
    control_plane::{AccessError, ControlPlane},
};

/// How long the execution may take.
const EXECUTION_LIMIT: Duration = Duration::from_mins(1);

/// How long the target may take to be ready before.
const TARGET_LIMIT: Duration = Duration::from_secs(30);

/// The image that the node runs as our runner.
const RUNNER_IMAGE: &str = "kubernaut-runner:dev";

/// What `devcluster demo` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct Demo {
    /// Folder for all that the cluster writes.
    #[arg(long, default_value = ".devcluster/demo")]
    dir: PathBuf,
    /// The operator's binary.
    #[arg(long)]
    operator: PathBuf,
    /// What runs the pods: processes that stand for them, or containerd inside `devcluster isolate`.
    #[arg(long, value_enum, default_value_t = NodeKind::Process)]
    node: NodeKind,
    /// Folder with the manifests of an installation.
    #[arg(long, default_value = "config")]
    config: PathBuf,
    /// Folder with the examples.
    #[arg(long, default_value = "examples")]
    examples: PathBuf,
}

/// What kept the demo from its happy end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The runtime.
    #[error("failed to start the demo's threads")]
    Runtime(#[source] io::Error),
    /// The examples.
    #[error("failed to read the example")]
    Story(#[source] StoryError),
    /// No port for the operator.
    #[error("failed to find a free port")]
    FindPort(#[source] io::Error),
    /// The cluster.
    #[error("failed to start the cluster")]
    Start(#[source] GroundError),
    /// The example's rights.
    #[error("failed to give the user her rights")]
    GiveRights(#[source] UpError),
    /// A client.
    #[error("failed to make a client")]
    Access(#[source] AccessError),
    /// The client of the user.
    #[error("failed to make the user's client")]
    UserClient(#[source] Box<kube::Error>),
    /// The Deployment.
    #[error("failed to create the Deployment")]
    CreateTarget(#[source] Box<kube::Error>),
    /// The Deployment's pods.
    #[error("failed to see the Deployment ready within {} s", TARGET_LIMIT.as_secs())]
    TargetNotReady,
    /// The operator or the policies.
    #[error("failed to begin")]
    NotReady(#[source] NotReady),
    /// The execution.
    #[error("failed to create the execution")]
    CreateExecution(#[source] Box<kube::Error>),
    /// Standard output.
    #[error("failed to write to standard output")]
    Print(#[source] io::Error),
    /// The watches ended, which they do not.
    #[error("failed to watch the execution")]
    Blind,
    /// It took too long.
    #[error("failed to see the execution end within {} s", EXECUTION_LIMIT.as_secs())]
    Deadline,
    /// It ended otherwise.
    #[error("failed to complete the execution: it is {phase}")]
    NotCompleted {
        /// How it ended.
        phase: Phase,
    },
    /// A program of the control plane ended.
    #[error("failed to keep the cluster: '{0}' ended by itself")]
    ProgramEnded(&'static str),
    /// Signals cannot be received.
    #[error("failed to listen for signals")]
    Signals(#[source] io::Error),
    /// Ctrl-C or SIGTERM.
    #[error("interrupted")]
    Interrupted,
}

/// What was seen while the execution ran.
enum Seen {
    Execution(Box<KubernetesExecution>),
    Pod(Box<Pod>),
    Deployment(Box<Deployment>),
}

impl Demo {
    /// Runs the demo; succeeds only if the execution completes.
    #[must_use]
    pub fn main(&self) -> ExitCode {
        let result = tokio::runtime::Runtime::new()
            .map_err(DemoError::Runtime)
            .and_then(|runtime| runtime.block_on(self.run()));
        if result.is_err() {
            eprintln!("the logs are in {}", self.dir.join("logs").display());
        }
        shown(result)
    }

    async fn run(&self) -> Result<(), DemoError> {
        let story = Story::read(&self.examples).map_err(DemoError::Story)?;
        let port = free_port().map_err(DemoError::FindPort)?;
        let progress = Progress::start();
        let start = Ground::start(self.node, &self.dir, self.up(port), progress);
        let ground = tokio::select! {
            ground = start => ground.map_err(DemoError::Start)?,
            end = interrupted() => return Err(end),
        };
        let port = ground.has_process().then_some(port);
        let result = tokio::select! {
            result = play(ground.plane(), &story, port, progress) => result,
            end = interrupted() => Err(end),
            program = ground.plane().failed() => Err(DemoError::ProgramEnded(program)),
        };
        println!();
        progress.say("ending the cluster");
        ground.stop().await;
        progress.say("everything is gone");
        if result.is_ok() {
            println!("{GO_ON}");
        }
        result
    }

    fn up(&self, port: u16) -> Up {
        let folders = ["crd", "operator", "rbac", "policies"];
        let arguments = ["--runner-image", RUNNER_IMAGE, "--listen"].map(str::to_owned);
        Up {
            dir: self.dir.clone(),
            runner: None,
            runner_image: RUNNER_IMAGE.to_owned(),
            images: Vec::new(),
            manifests: folders.map(|folder| self.config.join(folder)).to_vec(),
            operator: Some(self.operator.clone()),
            operator_service_account: format!(
                "{}/{}",
                names::DEFAULT_SYSTEM_NAMESPACE,
                names::CONTROLLER_SERVICE_ACCOUNT
            ),
            detach: false,
            own_session: false,
            operator_arguments: arguments
                .into_iter()
                .chain([format!("127.0.0.1:{port}")])
                .collect(),
        }
    }
}

const GO_ON: &str = "
To go on by hand:

  make cluster-up
  export KUBECONFIG=$PWD/.devcluster/kubeconfig PATH=$PWD/.devcluster/bin:$PATH
  kubectl apply -f examples/scale-deployment.yaml
  kubectl -n demo get kexec --watch
  kubectl -n demo describe kexec scale-web
  make cluster-down";

/// A port that is free now; the operator takes it soon after.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

async fn interrupted() -> DemoError {
    let signals = signal(SignalKind::terminate())
        .and_then(|terminate| Ok((terminate, signal(SignalKind::interrupt())?)));
    let (mut terminate, mut interrupt) = match signals {
        Ok(signals) => signals,
        Err(error) => return DemoError::Signals(error),
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    DemoError::Interrupted
}

async fn play(
    plane: &ControlPlane,
    story: &Story,
    port: Option<u16>,
    progress: Progress,
) -> Result<(), DemoError> {
    apply(plane, &story.rights)
        .await
        .map_err(DemoError::GiveRights)?;
    let (namespace, _) = place(&story.execution);
    let config = plane
        .config_for_user(USER, &[])
        .await
        .map_err(DemoError::Access)?;
    let user = Client::try_from(config).map_err(|error| DemoError::UserClient(Box::new(error)))?;
    let user: Api<KubernetesExecution> = Api::namespaced(user, &namespace);
    let client = plane.client().map_err(DemoError::Access)?;
    prepare_target(client.clone(), &story.deployment).await?;
    ready::wait(port, &user, &story.execution)
        .await
        .map_err(DemoError::NotReady)?;
    progress.say("the operator is ready\n");
    timeout(EXECUTION_LIMIT, follow(client, user, story))
        .await
        .map_err(|_| DemoError::Deadline)?
}

async fn prepare_target(client: Client, deployment: &Deployment) -> Result<(), DemoError> {
    let (namespace, name) = place(deployment);
    let api: Api<Deployment> = Api::namespaced(client, &namespace);
    api.create(&PostParams::default(), deployment)
        .await
        .map_err(|error| DemoError::CreateTarget(Box::new(error)))?;
    let wanted = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1);
    let mut seen = Box::pin(watch(api, named(&name)));
    let ready = async {
        while let Some(deployment) = seen.next().await {
            if facts::ready_replicas(&deployment) == wanted {
                return;
            }
        }
    };
    timeout(TARGET_LIMIT, ready)
        .await
        .map_err(|_| DemoError::TargetNotReady)
}

/// Creates the execution and tells what is seen until it has ended.
async fn follow(
    client: Client,
    user: Api<KubernetesExecution>,
    story: &Story,
) -> Result<(), DemoError> {
    let mut seen = Box::pin(watches(client, story));
    let mut screen = Screen::new();
    screen
        .tell(vec![Fact::new("request", story.request())])
        .map_err(DemoError::Print)?;
    let parameters = PostParams::default();
    let creation = user.create(&parameters, &story.execution);
    let mut creation = Box::pin(async {
        creation
            .await
            .map_err(|error| DemoError::CreateExecution(Box::new(error)))
    });
    let mut created = false;
    loop {
        let facts = tokio::select! {
            result = &mut creation, if !created => {
                created = true;
                facts::of_execution(&result?)
            }
            Some(seen) = seen.next() => {
                let facts = seen.facts();
                if let Some(phase) = seen.end() {
                    screen.tell(facts).map_err(DemoError::Print)?;
                    return end(phase);
                }
                facts
            }
            else => return Err(DemoError::Blind),
        };
        screen.tell(facts).map_err(DemoError::Print)?;
    }
}

fn end(phase: Phase) -> Result<(), DemoError> {
    match phase {
        Phase::Completed => Ok(()),
        Phase::Pending
        | Phase::Validating
        | Phase::AwaitingApproval
        | Phase::Executing
        | Phase::Monitoring
        | Phase::RollingBack
        | Phase::Failed
        | Phase::Cancelled
        | Phase::RolledBack => Err(DemoError::NotCompleted { phase }),
    }
}

impl Seen {
    fn facts(&self) -> Vec<Fact> {
        match self {
            Self::Execution(execution) => facts::of_execution(execution),
            Self::Pod(pod) => facts::of_pod(pod),
            Self::Deployment(deployment) => facts::of_deployment(deployment),
        }
    }

    /// The phase in which the execution ended, if it did.
    fn end(&self) -> Option<Phase> {
        match self {
            Self::Execution(execution) => execution
                .status
                .as_ref()
                .and_then(|status| status.phase)
                .filter(|phase| phase.is_terminal()),
            Self::Pod(_) | Self::Deployment(_) => None,
        }
    }
}

/// The execution, its runner's pod and its target.
fn watches(client: Client, story: &Story) -> impl Stream<Item = Seen> + use<> {
    let (namespace, name) = place(&story.execution);
    let label = format!("{}={}", names::LABEL_EXECUTION, names::label_value(&name));
    let executions = Api::namespaced(client.clone(), &namespace);
    let executions = watch(executions, named(&name));
    let pods = Api::namespaced(client.clone(), names::DEFAULT_SYSTEM_NAMESPACE);
    let pods = watch(pods, watcher::Config::default().labels(&label));
    let (namespace, name) = place(&story.deployment);
    let deployments = watch(Api::namespaced(client, &namespace), named(&name));
    stream::select_all([
        executions.map(|it| Seen::Execution(Box::new(it))).boxed(),
        pods.map(|it| Seen::Pod(Box::new(it))).boxed(),
        deployments.map(|it| Seen::Deployment(Box::new(it))).boxed(),
    ])
}

fn named(name: &str) -> watcher::Config {
    watcher::Config::default().fields(&format!("metadata.name={name}"))
}

/// Every version of the objects that `config` picks. A watch that fails is begun again.
fn watch<K>(api: Api<K>, config: watcher::Config) -> impl Stream<Item = K> + Send + use<K>
where
    K: Resource + Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
{
    watcher(api, config)
        .default_backoff()
        .applied_objects()
        .filter_map(|object| async { object.ok() })
}

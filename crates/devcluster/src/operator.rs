//! The operator's own binary as a process beside the cluster: with the token of its ServiceAccount and nothing more,
//! started again whenever it ends. What it may do is up to the manifests.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{Api, Client, api::PostParams};
use tokio::{sync::watch, task::AbortHandle, time::sleep};

use crate::{
    background::{self, StartRuntimeError},
    control_plane::{AccessError, ControlPlane},
    kubeconfig::{self, KubeconfigError},
    processes::{Child, Order, Program, StartError},
};

/// Life of a token, and when it is replaced.
const TOKEN_SECONDS: i64 = 3600;
const RENEW_AFTER: Duration = Duration::from_mins(30);

/// Before a token that was not renewed is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Between an end of the operator and its next start.
const PAUSE: Duration = Duration::from_secs(1);

/// The variable that tells an operator the name of its pod.
const POD_NAME: &str = "POD_NAME";

/// How the operator is started.
#[derive(Clone, Debug)]
pub struct OperatorOptions {
    /// Its binary.
    pub binary: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// More environment variables for it, beside ours and `KUBECONFIG`, `POD_NAMESPACE` and `POD_NAME`, or in place of
    /// them. Its pod's name is that of its folder and of its log too; each of several operators needs one of its own.
    pub environment: BTreeMap<String, String>,
    /// Namespace of its ServiceAccount.
    pub namespace: String,
    /// Name of its ServiceAccount, which must exist.
    pub service_account: String,
}

/// What kept the operator from starting.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The background runtime.
    #[error("failed to start the operator's threads")]
    Runtime(#[source] StartRuntimeError),
    /// Its task ended without an answer.
    #[error("failed to start the operator's tasks")]
    Task,
    /// Its token.
    #[error("failed to request a token for ServiceAccount '{namespace}/{name}'")]
    RequestToken {
        /// Namespace.
        namespace: String,
        /// Name.
        name: String,
        /// Why.
        source: Box<kube::Error>,
    },
    /// Its token file.
    #[error("failed to write the operator's token")]
    WriteToken(#[source] KubeconfigError),
    /// Its kubeconfig.
    #[error("failed to give the operator access")]
    Access(#[source] AccessError),
    /// Its folder.
    #[error("failed to make '{}'", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The process.
    #[error("failed to start the operator")]
    Start(#[source] StartError),
}

/// A running operator. Dropping it kills it.
#[derive(Debug)]
pub struct Operator {
    log: PathBuf,
    current: Arc<watch::Sender<Child>>,
    tasks: [AbortHandle; 2],
}

impl Operator {
    /// Starts the operator against `plane`.
    pub async fn start(
        plane: &ControlPlane,
        options: OperatorOptions,
    ) -> Result<Self, OperatorError> {
        let name = options.environment.get(POD_NAME);
        let name = name.map_or("operator", String::as_str);
        let folder = plane.folder().join("operator").join(name);
        std::fs::create_dir_all(&folder).map_err(|source| OperatorError::Folder {
            path: folder.clone(),
            source,
        })?;
        let token = folder.join("token");
        let kubeconfig = plane
            .kubeconfig_for_token_file(&folder.join("kubeconfig"), &token)
            .map_err(OperatorError::Access)?;
        let log = plane.folder().join("logs").join(format!("{name}.log"));
        let mut program = Program::new(&options.binary, &log)
            .arguments(options.arguments.clone())
            .variable("KUBECONFIG", kubeconfig)
            .variable("POD_NAMESPACE", &options.namespace)
            .variable(POD_NAME, name);
        let more = options.environment.iter();
        let more = more.map(|(name, value)| (name.into(), value.into()));
        program.environment.extend(more);
        let config = plane.admin_config();
        background::handle()
            .map_err(OperatorError::Runtime)?
            .spawn(Self::launch(options, config, token, program))
            .await
            .map_err(|_| OperatorError::Task)?
    }

    async fn launch(
        options: OperatorOptions,
        config: kube::Config,
        token: PathBuf,
        program: Program,
    ) -> Result<Self, OperatorError> {
        let client = Client::try_from(config)
            .map_err(|source| OperatorError::Access(AccessError::Client(Box::new(source))))?;
        write_token(&client, &options, &token).await?;
        let log = program.log.clone();
        let child = program
            .clone()
            .start()
            .await
            .map_err(OperatorError::Start)?;
        let current = Arc::new(watch::Sender::new(child));
        let tasks = [
            tokio::spawn(renew(client, options, token)).abort_handle(),
            tokio::spawn(keep_running(program, Arc::clone(&current))).abort_handle(),
        ];
        Ok(Self {
            log,
            current,
            tasks,
        })
    }

    /// Where its output goes.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The process id of its current process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        child(&self.current).pid()
    }

    /// The process id of its current process, as soon as that is not `known`.
    pub async fn pid_after(&self, known: u32) -> u32 {
        let mut current = self.current.subscribe();
        match current.wait_for(|child| child.pid() != known).await {
            Ok(child) => child.pid(),
            // Its sender is part of `self`.
            Err(_) => std::future::pending().await,
        }
    }

    /// Asks it to end, waits up to `grace`, then kills it.
    pub async fn stop(self, grace: Duration) {
        self.abort();
        let child = child(&self.current);
        child.order(Order::Terminate);
        if tokio::time::timeout(grace, child.ended()).await.is_err() {
            child.order(Order::Kill);
            child.ended().await;
        }
    }

    fn abort(&self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.abort();
    }
}

fn child(current: &watch::Sender<Child>) -> Child {
    current.borrow().clone()
}

async fn keep_running(program: Program, current: Arc<watch::Sender<Child>>) {
    loop {
        let ended = child(&current).ended().await;
        tracing::warn!(?ended, "the operator ended and is started again");
        sleep(PAUSE).await;
        match program.clone().start().await {
            Ok(child) => drop(current.send_replace(child)),
            Err(error) => tracing::warn!(%error, "operator not started"),
        }
    }
}

async fn renew(client: Client, options: OperatorOptions, token: PathBuf) {
    let mut pause = RENEW_AFTER;
    loop {
        sleep(pause).await;
        pause = match write_token(&client, &options, &token).await {
            Ok(()) => RENEW_AFTER,
            Err(error) => {
                tracing::warn!(%error, "the operator's token was not renewed");
                RETRY
            }
        };
    }
}

async fn write_token(
    client: &Client,
    options: &OperatorOptions,
    path: &Path,
) -> Result<(), OperatorError> {
    let request = TokenRequest {
        spec: TokenRequestSpec {
            expiration_seconds: Some(TOKEN_SECONDS),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let answer = Api::<ServiceAccount>::namespaced(client.clone(), &options.namespace)
        .create_token_request(&options.service_account, &PostParams::default(), &request)
        .await
        .map_err(|source| OperatorError::RequestToken {
            namespace: options.namespace.clone(),
            name: options.service_account.clone(),
            source: Box::new(source),
        })?;
    let token = answer.status.map(|status| status.token).unwrap_or_default();
    kubeconfig::write_private(path, &token).map_err(OperatorError::WriteToken)
}

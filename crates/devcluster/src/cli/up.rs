//! `devcluster up`: a control plane, a process node, manifests and the operator, until Ctrl-C, SIGTERM or the end of
//! one of the control plane's programs.

use std::{
    env, io,
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use tokio::signal::unix::{SignalKind, signal};

use super::{
    instance::{Claim, InstanceError, State},
    progress::Progress,
};
use crate::{
    control_plane::{ControlPlane, ControlPlaneError, ControlPlaneOptions, Location},
    node::{NodeError, NodeOptions, ProcessNode},
    operator::{Operator, OperatorError, OperatorOptions},
};

/// How long the operator may take to end.
const OPERATOR_GRACE: Duration = Duration::from_secs(10);

/// Tries to apply a folder of manifests: objects of a kind that the same folder defines need a second one.
const APPLY_ATTEMPTS: u32 = 20;
const APPLY_PAUSE: Duration = Duration::from_millis(500);

/// What `devcluster up` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct Up {
    /// Folder for all that the cluster writes.
    #[arg(long, default_value = ".devcluster")]
    pub dir: PathBuf,
    /// The runner's binary, which stands for the runner's image [default: `kexec-runner` beside this binary].
    #[arg(long)]
    pub runner: Option<PathBuf>,
    /// The runner's image.
    #[arg(long, default_value = "kubernaut-runner:dev")]
    pub runner_image: String,
    /// More images, and the programs that stand for their entrypoints; may be given several times.
    #[arg(long = "image", value_name = "IMAGE=PROGRAM", value_parser = image)]
    pub images: Vec<(String, PathBuf)>,
    /// Folders or files to apply, in this order.
    #[arg(long, num_args = 1..)]
    pub manifests: Vec<PathBuf>,
    /// The operator's binary; without it no operator runs.
    #[arg(long)]
    pub operator: Option<PathBuf>,
    /// The operator's ServiceAccount.
    #[arg(
        long,
        default_value = "kubernaut-system/kubernaut-executor",
        value_name = "NAMESPACE/NAME"
    )]
    pub operator_service_account: String,
    /// Go on in the background and return when the cluster is ready.
    #[arg(long)]
    pub detach: bool,
    /// Run in a session of our own, away from the terminal that started us.
    #[arg(long, hide = true)]
    pub own_session: bool,
    /// Arguments for the operator.
    #[arg(last = true)]
    pub operator_arguments: Vec<String>,
}

/// What kept the cluster from coming up.
#[derive(Debug, thiserror::Error)]
pub enum UpError {
    /// The folder.
    #[error("failed to take the folder")]
    Claim(#[source] InstanceError),
    /// The control plane.
    #[error("failed to start the control plane")]
    ControlPlane(#[source] ControlPlaneError),
    /// A node.
    #[error("failed to start a process node")]
    Node(#[source] NodeError),
    /// kubectl did not run.
    #[error("failed to run kubectl")]
    RunKubectl(#[source] io::Error),
    /// kubectl said no.
    #[error("failed to apply '{}': {message}", path.display())]
    Apply {
        /// The manifests.
        path: PathBuf,
        /// What kubectl said.
        message: String,
    },
    /// The ServiceAccount's name.
    #[error("'{0}' names no ServiceAccount: write <namespace>/<name>")]
    ServiceAccount(String),
    /// The operator.
    #[error("failed to start the operator")]
    Operator(#[source] OperatorError),
    /// Signals cannot be received.
    #[error("failed to listen for signals")]
    Signals(#[source] io::Error),
    /// The session.
    #[error("failed to leave the terminal's session")]
    Session(#[source] rustix::io::Errno),
    /// The path of our own binary.
    #[error("failed to read the path of the running program")]
    OwnPath(#[source] io::Error),
    /// A program of the control plane ended.
    #[error("'{program}' ended by itself; its log is '{}'", log.display())]
    ProgramEnded {
        /// Its name.
        program: &'static str,
        /// Its log.
        log: PathBuf,
    },
}

/// Name of the operator among the programs.
const OPERATOR: &str = "operator";

/// The nodes: two, because a Job about a node never runs on that node.
const NODES: [&str; 2] = ["worker-1", "worker-2"];

/// A cluster with all that `up` puts into it.
#[derive(Debug)]
pub struct Cluster {
    /// The control plane.
    pub plane: ControlPlane,
    nodes: Vec<ProcessNode>,
    operator: Option<Operator>,
    claim: Claim,
}

impl Up {
    /// Starts everything and keeps it until it is asked to end.
    pub async fn run(&self) -> Result<(), UpError> {
        if self.own_session {
            rustix::process::setsid().map_err(UpError::Session)?;
        }
        let progress = Progress::start();
        let mut cluster = tokio::select! {
            cluster = self.start(progress) => cluster?,
            ended = interrupted() => return ended,
        };
        self.say_what_next(&cluster);
        let result = tokio::select! {
            ended = interrupted() => ended,
            error = cluster.watched() => Err(error),
        };
        progress.say("ending the cluster");
        cluster.stop().await;
        progress.say("everything is gone");
        result
    }

    /// Starts everything.
    pub async fn start(&self, progress: Progress) -> Result<Cluster, UpError> {
        let mut claim = Claim::take(&self.dir).map_err(UpError::Claim)?;
        progress.say("starting etcd, kube-apiserver, kube-controller-manager and kube-scheduler");
        let plane = ControlPlane::start(ControlPlaneOptions {
            location: Location::Folder(self.dir.clone()),
            ..ControlPlaneOptions::default()
        })
        .await
        .map_err(UpError::ControlPlane)?;
        let programs = plane.pids().into_iter();
        let programs = programs.map(|(name, pid)| (name.to_owned(), pid)).collect();
        claim
            .update(|state| {
                plane.url().clone_into(&mut state.url);
                state.programs = programs;
            })
            .map_err(UpError::Claim)?;
        progress.say(&format!("control plane ready at {}", plane.url()));
        let mut nodes = Vec::new();
        for name in NODES {
            let node = self.start_node(&plane, name).await?;
            progress.say(&format!("node '{}' ready", node.name()));
            nodes.push(node);
        }
        for path in &self.manifests {
            apply(&plane, path).await?;
            progress.say(&format!("applied {}", path.display()));
        }
        let operator = self.start_operator(&plane).await?;
        if let Some(operator) = &operator {
            progress.say(&format!(
                "operator started, log in {}",
                operator.log().display()
            ));
        }
        claim
            .update(|state| {
                let operator = operator.as_ref().map(|it| (OPERATOR.to_owned(), it.pid()));
                state.programs.extend(operator);
                state.ready = true;
            })
            .map_err(UpError::Claim)?;
        Ok(Cluster {
            plane,
            nodes,
            operator,
            claim,
        })
    }

    async fn start_node(&self, plane: &ControlPlane, name: &str) -> Result<ProcessNode, UpError> {
        let runner = match &self.runner {
            Some(runner) => std::path::absolute(runner).map_err(UpError::OwnPath)?,
            None => env::current_exe()
                .map_err(UpError::OwnPath)?
                .with_file_name("kexec-runner"),
        };
        let mut options = NodeOptions::new(runner).named(name);
        options.runner_image.clone_from(&self.runner_image);
        for (image, program) in &self.images {
            let program = std::path::absolute(program).map_err(UpError::OwnPath)?;
            options.more_images.insert(image.clone(), program);
        }
        ProcessNode::start(plane, options)
            .await
            .map_err(UpError::Node)
    }

    async fn start_operator(&self, plane: &ControlPlane) -> Result<Option<Operator>, UpError> {
        let Some(binary) = &self.operator else {
            return Ok(None);
        };
        let account = &self.operator_service_account;
        let (namespace, name) = account
            .split_once('/')
            .ok_or_else(|| UpError::ServiceAccount(account.clone()))?;
        let options = OperatorOptions {
            binary: std::path::absolute(binary).map_err(UpError::OwnPath)?,
            arguments: self.operator_arguments.clone(),
            environment: std::collections::BTreeMap::new(),
            namespace: namespace.to_owned(),
            service_account: name.to_owned(),
        };
        Operator::start(plane, options)
            .await
            .map(Some)
            .map_err(UpError::Operator)
    }

    fn say_what_next(&self, cluster: &Cluster) {
        println!(
            "\nThe cluster is ready. To go on:\n  \
             export KUBECONFIG={}\n  \
             kubectl get nodes        (a kubectl is in {})\n  \
             devcluster status --dir {dir}\n  \
             devcluster down --dir {dir}        (or Ctrl-C where it runs in the foreground)",
            cluster.plane.kubeconfig().display(),
            Path::new(cluster.plane.kubectl().get_program()).display(),
            dir = self.dir.display()
        );
    }
}

/// Reads an image and its program.
fn image(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((image, program)) if !image.is_empty() && !program.is_empty() => {
            Ok((image.to_owned(), program.into()))
        }
        Some(_) | None => Err("write IMAGE=PROGRAM".to_owned()),
    }
}

impl Cluster {
    /// Keeps the state file true until something is wrong with the cluster; returns what.
    async fn watched(&mut self) -> UpError {
        let Self {
            plane,
            operator,
            claim,
            ..
        } = self;
        tokio::select! {
            program = plane.failed() => UpError::ProgramEnded {
                program,
                log: plane.folder().join("logs").join(format!("{program}.log")),
            },
            error = follow(operator.as_ref(), claim) => UpError::Claim(error),
        }
    }

    /// Ends everything and waits until it is gone.
    pub async fn stop(self) {
        if let Some(operator) = self.operator {
            operator.stop(OPERATOR_GRACE).await;
        }
        for node in self.nodes {
            node.stop().await;
        }
        self.plane.stop().await;
        drop(self.claim);
    }
}

/// Writes down each new process of the operator, which is started again whenever it ends.
async fn follow(operator: Option<&Operator>, claim: &mut Claim) -> InstanceError {
    let Some(operator) = operator else {
        return std::future::pending().await;
    };
    loop {
        let known = claim.pid_of(OPERATOR).unwrap_or_default();
        let pid = operator.pid_after(known).await;
        let programs = |state: &mut State| {
            state.programs.retain(|(name, _)| name != OPERATOR);
            state.programs.push((OPERATOR.to_owned(), pid));
        };
        if let Err(error) = claim.update(programs) {
            return error;
        }
    }
}

/// Returns at Ctrl-C or SIGTERM.
async fn interrupted() -> Result<(), UpError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(UpError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(UpError::Signals)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Applies a folder or file with server-side apply, as an administrator would.
pub async fn apply(plane: &ControlPlane, path: &Path) -> Result<(), UpError> {
    let mut attempt = 1;
    loop {
        let output = kubectl_apply(plane, path).await?;
        if output.status.success() {
            return Ok(());
        }
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        // A kind that the same folder defines is served a moment after its definition.
        let too_early = message.contains("no matches for kind") || message.contains("not found");
        if !too_early || attempt >= APPLY_ATTEMPTS {
            return Err(UpError::Apply {
                path: path.to_owned(),
                message,
            });
        }
        attempt += 1;
        tokio::time::sleep(APPLY_PAUSE).await;
    }
}

async fn kubectl_apply(plane: &ControlPlane, path: &Path) -> Result<Output, UpError> {
    let mut kubectl = tokio::process::Command::from(plane.kubectl());
    kubectl
        .args(["apply", "--server-side", "--force-conflicts", "--filename"])
        .arg(path)
        .kill_on_drop(true)
        .output()
        .await
        .map_err(UpError::RunKubectl)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_needs_its_program() {
        let read = ("app:dev".to_owned(), PathBuf::from("bin/app"));
        assert_eq!(image("app:dev=bin/app"), Ok(read));
        for text in ["app:dev", "=bin/app", "app:dev="] {
            assert!(image(text).is_err(), "{text}");
        }
    }
}

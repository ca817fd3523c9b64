//! One container of a process pod: its program, arguments, environment and files; its start, end and restarts. When
//! which container runs is [`super::lifecycle`]'s, and why it must stop [`super::stop`]'s.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read, Seek, SeekFrom},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};
use tokio::time::sleep;

use super::{
    addresses,
    environment::{EnvironmentError, Values},
    expansion::expand,
    faults::Fault,
    host::Host,
    images,
    live::LivePod,
    record::{ContainerRecord, State, Terminated},
    sources::Sources,
    stop::StopSignal,
    volumes::{self, VolumeError, Volumes},
};
use crate::{
    kubeconfig::{self, Credential, KubeconfigError},
    processes::{Child, Exit, Order, Program, StartError},
};

/// The first wait before a container is started again; it doubles up to [`MAX_BACKOFF`].
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// A kubelet keeps this much of a termination message per container, and of all containers of a pod together.
const MAX_MESSAGE: usize = 4096;
const MAX_MESSAGES: usize = 12 * 1024;

/// Search path that a container without an image of its own gets.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Exit code a kubelet reports for a container that could not be started.
const NOT_STARTED: i32 = 128;

/// What keeps a container from starting.
#[derive(Debug, thiserror::Error)]
pub(super) enum ContainerError {
    #[error("failed to make its environment")]
    Environment(#[source] EnvironmentError),
    #[error("failed to mount its volumes")]
    Mount(#[source] VolumeError),
    #[error("failed to write its kubeconfig")]
    Kubeconfig(#[source] KubeconfigError),
    #[error("failed to make '{}'", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("failed to start its program")]
    Start(#[source] StartError),
}

/// When a container that ended is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Restart {
    Never,
    OnFailure,
    Always,
}

/// A pod that is fit to run containers.
#[derive(Clone, Copy)]
pub(super) struct Runner<'a> {
    pub(super) host: &'a Arc<Host>,
    pub(super) live: &'a Arc<LivePod>,
    pub(super) pod: &'a Pod,
    pub(super) address: Ipv4Addr,
    pub(super) sources: &'a Sources,
    pub(super) volumes: &'a Volumes,
    pub(super) faults: &'a [Fault],
    pub(super) stop: &'a StopSignal,
}

impl Runner<'_> {
    /// Runs `container` to its last end; true if that was a success.
    pub(super) async fn run(&self, container: &Container, restart: Restart) -> bool {
        let Some(program) = self.program(container) else {
            images::report_absent(self.live, container).await;
            self.stop.wait().await;
            return false;
        };
        let mut backoff = FIRST_BACKOFF;
        loop {
            if self.stop.requested().is_some() {
                return false;
            }
            let code = self.run_once(container, &program).await;
            let again = match restart {
                Restart::Never => false,
                Restart::OnFailure => code != 0,
                Restart::Always => true,
            };
            if !again || self.stop.requested().is_some() {
                return code == 0;
            }
            let message = format!(
                "back-off {} s restarting failed container",
                backoff.as_secs()
            );
            self.change(container, |record| record.await_restart(message));
            tokio::select! {
                () = sleep(backoff) => {}
                () = self.stop.wait() => return false,
            }
            backoff = (backoff * 2).min(MAX_BACKOFF);
        }
    }

    /// Starts the container once and reports its start and end; its exit code.
    async fn run_once(&self, container: &Container, program: &Path) -> i32 {
        let started = Timestamp::now();
        let child = match self.start(container, program).await {
            Ok(child) => child,
            Err(error) => return self.report_not_started(container, &error, started),
        };
        self.host.add_process(&child);
        let id = format!("process://{}", child.pid());
        self.change(container, |record| {
            record.run(id, started);
            record.ready = true;
        });
        let (exit, out_of_memory) = self.end_of(&child).await;
        self.host.remove_process(&child);
        let code = exit.container_code();
        let reason = match (out_of_memory, code) {
            (true, _) => "OOMKilled",
            (false, 0) => "Completed",
            (false, _) => "Error",
        };
        let terminated = Terminated {
            exit_code: code,
            reason,
            message: self.termination_message(container, code),
            started,
            finished: Timestamp::now(),
        };
        self.change(container, |record| record.end(terminated));
        code
    }

    async fn end_of(&self, child: &Child) -> (Exit, bool) {
        let limit = self.faults.iter().find_map(|fault| match fault {
            Fault::OutOfMemory { after } => Some(*after),
            Fault::ReplaceBinary(_) | Fault::NeverStart | Fault::SurviveForceDelete => None,
        });
        let Some(limit) = limit else {
            return (self.stop.end_of(child).await, false);
        };
        tokio::select! {
            exit = self.stop.end_of(child) => (exit, false),
            () = sleep(limit) => {
                child.order(Order::Kill);
                (child.ended().await, true)
            }
        }
    }

    async fn start(&self, container: &Container, program: &Path) -> Result<Child, ContainerError> {
        let root = self
            .volumes
            .mount(container)
            .map_err(ContainerError::Mount)?;
        let message = self.message_file(container)?;
        let place = container.termination_message_path.as_deref();
        let place = place.unwrap_or("/dev/termination-log");
        volumes::link(&message, &root.join(place.trim_start_matches('/')))
            .map_err(ContainerError::Mount)?;
        let environment = self.environment(container, &root, &message)?;
        let command = container.command.iter().flatten().skip(1);
        let arguments = command
            .chain(container.args.iter().flatten())
            .map(|argument| expand(argument, &environment));
        let log = log_file(self.host, &self.live.key.uid, &container.name);
        if let Some(parent) = log.parent() {
            create(parent)?;
        }
        let mut program = Program::new(program, log).arguments(arguments);
        program.inherit_environment = false;
        program.directory = Some(root);
        program.environment = environment
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        program.start().await.map_err(ContainerError::Start)
    }

    fn environment(
        &self,
        container: &Container,
        root: &Path,
        message: &Path,
    ) -> Result<BTreeMap<String, String>, ContainerError> {
        let values = Values {
            pod: self.pod,
            address: self.address,
            sources: self.sources,
        };
        let mut environment = values
            .environment(container, self.base_environment())
            .map_err(ContainerError::Environment)?;
        let address = addresses::loopback(self.address);
        listen_at(&mut environment, address);
        let mut set = |name: &str, value: String| environment.insert(name.to_owned(), value);
        set("KEXEC_ROOT", root.display().to_string());
        set("KEXEC_TERMINATION_LOG", message.display().to_string());
        set("KEXEC_LISTEN_ADDRESS", address.to_string());
        if let Some(token) = self.volumes.token(container) {
            let path = self.kubeconfig(&container.name, token)?;
            set("KUBECONFIG", path.display().to_string());
        }
        Ok(environment)
    }

    fn base_environment(&self) -> BTreeMap<String, String> {
        let server = self.host.cluster.url.trim_start_matches("https://");
        let (address, port) = server.rsplit_once(':').unwrap_or((server, "443"));
        [
            ("PATH", SEARCH_PATH),
            ("HOSTNAME", &self.live.key.name),
            ("KUBERNETES_SERVICE_HOST", address),
            ("KUBERNETES_SERVICE_PORT", port),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
    }

    fn kubeconfig(&self, container: &str, token: &Path) -> Result<PathBuf, ContainerError> {
        let path = self.folder().join(format!("{container}.kubeconfig"));
        let cluster = &self.host.cluster;
        let credential = Credential::TokenFile(token);
        let yaml = kubeconfig::render(&cluster.url, &cluster.ca_pem, &credential)
            .map_err(ContainerError::Kubeconfig)?;
        kubeconfig::write_private(&path, &yaml).map_err(ContainerError::Kubeconfig)?;
        Ok(path)
    }

    /// The program to run: the one a fault puts in its place, or the one that stands for the image.
    fn program(&self, container: &Container) -> Option<PathBuf> {
        let image = container.image.as_deref().unwrap_or_default();
        let regular = self.host.program_of(image)?;
        let replaced = self.faults.iter().find_map(|fault| match fault {
            Fault::ReplaceBinary(program) => Some(program.clone()),
            Fault::OutOfMemory { .. } | Fault::NeverStart | Fault::SurviveForceDelete => None,
        });
        Some(replaced.unwrap_or_else(|| regular.to_owned()))
    }

    fn report_not_started(
        &self,
        container: &Container,
        error: &ContainerError,
        now: Timestamp,
    ) -> i32 {
        tracing::warn!(
            error = error as &dyn std::error::Error,
            pod = self.live.key.name,
            container = container.name,
            "container not started"
        );
        let terminated = Terminated {
            exit_code: NOT_STARTED,
            reason: "StartError",
            message: Some(with_causes(error)),
            started: now,
            finished: now,
        };
        self.change(container, |record| record.end(terminated));
        NOT_STARTED
    }

    fn change(&self, container: &Container, change: impl FnOnce(&mut ContainerRecord)) {
        self.live.change(|record| {
            if let Some(container) = record.container(&container.name) {
                change(container);
            }
        });
    }

    fn folder(&self) -> PathBuf {
        self.host.pod_folder(&self.live.key.uid)
    }

    /// An empty file for the termination message of the start to come.
    fn message_file(&self, container: &Container) -> Result<PathBuf, ContainerError> {
        let folder = self.folder().join("messages");
        create(&folder)?;
        let path = folder.join(&container.name);
        fs::write(&path, "").map_err(|source| ContainerError::File {
            path: path.clone(),
            source,
        })?;
        Ok(path)
    }

    fn termination_message(&self, container: &Container, code: i32) -> Option<String> {
        let containers = self
            .live
            .read(|record| record.init.len() + record.main.len());
        let limit = MAX_MESSAGE.min(MAX_MESSAGES / containers.max(1));
        let file = self.folder().join("messages").join(&container.name);
        let message = start_of(&file, limit).filter(|message| !message.is_empty());
        let fall_back = container.termination_message_policy.as_deref()
            == Some("FallbackToLogsOnError")
            && code != 0;
        if message.is_some() || !fall_back {
            return message;
        }
        let log = log_file(self.host, &self.live.key.uid, &container.name);
        end_of_file(&log, limit / 2)
    }
}

impl State {
    /// A container that waits because its image is not there.
    pub(super) fn is_running(&self) -> bool {
        match self {
            Self::Running { .. } => true,
            Self::Waiting { .. } | Self::Terminated(_) => false,
        }
    }
}

/// A program of ours that listens on every address of its pod listens on the pod's own: the machine's are shared by all.
fn listen_at(environment: &mut BTreeMap<String, String>, address: Ipv4Addr) {
    if let Some(listen) = environment.get_mut("KEXEC_LISTEN")
        && let Some(port) = listen.strip_prefix("0.0.0.0:")
    {
        *listen = format!("{address}:{port}");
    }
}

/// Where the output of a container goes.
pub(super) fn log_file(host: &Host, uid: &str, container: &str) -> PathBuf {
    host.pod_folder(uid)
        .join("logs")
        .join(format!("{container}.log"))
}

/// An error and its causes in one line.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn create(folder: &Path) -> Result<(), ContainerError> {
    fs::create_dir_all(folder).map_err(|source| ContainerError::File {
        path: folder.to_owned(),
        source,
    })
}

fn start_of(path: &Path, limit: usize) -> Option<String> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(limit).ok()?;
    let file = fs::File::open(path).ok()?;
    file.take(limit).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn end_of_file(path: &Path, limit: usize) -> Option<String> {
    let mut file = fs::File::open(path).ok()?;
    let size = file.metadata().ok()?.len();
    let start = size.saturating_sub(u64::try_from(limit).ok()?);
    file.seek(SeekFrom::Start(start)).ok()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_ours_listens_on_the_address_of_its_pod_unless_it_names_one() {
        let listen = |text: &str| {
            let mut environment = BTreeMap::from([("KEXEC_LISTEN".to_owned(), text.to_owned())]);
            listen_at(&mut environment, Ipv4Addr::new(127, 244, 0, 5));
            environment.remove("KEXEC_LISTEN")
        };
        assert_eq!(listen("0.0.0.0:8080").as_deref(), Some("127.244.0.5:8080"));
        assert_eq!(listen("127.0.0.1:9").as_deref(), Some("127.0.0.1:9"));
    }
}

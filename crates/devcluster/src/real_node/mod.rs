//! A real node: containerd and a kubelet, with runc and CNI beneath them, inside namespaces of our own
//! ([`isolation`]). What the machine lends them is [`host`]'s, what they are told [`configuration`]'s. Nothing outlives
//! the namespaces, so nothing is taken back here.

mod cgroups;
mod configuration;
mod error;
mod host;
pub mod isolation;
mod programs;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

pub use error::RealNodeError;
pub use host::RealHost;

use self::{configuration::Settings, host::run, programs::NodePrograms};
use crate::{
    control_plane::ControlPlane,
    kubeconfig::{self, Credential},
    processes::{Child, Program},
};

/// How long a node may take until it is ready.
const START_LIMIT: Duration = Duration::from_mins(2);

/// Between two looks at what is starting.
const INTERVAL: Duration = Duration::from_millis(50);

/// Bytes of a program's log that go into an error.
const LOG_TAIL: usize = 4000;

/// The group of all kubelets.
const NODES: &str = "system:nodes";

/// A running node. Dropping it kills its kubelet and its containerd; its containers end with the namespaces.
#[derive(Debug)]
pub struct RealNode {
    name: String,
    cgroup: String,
    _containerd: Running,
    kubelet: Running,
}

/// A program of the node, and where it says what it does.
#[derive(Debug)]
struct Running {
    child: Child,
    log: PathBuf,
}

impl RealNode {
    /// Starts a node of each name, which has the images in these archives and can pull no others, and waits until all
    /// are ready.
    pub async fn start_all(
        host: &RealHost,
        plane: &ControlPlane,
        names: &[&str],
        images: &[PathBuf],
    ) -> Result<Vec<Self>, RealNodeError> {
        let settings = names.iter().zip(0..);
        let settings = settings.map(|(name, number)| Settings::new(name, number, host.cgroup()));
        // A kubelet that starts while any containerd unpacks an image takes that one's mount for its own root and ends.
        let prepared = settings.map(|settings| prepare(host.programs(), plane, images, settings));
        let prepared = try_join_all(prepared).await?;
        let nodes = prepared
            .into_iter()
            .map(|(settings, containerd)| Self::finish(host, plane, settings, containerd));
        try_join_all(nodes).await
    }

    async fn finish(
        host: &RealHost,
        plane: &ControlPlane,
        settings: Settings,
        containerd: Running,
    ) -> Result<Self, RealNodeError> {
        let kubelet = start_kubelet(host.programs(), plane, &settings).await?;
        let node = Self {
            name: settings.name,
            cgroup: settings.cgroup,
            _containerd: containerd,
            kubelet,
        };
        node.wait_until_ready(plane).await?;
        Ok(node)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its cgroup, in which those of its pods are.
    #[must_use]
    pub fn cgroup(&self) -> &str {
        &self.cgroup
    }

    async fn wait_until_ready(&self, plane: &ControlPlane) -> Result<(), RealNodeError> {
        let nodes: Api<Node> = Api::all(plane.client().map_err(RealNodeError::Access)?);
        until("the node ready", &self.kubelet, || async {
            nodes
                .get(&self.name)
                .await
                .is_ok_and(|node| is_ready(&node))
        })
        .await
    }
}

fn is_ready(node: &Node) -> bool {
    let conditions = node
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default();
    conditions
        .iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// A containerd with its images.
async fn prepare(
    programs: &NodePrograms,
    plane: &ControlPlane,
    images: &[PathBuf],
    settings: Settings,
) -> Result<(Settings, Running), RealNodeError> {
    cgroups::make(&settings.cgroup).map_err(|source| RealNodeError::Cgroup {
        cgroup: settings.cgroup.clone(),
        source,
    })?;
    let containerd = start_containerd(programs, plane, &settings).await?;
    for image in images {
        import(programs, &settings, image).await?;
    }
    Ok((settings, containerd))
}

async fn start_containerd(
    programs: &NodePrograms,
    plane: &ControlPlane,
    settings: &Settings,
) -> Result<Running, RealNodeError> {
    write(&settings.file("containerd.toml"), &settings.containerd())?;
    write(&settings.cni_file(), &configuration::cni())?;
    let log = log(plane, settings, "containerd");
    let arguments = ["--config".into(), settings.file("containerd.toml")];
    let containerd = start(programs, programs.containerd.clone(), log, arguments).await?;
    until("containerd answer", &containerd, || async {
        let mut version = ctr(programs, settings);
        let output = version.arg("version").output().await;
        output.is_ok_and(|output| output.status.success())
    })
    .await?;
    Ok(containerd)
}

async fn import(
    programs: &NodePrograms,
    settings: &Settings,
    image: &Path,
) -> Result<(), RealNodeError> {
    let mut import = ctr(programs, settings);
    import.args(["images", "import", "--local"]).arg(image);
    run(import).await
}

async fn start_kubelet(
    programs: &NodePrograms,
    plane: &ControlPlane,
    settings: &Settings,
) -> Result<Running, RealNodeError> {
    let authority = plane.authority();
    let issue = RealNodeError::Certificate;
    let user = format!("system:node:{}", settings.name);
    let client = authority.client(&user, &[NODES]).map_err(issue)?;
    let serving = authority
        .server(&user, &[&configuration::ADDRESS.to_string()])
        .map_err(issue)?;
    write(&settings.file("ca.crt"), plane.ca_pem())?;
    write(&settings.file("kubelet.crt"), &serving.certificate)?;
    write(&settings.file("kubelet.key"), &serving.key)?;
    let credential = Credential::Certificate(&client);
    let access = kubeconfig::render(plane.url(), plane.ca_pem(), &credential)
        .map_err(RealNodeError::Write)?;
    write(&settings.file("kubelet.kubeconfig"), &access)?;
    write(&settings.file("kubelet.yaml"), &settings.kubelet())?;
    let log = log(plane, settings, "kubelet");
    let arguments = settings.kubelet_arguments();
    start(programs, programs.kubelet.clone(), log, arguments).await
}

async fn start<A: Into<std::ffi::OsString>>(
    programs: &NodePrograms,
    executable: PathBuf,
    log: PathBuf,
    arguments: impl IntoIterator<Item = A>,
) -> Result<Running, RealNodeError> {
    let child = Program::new(executable.clone(), &log)
        .arguments(arguments)
        .variable("PATH", &programs.path)
        .start()
        .await
        .map_err(|source| RealNodeError::Start {
            program: executable,
            source,
        })?;
    Ok(Running { child, log })
}

fn ctr(programs: &NodePrograms, settings: &Settings) -> Command {
    let mut command = Command::new(&programs.ctr);
    command
        .args(["--namespace", "k8s.io", "--address"])
        .arg(settings.containerd_socket())
        .kill_on_drop(true);
    command
}

fn log(plane: &ControlPlane, settings: &Settings, program: &str) -> PathBuf {
    let name = format!("{}-{program}.log", settings.name);
    plane.folder().join("logs").join(name)
}

fn write(path: &Path, content: &str) -> Result<(), RealNodeError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|source| RealNodeError::Folder {
            path: folder.to_owned(),
            source,
        })?;
    }
    kubeconfig::write_private(path, content).map_err(RealNodeError::Write)
}

/// Waits for a condition that `program` brings about.
async fn until<F: Future<Output = bool>>(
    waiting_for: &'static str,
    program: &Running,
    condition: impl Fn() -> F,
) -> Result<(), RealNodeError> {
    let deadline = Instant::now() + START_LIMIT;
    while !condition().await {
        if program.child.exit().is_some() || Instant::now() >= deadline {
            return Err(RealNodeError::NotReady {
                waiting_for,
                log: program.log.clone(),
                end: log_tail(&program.log),
            });
        }
        sleep(INTERVAL).await;
    }
    Ok(())
}

fn log_tail(log: &Path) -> String {
    let content = fs::read(log).unwrap_or_default();
    let start = content.len().saturating_sub(LOG_TAIL);
    let tail = content.get(start..).unwrap_or_default();
    String::from_utf8_lossy(tail).into_owned()
}

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

/// The group of all kubelets.
const NODES: &str = "system:nodes";

/// What a node is.
#[derive(Clone, Debug)]
pub struct RealNodeOptions {
    /// Its name.
    pub name: String,
    /// Which node of its host it is, from 0: it tells their ports apart.
    pub number: u16,
    /// Archives of the images it has; it can pull no others.
    pub images: Vec<PathBuf>,
}

/// A running node. Dropping it kills its kubelet and its containerd; its containers end with the namespaces.
#[derive(Debug)]
pub struct RealNode {
    name: String,
    cgroup: String,
    _containerd: Child,
    _kubelet: Child,
}

impl RealNode {
    /// Starts a node and waits until it is ready.
    pub async fn start(
        host: &RealHost,
        plane: &ControlPlane,
        options: RealNodeOptions,
    ) -> Result<Self, RealNodeError> {
        let settings = Settings::of(&options, host.cgroup());
        cgroups::make(&settings.cgroup).map_err(|source| RealNodeError::Cgroup {
            cgroup: settings.cgroup.clone(),
            source,
        })?;
        let containerd = start_containerd(host.programs(), plane, &settings).await?;
        for image in &options.images {
            import(host.programs(), &settings, image).await?;
        }
        let kubelet = start_kubelet(host.programs(), plane, &settings).await?;
        let node = Self {
            name: options.name,
            cgroup: settings.cgroup,
            _containerd: containerd,
            _kubelet: kubelet,
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
        until("the node to be ready", || async {
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

async fn start_containerd(
    programs: &NodePrograms,
    plane: &ControlPlane,
    settings: &Settings,
) -> Result<Child, RealNodeError> {
    write(&settings.file("containerd.toml"), &settings.containerd())?;
    write(&settings.cni_file(), &configuration::cni())?;
    let log = log(plane, settings, "containerd");
    let arguments = ["--config".into(), settings.file("containerd.toml")];
    let child = start(programs, programs.containerd.clone(), log, arguments).await?;
    until("containerd to answer", || async {
        let mut version = ctr(programs, settings);
        let output = version.arg("version").output().await;
        output.is_ok_and(|output| output.status.success())
    })
    .await?;
    Ok(child)
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
) -> Result<Child, RealNodeError> {
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
) -> Result<Child, RealNodeError> {
    Program::new(executable.clone(), log)
        .arguments(arguments)
        .variable("PATH", &programs.path)
        .start()
        .await
        .map_err(|source| RealNodeError::Start {
            program: executable,
            source,
        })
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

async fn until<F: Future<Output = bool>>(
    what: &'static str,
    condition: impl Fn() -> F,
) -> Result<(), RealNodeError> {
    let deadline = Instant::now() + START_LIMIT;
    while !condition().await {
        if Instant::now() >= deadline {
            return Err(RealNodeError::NotReady(what));
        }
        sleep(INTERVAL).await;
    }
    Ok(())
}

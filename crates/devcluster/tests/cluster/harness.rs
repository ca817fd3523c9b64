//! The shared cluster, namespaces, and waiting: a condition on a watch with a deadline, and what was seen last when it
//! does not come.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use futures::StreamExt;
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Namespace, Pod, PodStatus, ServiceAccount},
};
use kexec_devcluster::{ControlPlane, ControlPlaneOptions, NodeOptions, ProcessNode};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::PostParams,
    runtime::{WatchStreamExt, watcher},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Stands for the runner: its first argument is what a shell does.
const STAND_IN: &str = "#!/bin/sh\nexec /bin/sh -c \"$1\"\n";

pub(crate) struct Cluster {
    pub(crate) plane: ControlPlane,
    pub(crate) node: ProcessNode,
}

/// The cluster of all tests.
pub(crate) async fn cluster() -> &'static Cluster {
    static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
    CLUSTER
        .get_or_init(|| async {
            let plane = ControlPlane::start(ControlPlaneOptions::default())
                .await
                .unwrap();
            let runner = stand_in(plane.folder(), "runner.sh", STAND_IN);
            let options = NodeOptions::new(runner);
            let node = ProcessNode::start(&plane, options).await.unwrap();
            Cluster { plane, node }
        })
        .await
}

/// A program made of `text`.
pub(crate) fn stand_in(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A namespace of one test.
pub(crate) struct Space {
    pub(crate) client: Client,
    pub(crate) name: String,
}

impl Space {
    /// A new namespace in the shared cluster, fit for pods.
    pub(crate) async fn new(name: &str) -> Self {
        Self::inside(&cluster().await.plane, name).await
    }

    /// A new namespace in `plane`, fit for pods.
    pub(crate) async fn inside(plane: &ControlPlane, name: &str) -> Self {
        let client = plane.client().unwrap();
        let namespace = json!({"metadata": {"name": name}});
        create::<Namespace>(&Api::all(client.clone()), namespace).await;
        let space = Self {
            client,
            name: name.to_owned(),
        };
        let accounts: Api<ServiceAccount> = space.api();
        wait_for(
            &accounts,
            "metadata.name=default",
            "the default ServiceAccount",
            |_| true,
        )
        .await;
        space
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = kube::core::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Makes a Job whose container `execute` runs `script`.
    pub(crate) async fn run(&self, name: &str, script: &str) -> Job {
        let container =
            json!({"name": "execute", "image": "kubernaut-runner:dev", "args": [script]});
        self.run_pod(name, json!({"containers": [container]})).await
    }

    /// Makes a Job with this pod.
    pub(crate) async fn run_pod(&self, name: &str, mut pod: Value) -> Job {
        pod["restartPolicy"] = json!("Never");
        let template =
            json!({"metadata": {"annotations": {"plan": "{\"a\":\"$(HOME)\"}"}}, "spec": pod});
        let job = json!({
            "metadata": {"name": name}, "spec": {"backoffLimit": 0, "template": template},
        });
        create(&self.api::<Job>(), job).await
    }

    /// The pod of a Job as soon as `condition` holds.
    pub(crate) async fn pod_of(
        &self,
        job: &str,
        what: &str,
        condition: impl Fn(&PodStatus) -> bool,
    ) -> Pod {
        let config =
            watcher::Config::default().labels(&format!("batch.kubernetes.io/job-name={job}"));
        wait(&self.api::<Pod>(), config, what, |pod: &Pod| {
            pod.status.as_ref().is_some_and(&condition)
        })
        .await
    }

    /// The pod of a Job as soon as it has ended.
    pub(crate) async fn ended_pod_of(&self, job: &str) -> Pod {
        self.pod_of(job, "the pod's end", |status| {
            matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"))
        })
        .await
    }

    /// The pod of a Job as soon as its container `execute` runs and has written something.
    pub(crate) async fn working_pod_of(&self, job: &str) -> Pod {
        let pod = self.pod_of(job, "a running container", is_running).await;
        let pods: Api<Pod> = self.api();
        until("output of the container", || {
            let (pods, name) = (pods.clone(), pod.name_any());
            async move {
                let logs = pods.logs(&name, &kube::api::LogParams::default()).await;
                logs.is_ok_and(|logs| !logs.is_empty())
            }
        })
        .await;
        pod
    }
}

pub(crate) fn is_running(status: &PodStatus) -> bool {
    let mut found = status
        .container_statuses
        .iter()
        .flatten()
        .filter_map(|container| container.state.as_ref());
    found.any(|state| state.running.is_some())
}

pub(crate) async fn create<K>(api: &Api<K>, object: Value) -> K
where
    K: Resource + Clone + DeserializeOwned + serde::Serialize + std::fmt::Debug,
{
    let object = serde_json::from_value(object).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap()
}

/// The object that `fields` picks as soon as `condition` holds.
pub(crate) async fn wait_for<K>(
    api: &Api<K>,
    fields: &str,
    what: &str,
    condition: impl Fn(&K) -> bool,
) -> K
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    wait(
        api,
        watcher::Config::default().fields(fields),
        what,
        condition,
    )
    .await
}

async fn wait<K>(
    api: &Api<K>,
    config: watcher::Config,
    what: &str,
    condition: impl Fn(&K) -> bool,
) -> K
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let mut objects = Box::pin(
        watcher(api.clone(), config)
            .default_backoff()
            .applied_objects(),
    );
    let mut last = None;
    let found = tokio::time::timeout(DEADLINE, async {
        while let Some(object) = objects.next().await {
            match object {
                Ok(object) if condition(&object) => return Some(object),
                Ok(object) => last = Some(object),
                Err(_) => {}
            }
        }
        None
    })
    .await;
    found
        .ok()
        .flatten()
        .unwrap_or_else(|| panic!("waited in vain for {what}; last seen: {last:#?}"))
}

/// Asks again until `condition` holds.
pub(crate) async fn until<F>(what: &str, condition: impl Fn() -> F)
where
    F: Future<Output = bool>,
{
    let deadline = Instant::now() + DEADLINE;
    while !condition().await {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The terminated state of the pod's container of that name, initial or main.
pub(crate) fn terminated(
    pod: &Pod,
    container: &str,
) -> k8s_openapi::api::core::v1::ContainerStateTerminated {
    let status = pod.status.as_ref().unwrap();
    let initial = status.init_container_statuses.iter().flatten();
    initial
        .chain(status.container_statuses.iter().flatten())
        .find(|it| it.name == container)
        .and_then(|it| it.state.as_ref()?.terminated.clone())
        .unwrap_or_else(|| panic!("container '{container}' has not ended: {status:#?}"))
}

/// Why the pod's container of that name waits.
pub(crate) fn waiting(status: &PodStatus, container: &str) -> Option<String> {
    let initial = status.init_container_statuses.iter().flatten();
    initial
        .chain(status.container_statuses.iter().flatten())
        .find(|it| it.name == container)
        .and_then(|it| it.state.as_ref()?.waiting.as_ref()?.reason.clone())
}

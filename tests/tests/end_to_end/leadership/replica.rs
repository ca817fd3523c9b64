//! One of several replicas of the operator: its own binary as a process, with a token of its own by which the audit log
//! tells it from the others, behind a proxy of its own. A process that ends is started again, as a kubelet does.

use http_body_util::BodyExt;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use k8s_openapi::api::coordination::v1::Lease;
use kexec_api::names;
use kexec_devcluster::operator::{Operator, OperatorOptions};
use kexec_tests::audit::Call;
use kexec_tests::fault_proxy::{FaultProxy, RequestInfo};
use kexec_tests::harness::{RUNNER_IMAGE, Scene, binary, eventually};
use kube::api::Api;
use kube::{Client, Config};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// Times that make a test short.
pub const SHORT: [&str; 6] = [
    "--leader-lease-seconds",
    "8",
    "--leader-renew-deadline-seconds",
    "3",
    "--leader-retry-seconds",
    "1",
];

/// A running replica. Dropping it kills it.
pub struct Replica<'a> {
    scene: &'a Scene,
    /// Name of its pod.
    pub name: String,
    /// Its way to the API server.
    pub proxy: FaultProxy,
    /// Where it answers.
    address: String,
    credential: String,
    operator: Operator,
    _folder: TempDir,
}

impl<'a> Replica<'a> {
    /// Starts a replica that takes part in the scene's leader election.
    pub async fn start(scene: &'a Scene, name: &str, more: &[&str]) -> Self {
        let name = format!("{}-{name}", scene.namespace);
        let proxy = FaultProxy::start(scene.cluster.admin())
            .await
            .expect("a proxy");
        proxy.number_writes(is_numbered);
        let token = scene
            .token_of(&scene.system_namespace, names::CONTROLLER_SERVICE_ACCOUNT)
            .await;
        let folder = TempDir::new().expect("a folder");
        let kubeconfig = folder.path().join("kubeconfig");
        let text = kubeconfig_of(&proxy, &token).to_string();
        std::fs::write(&kubeconfig, text).expect("a kubeconfig");
        let address = free_address().await;
        let arguments = [
            "--leader-election",
            "--runner-image",
            RUNNER_IMAGE,
            "--listen",
            &address,
            "--execution-namespace",
            &scene.namespace,
            "--system-namespace",
            &scene.system_namespace,
            "--installation-suffix",
            &scene.suffix,
        ];
        let options = OperatorOptions {
            binary: binary("kubernaut-executor"),
            arguments: arguments
                .iter()
                .chain(more)
                .map(|argument| (*argument).to_owned())
                .collect(),
            environment: [
                ("POD_NAME".to_owned(), name.clone()),
                ("KUBECONFIG".to_owned(), kubeconfig.display().to_string()),
            ]
            .into(),
            namespace: scene.system_namespace.clone(),
            service_account: names::CONTROLLER_SERVICE_ACCOUNT.to_owned(),
        };
        let operator = Operator::start(scene.cluster.plane(), options)
            .await
            .expect("an operator");
        Self {
            scene,
            credential: credential_of(scene, &name, &token).await,
            name,
            proxy,
            address,
            operator,
            _folder: folder,
        }
    }

    /// Waits until it is ready.
    pub async fn is_ready(&self) {
        eventually("the replica to be ready", || async {
            self.page("/readyz").await.filter(|(code, _)| *code == 200)
        })
        .await;
    }

    /// Waits until it holds the leader Lease.
    pub async fn leads(&self) {
        let holds = || async { self.holds_the_lease().await.then_some(()) };
        eventually(&format!("{} to lead", self.name), holds).await;
    }

    /// Whether it holds the leader Lease now.
    pub async fn holds_the_lease(&self) -> bool {
        let holder = holder(self.scene).await;
        holder.is_some_and(|holder| holder.starts_with(&format!("{}_", self.name)))
    }

    /// Whether its figures say that it leads.
    pub async fn says_that_it_leads(&self) -> bool {
        let (_, figures) = self.page("/metrics").await.expect("figures");
        figures.lines().any(|line| line == "kexec_leader 1")
    }

    /// What it wrote so far, refused writes too, with the place of each among all calls since the scene began.
    pub fn writes(&self) -> Vec<(usize, Call)> {
        let calls = self.scene.calls().into_vec().into_iter().enumerate();
        calls
            .filter(|(_, call)| call.credential == self.credential && !is_read(call))
            .collect()
    }

    /// What it wrote so far but for the leader Lease.
    pub fn work(&self) -> Vec<(usize, Call)> {
        let mut writes = self.writes();
        writes.retain(|(_, call)| !call.is_on_lease());
        writes
    }

    /// What it said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.operator.log()).expect("a log")
    }

    /// Its process id now.
    pub fn pid(&self) -> u32 {
        self.operator.pid()
    }

    /// Sends its process a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).expect("a process id");
        kill_process(Pid::from_raw(pid).expect("a process id"), signal).expect("a process");
    }

    /// Waits until another process of it runs than that one.
    pub async fn is_started_again_after(&self, pid: u32) {
        let another = || async { (self.pid() != pid).then_some(()) };
        eventually("the replica to be started again", another).await;
    }

    /// Tells it to stop, and waits until it has; it is not started again.
    pub async fn stop(self) {
        self.operator.stop(kexec_tests::harness::DEADLINE).await;
    }

    async fn page(&self, path: &str) -> Option<(u16, String)> {
        let client = HttpClient::builder(TokioExecutor::new())
            .build_http::<http_body_util::Empty<hyper::body::Bytes>>();
        let url = format!("http://{}{path}", self.address);
        let answer = client.get(url.parse().ok()?).await.ok()?;
        let code = answer.status().as_u16();
        let body = answer.into_body().collect().await.ok()?.to_bytes();
        Some((code, String::from_utf8_lossy(&body).into_owned()))
    }
}

/// Who holds the scene's leader Lease.
pub async fn holder(scene: &Scene) -> Option<String> {
    let leases: Api<Lease> = scene.system_api();
    let lease = leases
        .get_opt(names::LEADER_LEASE)
        .await
        .expect("an answer");
    lease?.spec?.holder_identity
}

/// Writes of a replica's work have a number: events come when they come, renewals by the clock.
fn is_numbered(request: &RequestInfo) -> bool {
    !["events", "leases"].contains(&request.attributes.resource.as_str())
}

fn is_read(call: &Call) -> bool {
    ["get", "list", "watch"].contains(&call.verb.as_str())
}

fn kubeconfig_of(proxy: &FaultProxy, token: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "it", "cluster": {"server": proxy.url().to_string()}}],
        "users": [{"name": "it", "user": {"token": token}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "current-context": "it",
    })
}

/// What the audit log calls a token by: seen on a call that nobody else makes.
async fn credential_of(scene: &Scene, name: &str, token: &str) -> String {
    let mut config: Config = scene.cluster.admin();
    config.auth_info = kube::config::AuthInfo {
        token: Some(token.to_owned().into()),
        ..kube::config::AuthInfo::default()
    };
    let client = Client::try_from(config).expect("a client");
    let leases: Api<Lease> = Api::namespaced(client, &scene.system_namespace);
    leases.get_opt(name).await.expect("an answer");
    let calls = scene.calls();
    let call = calls
        .iter()
        .find(|call| call.is_on_lease() && call.name == name);
    call.expect("the call").credential.clone()
}

async fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address").to_string()
}

//! The command lines of the control plane's programs. Nothing is started or written here.

use std::{net::Ipv4Addr, path::Path};

use super::{
    folder::Folder,
    options::{ControlPlaneOptions, ControllerOptions, Listen},
    ports::Ports,
};

/// Addresses of Services; the first one is the API server's own Service.
const SERVICE_RANGE: &str = "10.96.0.0/16";

pub(super) fn etcd(folder: &Folder, ports: Ports) -> Vec<String> {
    let clients = format!("https://127.0.0.1:{}", ports.etcd_clients);
    let peers = format!("https://127.0.0.1:{}", ports.etcd_peers);
    let ca = key(folder, "ca.crt");
    let certificate = key(folder, "etcd.crt");
    let private_key = key(folder, "etcd.key");
    vec![
        "--name=devcluster".to_owned(),
        format!("--data-dir={}", folder.file("etcd").display()),
        format!("--listen-client-urls={clients}"),
        format!("--advertise-client-urls={clients}"),
        format!("--listen-peer-urls={peers}"),
        format!("--initial-advertise-peer-urls={peers}"),
        format!("--initial-cluster=devcluster={peers}"),
        "--client-cert-auth".to_owned(),
        format!("--trusted-ca-file={ca}"),
        format!("--cert-file={certificate}"),
        format!("--key-file={private_key}"),
        "--peer-client-cert-auth".to_owned(),
        format!("--peer-trusted-ca-file={ca}"),
        format!("--peer-cert-file={certificate}"),
        format!("--peer-key-file={private_key}"),
        // The data does not outlive the cluster, so it need not outlive a power cut.
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]
}

pub(super) fn apiserver(
    folder: &Folder,
    ports: Ports,
    options: &ControlPlaneOptions,
) -> Vec<String> {
    let (bound, advertised) = match options.listen {
        Listen::Loopback => (Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST),
        Listen::PodNetwork { advertised } => (Ipv4Addr::UNSPECIFIED, advertised),
    };
    let mut arguments = vec![
        format!("--etcd-servers=https://127.0.0.1:{}", ports.etcd_clients),
        format!("--etcd-cafile={}", key(folder, "ca.crt")),
        format!("--etcd-certfile={}", key(folder, "etcd-client.crt")),
        format!("--etcd-keyfile={}", key(folder, "etcd-client.key")),
        format!("--bind-address={bound}"),
        format!("--advertise-address={advertised}"),
        format!("--secure-port={}", ports.apiserver),
        // A loopback address is refused in the endpoints of the Service `kubernetes`.
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--service-cluster-ip-range={SERVICE_RANGE}"),
        format!("--tls-cert-file={}", key(folder, "kube-apiserver.crt")),
        format!(
            "--tls-private-key-file={}",
            key(folder, "kube-apiserver.key")
        ),
        format!("--client-ca-file={}", key(folder, "ca.crt")),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--allow-privileged=true".to_owned(),
        "--profiling=false".to_owned(),
    ];
    arguments.extend(tokens(folder));
    arguments.extend(audit(folder));
    arguments.extend(kubelets(folder));
    arguments.extend(options.apiserver_arguments.iter().cloned());
    arguments
}

fn tokens(folder: &Folder) -> [String; 3] {
    [
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!(
            "--service-account-key-file={}",
            key(folder, "service-accounts.pub")
        ),
        format!(
            "--service-account-signing-key-file={}",
            key(folder, "service-accounts.key")
        ),
    ]
}

fn audit(folder: &Folder) -> [String; 4] {
    [
        format!("--audit-policy-file={}", key(folder, "audit-policy.yaml")),
        format!("--audit-log-path={}", folder.log("audit").display()),
        // A response is seen only when its line is written, so that a test may count right away.
        "--audit-log-mode=blocking".to_owned(),
        "--audit-log-maxsize=10000".to_owned(),
    ]
}

fn kubelets(folder: &Folder) -> [String; 4] {
    [
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        format!("--kubelet-certificate-authority={}", key(folder, "ca.crt")),
        format!(
            "--kubelet-client-certificate={}",
            key(folder, "kubelet-client.crt")
        ),
        format!("--kubelet-client-key={}", key(folder, "kubelet-client.key")),
    ]
}

pub(super) fn controller_manager(folder: &Folder, options: &ControllerOptions) -> Vec<String> {
    let ca = key(folder, "ca.crt");
    vec![
        format!(
            "--kubeconfig={}",
            key(folder, "kube-controller-manager.kubeconfig")
        ),
        "--secure-port=0".to_owned(),
        "--leader-elect=false".to_owned(),
        "--use-service-account-credentials=true".to_owned(),
        format!(
            "--service-account-private-key-file={}",
            key(folder, "service-accounts.key")
        ),
        format!("--root-ca-file={ca}"),
        format!("--cluster-signing-cert-file={ca}"),
        format!("--cluster-signing-key-file={}", key(folder, "ca.key")),
        format!("--kube-api-qps={}", options.qps),
        format!("--kube-api-burst={}", options.burst),
        format!("--concurrent-job-syncs={}", options.job_syncs),
        format!("--concurrent-gc-syncs={}", options.garbage_collections),
        "--node-monitor-period=1s".to_owned(),
        format!(
            "--node-monitor-grace-period={}ms",
            options.node_monitor_grace.as_millis()
        ),
        "--profiling=false".to_owned(),
    ]
}

pub(super) fn scheduler(configuration: &Path) -> Vec<String> {
    vec![
        format!("--config={}", configuration.display()),
        "--secure-port=0".to_owned(),
    ]
}

/// The scheduler's configuration file: its request rate has no flag of its own.
pub(super) fn scheduler_configuration(folder: &Folder, options: &ControllerOptions) -> String {
    format!(
        "apiVersion: kubescheduler.config.k8s.io/v1\n\
         kind: KubeSchedulerConfiguration\n\
         leaderElection:\n  leaderElect: false\n\
         clientConnection:\n  kubeconfig: {:?}\n  qps: {}\n  burst: {}\n",
        key(folder, "kube-scheduler.kubeconfig"),
        options.qps,
        options.burst
    )
}

fn key(folder: &Folder, name: &str) -> String {
    folder.key_file(name).display().to_string()
}

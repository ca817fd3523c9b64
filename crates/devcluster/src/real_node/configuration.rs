//! What containerd, CNI and the kubelet of one node are told, and where its files lie. Nothing is started or written
//! here.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use serde_json::json;

use super::programs::CNI_PLUGINS;

/// The bridge's address: the gateway of all pods, and the address of all nodes.
pub(super) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);

/// The network of the pods.
const NETWORK: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 0);

/// How much of [`NETWORK`] is the same for all pods.
pub(super) const NETWORK_BITS: u8 = 24;

/// The bridge that pods are on.
pub(super) const BRIDGE: &str = "cni0";

/// The image of the container that holds a pod's namespaces.
pub(super) const SANDBOX_IMAGE: &str = "docker.io/library/kexec-sandbox:dev";

/// Where nodes keep their files: in memory, inside the namespaces only.
const STATE: &str = "/run/devcluster";

/// Port of the first kubelet.
const KUBELET_PORT: u16 = 10250;

/// One node as its programs are told about it.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) cgroup: String,
    port: u16,
    folder: PathBuf,
}

impl Settings {
    /// Those of the node of this name; its number, from 0, tells its port from those of the others.
    pub(super) fn new(name: &str, number: u16, cgroup: &str) -> Self {
        Self {
            name: name.to_owned(),
            cgroup: format!("{cgroup}/{name}"),
            port: KUBELET_PORT.saturating_add(number),
            folder: Path::new(STATE).join(name),
        }
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn containerd_socket(&self) -> PathBuf {
        self.file("containerd.sock")
    }

    /// containerd's configuration. `restrict_oom_score_adj`: runc fails on machines whose root may not lower it.
    pub(super) fn containerd(&self) -> String {
        let path = |name| self.file(name).display().to_string();
        format!(
            "version = 3\n\
             root = {root:?}\n\
             state = {state:?}\n\
             disabled_plugins = ['io.containerd.nri.v1.nri', 'io.containerd.tracing.processor.v1.otlp']\n\
             [grpc]\n\
             address = {socket:?}\n\
             [plugins.'io.containerd.cri.v1.images'.pinned_images]\n\
             sandbox = '{SANDBOX_IMAGE}'\n\
             [plugins.'io.containerd.cri.v1.runtime']\n\
             restrict_oom_score_adj = true\n\
             [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]\n\
             runtime_type = 'io.containerd.runc.v2'\n\
             [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]\n\
             SystemdCgroup = false\n\
             [plugins.'io.containerd.cri.v1.runtime'.cni]\n\
             bin_dirs = ['{CNI_PLUGINS}']\n\
             conf_dir = {cni:?}\n",
            root = path("containerd"),
            state = path("containerd-state"),
            socket = path("containerd.sock"),
            cni = path("cni"),
        )
    }

    pub(super) fn cni_file(&self) -> PathBuf {
        self.file("cni/10-pods.conflist")
    }

    /// The kubelet's configuration, which JSON is as well as YAML.
    pub(super) fn kubelet(&self) -> String {
        json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": ADDRESS,
            "port": self.port,
            "healthzPort": 0,
            "authentication": {
                "anonymous": {"enabled": false},
                "webhook": {"enabled": true},
                "x509": {"clientCAFile": self.file("ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": self.file("kubelet.crt"),
            "tlsPrivateKeyFile": self.file("kubelet.key"),
            "containerRuntimeEndpoint": format!("unix://{}", self.containerd_socket().display()),
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": self.cgroup,
            "failCgroupV1": false,
            "failSwapOn": false,
            "evictionHard": {},
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "podLogsDir": format!("/var/log/pods/{}", self.name),
            "volumePluginDir": self.file("volume-plugins"),
            "resolvConf": "",
            "nodeLeaseDurationSeconds": 4,
        })
        .to_string()
    }

    pub(super) fn kubelet_arguments(&self) -> Vec<String> {
        let file = |name| self.file(name).display().to_string();
        vec![
            format!("--config={}", file("kubelet.yaml")),
            format!("--kubeconfig={}", file("kubelet.kubeconfig")),
            format!("--root-dir={}", file("kubelet")),
            format!("--cert-dir={}", file("kubelet-certificates")),
            format!("--hostname-override={}", self.name),
            format!("--node-ip={ADDRESS}"),
        ]
    }
}

/// The pods' network, one for all nodes: their addresses are given out from one folder.
pub(super) fn cni() -> String {
    let addresses = format!("{NETWORK}/{NETWORK_BITS}");
    json!({
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [{
            "type": "bridge",
            "bridge": BRIDGE,
            "isGateway": true,
            "ipam": {
                "type": "host-local",
                "dataDir": Path::new(STATE).join("addresses"),
                "ranges": [[{"subnet": addresses, "gateway": ADDRESS}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }],
    })
    .to_string()
}

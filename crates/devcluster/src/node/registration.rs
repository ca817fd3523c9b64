//! The node's own objects: its Node with a kubelet's conditions and a capacity that no test fills, and the Lease by
//! which it is alive.

use std::{pin::pin, sync::Arc, time::Duration};

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        coordination::v1::{Lease, LeaseSpec},
        core::v1::Node,
    },
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, ResourceExt,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::{HOST_ADDRESS, host::Host};

const LEASES: &str = "kube-node-lease";

/// Between two renewals of the Lease.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Conditions of a node in which nothing is wrong; all but Ready are False then.
const CONDITIONS: [(&str, &str, &str); 4] = [
    ("Ready", "True", "KubeletReady"),
    ("MemoryPressure", "False", "KubeletHasSufficientMemory"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID"),
];

/// Makes or takes over the Node and its Lease.
pub(super) async fn register(host: &Host) -> Result<(), kube::Error> {
    let nodes = Api::<Node>::all(host.client.clone());
    let name = &host.options.name;
    let parameters = PatchParams::apply("devcluster-node").force();
    let mut labels = host.options.labels.clone();
    labels.extend(
        [
            ("kubernetes.io/hostname", name.as_str()),
            ("kubernetes.io/os", "linux"),
            ("kubernetes.io/arch", architecture()),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned())),
    );
    let node =
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}});
    nodes.patch(name, &parameters, &Patch::Apply(node)).await?;
    report(host).await?;
    let leases = Api::<Lease>::namespaced(host.client.clone(), LEASES);
    match leases.create(&PostParams::default(), &lease(host)).await {
        Err(kube::Error::Api(status)) if status.code == 409 => renew(host).await,
        result => result.map(drop),
    }
}

/// Renews the Lease for ever, while the link is up.
pub(super) async fn beat(host: Arc<Host>) {
    let mut ticks = interval(HEARTBEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        host.linked().await;
        if let Err(error) = renew(&host).await {
            tracing::warn!(%error, node = host.options.name, "heartbeat not sent");
        }
    }
}

/// Says again that the node is well whenever someone else has said that it is not (the node controller does after
/// missed heartbeats), while the link is up.
pub(super) async fn stay_ready(host: Arc<Host>) {
    loop {
        host.linked().await;
        tokio::select! {
            () = correct(&host) => {}
            () = host.unlinked() => {}
        }
    }
}

async fn correct(host: &Host) {
    let fields = format!("metadata.name={}", host.options.name);
    let nodes = Api::<Node>::all(host.client.clone());
    let config = watcher::Config::default().fields(&fields);
    let mut seen = pin!(watcher(nodes, config).default_backoff().applied_objects());
    while let Some(node) = seen.next().await {
        if node.is_ok_and(|node| !is_ready(&node))
            && let Err(error) = report(host).await
        {
            tracing::warn!(%error, node = host.options.name, "node status not written");
        }
    }
}

fn is_ready(node: &Node) -> bool {
    node.status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten())
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

async fn report(host: &Host) -> Result<(), kube::Error> {
    Api::<Node>::all(host.client.clone())
        .patch_status(
            &host.options.name,
            &PatchParams::default(),
            &Patch::Strategic(json!({"status": status(host)})),
        )
        .await
        .map(drop)
}

fn status(host: &Host) -> Value {
    let now = Timestamp::now().to_string();
    let conditions: Vec<Value> = CONDITIONS
        .into_iter()
        .map(|(name, value, reason)| {
            json!({"type": name, "status": value, "reason": reason, "message": "played by the process node",
                   "lastHeartbeatTime": now, "lastTransitionTime": now})
        })
        .collect();
    let resources = json!({
        "cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": host.options.max_pods.to_string(),
    });
    json!({
        "capacity": resources,
        "allocatable": resources,
        "conditions": conditions,
        "addresses": [
            {"type": "InternalIP", "address": HOST_ADDRESS},
            {"type": "Hostname", "address": host.options.name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": host.log_port}},
        "nodeInfo": {
            "architecture": architecture(), "operatingSystem": "linux", "osImage": "process node",
            "kernelVersion": "", "containerRuntimeVersion": "process://1", "kubeletVersion": host.cluster.version,
            "kubeProxyVersion": "", "machineID": host.options.name, "systemUUID": host.options.name,
            "bootID": host.options.name,
        },
    })
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn lease(host: &Host) -> Lease {
    Lease {
        metadata: ObjectMeta {
            name: Some(host.options.name.clone()),
            namespace: Some(LEASES.to_owned()),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(host.options.name.clone()),
            lease_duration_seconds: Some(40),
            renew_time: Some(MicroTime(Timestamp::now())),
            ..LeaseSpec::default()
        }),
    }
}

async fn renew(host: &Host) -> Result<(), kube::Error> {
    let renewed = json!({"spec": {"renewTime": MicroTime(Timestamp::now())}});
    let leases = Api::<Lease>::namespaced(host.client.clone(), LEASES);
    let lease = leases
        .patch(
            &host.options.name,
            &PatchParams::default(),
            &Patch::Merge(renewed),
        )
        .await?;
    tracing::trace!(lease = lease.name_any(), "heartbeat");
    Ok(())
}

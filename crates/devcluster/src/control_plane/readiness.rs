//! When a starting control plane is fit for use: a row of conditions, each tried again until it holds, a program
//! ends, or the deadline is over.

use std::{fs, future::Future, time::Duration};

use http::Request;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use kube::{Api, Client};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep},
};

use super::{ControlPlane, ControlPlaneError};

/// Between two tries of a condition.
const INTERVAL: Duration = Duration::from_millis(25);

/// Bytes of a program's log that go into an error.
const LOG_TAIL: usize = 2000;

/// Namespaces that the API server makes by itself.
const BUILT_IN_NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// etcd takes connections.
pub(super) async fn etcd(plane: &ControlPlane, deadline: Instant) -> Result<(), ControlPlaneError> {
    let port = plane.ports.etcd_clients;
    until(plane, deadline, "etcd to take connections", || async move {
        TcpStream::connect(("127.0.0.1", port)).await.is_ok()
    })
    .await
}

/// `/readyz` is ok and the built-in namespaces exist.
pub(super) async fn apiserver(
    plane: &ControlPlane,
    deadline: Instant,
) -> Result<(), ControlPlaneError> {
    let client = &plane.client().map_err(ControlPlaneError::Access)?;
    until(plane, deadline, "the API server's /readyz", || async move {
        is_ready(client).await
    })
    .await?;
    let namespaces = &Api::<Namespace>::all(client.clone());
    for name in BUILT_IN_NAMESPACES {
        let what = format!("the namespace '{name}'");
        until(plane, deadline, &what, || async move {
            namespaces.get_metadata(name).await.is_ok()
        })
        .await?;
    }
    Ok(())
}

/// The `default` ServiceAccount and the root certificate's ConfigMap exist, so the controllers work.
pub(super) async fn controllers(
    plane: &ControlPlane,
    deadline: Instant,
) -> Result<(), ControlPlaneError> {
    let client = plane.client().map_err(ControlPlaneError::Access)?;
    let accounts = &Api::<ServiceAccount>::namespaced(client.clone(), "default");
    until(
        plane,
        deadline,
        "the ServiceAccount 'default'",
        || async move { accounts.get_metadata("default").await.is_ok() },
    )
    .await?;
    let maps = &Api::<ConfigMap>::namespaced(client, "default");
    until(
        plane,
        deadline,
        "the ConfigMap 'kube-root-ca.crt'",
        || async move { maps.get_metadata("kube-root-ca.crt").await.is_ok() },
    )
    .await
}

async fn is_ready(client: &Client) -> bool {
    let Ok(request) = Request::get("/readyz").body(Vec::new()) else {
        return false;
    };
    client
        .request_text(request)
        .await
        .is_ok_and(|body| body == "ok")
}

async fn until<C, F>(
    plane: &ControlPlane,
    deadline: Instant,
    what: &str,
    condition: C,
) -> Result<(), ControlPlaneError>
where
    C: Fn() -> F,
    F: Future<Output = bool>,
{
    while !condition().await {
        for part in &plane.parts {
            if part.child.exit().is_some() {
                return Err(ControlPlaneError::Ended {
                    program: part.name,
                    log: log_tail(plane, part.name),
                });
            }
        }
        if Instant::now() >= deadline {
            return Err(ControlPlaneError::NotReady {
                waiting_for: what.to_owned(),
            });
        }
        sleep(INTERVAL).await;
    }
    Ok(())
}

fn log_tail(plane: &ControlPlane, program: &str) -> String {
    let log = fs::read(plane.folder.log(program)).unwrap_or_default();
    let start = log.len().saturating_sub(LOG_TAIL);
    log.get(start..)
        .map(|tail| String::from_utf8_lossy(tail).into_owned())
        .unwrap_or_default()
}

//! The life of a process pod: a free slot, its files, the initial containers one after the other, the main ones
//! together, and at the end what a kubelet reports and removes. Single containers are [`super::container`]'s.

use std::{future, net::Ipv4Addr, sync::Arc, time::Duration};

use futures::future::join_all;
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use tokio::time::sleep;

use super::{
    container::{Restart, Runner, with_causes},
    faults::Fault,
    host::Host,
    live::LivePod,
    record::{PodRecord, State},
    sight::Sight,
    sources::Sources,
    stop::{StopSignal, Stops},
    volumes::{self, Volumes},
};

/// Between two tries to get what a pod's volumes need.
const RETRY: Duration = Duration::from_millis(250);

/// Runs the pod to its end and waits until it is gone.
pub(super) async fn run(host: &Arc<Host>, live: &Arc<LivePod>, mut sight: Sight) {
    let pod = sight.pod();
    let faults = host.faults.of(&pod);
    let (stops, signal) = Stops::new();
    let (started, address) = live.read(|record| (record.started, record.address()));
    let work = work(host, live, &pod, address, (&faults, &signal));
    tokio::select! {
        () = work => {}
        () = stops.follow(sight.clone(), started, &faults) => {}
    }
    let verdict = signal.requested().and_then(|stop| stop.cause.verdict());
    live.change(|record| record.finish(verdict));
    sight.deletion().await;
    // What the containers did must be readable before the pod goes.
    live.settled().await;
    live.delete(host).await;
    sight.gone().await;
}

/// Returns when all that should run has run, or after a stop was requested and all processes ended.
async fn work(
    host: &Arc<Host>,
    live: &Arc<LivePod>,
    pod: &Pod,
    address: Ipv4Addr,
    (faults, stop): (&[Fault], &StopSignal),
) {
    let Some(spec) = pod.spec.as_ref() else {
        return;
    };
    if faults.contains(&Fault::NeverStart) {
        return stop.wait().await;
    }
    let prepared = tokio::select! {
        prepared = prepare(host, live, pod, spec, address) => prepared,
        () = stop.wait() => return,
    };
    let (_slot, sources, volumes) = prepared;
    let runner = Runner {
        host,
        live,
        pod,
        address,
        sources: &sources,
        volumes: &volumes,
        faults,
        stop,
    };
    containers(&runner, spec).await;
}

async fn containers(runner: &Runner<'_>, spec: &PodSpec) {
    let policy = restart_policy(spec);
    let initial = match policy {
        Restart::Never => Restart::Never,
        Restart::OnFailure | Restart::Always => Restart::OnFailure,
    };
    for container in spec.init_containers.iter().flatten() {
        if !runner.run(container, initial).await {
            return;
        }
    }
    runner.live.change(creating);
    join_all(
        spec.containers
            .iter()
            .map(|container| runner.run(container, policy)),
    )
    .await;
}

/// The main containers no longer wait for the initial ones.
fn creating(record: &mut PodRecord) {
    for container in &mut record.main {
        if matches!(container.state, State::Waiting { .. }) {
            container.state = State::waiting("ContainerCreating", "");
        }
    }
}

fn restart_policy(spec: &PodSpec) -> Restart {
    match spec.restart_policy.as_deref() {
        Some("Never") => Restart::Never,
        Some("OnFailure") => Restart::OnFailure,
        Some(_) | None => Restart::Always,
    }
}

/// Waits for a slot and for all that the pod's volumes need, however long that takes.
async fn prepare<'a>(
    host: &'a Arc<Host>,
    live: &LivePod,
    pod: &Pod,
    spec: &PodSpec,
    address: Ipv4Addr,
) -> (tokio::sync::SemaphorePermit<'a>, Sources, Volumes) {
    let Ok(slot) = host.slots.acquire().await else {
        return future::pending().await;
    };
    loop {
        host.linked().await;
        let sources = match Sources::read(&host.client, &live.key.namespace, spec).await {
            Ok(sources) => sources,
            Err(error) => {
                tracing::warn!(%error, pod = live.key.name, "sources of the pod not read");
                sleep(RETRY).await;
                continue;
            }
        };
        match volumes::make(host, &live.key, pod, address, &sources).await {
            Ok(volumes) => return (slot, sources, volumes),
            Err(error) => wait_for_volumes(live, &with_causes(&error)).await,
        }
    }
}

async fn wait_for_volumes(live: &LivePod, problem: &str) {
    live.change(|record| {
        let containers = record.init.iter_mut().chain(&mut record.main);
        for container in containers {
            if let State::Waiting { message, .. } = &mut container.state {
                problem.clone_into(message);
            }
        }
    });
    sleep(RETRY).await;
}

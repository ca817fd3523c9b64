//! Images: which pods run as processes, and what is said of an image that is not there. A name that contains
//! `missing` stands for an image that no registry has.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod};
use tokio::time::sleep;

use super::{
    host::Host,
    live::LivePod,
    record::{PodRecord, State},
};

const ABSENT: &str = "missing";

/// Between the first failed pull and the report that the node backs off.
const BACK_OFF: Duration = Duration::from_millis(300);

/// Whether this node has a program for any of the pod's images.
pub(super) fn is_process(host: &Host, pod: &Pod) -> bool {
    containers(pod).any(|container| {
        let image = container.image.as_deref().unwrap_or_default();
        host.program_of(image).is_some()
    })
}

/// Whether one of the pod's images is one that no registry has.
pub(super) fn is_absent(pod: &Pod) -> bool {
    containers(pod).any(is_absent_image)
}

/// Reports as a kubelet does that images cannot be pulled: `ErrImagePull`, then `ImagePullBackOff`.
pub(super) async fn report_pull_failure(live: &LivePod, pod: &Pod) {
    let init = pod
        .spec
        .iter()
        .flat_map(|spec| spec.init_containers.iter().flatten());
    let main = pod.spec.iter().flat_map(|spec| &spec.containers);
    // Nothing after the first initial container that cannot start is even looked at.
    let stuck: Vec<&Container> = match init.clone().find(|container| is_absent_image(container)) {
        Some(container) => vec![container],
        None => main
            .filter(|container| is_absent_image(container))
            .collect(),
    };
    report_failed_pull(live, &stuck).await;
}

/// Reports that this node has nothing that stands for the image of `container`.
pub(super) async fn report_absent(live: &LivePod, container: &Container) {
    if is_absent_image(container) {
        return report_failed_pull(live, &[container]).await;
    }
    let image = container.image.as_deref().unwrap_or_default();
    let message =
        format!("the process node has no program for image \"{image}\" in a pod that runs one");
    live.change(|record| wait(record, container, "CreateContainerError", message));
}

async fn report_failed_pull(live: &LivePod, stuck: &[&Container]) {
    let mark = |reason: &str, text: &str| {
        live.change(|record| {
            for container in stuck {
                let image = container.image.as_deref().unwrap_or_default();
                let message = format!("{text} \"{image}\": not found");
                wait(record, container, reason, message);
            }
        });
    };
    mark("ErrImagePull", "failed to pull image");
    sleep(BACK_OFF).await;
    mark("ImagePullBackOff", "Back-off pulling image");
}

fn wait(record: &mut PodRecord, container: &Container, reason: &str, message: String) {
    if let Some(record) = record.container(&container.name) {
        record.state = State::waiting(reason, message);
    }
}

fn is_absent_image(container: &Container) -> bool {
    container
        .image
        .as_deref()
        .is_some_and(|image| image.contains(ABSENT))
}

fn containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    pod.spec.iter().flat_map(|spec| {
        spec.init_containers
            .iter()
            .flatten()
            .chain(&spec.containers)
    })
}

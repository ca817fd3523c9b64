//! Faults: what a test can ask a node for, and a node that is cut off.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};
use kexec_devcluster::{
    ControlPlane, ControlPlaneOptions, Fault, NodeOptions, ProcessNode, cli::instance::lives,
};
use kube::{Api, ResourceExt, api::DeleteParams};

use crate::harness::{Space, cluster, stand_in, terminated, until, wait_for};

fn in_namespace(name: &'static str) -> impl Fn(&Pod) -> bool {
    move |pod| pod.namespace().as_deref() == Some(name)
}

#[tokio::test]
async fn another_program_can_run_in_the_runners_place() {
    let shared = cluster().await;
    let liar = stand_in(
        shared.plane.folder(),
        "liar.sh",
        "#!/bin/sh\nprintf lied > $KEXEC_TERMINATION_LOG\n",
    );
    let space = Space::new("fault-liar").await;
    let faults = shared.node.faults();
    let _fault = faults.for_pods_of(in_namespace("fault-liar"), Fault::ReplaceBinary(liar));
    space.run("job", "exit 1").await;
    let pod = space.ended_pod_of("job").await;
    assert_eq!(terminated(&pod, "execute").message.as_deref(), Some("lied"));
}

#[tokio::test]
async fn a_container_can_run_out_of_memory() {
    let space = Space::new("fault-memory").await;
    let faults = cluster().await.node.faults();
    let after = Duration::from_millis(50);
    let _fault = faults.for_pods_of(in_namespace("fault-memory"), Fault::OutOfMemory { after });
    space.run("job", "while :; do sleep 0.05; done").await;
    let pod = space.ended_pod_of("job").await;
    let end = terminated(&pod, "execute");
    assert_eq!(
        (end.exit_code, end.reason.as_deref()),
        (137, Some("OOMKilled"))
    );
}

#[tokio::test]
async fn a_pod_that_never_starts_can_be_deleted() {
    let space = Space::new("fault-never").await;
    let faults = cluster().await.node.faults();
    let _fault = faults.for_pods_of(in_namespace("fault-never"), Fault::NeverStart);
    space.run("job", "true").await;
    let pod = space
        .pod_of("job", "a pod on the node", |status| status.pod_ip.is_some())
        .await;
    assert_eq!(
        pod.status.as_ref().unwrap().phase.as_deref(),
        Some("Pending")
    );
    let pods: Api<Pod> = space.api();
    pods.delete(&pod.name_any(), &DeleteParams::default())
        .await
        .unwrap();
    until("the pod to be gone", || async {
        pods.get_opt(&pod.name_any()).await.unwrap().is_none()
    })
    .await;
}

#[tokio::test]
async fn a_process_can_outlive_the_force_deletion_of_its_pod() {
    let shared = cluster().await;
    for (name, survives) in [("fault-survives", true), ("fault-dies", false)] {
        let space = Space::new(name).await;
        let faults = shared.node.faults();
        let _fault =
            survives.then(|| faults.for_pods_of(in_namespace(name), Fault::SurviveForceDelete));
        let go_on = shared.plane.folder().join(name);
        let script = format!(
            "echo $$$$ > {0}; echo working; while [ -e {0} ]; do sleep 0.05; done",
            go_on.display()
        );
        space.run("job", &script).await;
        let pod = space.working_pod_of("job").await;
        let pid: u32 = std::fs::read_to_string(&go_on)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let pods: Api<Pod> = space.api();
        let force = DeleteParams::default().grace_period(0);
        pods.delete(&pod.name_any(), &force).await.unwrap();
        until("the pod to be gone", || async {
            pods.get_opt(&pod.name_any()).await.unwrap().is_none()
        })
        .await;
        if survives {
            assert!(lives(pid));
            std::fs::remove_file(&go_on).unwrap();
        }
        until("the end of the process", || async { !lives(pid) }).await;
    }
}

#[tokio::test]
async fn a_node_that_is_cut_off_is_lost_and_comes_back() {
    let mut options = ControlPlaneOptions::default();
    options.controllers.node_monitor_grace = Duration::from_secs(4);
    let plane = ControlPlane::start(options).await.unwrap();
    let node = ProcessNode::start(&plane, NodeOptions::new("/bin/true").named("lonely"))
        .await
        .unwrap();
    let nodes = Api::<Node>::all(plane.client().unwrap());
    let ready = |status: &'static str| {
        move |node: &Node| {
            let conditions = node
                .status
                .iter()
                .flat_map(|it| it.conditions.iter().flatten());
            conditions
                .into_iter()
                .any(|it| it.type_ == "Ready" && it.status == status)
        }
    };
    wait_for(
        &nodes,
        "metadata.name=lonely",
        "a ready node",
        ready("True"),
    )
    .await;
    node.partition();
    wait_for(
        &nodes,
        "metadata.name=lonely",
        "a lost node",
        ready("Unknown"),
    )
    .await;
    node.resume();
    wait_for(
        &nodes,
        "metadata.name=lonely",
        "the node's return",
        ready("True"),
    )
    .await;
    node.stop().await;
    plane.stop().await;
}

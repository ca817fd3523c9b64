//! A hundred executions at once, by an operator in a read-only, unprivileged pod of 64 MiB. Forty of them have a Job: more
//! runners than that only measure the machine. The plans of the other sixty find nothing to write.

use std::fs;
use std::path::{Path, PathBuf};

use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use kexec_api::condition::{ConditionType, Reason};
use kexec_api::execution::KubernetesExecution;
use kexec_tests::harness::{Scene, eventually, phase};
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use serde_json::{Value, json};

use super::altered::{alter_no_more, alter_runners};
use super::{operator, turns};

/// What the operator's pod may have, in bytes.
const LIMIT: u64 = 64 * 1024 * 1024;

const WITH_A_JOB: usize = 40;
const WITHOUT: usize = 60;

/// The machine has few cores, and all runners are to be there at once: they ask for less and get what they always get.
const SMALL: &str = r#"
    JSONPatch{op: "replace", path: "/spec/initContainers/0/resources/requests/cpu", value: "1m"},
    JSONPatch{op: "replace", path: "/spec/containers/0/resources/requests/cpu", value: "1m"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_executions_at_once_fit_into_64_mib() {
    let _turn = turns::alone().await;
    let scene = Scene::real("load").await;
    // As many Jobs as that start late on a small machine.
    let before = operator::pod(&scene).await.uid();
    operator::set(&scene, "controller.startTimeoutSeconds=900").await;
    let operator = eventually("the operator's next pod", || async {
        let pod = operator::pod(&scene).await;
        (pod.uid() != before && is_ready(&pod)).then_some(pod)
    })
    .await;
    assert_confined(&operator);
    alter_runners(&scene, SMALL).await;
    let names: Vec<String> = (0..WITH_A_JOB + WITHOUT)
        .map(|number| format!("settings-{number}"))
        .collect();
    join_all(names.iter().enumerate().map(|(number, name)| {
        config_map(
            &scene,
            name,
            if number < WITH_A_JOB { "slow" } else { "fast" },
        )
    }))
    .await;

    let executions: Vec<Value> = names.iter().map(|name| tuning(&scene, name)).collect();
    join_all(executions.iter().map(|execution| scene.create(execution))).await;

    for (number, name) in names.iter().enumerate() {
        let expected = if number < WITH_A_JOB {
            Reason::ExecutionCompleted
        } else {
            Reason::NoChange
        };
        let ended = reaches_an_end(&scene, name).await;
        assert_eq!(
            reason(&ended),
            Some(expected),
            "{name}: {:#?}",
            ended.status
        );
    }
    let after = operator::pod(&scene).await;
    assert_eq!(after.uid(), operator.uid());
    assert_eq!(restarts(&after), 0, "{:#?}", after.status);
    let (limit, peak) = memory(&scene, &operator);
    println!(
        "the operator's memory: at most {} KiB, page cache included",
        peak / 1024
    );
    assert_eq!(limit, LIMIT);
    alter_no_more(&scene).await;
    operator::set(&scene, "controller.startTimeoutSeconds=60").await;
}

/// Waits for the end for as long as executions end at all: how long a hundred take is the machine's matter.
async fn reaches_an_end(scene: &Scene, name: &str) -> KubernetesExecution {
    let executions: Api<KubernetesExecution> = scene.api();
    loop {
        let ended_before = ended(&executions).await;
        let found = eventually("one more execution to end", || async {
            let execution = executions.get(name).await.ok()?;
            let is_over = phase(&execution).is_some_and(kexec_api::phase::Phase::is_terminal);
            let goes_on = ended(&executions).await > ended_before;
            (is_over || goes_on).then_some(is_over.then_some(execution))
        })
        .await;
        if let Some(execution) = found {
            return execution;
        }
    }
}

async fn ended(executions: &Api<KubernetesExecution>) -> usize {
    let all = executions
        .list(&ListParams::default())
        .await
        .expect("executions");
    let phases = all.iter().filter_map(phase);
    phases.filter(|phase| phase.is_terminal()).count()
}

fn reason(execution: &KubernetesExecution) -> Option<Reason> {
    let status = execution.status.as_ref()?;
    status.condition(ConditionType::Completed)?.known_reason()
}

async fn config_map(scene: &Scene, name: &str, mode: &str) {
    let metadata = json!({"name": name, "namespace": scene.namespace});
    scene
        .apply(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"mode": mode}}))
        .await;
}

fn tuning(scene: &Scene, name: &str) -> Value {
    let parameters = json!({"data": {"mode": "fast"}});
    let mut execution = scene.execution(
        name,
        "modify_configmap",
        ("v1", "ConfigMap", name),
        &parameters,
    );
    execution["spec"]["executionConfig"]["timeout"] = json!("15m");
    execution
}

fn is_ready(pod: &Pod) -> bool {
    let statuses = pod
        .status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten());
    statuses.into_iter().any(|status| status.ready)
}

fn restarts(pod: &Pod) -> i32 {
    let statuses = pod
        .status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten());
    statuses.map(|status| status.restart_count).sum()
}

fn assert_confined(pod: &Pod) {
    let spec = pod.spec.as_ref().expect("a spec");
    let container = spec.containers[0]
        .security_context
        .as_ref()
        .expect("a security context");
    let of_pod = spec.security_context.as_ref().expect("a security context");
    let has = (
        container.read_only_root_filesystem,
        container.allow_privilege_escalation,
        of_pod.run_as_non_root,
    );
    assert_eq!(has, (Some(true), Some(false), Some(true)));
}

/// Limit and highest use of memory of a pod, as its node's kernel has them.
fn memory(scene: &Scene, pod: &Pod) -> (u64, u64) {
    let uid = pod.uid().expect("a UID");
    let nodes = scene.cluster.real_nodes().iter();
    let mut roots = nodes.flat_map(|node| {
        ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"]
            .map(|root| PathBuf::from(format!("{root}{}", node.cgroup())))
    });
    let cgroup = roots
        .find_map(|root| find(&root, &format!("pod{uid}")))
        .expect("the pod's cgroup");
    let read = |files: [&str; 2]| {
        let content = files
            .into_iter()
            .find_map(|file| fs::read_to_string(cgroup.join(file)).ok());
        content.expect("a figure").trim().parse().expect("a number")
    };
    (
        read(["memory.limit_in_bytes", "memory.max"]),
        read(["memory.max_usage_in_bytes", "memory.peak"]),
    )
}

/// The folder of that name somewhere below another.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    let folders = entries
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.path());
    folders.into_iter().find_map(|path| {
        if path.file_name().is_some_and(|found| found == name) {
            Some(path)
        } else {
            find(&path, name)
        }
    })
}

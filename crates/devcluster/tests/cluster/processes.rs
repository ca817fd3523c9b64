//! Pods that run as processes: what they get, how they end, what is reported.

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{ConfigMap, Pod, Secret},
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, EvictParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::harness::{Space, cluster, create, terminated, until, wait_for, waiting};

/// Runs until SIGTERM, then says so and exits with 7.
const UNTIL_TERM: &str = "trap 'printf ended > $KEXEC_TERMINATION_LOG; exit 7' TERM; echo working; while :; do sleep 0.05; done";

/// Runs on whatever it is asked, as long as it is not killed.
const DEAF: &str = "trap '' TERM; echo working; while :; do sleep 0.05; done";

fn container(name: &str, script: &str) -> Value {
    json!({"name": name, "image": "kubernaut-runner:dev", "args": [script]})
}

#[tokio::test]
async fn a_job_completes_with_message_and_exit_code() {
    let space = Space::new("job-completes").await;
    space
        .run("job", "printf done > $KEXEC_TERMINATION_LOG")
        .await;
    let pod = space.ended_pod_of("job").await;
    let end = terminated(&pod, "execute");
    assert_eq!(end.exit_code, 0);
    assert_eq!(end.reason.as_deref(), Some("Completed"));
    assert_eq!(end.message.as_deref(), Some("done"));
    assert!(end.started_at.is_some() && end.finished_at.is_some());
    assert!(pod.status.unwrap().pod_ip.unwrap().starts_with("10.244."));
    wait_for(
        &space.api::<Job>(),
        "metadata.name=job",
        "a complete Job",
        |job| {
            let conditions = job
                .status
                .iter()
                .flat_map(|it| it.conditions.iter().flatten());
            conditions
                .into_iter()
                .any(|it| it.type_ == "Complete" && it.status == "True")
        },
    )
    .await;
}

#[tokio::test]
async fn an_exit_code_is_reported_and_fails_the_pod() {
    let space = Space::new("job-fails").await;
    space.run("job", "exit 3").await;
    let pod = space.ended_pod_of("job").await;
    assert_eq!(terminated(&pod, "execute").exit_code, 3);
    assert_eq!(terminated(&pod, "execute").reason.as_deref(), Some("Error"));
    assert_eq!(pod.status.unwrap().phase.as_deref(), Some("Failed"));
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_said() {
    let space = Space::new("job-broken").await;
    let mut broken = container("execute", "");
    broken["env"] =
        json!([{"name": "X", "valueFrom": {"secretKeyRef": {"name": "absent", "key": "k"}}}]);
    space.run_pod("job", json!({"containers": [broken]})).await;
    let pod = space.ended_pod_of("job").await;
    let end = terminated(&pod, "execute");
    assert!(end.message.unwrap().contains("absent"));
}

#[tokio::test]
async fn an_initial_container_that_fails_stops_the_main_one() {
    let space = Space::new("job-init").await;
    let pod = json!({
        "initContainers": [container("dry-run", "printf refused > $KEXEC_TERMINATION_LOG; exit 3")],
        "containers": [container("execute", "true")],
    });
    space.run_pod("job", pod).await;
    let pod = space.ended_pod_of("job").await;
    assert_eq!(
        terminated(&pod, "dry-run").message.as_deref(),
        Some("refused")
    );
    let status = pod.status.unwrap();
    assert_eq!(status.phase.as_deref(), Some("Failed"));
    assert_eq!(
        waiting(&status, "execute").as_deref(),
        Some("PodInitializing")
    );
}

#[tokio::test]
async fn a_container_gets_literals_fields_secrets_and_files() {
    let space = Space::new("job-env").await;
    create(
        &space.api::<Secret>(),
        json!({"metadata": {"name": "s"}, "stringData": {"k": "hidden"}}),
    )
    .await;
    create(
        &space.api::<ConfigMap>(),
        json!({"metadata": {"name": "m"}, "data": {"plan.json": "{}"}}),
    )
    .await;
    let mut execute = container(
        "execute",
        "printf '%s|%s|%s|%s|%s|%s' \"$LITERAL\" \"$PLAN\" \"$NAME\" \"$SECRET\" \
         \"$(cat $KEXEC_ROOT/etc/kexec/plan/plan.json)\" \"$(cat $KEXEC_ROOT/scratch/note)\" > $KEXEC_TERMINATION_LOG",
    );
    execute["env"] = json!([
        {"name": "BASE", "value": "b"},
        {"name": "LITERAL", "value": "$(BASE)$$(BASE)"},
        {"name": "PLAN", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['plan']"}}},
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    ]);
    let scratch = json!({"name": "scratch", "mountPath": "/scratch"});
    execute["volumeMounts"] = json!([{"name": "plan", "mountPath": "/etc/kexec/plan"}, scratch]);
    let mut first = container("first", "printf note > $KEXEC_ROOT/scratch/note");
    first["volumeMounts"] = json!([scratch]);
    let volumes =
        json!([{"name": "plan", "configMap": {"name": "m"}}, {"name": "scratch", "emptyDir": {}}]);
    let pod = json!({"initContainers": [first], "containers": [execute], "volumes": volumes});
    space.run_pod("job", pod).await;
    let pod = space.ended_pod_of("job").await;
    let message = terminated(&pod, "execute").message.unwrap();
    assert_eq!(
        message,
        "b$(BASE)|{\"a\":\"$(HOME)\"}|job-env|hidden|{}|note"
    );
}

#[tokio::test]
async fn a_token_bound_to_the_pod_works_against_the_api_server() {
    let space = Space::new("job-token").await;
    let kubectl = cluster().await.plane.kubectl();
    let script = format!(
        "HOME=$KEXEC_ROOT {} auth whoami -o \
         'jsonpath={{.status.userInfo.username}} {{.status.userInfo.extra.authentication\\.kubernetes\\.io/pod-uid}}' \
         > $KEXEC_TERMINATION_LOG",
        kubectl.get_program().display()
    );
    space.run("job", &script).await;
    let pod = space.ended_pod_of("job").await;
    let message = terminated(&pod, "execute").message.unwrap();
    let uid = pod.uid().unwrap();
    assert_eq!(
        message,
        format!("system:serviceaccount:job-token:default [\"{uid}\"]")
    );
}

#[tokio::test]
async fn a_deadline_lowered_while_it_runs_ends_a_pod() {
    let space = Space::new("job-deadline").await;
    space.run("job", UNTIL_TERM).await;
    let pod = space.working_pod_of("job").await;
    let patch = Patch::Merge(json!({"spec": {"activeDeadlineSeconds": 1}}));
    space
        .api::<Pod>()
        .patch(&pod.name_any(), &PatchParams::default(), &patch)
        .await
        .unwrap();
    let pod = space.ended_pod_of("job").await;
    let end = terminated(&pod, "execute");
    assert_eq!((end.exit_code, end.message.as_deref()), (7, Some("ended")));
    assert_eq!(
        pod.status.unwrap().reason.as_deref(),
        Some("DeadlineExceeded")
    );
}

#[tokio::test]
async fn a_process_that_does_not_hear_sigterm_is_killed_after_its_grace() {
    let space = Space::new("job-deaf").await;
    let pod = json!({
        "activeDeadlineSeconds": 1, "terminationGracePeriodSeconds": 1,
        "containers": [container("execute", DEAF)],
    });
    space.run_pod("job", pod).await;
    let pod = space.ended_pod_of("job").await;
    assert_eq!(terminated(&pod, "execute").exit_code, 137);
}

#[tokio::test]
async fn deleting_a_pod_ends_its_process_and_shows_its_end_before_it_goes() {
    let space = Space::new("job-delete").await;
    space.run("job", UNTIL_TERM).await;
    let pod = space.working_pod_of("job").await;
    let pods: Api<Pod> = space.api();
    let ended = space.pod_of("job", "the end of the deleted pod", |status| {
        status.phase.as_deref() == Some("Failed")
    });
    let (name, parameters) = (pod.name_any(), DeleteParams::default());
    let (pod, deleted) = tokio::join!(ended, pods.delete(&name, &parameters));
    deleted.unwrap();
    assert_eq!(terminated(&pod, "execute").exit_code, 7);
    until("the pod to be gone", || async {
        pods.get_opt(&pod.name_any()).await.unwrap().is_none()
    })
    .await;
}

#[tokio::test]
async fn an_evicted_pod_ends_and_keeps_the_condition_that_says_so() {
    let space = Space::new("job-evict").await;
    space.run("job", UNTIL_TERM).await;
    let pod = space.working_pod_of("job").await;
    let pods: Api<Pod> = space.api();
    let ended = space.pod_of("job", "the end of the evicted pod", |status| {
        status.phase.as_deref() == Some("Failed")
    });
    let (name, parameters) = (pod.name_any(), EvictParams::default());
    let (pod, evicted) = tokio::join!(ended, pods.evict(&name, &parameters));
    evicted.unwrap();
    let conditions = pod.status.unwrap().conditions.unwrap();
    assert!(
        conditions
            .iter()
            .any(|it| it.type_ == "DisruptionTarget" && it.status == "True")
    );
}

#[tokio::test]
async fn an_image_that_no_registry_has_is_never_started() {
    let space = Space::new("job-image").await;
    let mut absent = container("execute", "true");
    absent["image"] = json!("kubernaut-runner:missing");
    let pod = json!({"initContainers": [container("dry-run", "true")], "containers": [absent]});
    space.run_pod("job", pod).await;
    space
        .pod_of("job", "a failed pull", |status| {
            waiting(status, "execute").as_deref() == Some("ImagePullBackOff")
        })
        .await;
}

#[tokio::test]
async fn kubectl_shows_the_log_of_a_job() {
    let space = Space::new("job-logs").await;
    space.run("job", "echo one; echo two >&2; echo three").await;
    space.ended_pod_of("job").await;
    let plane = &cluster().await.plane;
    let logs = |more: &'static [&'static str]| {
        let mut kubectl = tokio::process::Command::from(plane.kubectl());
        kubectl
            .args(["logs", "job/job", "--namespace=job-logs"])
            .args(more);
        async move { String::from_utf8(kubectl.output().await.unwrap().stdout).unwrap() }
    };
    assert_eq!(logs(&[]).await, "one\ntwo\nthree\n");
    assert_eq!(logs(&["--tail=1"]).await, "three\n");
    assert_eq!(logs(&["--follow"]).await, "one\ntwo\nthree\n");
}

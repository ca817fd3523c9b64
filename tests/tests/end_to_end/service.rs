//! The operator as a service: ready only when it can act, its figures, and a stop that loses nothing.

use http_body_util::BodyExt;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use kexec_api::condition::{ConditionType, Reason};
use kexec_api::names;
use kexec_api::phase::Phase;
use kexec_devcluster::operator::{Operator, OperatorOptions};
use kexec_tests::harness::{
    DEADLINE, Ending, HELD_BEFORE_THE_WRITE, Scene, StandIn, binary, eventually, install, phase,
};
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use xtask::install::Installation;

/// An address of this machine that nobody listens on.
async fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address").to_string()
}

/// Status and text of a page, if anybody answers.
async fn get(address: &str, path: &str) -> Option<(u16, String)> {
    let client = HttpClient::builder(TokioExecutor::new())
        .build_http::<http_body_util::Empty<hyper::body::Bytes>>();
    let answer = client
        .get(format!("http://{address}{path}").parse().ok()?)
        .await
        .ok()?;
    let code = answer.status().as_u16();
    let body = answer.into_body().collect().await.ok()?.to_bytes();
    Some((code, String::from_utf8_lossy(&body).into_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_ready_once_watches_and_policies_are_and_shows_its_figures() {
    let scene = Scene::new("service").await;
    scene.deployment("web", 1).await;
    let address = free_address().await;
    let _operator = scene.operator_with(&["--listen", &address]).await;

    let ready = || async {
        get(&address, "/readyz")
            .await
            .filter(|(code, _)| *code == 200)
    };
    eventually("the operator to be ready", ready).await;
    scene.create(&scene.scaling("up", "web", 2)).await;
    scene.ended("up").await;

    assert_eq!(
        get(&address, "/healthz").await,
        Some((200, "ok".to_owned()))
    );
    let (code, figures) = get(&address, "/metrics").await.expect("figures");
    assert_eq!(code, 200);
    let finished = r#"kexec_executions_finished_total{action="scale_deployment",phase="completed",reason="ExecutionCompleted"} 1"#;
    for line in [
        finished,
        "kexec_policies_in_force 1",
        "kexec_watches_synced 1",
        "kexec_executions_working 0",
    ] {
        assert!(
            figures.lines().any(|figure| figure == line),
            "{line} is not in\n{figures}"
        );
    }
    assert!(
        !figures.contains(&scene.namespace),
        "a label holds what a user wrote:\n{figures}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_not_ready_and_runs_nothing_while_its_policies_are_missing() {
    let scene = Scene::new("unready").await;
    scene.deployment("web", 1).await;
    let address = free_address().await;
    let _operator = scene
        .operator_with(&["--listen", &address, "--installation-suffix", "of-nobody"])
        .await;
    scene.create(&scene.scaling("up", "web", 2)).await;

    let refused = || async {
        get(&address, "/readyz")
            .await
            .filter(|(_, text)| text.contains("is missing"))
    };
    let (code, text) = eventually("the operator to name what is missing", refused).await;
    assert_eq!(code, 503, "{text}");
    let waiting = scene
        .reaches("up", "pending", |execution| {
            phase(execution) == Some(Phase::Pending)
        })
        .await;
    assert_eq!(waiting.status.and_then(|status| status.job), None);
    assert_eq!(scene.replicas("web").await, 1);
}

/// Takes a policy object away, or alters it.
pub(super) async fn spoil(scene: &Scene, kind: &str, name: &str, alteration: Option<&Value>) {
    let resource = ApiResource {
        group: "admissionregistration.k8s.io".to_owned(),
        version: "v1".to_owned(),
        api_version: "admissionregistration.k8s.io/v1".to_owned(),
        kind: kind.to_owned(),
        plural: match kind.to_lowercase().strip_suffix('y') {
            Some(stem) => format!("{stem}ies"),
            None => format!("{}s", kind.to_lowercase()),
        },
    };
    let objects: Api<DynamicObject> = Api::all_with(scene.client.clone(), &resource);
    match alteration {
        None => drop(
            objects
                .delete(name, &DeleteParams::default())
                .await
                .expect("deleted"),
        ),
        Some(alteration) => {
            let (how, patch) = (PatchParams::default(), Patch::Merge(alteration));
            drop(objects.patch(name, &how, &patch).await.expect("altered"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_operator_is_told_by_its_watches_that_a_policy_was_altered_or_removed() {
    let scene = Scene::isolated("told").await;
    scene.deployment("web", 1).await;
    let address = free_address().await;
    // It looks by itself once a day: whatever it notices here, a watch told it.
    let once_a_day = ["--listen", &address, "--policy-look-seconds", "86400"];
    let _operator = scene.operator_with(&once_a_day).await;
    let says = async |code: u16, words: &str| {
        let says = || async {
            let answer = get(&address, "/readyz").await;
            answer.filter(|(told, text)| *told == code && text.contains(words))
        };
        eventually(&format!("the operator to say {code} {words}"), says).await
    };
    let ignore = json!({"spec": {"failurePolicy": "Ignore"}});
    for (number, (kind, name, alteration, told)) in [
        (
            "ValidatingAdmissionPolicy",
            "kexec-runner-fence",
            Some(&ignore),
            "was altered",
        ),
        (
            "ValidatingAdmissionPolicyBinding",
            "kexec-authorize-execution",
            None,
            "is missing",
        ),
        (
            "MutatingAdmissionPolicy",
            "kexec-stamp-requester",
            Some(&ignore),
            "was altered",
        ),
        (
            "MutatingAdmissionPolicyBinding",
            "kexec-stamp-requester",
            None,
            "is missing",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        says(200, "").await;
        let run = format!("up-{number}");
        let execution = scene.scaling(&run, "web", i64::try_from(number).expect("few") + 2);

        let name = format!("{name}-{}", scene.suffix);
        spoil(&scene, kind, &name, alteration).await;
        says(503, &format!("{kind} \"{name}\" {told}")).await;

        let mut asked = execution.clone();
        asked["spec"]["requestedBy"] = json!({"username": format!("{}-user", scene.namespace)});
        scene.create(&asked).await;
        let waits = scene.reaches(&run, "waiting", |execution| {
            let status = execution.status.as_ref();
            let ready = status.and_then(|status| status.condition(ConditionType::Ready));
            ready.is_some_and(|ready| ready.known_reason() == Some(Reason::PoliciesMissing))
        });
        assert_eq!(waits.await.status.and_then(|status| status.job), None);
        let installation = Installation {
            system_namespace: &scene.system_namespace,
            suffix: &scene.suffix,
        };
        install(&scene.client, &installation).await;
        scene.ends(&run, Ending::COMPLETED).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stopped_operator_left_is_finished_by_the_next() {
    let scene = Scene::new("stopped").await;
    scene.deployment("web", 1).await;
    let runner = StandIn::new(&scene, HELD_BEFORE_THE_WRITE);
    let operator = scene.operator().await;
    scene.create(&scene.scaling("up", "web", 2)).await;
    runner.says("holding").await;

    operator.stop().await;
    runner.say("go");
    let _next = scene.operator().await;

    let ended = scene.ended("up").await;
    assert_eq!(phase(&ended), Some(Phase::Completed), "{:#?}", ended.status);
    assert_eq!(
        (
            scene.replicas("web").await,
            scene.effects_on("deployments", "web")
        ),
        (2, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn its_log_has_one_root_span_a_reconcile_and_no_value_of_a_plan() {
    let scene = Scene::new("log").await;
    scene.apply(&json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": scene.namespace},
    }))
    .await;
    let address = free_address().await;
    let operator = operator_process(&scene, &address).await;
    let parameters = json!({"data": {"password": "correct horse battery staple"}});
    scene
        .create(&scene.execution(
            "set",
            "modify_configmap",
            ("v1", "ConfigMap", "settings"),
            &parameters,
        ))
        .await;
    assert_eq!(phase(&scene.ended("set").await), Some(Phase::Completed));
    let log = operator.log().to_owned();
    operator.stop(DEADLINE).await;

    let text = std::fs::read_to_string(log).expect("a log");
    assert!(
        !text.contains("correct horse"),
        "the log holds a value:\n{text}"
    );
    let lines: Vec<Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let spans: Vec<&Value> = lines
        .iter()
        .filter(|line| line["message"] == "close")
        .collect();
    assert!(!spans.is_empty(), "no span is told:\n{text}");
    for span in &spans {
        assert_eq!(span["span"]["name"], "reconcile", "{span}");
        assert_eq!(
            span["span"]["execution.namespace"],
            json!(scene.namespace),
            "{span}"
        );
    }
    let is_end = |span: &&&Value| {
        span["span"]["phase"] == "completed" && span["span"]["action"] == "modify_configmap"
    };
    assert!(
        spans.iter().any(|span| is_end(&span)),
        "no span of the end:\n{text}"
    );
}

/// The operator's own binary, as a process that tells all it can.
async fn operator_process(scene: &Scene, address: &str) -> Operator {
    Operator::start(
        scene.cluster.plane(),
        OperatorOptions {
            binary: binary("kubernaut-executor"),
            arguments: [
                ("--runner-image", "kubernaut-runner:dev"),
                ("--listen", address),
                ("--execution-namespace", &scene.namespace),
                ("--system-namespace", &scene.system_namespace),
                ("--installation-suffix", &scene.suffix),
            ]
            .iter()
            .flat_map(|(flag, value)| [(*flag).to_owned(), (*value).to_owned()])
            .collect(),
            environment: [(
                "RUST_LOG".to_owned(),
                "info,kexec_controller=trace,kube_runtime=warn".to_owned(),
            )]
            .into(),
            namespace: scene.system_namespace.clone(),
            service_account: names::CONTROLLER_SERVICE_ACCOUNT.to_owned(),
        },
    )
    .await
    .expect("an operator")
}

//! The operator as a service: ready only when it can act, its figures, and a stop that loses nothing.

use http_body_util::BodyExt;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use kexec_api::names;
use kexec_api::phase::Phase;
use kexec_devcluster::operator::{Operator, OperatorOptions};
use kexec_tests::harness::{
    DEADLINE, HELD_BEFORE_THE_WRITE, Scene, StandIn, binary, eventually, phase,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

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

//! The operator on an API server that answers badly, late or never, and on watches that stutter: one scaling for each
//! trouble at each class of calls, and its end is that of the undisturbed one, with one effect and one Job. The classes
//! are those that the undisturbed run was seen to use. Kills stand in `crashes`; a watch that falls silent without an
//! error is noticed after minutes only, and not tried here.

mod trouble;

use std::collections::BTreeSet;
use std::io::Write as _;

use futures::stream::{self, StreamExt};
use kexec_api::execution::KubernetesExecution;
use kexec_api::names;
use kexec_tests::audit::service_account;
use kexec_tests::fault_proxy::{Fault, FaultProxy, WatchFault};
use kexec_tests::harness::{DEADLINE, Ending, Scene};
use kube::ResourceExt;
use serde_json::{Value, json};

use trouble::{CREATE_EVENTS, Classes, Plan, class_of, is_event_of, on_calls, on_watches};

/// Scenes at once: they mostly wait.
const AT_ONCE: usize = 6;

/// How a scaling ended, as far as no trouble may change it.
#[derive(Clone, Debug, Eq, PartialEq)]
struct End {
    ending: Ending,
    replicas: i32,
    effects: usize,
    jobs: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_success_ends_the_same_whatever_becomes_of_each_call() {
    let (undisturbed, classes) = undisturbed().await;
    run_all("calls", on_calls(&classes), &undisturbed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_success_ends_the_same_whatever_becomes_of_each_watch() {
    let (undisturbed, classes) = undisturbed().await;
    run_all("watches", on_watches(&classes), &undisturbed).await;
}

/// One scaling without any trouble: how it ends, and which calls and events it takes.
async fn undisturbed() -> (End, Classes) {
    let (end, proxy, namespace) = run(&Plan::default()).await;
    let expected = End {
        ending: Ending::COMPLETED,
        replicas: 3,
        effects: 1,
        jobs: 1,
    };
    assert_eq!(end.as_ref(), Some(&expected));
    let calls = proxy
        .log()
        .iter()
        .map(|seen| class_of(&seen.request))
        .collect();
    let events = proxy.watch_log().into_iter();
    let events = events
        .filter(|seen| is_event_of(&seen.event, &namespace))
        .map(|seen| format!("{} {}", seen.event.event_type, seen.event.resource))
        .collect();
    (expected, Classes { calls, events })
}

/// Runs all plans, each in a scene of its own, and compares the ends.
async fn run_all(what: &str, plans: Vec<Plan>, undisturbed: &End) {
    let (scenes, points) = (plans.len(), plans.iter().map(Plan::points).sum::<usize>());
    let classes: BTreeSet<String> = plans.iter().flat_map(Plan::classes).collect();
    let different = stream::iter(plans).map(|plan| async move {
        let (end, proxy, namespace) = run(&plan).await;
        let missed = plan.missed(&proxy, &namespace);
        (end.as_ref() != Some(undisturbed) || !missed.is_empty())
            .then(|| format!("{plan:?}\n  ended {end:?}\n  never came: {missed:?}"))
    });
    let different: Vec<String> = different
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    // Past the test's captured output: how much was enumerated is to be seen also when all is well.
    writeln!(
        std::io::stdout(),
        "unreliable {what}: {points} points over {} classes in {scenes} scenes",
        classes.len()
    )
    .expect("an output");
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// One scaling with the plan's trouble; how it ended, unless it has not by the deadline.
async fn run(plan: &Plan) -> (Option<End>, FaultProxy, String) {
    let scene = Scene::new("unreliable").await;
    // Its pods take a while, so that the proof is awaited.
    scene.apply_deployment("web", 1, "slow=2").await;
    let proxy = FaultProxy::start(scene.cluster.admin())
        .await
        .expect("a proxy");
    plan.set(&proxy, &scene.namespace);
    let mut config = scene.operator_config().await;
    config.cluster_url = proxy.url();
    config.root_cert = None;
    let operator = scene.operator_by(config, &[]);
    let mut execution = scene.scaling("run", "web", 3);
    if let Some(timeout) = plan.timeout {
        execution["spec"]["executionConfig"]["timeout"] = json!(timeout);
    }
    scene.create(&execution).await;
    let end = tokio::time::timeout(DEADLINE, async {
        let end = end(&scene).await;
        if plan.is_about_what_people_are_told() {
            is_told(&proxy, "Started").await;
            is_told(&proxy, "ExecutionCompleted").await;
        }
        end
    });
    let end = end.await.ok();
    operator.kill();
    (end, proxy, scene.namespace)
}

/// Waits for the end, and for the Job's time to live.
async fn end(scene: &Scene) -> End {
    let execution = scene.ended("run").await;
    scene.job_expires(&execution).await;
    End {
        ending: Ending::of(&execution),
        replicas: scene.replicas("web").await,
        effects: scene.effects_on("deployments", "web"),
        jobs: jobs_created(scene, &execution),
    }
}

/// Waits until the operator has tried to tell people by an event with this reason.
async fn is_told(proxy: &FaultProxy, reason: &str) {
    let tells = |event: &Value| event["reason"] == reason;
    proxy
        .wait_for_request(|seen| {
            class_of(&seen.request) == CREATE_EVENTS
                && seen.request.object().as_ref().is_some_and(tells)
        })
        .await;
}

/// How often the operator had a Job created for the execution.
fn jobs_created(scene: &Scene, execution: &KubernetesExecution) -> usize {
    let operator = service_account(&scene.system_namespace, names::CONTROLLER_SERVICE_ACCOUNT);
    let uid = execution.uid().unwrap_or_default();
    let calls = scene.calls();
    let created = calls.writes_by(&operator).into_iter().filter(|call| {
        let labels = call.request_object.as_ref().and_then(|job| {
            job.pointer("/metadata/labels")?
                .get(names::LABEL_EXECUTION_UID)
        });
        (call.verb.as_str(), call.resource.as_str()) == ("create", "jobs")
            && call.succeeded()
            && labels.and_then(Value::as_str) == Some(&uid)
    });
    created.count()
}

/// Whether anything was done about a request.
fn is_trouble(fault: &Fault) -> bool {
    *fault != Fault::Pass
}

/// Whether anything was done about an event.
fn is_event_trouble(fault: WatchFault) -> bool {
    fault != WatchFault::Pass
}

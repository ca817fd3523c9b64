//! The controller killed before and after each of its writes, and the answer to each of them lost: the end is the same
//! as without the crash, with the same number of effects. The points are enumerated, not sampled.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::Arc;

use futures::stream::{self, StreamExt};
use k8s_openapi::api::batch::v1::Job;
use kexec_api::condition::{ConditionType, Reason};
use kexec_api::execution::KubernetesExecution;
use kexec_api::execution::status::Condition;
use kexec_api::names;
use kexec_api::phase::{ActionResult, Outcome, Phase};
use kexec_tests::fault_proxy::{Fault, FaultProxy, RequestInfo, at_write, pass};
use kexec_tests::harness::{Scene, StandIn, eventually};
use kube::Api;

/// Points run at once.
const AT_ONCE: usize = 4;

/// What an execution goes through.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Scenario {
    Success,
    ActionFails,
    ProofFails,
    RollbackFails,
    RollbackAsked,
    TimeOut,
}

/// What happens at one write of the controller.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Crash {
    None,
    KillBefore,
    KillAfter,
    KillAfterAnswer,
    LoseAnswer,
}

/// How an execution ended, as far as a crash must not change it.
#[derive(Debug, Eq, PartialEq)]
struct End {
    phase: Option<Phase>,
    reason: Option<Reason>,
    result: Option<ActionResult>,
    outcome: Option<Outcome>,
    replicas: i32,
    effects: usize,
    jobs: usize,
    expires: bool,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_success_ends_the_same_whenever_the_controller_is_killed() {
    enumerate(Scenario::Success, Some(Reason::ExecutionCompleted)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_action_ends_the_same_whenever_the_controller_is_killed() {
    enumerate(Scenario::ActionFails, Some(Reason::ActionFailed)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_proof_is_undone_the_same_whenever_the_controller_is_killed() {
    enumerate(Scenario::ProofFails, Some(Reason::RollbackCompleted)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_rollback_ends_the_same_whenever_the_controller_is_killed() {
    enumerate(Scenario::RollbackFails, Some(Reason::RollbackFailed)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_on_request_ends_the_same_whenever_the_controller_is_killed() {
    enumerate(Scenario::RollbackAsked, Some(Reason::RollbackCompleted)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_out_ends_the_same_whenever_the_controller_is_killed() {
    enumerate(Scenario::TimeOut, Some(Reason::DeadlineExceeded)).await;
}

/// Runs the scenario once undisturbed, then once for each crash at each of the writes it made.
async fn enumerate(scenario: Scenario, reason: Option<Reason>) {
    let (undisturbed, writes) = run(scenario, Crash::None, 0).await;
    assert_eq!(undisturbed.reason, reason, "{undisturbed:?}");
    let crashes = [
        Crash::KillBefore,
        Crash::KillAfter,
        Crash::KillAfterAnswer,
        Crash::LoseAnswer,
    ];
    let points: Vec<(u64, Crash)> = (1..=writes)
        .flat_map(|write| crashes.map(|crash| (write, crash)))
        .collect();
    let count = points.len();
    let undisturbed = Arc::new(undisturbed);
    let ends = stream::iter(points).map(|(write, crash)| {
        let undisturbed = Arc::clone(&undisturbed);
        async move {
            let (end, _) = run(scenario, crash, write).await;
            (end != *undisturbed).then(|| format!("{crash:?} at write {write}: {end:?}"))
        }
    });
    let different: Vec<String> = ends
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    // Past the test's captured output: how much was enumerated is to be seen also when all is well.
    writeln!(
        std::io::stdout(),
        "{scenario:?}: {count} crash points over {writes} writes"
    )
    .expect("an output");
    assert!(
        different.is_empty(),
        "undisturbed: {undisturbed:?}\n{}",
        different.join("\n")
    );
}

/// One execution of the scenario with one crash; how it ended, and how many writes the controller made.
async fn run(scenario: Scenario, crash: Crash, write: u64) -> (End, u64) {
    let scene = Scene::new("crash").await;
    match scenario {
        Scenario::ProofFails | Scenario::RollbackFails => {
            scene.apply_deployment("web", 1, "never-ready").await;
        }
        Scenario::Success | Scenario::ActionFails | Scenario::TimeOut | Scenario::RollbackAsked => {
            drop(scene.deployment("web", 1).await);
        }
    }
    let _fault = disturb(scenario, &scene);
    let proxy = FaultProxy::start(scene.cluster.admin())
        .await
        .expect("a proxy");
    proxy.number_writes(is_numbered);
    match crash {
        Crash::None => proxy.set_script(pass()),
        Crash::KillBefore => proxy.set_script(at_write(write, Fault::KillBefore)),
        Crash::KillAfter => proxy.set_script(at_write(write, Fault::KillAfter)),
        Crash::KillAfterAnswer => proxy.set_script(at_write(write, Fault::KillAfterDelivery)),
        Crash::LoseAnswer => proxy.set_script(at_write(write, Fault::LoseAnswer)),
    }
    let mut config = scene.operator_config().await;
    config.cluster_url = proxy.url();
    config.root_cert = None;
    let operator = scene.operator_by(config.clone(), &[]);
    scene.create(&execution(scenario, &scene)).await;
    // A run may have a write less than the undisturbed one: the proof can hold at the first look. Then it ends unharmed.
    let is_killed = tokio::select! {
        () = proxy.killed() => true,
        _ = end(&scene, scenario) => false,
    };
    let operator = if is_killed {
        operator.kill();
        proxy.revive().await;
        scene.operator_by(config, &[])
    } else {
        operator
    };
    let end = end(&scene, scenario).await;
    let writes = proxy
        .writes()
        .iter()
        .filter_map(|seen| seen.request.write)
        .max()
        .unwrap_or(0);
    operator.kill();
    (end, writes)
}

/// Writes that have a number: events come when they come.
fn is_numbered(request: &RequestInfo) -> bool {
    request.attributes.resource != "events"
}

fn execution(scenario: Scenario, scene: &Scene) -> serde_json::Value {
    let mut execution = scene.scaling("run", "web", 3);
    let config = match scenario {
        Scenario::Success | Scenario::ActionFails => return execution,
        Scenario::RollbackAsked => {
            execution["spec"]["control"] = serde_json::json!({"rollback": true});
            return execution;
        }
        Scenario::ProofFails | Scenario::RollbackFails => {
            serde_json::json!({"validationConfig": {"healthCheckTimeout": "3s"}})
        }
        Scenario::TimeOut => serde_json::json!({"timeout": "6s"}),
    };
    execution["spec"]["executionConfig"] = config;
    execution
}

fn disturb(scenario: Scenario, scene: &Scene) -> Option<StandIn> {
    match scenario {
        Scenario::Success | Scenario::ProofFails | Scenario::RollbackAsked => None,
        Scenario::RollbackFails => Some(StandIn::new(
            scene,
            r#"case $stage in execute) exec "$runner" "$@" ;; esac; answer failed refused; exit 1"#,
        )),
        Scenario::ActionFails => Some(StandIn::new(scene, "answer failed refused; exit 1")),
        Scenario::TimeOut => Some(StandIn::new(
            scene,
            "trap '' TERM; while :; do sleep 1; done",
        )),
    }
}

/// Waits for the end, and for the Jobs to be given their time to live.
async fn end(scene: &Scene, scenario: Scenario) -> End {
    let is_undone = |execution: &KubernetesExecution| {
        let phase = execution.status.as_ref().and_then(|status| status.phase);
        matches!(phase, Some(Phase::RolledBack | Phase::Failed))
    };
    let execution = match scenario {
        // It completes first.
        Scenario::RollbackAsked => scene.reaches("run", "its rollback's end", is_undone).await,
        Scenario::Success
        | Scenario::ActionFails
        | Scenario::ProofFails
        | Scenario::RollbackFails
        | Scenario::TimeOut => scene.ended("run").await,
    };
    let jobs: Api<Job> = scene.system_api();
    let of_it = kube::api::ListParams::default().labels(&format!(
        "{}={}",
        names::LABEL_EXECUTION_UID,
        execution.metadata.uid.clone().unwrap_or_default()
    ));
    let found = eventually("the Job to expire", || async {
        let found = jobs.list(&of_it).await.ok()?.items;
        let expiring = |job: &Job| {
            job.spec
                .as_ref()
                .is_some_and(|spec| spec.ttl_seconds_after_finished.is_some())
        };
        found.iter().all(expiring).then_some(found)
    })
    .await;
    let uids: BTreeSet<_> = found.iter().map(|job| job.metadata.uid.clone()).collect();
    let (reason, result, outcome, phase) = told(&execution);
    End {
        phase,
        reason,
        result,
        outcome,
        replicas: scene.replicas("web").await,
        effects: scene.effects_on("deployments", "web"),
        jobs: uids.len(),
        expires: true,
    }
}

type Told = (
    Option<Reason>,
    Option<ActionResult>,
    Option<Outcome>,
    Option<Phase>,
);

fn told(execution: &KubernetesExecution) -> Told {
    let status = execution.status.clone().unwrap_or_default();
    let reason = status
        .condition(ConditionType::Completed)
        .and_then(Condition::known_reason);
    let result = status
        .execution_summary
        .and_then(|summary| summary.action_result);
    (
        reason,
        result,
        status.step_result.and_then(|step| step.outcome),
        status.phase,
    )
}

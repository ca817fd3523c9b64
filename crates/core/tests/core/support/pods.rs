//! Jobs and pods of an attempt in each state that Kubernetes reports.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kexec_core::decide::Decision;
use serde_json::{Value, json};

use super::world::{World, at};

/// What the pod of an attempt shows.
#[derive(Clone, Debug)]
pub enum Runner {
    /// The writing container waits; with the reason the kubelet gives.
    Waiting(&'static str),
    /// No node takes it.
    Unschedulable,
    /// The writing container runs.
    Running,
    /// The writing container ended.
    Ended {
        /// Exit code.
        exit: i32,
        /// Termination message.
        message: Option<String>,
    },
    /// The writing container was killed, with the kubelet's reason.
    Killed(&'static str),
    /// The pod failed with this reason after the writing container ended with this message.
    Failed(&'static str, Option<String>),
    /// Kubernetes evicted the pod; the writing container ended with this message.
    Evicted(Option<String>),
    /// The dry run failed, with this exit code, reason and message.
    DryRunFailed(i32, &'static str, Option<String>),
    /// The pod failed for this reason before any container started.
    NeverStarted(&'static str),
    /// The pod was evicted before any container started.
    EvictedEarly,
    /// Somebody else than the kubelet says that the pod is over, while its container is still reported to run.
    OverWhileRunning,
    /// The kubelet lost the container: an end without a start.
    EndUnknown,
}

/// Name of the writing container.
pub fn container(world: &World) -> &'static str {
    kexec_core::request::container(kexec_core::request::is_dry_run(&world.execution.spec))
}

/// The Job of an execution whose intent is recorded, as the API server gives it back.
pub fn job(world: &World) -> Job {
    let mut intended = world.clone();
    let planned = world
        .gathered
        .stored_plan
        .as_deref()
        .expect("has a stored plan");
    *intended.gathered = kexec_core::view::Gathered {
        intended: Some(Box::new(kexec_core::planning::Planned {
            content: planned.clone(),
            hash: planned.hash().expect("has a hash"),
            summary: String::new(),
            risk_factors: Vec::new(),
            notes: Vec::new(),
        })),
        plan_is_kept: true,
        ..kexec_core::view::Gathered::default()
    };
    let Decision::CreateJob(mut job) = intended.decide() else {
        panic!("no Job is created: {}", intended.decide().name());
    };
    job.metadata.uid = Some("j-1".into());
    job.metadata.creation_timestamp = Some(Time(at(1)));
    *job
}

/// The same pod, its end noticed then.
pub fn ended_at(mut pod: Pod, time: Timestamp) -> Pod {
    let statuses = pod
        .status
        .iter_mut()
        .flat_map(|status| status.container_statuses.iter_mut().flatten());
    for status in statuses {
        if let Some(end) = status
            .state
            .as_mut()
            .and_then(|state| state.terminated.as_mut())
        {
            end.finished_at = Some(Time(time));
        }
    }
    pod
}

/// The same pod, declared failed by the garbage collector because its node is gone.
pub fn node_gone(mut pod: Pod, time: Timestamp) -> Pod {
    let condition = json!([{
        "type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC",
        "lastTransitionTime": time.to_string(),
    }]);
    if let Some(status) = &mut pod.status {
        status.phase = Some("Failed".into());
        status.conditions = serde_json::from_value(condition).expect("are conditions");
    }
    pod
}

/// The pod of an attempt.
pub fn pod(world: &World, runner: &Runner) -> Pod {
    let main = container(world);
    let pod = json!({
        "metadata": {"name": "kexec-e-1-1-x-abcde", "uid": "p-1", "creationTimestamp": at(2).to_string()},
        "spec": {"containers": [], "activeDeadlineSeconds": 600},
        "status": status(main, runner),
    });
    serde_json::from_value(pod).expect("is a pod")
}

fn status(main: &str, runner: &Runner) -> Value {
    let disrupted = json!([{"type": "DisruptionTarget", "status": "True", "lastTransitionTime": at(20).to_string()}]);
    let over = |state: Value| json!({"phase": "Failed", "containerStatuses": one(main, &state)});
    match runner {
        Runner::Waiting(reason) => json!({
            "phase": "Pending",
            "containerStatuses": one(main, &json!({"waiting": {"reason": reason, "message": "as the kubelet says"}})),
        }),
        Runner::Unschedulable => json!({
            "phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}],
        }),
        Runner::Running => json!({
            "phase": "Running",
            "containerStatuses": one(main, &json!({"running": {"startedAt": at(5).to_string()}})),
        }),
        Runner::Ended { exit, message } => json!({
            "phase": "Running",
            "containerStatuses": one(main, &terminated(*exit, "Completed", message.as_deref())),
        }),
        Runner::Killed(reason) => over(terminated(137, reason, None)),
        Runner::Failed(reason, message) => {
            let mut status = over(terminated(
                i32::from(message.is_some()) + 136 * i32::from(message.is_none()),
                "Error",
                message.as_deref(),
            ));
            status["reason"] = (*reason).into();
            status
        }
        Runner::Evicted(message) => {
            let mut status = over(terminated(
                if message.is_some() { 1 } else { 143 },
                "Error",
                message.as_deref(),
            ));
            status["conditions"] = disrupted;
            status
        }
        Runner::DryRunFailed(exit, reason, message) => json!({
            "phase": "Failed",
            "initContainerStatuses": one("dry-run", &terminated(*exit, reason, message.as_deref())),
            "containerStatuses": one(main, &json!({"waiting": {"reason": "PodInitializing"}})),
        }),
        Runner::NeverStarted(reason) => {
            json!({"phase": "Failed", "reason": reason, "message": "as the kubelet says"})
        }
        Runner::EvictedEarly => {
            json!({"phase": "Failed", "reason": "Evicted", "conditions": disrupted})
        }
        Runner::OverWhileRunning => {
            let mut status = over(json!({"running": {"startedAt": at(5).to_string()}}));
            status["conditions"] = disrupted;
            status
        }
        Runner::EndUnknown => {
            over(json!({"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown"}}))
        }
    }
}

fn one(name: &str, state: &Value) -> Value {
    json!([{"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state}])
}

fn terminated(exit: i32, reason: &str, message: Option<&str>) -> Value {
    json!({"terminated": {
        "exitCode": exit, "reason": reason, "message": message,
        "startedAt": at(5).to_string(), "finishedAt": at(20).to_string(),
    }})
}

/// One step as the runner reports it.
pub fn step(index: u32, outcome: &str) -> Value {
    json!({"step": index, "outcome": outcome, "at": at(10).to_string(), "millis": 12, "statusCode": 200})
}

/// The runner's result about this execution.
pub fn result(world: &World, outcome: &str, steps: &[Value]) -> String {
    let error = (outcome != "done").then_some("as the runner says");
    json!({
        "executionUid": "e-1", "attempt": 1, "stage": "execute", "dryRun": container(world) == "dry-run",
        "planHash": world.hash(), "outcome": outcome, "error": error, "steps": steps,
        "metrics": {
            "calls": 4, "failedCalls": 1, "timedOutCalls": 0, "totalMillis": 40, "slowestMillis": 20,
            "fastestMillis": 4, "cpuMillis": 5, "wallMillis": 100, "peakMemoryBytes": 3_145_728,
        },
    })
    .to_string()
}

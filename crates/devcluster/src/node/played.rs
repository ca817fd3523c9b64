//! Pods without a process: the node says of them what their annotation asks for, so that Deployments become available
//! and Services get endpoints.

use std::{future, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use tokio::time::sleep;

use super::{
    host::Host,
    images,
    live::LivePod,
    record::{ContainerRecord, PodRecord, State, Terminated},
    sight::Sight,
};

/// The annotation that says how a pod without a process behaves.
pub const BEHAVIOR: &str = "devcluster.kubernaut.io/behavior";

/// Between the restarts of a crashing container: the first wait, which doubles, and the longest.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_mins(1);

/// How a pod behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Behavior {
    /// Ready after this time.
    Ready(Duration),
    /// Runs and is never ready.
    NeverReady,
    /// Its containers end with 1 right after each start.
    CrashLoop,
    /// Ready at once, and after this time the pod itself is removed.
    Gone(Duration),
    /// Ready at once, and takes this long to go when it is deleted.
    SlowToGo(Duration),
    /// Ends by itself with this exit code after this time.
    Exits(i32, Duration),
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "annotation {BEHAVIOR} is '{0}': write ready, slow=<seconds>, never-ready, crash-loop, gone=<seconds>, \
     slow-to-go=<seconds>, completes=<seconds> or fails=<seconds>"
)]
struct UnknownBehavior(String);

impl Behavior {
    fn of(pod: &Pod) -> Result<Self, UnknownBehavior> {
        let text = pod
            .annotations()
            .get(BEHAVIOR)
            .map_or("ready", String::as_str);
        let unknown = || UnknownBehavior(text.to_owned());
        let (name, time) = match text.split_once('=') {
            None => (text, Duration::ZERO),
            Some((name, seconds)) => {
                let seconds: f64 = seconds.parse().map_err(|_| unknown())?;
                let time = Duration::try_from_secs_f64(seconds).map_err(|_| unknown())?;
                (name, time)
            }
        };
        match name {
            "ready" | "slow" => Ok(Self::Ready(time)),
            "never-ready" => Ok(Self::NeverReady),
            "crash-loop" => Ok(Self::CrashLoop),
            "gone" => Ok(Self::Gone(time)),
            "slow-to-go" => Ok(Self::SlowToGo(time)),
            "completes" => Ok(Self::Exits(0, time)),
            "fails" => Ok(Self::Exits(1, time)),
            _ => Err(unknown()),
        }
    }
}

/// Plays the pod until it is gone.
pub(super) async fn run(host: &Arc<Host>, live: &Arc<LivePod>, mut sight: Sight) {
    let pod = sight.pod();
    let behavior = Behavior::of(&pod);
    let mut deletion = sight.clone();
    tokio::select! {
        () = play(host, live, &pod, behavior.as_ref()) => {}
        _ = deletion.deletion() => {}
    }
    if let Ok(Behavior::SlowToGo(time)) = behavior {
        sleep(time).await;
    }
    live.delete(host).await;
    sight.gone().await;
}

/// Returns only when the pod should be removed.
async fn play(
    host: &Host,
    live: &LivePod,
    pod: &Pod,
    behavior: Result<&Behavior, &UnknownBehavior>,
) {
    if images::is_absent(pod) {
        images::report_pull_failure(live, pod).await;
        return future::pending().await;
    }
    let behavior = match behavior {
        Ok(behavior) => behavior,
        Err(problem) => {
            let problem = problem.to_string();
            live.change(|record| refuse(record, &problem));
            return future::pending().await;
        }
    };
    match behavior {
        Behavior::Ready(time) => {
            live.change(|record| start(record, time.is_zero()));
            if !time.is_zero() {
                sleep(*time).await;
                live.change(|record| start(record, true));
            }
        }
        Behavior::NeverReady => live.change(|record| start(record, false)),
        Behavior::SlowToGo(_) => live.change(|record| start(record, true)),
        Behavior::CrashLoop => crash(live).await,
        Behavior::Gone(time) => {
            live.change(|record| start(record, true));
            sleep(*time).await;
            host.linked().await;
            return;
        }
        Behavior::Exits(code, time) => {
            live.change(|record| start(record, true));
            sleep(*time).await;
            live.change(|record| {
                end(&mut record.main, *code);
                record.finish(None);
            });
        }
    }
    future::pending::<()>().await;
}

async fn crash(live: &LivePod) {
    let mut backoff = FIRST_BACKOFF;
    loop {
        live.change(|record| {
            start(record, false);
            end(&mut record.main, 1);
            for container in &mut record.main {
                container.await_restart(format!(
                    "back-off {} s restarting failed container",
                    backoff.as_secs()
                ));
            }
        });
        sleep(backoff).await;
        backoff = (backoff * 2).min(MAX_BACKOFF);
    }
}

/// The initial containers have completed, the main ones run.
fn start(record: &mut PodRecord, ready: bool) {
    let now = Timestamp::now();
    let initial = record
        .init
        .iter_mut()
        .filter(|container| matches!(container.state, State::Waiting { .. }));
    for container in initial {
        container.run("played://".to_owned(), now);
        container.end(terminated(0, now));
    }
    for container in &mut record.main {
        if !container.state.is_running() {
            container.run("played://".to_owned(), now);
        }
        container.ready = ready;
    }
}

fn end(containers: &mut [ContainerRecord], code: i32) {
    let now = Timestamp::now();
    for container in containers {
        container.end(terminated(code, now));
    }
}

fn refuse(record: &mut PodRecord, problem: &str) {
    for container in &mut record.main {
        container.state = State::waiting("UnknownBehavior", problem);
    }
}

fn terminated(exit_code: i32, now: Timestamp) -> Terminated {
    Terminated {
        exit_code,
        reason: if exit_code == 0 { "Completed" } else { "Error" },
        message: None,
        started: now,
        finished: now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behavior(text: &str) -> Result<Behavior, UnknownBehavior> {
        let mut pod = Pod::default();
        pod.annotations_mut()
            .insert(BEHAVIOR.to_owned(), text.to_owned());
        Behavior::of(&pod)
    }

    #[test]
    fn a_pod_without_the_annotation_is_ready_at_once() {
        assert_eq!(
            Behavior::of(&Pod::default()),
            Ok(Behavior::Ready(Duration::ZERO))
        );
    }

    #[test]
    fn a_behavior_may_carry_a_time_in_seconds() {
        let time = Duration::from_millis(1500);
        assert_eq!(behavior("slow=1.5"), Ok(Behavior::Ready(time)));
    }

    #[test]
    fn an_unknown_behavior_and_a_bad_time_are_named_with_what_may_stand_there() {
        for text in ["sleepy", "slow=soon", "slow=-1"] {
            let problem = behavior(text).unwrap_err().to_string();
            assert!(
                problem.contains(text) && problem.contains("never-ready"),
                "{problem}"
            );
        }
    }
}

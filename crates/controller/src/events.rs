//! What people are told as Kubernetes events: at most two per execution, and one when a deleted one's runner is stopped.
//! One task publishes them from a bounded queue; what does not fit is counted and dropped, never waited for.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use kexec_api::condition::ConditionType;
use kexec_api::execution::KubernetesExecution;
use kexec_api::phase::Phase;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource};
use tokio::sync::mpsc;

use crate::cluster::CALL_TIMEOUT;
use crate::metrics::Metrics;

/// Events that may wait to be published.
const WAITING: usize = 512;
/// Longest note the API server takes is 1024 bytes.
const NOTE_MAX: usize = 900;

/// Where events are handed in.
#[derive(Clone)]
pub struct Events {
    queue: mpsc::Sender<(Event, ObjectReference)>,
    metrics: Arc<Metrics>,
    system_namespace: String,
}

impl Events {
    /// The way in, and the task that publishes until the way in is gone.
    pub fn new(
        client: Client,
        metrics: Arc<Metrics>,
        system_namespace: &str,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (queue, mut waiting) = mpsc::channel::<(Event, ObjectReference)>(WAITING);
        let reporter = Reporter {
            controller: "kubernaut-executor".to_owned(),
            instance: std::env::var("POD_NAME").ok(),
        };
        let publish = async move {
            let recorder = Recorder::new(client, reporter);
            while let Some((event, about)) = waiting.recv().await {
                let published = recorder.publish(&event, &about);
                match tokio::time::timeout(CALL_TIMEOUT, published).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::debug!(%error, "event was not published"),
                    Err(_) => tracing::debug!("event was not published: no answer in time"),
                }
            }
        };
        let events = Self {
            queue,
            metrics,
            system_namespace: system_namespace.to_owned(),
        };
        (events, publish)
    }

    /// The plan is recorded and runs.
    pub fn started(&self, execution: &KubernetesExecution, summary: &str) {
        self.publish(
            EventType::Normal,
            "Started",
            ("Execute", summary),
            execution.object_ref(&()),
        );
    }

    /// The action is being undone.
    pub fn undone(&self, execution: &KubernetesExecution) {
        let info = execution
            .status
            .as_ref()
            .and_then(|status| status.execution_details.as_ref()?.rollback_info.as_ref());
        let why = info.and_then(|info| info.rollback_reason.clone());
        self.publish(
            EventType::Warning,
            "RollingBack",
            ("Rollback", &why.unwrap_or_default()),
            execution.object_ref(&()),
        );
    }

    /// The execution ended.
    pub fn finished(&self, execution: &KubernetesExecution) {
        let Some(status) = &execution.status else {
            return;
        };
        let completed = status.condition(ConditionType::Completed);
        let reason = completed
            .and_then(|condition| condition.reason.clone())
            .unwrap_or_default();
        let message = completed
            .and_then(|condition| condition.message.clone())
            .unwrap_or_default();
        let is_success = matches!(status.phase, Some(Phase::Completed | Phase::RolledBack));
        let kind = if is_success {
            EventType::Normal
        } else {
            EventType::Warning
        };
        self.publish(
            kind,
            &reason,
            ("Execute", &message),
            execution.object_ref(&()),
        );
    }

    /// The execution of a running Job was deleted.
    pub fn orphaned(&self, job: &str, execution_uid: &str) {
        let about = ObjectReference {
            api_version: Some("batch/v1".to_owned()),
            kind: Some("Job".to_owned()),
            namespace: Some(self.system_namespace.clone()),
            name: Some(job.to_owned()),
            ..ObjectReference::default()
        };
        let note = format!(
            "the execution with UID {execution_uid} was deleted: its runner is stopped, nothing is undone"
        );
        self.publish(EventType::Warning, "Deleted", ("Stop", &note), about);
    }

    fn publish(
        &self,
        kind: EventType,
        reason: &str,
        (action, note): (&str, &str),
        about: ObjectReference,
    ) {
        let event = Event {
            type_: kind,
            reason: reason.to_owned(),
            note: Some(note.chars().take(NOTE_MAX).collect()),
            action: action.to_owned(),
            secondary: None,
        };
        if self.queue.try_send((event, about)).is_err() {
            self.metrics.dropped_event();
        }
    }
}

//! How an execution ended, as whoever reads its status sees it, and what must hold after every end.

use k8s_openapi::api::batch::v1::Job;
use kexec_api::condition::{ConditionType, FailureClass, Reason};
use kexec_api::execution::KubernetesExecution;
use kexec_api::phase::{Outcome, Phase};
use kube::ResourceExt;
use kube::api::Api;

use super::scene::{Scene, phase};
use super::wait::eventually;

/// How an execution ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ending {
    /// Phase.
    pub phase: Option<Phase>,
    /// Reason of the condition `Completed`.
    pub reason: Option<Reason>,
    /// Class of that reason.
    pub class: Option<FailureClass>,
    /// What the parent is told.
    pub outcome: Option<Outcome>,
    /// Whether the outcome was proven.
    pub verified: Option<bool>,
}

impl Ending {
    /// Done and proven.
    pub const COMPLETED: Self = Self {
        phase: Some(Phase::Completed),
        reason: Some(Reason::ExecutionCompleted),
        class: None,
        outcome: Some(Outcome::Succeeded),
        verified: Some(true),
    };

    /// Cancelled, with nothing written.
    pub const CANCELLED: Self = Self {
        phase: Some(Phase::Cancelled),
        reason: Some(Reason::Cancelled),
        class: Some(FailureClass::Cancelled),
        outcome: Some(Outcome::Cancelled),
        verified: Some(false),
    };

    /// Failed, with nothing about the writes left unknown.
    #[must_use]
    pub fn failed(reason: Reason, class: FailureClass) -> Self {
        Self {
            phase: Some(Phase::Failed),
            reason: Some(reason),
            class: Some(class),
            outcome: Some(Outcome::Failed),
            verified: Some(false),
        }
    }

    /// How this execution ended.
    #[must_use]
    pub fn of(execution: &KubernetesExecution) -> Self {
        let status = execution.status.as_ref();
        let completed = status.and_then(|status| status.condition(ConditionType::Completed));
        let reason = completed.and_then(kexec_api::execution::status::Condition::known_reason);
        let step = status.and_then(|status| status.step_result.as_ref());
        Self {
            phase: phase(execution),
            reason,
            class: reason.and_then(Reason::failure_class),
            outcome: step.and_then(|step| step.outcome),
            verified: step.and_then(|step| step.verified),
        }
    }
}

/// What an execution says went wrong.
#[must_use]
pub fn error_of(execution: &KubernetesExecution) -> String {
    let status = execution.status.as_ref();
    status
        .and_then(|status| status.error.clone())
        .unwrap_or_default()
}

impl Scene {
    /// Waits for the execution's end and checks it; on a mismatch prints what is known of it.
    pub async fn ends(&self, name: &str, expected: Ending) -> KubernetesExecution {
        let execution = self.ended(name).await;
        let ending = Ending::of(&execution);
        if ending != expected {
            self.print(name).await;
        }
        assert_eq!(ending, expected, "{}", error_of(&execution));
        execution
    }

    /// Waits until the Job of an ended execution is gone, is being deleted, or has its time to live.
    pub async fn job_expires(&self, execution: &KubernetesExecution) {
        let jobs: Api<Job> = self.system_api();
        let name = self.job_name(execution);
        eventually(&format!("the Job {name} to be on its way out"), || async {
            match jobs.get_opt(&name).await.ok()? {
                None => Some(()),
                Some(job) => {
                    let spec = job.spec.as_ref();
                    let expires =
                        spec.is_some_and(|spec| spec.ttl_seconds_after_finished.is_some());
                    (expires || job.metadata.deletion_timestamp.is_some()).then_some(())
                }
            }
        })
        .await;
    }

    /// The same for a Deployment whose pods never get ready: the next execution has its turn, and is refused nothing.
    pub async fn goes_on_with_played(&self, execution: &KubernetesExecution, deployment: &str) {
        self.job_expires(execution).await;
        assert_eq!(execution.finalizers(), &[] as &[String]);
        let name = format!("after-{}", execution.name_any());
        let mut dry = self.scaling(&name, deployment, 2);
        dry["spec"]["actionDefinition"]["parameters"]["dryRun"] = true.into();
        self.create(&dry).await;
        let ended = self.ended(&name).await;
        let reason = Ending::of(&ended).reason;
        assert_eq!(
            reason,
            Some(Reason::DryRunSucceeded),
            "{}",
            error_of(&ended)
        );
    }

    /// What must hold after every end: the Job is on its way out, no finalizer holds the execution, and the next
    /// execution on the same Deployment has its turn and succeeds. Stand-ins must be gone by now.
    pub async fn goes_on_after(&self, execution: &KubernetesExecution, deployment: &str) {
        self.job_expires(execution).await;
        assert_eq!(execution.finalizers(), &[] as &[String]);
        let name = format!("after-{}", execution.name_any());
        let replicas = if self.replicas(deployment).await == 1 {
            2
        } else {
            1
        };
        self.create(&self.scaling(&name, deployment, replicas))
            .await;
        self.ends(&name, Ending::COMPLETED).await;
    }
}

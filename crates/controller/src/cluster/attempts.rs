//! Calls on what an attempt consists of: its Job, the pod of that, its claim, and the events that say why it does not
//! start.

use either::Either;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kexec_api::condition::Reason;
use kexec_api::names;
use kexec_core::attempt::{Claim, StartTrouble};
use kexec_core::view::CreateProblem;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use serde_json::json;

use super::{CallError, Class, Cluster};

/// Who holds a tombstone.
const TOMBSTONE_HOLDER: &str = "kubernaut-executor";

/// What came of creating a Job.
#[derive(Debug)]
pub enum Created {
    /// It is there; ours or, if its labels say so, somebody else's.
    Job(Box<Job>),
    /// It could not be created.
    Problem(CreateProblem),
}

impl Created {
    /// Why there is no Job, if there is none.
    #[must_use]
    pub fn problem(&self) -> Option<&CreateProblem> {
        match self {
            Self::Job(_) => None,
            Self::Problem(problem) => Some(problem),
        }
    }
}

impl Cluster {
    fn jobs(&self) -> Api<Job> {
        Api::namespaced(self.calls.clone(), &self.system_namespace)
    }

    /// The Job of that name.
    pub async fn job(&self, name: &str) -> Result<Option<Job>, CallError> {
        self.call("read the Job", self.jobs().get_opt(name)).await
    }

    /// Creates a Job, or finds the one that has its name: the answer to an earlier creation may have been lost.
    pub async fn create_job(&self, job: &Job) -> Result<Created, CallError> {
        let by_us = PostParams {
            field_manager: Some(names::CONTROLLER_FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let error = match self
            .call("create the Job", self.jobs().create(&by_us, job))
            .await
        {
            Ok(created) => return Ok(Created::Job(Box::new(created))),
            Err(error) => error,
        };
        match error.class() {
            Class::Conflict => match self.job(&job.name_any()).await? {
                Some(found) => Ok(Created::Job(Box::new(found))),
                None => Err(error),
            },
            Class::Denied => {
                let quota = error.said().contains("exceeded quota");
                Ok(Created::Problem(CreateProblem {
                    reason: if quota {
                        Reason::QuotaExceeded
                    } else {
                        Reason::PermissionDenied
                    },
                    message: format!("the Job could not be created: {}", error.said()),
                    transient: quota,
                }))
            }
            Class::Invalid | Class::Absent => Ok(Created::Problem(CreateProblem {
                reason: Reason::InternalError,
                message: format!("the Job could not be created: {}", error.said()),
                transient: false,
            })),
            Class::Transient | Class::Bug => Err(error),
        }
    }

    /// Has a Job removed that many seconds after its finish.
    pub async fn expire_job(&self, name: &str, seconds: i32) -> Result<Option<Job>, CallError> {
        let patch = Patch::Merge(json!({"spec": {"ttlSecondsAfterFinished": seconds}}));
        let (jobs, how) = (self.jobs(), PatchParams::default());
        present(
            self.call("set the Job's time to live", jobs.patch(name, &how, &patch))
                .await,
        )
    }

    /// Deletes a Job after its pods: in the background, the name would be free while a pod still runs.
    pub async fn delete_job(&self, name: &str) -> Result<Option<Job>, CallError> {
        let jobs = self.jobs();
        let deleted = present(
            self.call(
                "delete the Job",
                jobs.delete(name, &DeleteParams::foreground()),
            )
            .await,
        )?;
        Ok(deleted.and_then(Either::left))
    }

    /// Has a pod stopped: SIGTERM at once, SIGKILL after its grace period; message and log survive.
    pub async fn stop_pod(&self, pod: &Pod) -> Result<Option<Pod>, CallError> {
        let pods: Api<Pod> = Api::namespaced(self.calls.clone(), &self.system_namespace);
        let patch = Patch::Merge(json!({
            "metadata": {"uid": pod.metadata.uid},
            "spec": {"activeDeadlineSeconds": 1},
        }));
        let (name, how) = (pod.name_any(), PatchParams::default());
        present(
            self.call("stop the runner's pod", pods.patch(&name, &how, &patch))
                .await,
        )
    }

    /// Takes an attempt's claim in place of its runner, or learns that a runner has it, or may have had it: a runner's
    /// claim goes with its Job, so that a free name proves something only while the Job stands. Without an owner: the
    /// Job may be gone; the sweep removes it.
    pub async fn tombstone(
        &self,
        name: &str,
        execution_uid: &str,
        now: Timestamp,
    ) -> Result<Claim, CallError> {
        let leases: Api<Lease> = Api::namespaced(self.calls.clone(), &self.system_namespace);
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(self.system_namespace.clone()),
                labels: Some(
                    [
                        (names::LABEL_APP_NAME, names::APP_NAME),
                        (names::LABEL_EXECUTION_UID, execution_uid),
                        (names::LABEL_TOMBSTONE, "true"),
                    ]
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .into(),
                ),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(TOMBSTONE_HOLDER.to_owned()),
                acquire_time: Some(MicroTime(now)),
                ..LeaseSpec::default()
            }),
        };
        let created = self
            .call(
                "bury the attempt",
                leases.create(&PostParams::default(), &lease),
            )
            .await;
        let is_ours = match created {
            Ok(_) => true,
            Err(error) if error.class() == Class::Conflict => {
                let found = self.call("read the claim", leases.get(name)).await?;
                found.labels().contains_key(names::LABEL_TOMBSTONE)
            }
            Err(error) => return Err(error),
        };
        if is_ours && self.job_stands(name).await? {
            Ok(Claim::Tombstone)
        } else {
            Ok(Claim::Runner)
        }
    }

    /// Whether the Job is there and is not being deleted, by the API server and not by the watch.
    async fn job_stands(&self, name: &str) -> Result<bool, CallError> {
        let job = self.job(name).await?;
        Ok(job.is_some_and(|job| job.metadata.deletion_timestamp.is_none()))
    }

    /// Names and execution UIDs of all tombstones.
    pub async fn tombstones(&self) -> Result<Vec<Lease>, CallError> {
        let leases: Api<Lease> = Api::namespaced(self.calls.clone(), &self.system_namespace);
        let selected = ListParams::default().labels(names::LABEL_TOMBSTONE);
        Ok(self
            .call("list the tombstones", leases.list(&selected))
            .await?
            .items)
    }

    /// Removes a tombstone; that very one.
    pub async fn remove_tombstone(&self, lease: &Lease) -> Result<(), CallError> {
        let leases: Api<Lease> = Api::namespaced(self.calls.clone(), &self.system_namespace);
        let only_this = DeleteParams::default().preconditions(Preconditions {
            uid: lease.uid(),
            resource_version: lease.resource_version(),
        });
        let removed = self
            .call(
                "remove a tombstone",
                leases.delete(&lease.name_any(), &only_this),
            )
            .await;
        present(removed).map(drop)
    }

    /// What the latest warning about a Job says.
    pub async fn start_events(&self, job: &str) -> Result<Option<StartTrouble>, CallError> {
        let events: Api<Event> = Api::namespaced(self.calls.clone(), &self.system_namespace);
        let about = ListParams::default().fields(&format!(
            "involvedObject.kind=Job,involvedObject.name={job},type=Warning"
        ));
        let found = self
            .call("list the Job's events", events.list(&about))
            .await?;
        let latest = found
            .items
            .into_iter()
            .max_by_key(|event| event.metadata.creation_timestamp.clone());
        Ok(latest.map(|event| StartTrouble {
            reason: event.reason.unwrap_or_default(),
            message: event.message.unwrap_or_default(),
        }))
    }
}

/// What is gone, or another one by now, needs nothing more.
pub(super) fn present<T>(result: Result<T, CallError>) -> Result<Option<T>, CallError> {
    match result {
        Ok(object) => Ok(Some(object)),
        Err(error) => match error.class() {
            Class::Absent | Class::Conflict => Ok(None),
            Class::Transient | Class::Denied | Class::Invalid | Class::Bug => Err(error),
        },
    }
}

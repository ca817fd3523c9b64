//! The watches of Jobs and their pods in the system namespace. The end of an attempt is read from the pod's watch event
//! itself: a deleted pod can be read for about a second only, so its last state is kept with the time it went.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kexec_api::names;
use kexec_core::attempt::{Presence, Sighting};
use kube::api::Api;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::{Executions, Waker, WatchHealth};

/// Names of these watches.
pub(super) const JOBS: &str = "jobs";
pub(super) const PODS: &str = "pods";

/// One attempt as seen.
#[derive(Clone, Debug, Default)]
struct Seen {
    execution_uid: String,
    job: Presence<Job>,
    pod: Presence<Pod>,
    earlier_pods: Vec<Presence<Pod>>,
}

impl Seen {
    /// Keeps what is seen of a pod; the Job may have had another one before it.
    fn keep_pod(&mut self, pod: Presence<Pod>) {
        let uid = uid_of(&pod);
        if let Some(earlier) = self.earlier_pods.iter_mut().find(|one| uid_of(one) == uid) {
            *earlier = pod;
            return;
        }
        if self.pod != Presence::Never && uid_of(&self.pod) != uid {
            self.earlier_pods.push(std::mem::take(&mut self.pod));
        }
        self.pod = pod;
    }

    fn pods(&mut self) -> impl Iterator<Item = &mut Presence<Pod>> {
        self.earlier_pods.iter_mut().chain([&mut self.pod])
    }
}

fn uid_of(pod: &Presence<Pod>) -> Option<&str> {
    pod.last()?.metadata.uid.as_deref()
}

/// All attempts seen, by the name of their Job.
#[derive(Clone)]
pub struct Attempts {
    seen: Arc<Mutex<HashMap<String, Seen>>>,
    executions: Executions,
    waker: Waker,
    orphans: mpsc::UnboundedSender<String>,
    health: Arc<WatchHealth>,
}

impl Attempts {
    /// No attempts seen yet. `orphans` gets the name of every Job that changed and whose execution is gone.
    #[must_use]
    pub fn new(
        executions: Executions,
        waker: Waker,
        orphans: mpsc::UnboundedSender<String>,
        health: Arc<WatchHealth>,
    ) -> Self {
        Self {
            seen: Arc::default(),
            executions,
            waker,
            orphans,
            health,
        }
    }

    /// Watches the Jobs until dropped.
    pub async fn watch_jobs(self, client: Client, namespace: String) {
        self.watch::<Job>(Api::namespaced(client, &namespace), JOBS, |seen, job| {
            seen.job = job;
        })
        .await;
    }

    /// Watches the pods until dropped.
    pub async fn watch_pods(self, client: Client, namespace: String) {
        self.watch::<Pod>(Api::namespaced(client, &namespace), PODS, Seen::keep_pod)
            .await;
    }

    async fn watch<K>(&self, api: Api<K>, name: &'static str, keep: fn(&mut Seen, Presence<K>))
    where
        K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
        K::DynamicType: Default,
    {
        let selected = watcher::Config::default().labels(names::LABEL_EXECUTION_UID);
        let mut events = watcher(api, selected).default_backoff().boxed();
        let mut listed: Option<Vec<String>> = None;
        while let Some(event) = events.next().await {
            match event {
                Err(error) => {
                    tracing::warn!(watch = name, %error, "watch failed");
                    self.health.failed(name);
                    continue;
                }
                Ok(watcher::Event::Init) => listed = Some(Vec::new()),
                Ok(watcher::Event::InitApply(object)) => {
                    if let Some(listed) = &mut listed {
                        listed.push(object.uid().unwrap_or_default());
                    }
                    self.keep(object, true, keep);
                }
                Ok(watcher::Event::InitDone) => {
                    self.health.synced(name);
                    self.forget_unlisted(name, &listed.take().unwrap_or_default());
                }
                Ok(watcher::Event::Apply(object)) => self.keep(object, true, keep),
                Ok(watcher::Event::Delete(object)) => self.keep(object, false, keep),
            }
            self.health.progressed(name);
        }
    }

    fn keep<K: Resource + Clone>(
        &self,
        mut object: K,
        is_here: bool,
        keep: fn(&mut Seen, Presence<K>),
    ) {
        object.managed_fields_mut().clear();
        let label = |key: &str| object.labels().get(key).cloned();
        let Some(uid) = label(names::LABEL_EXECUTION_UID) else {
            return;
        };
        let job = label("batch.kubernetes.io/job-name").unwrap_or_else(|| object.name_any());
        let presence = if is_here {
            Presence::Here(object)
        } else {
            Presence::Gone {
                last: object,
                since: Timestamp::now(),
            }
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let attempt = seen.entry(job.clone()).or_default();
        attempt.execution_uid.clone_from(&uid);
        keep(attempt, presence);
        drop(seen);
        self.wake(&uid, job);
    }

    /// After a watch began anew: what it did not list is gone.
    fn forget_unlisted(&self, watch: &str, listed: &[String]) {
        let now = Timestamp::now();
        let mut woken = Vec::new();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (job, attempt) in seen.iter_mut() {
            let went = if watch == JOBS {
                leave(&mut attempt.job, listed, now)
            } else {
                let left = attempt
                    .pods()
                    .filter_map(|pod| leave(pod, listed, now).then_some(()));
                left.count() > 0
            };
            if went {
                woken.push((attempt.execution_uid.clone(), job.clone()));
            }
        }
        drop(seen);
        for (uid, job) in woken {
            self.wake(&uid, job);
        }
    }

    fn wake(&self, execution_uid: &str, job: String) {
        match self.executions.by_uid(execution_uid) {
            Some(execution) => self.waker.wake(execution),
            None => drop(self.orphans.send(job)),
        }
    }

    /// What is seen of an attempt.
    #[must_use]
    pub fn sighting(&self, job: &str) -> Sighting {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let attempt = seen.get(job).cloned().unwrap_or_default();
        Sighting {
            job: attempt.job,
            pod: attempt.pod,
            earlier_pods: attempt.earlier_pods,
            ..Sighting::default()
        }
    }

    /// Keeps a Job that was created or read, unless the watch has told of it already.
    pub fn note(&self, job: Job) {
        let uid = job
            .labels()
            .get(names::LABEL_EXECUTION_UID)
            .cloned()
            .unwrap_or_default();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let attempt = seen.entry(job.name_any()).or_default();
        if attempt.job == Presence::Never {
            attempt.execution_uid = uid;
            attempt.job = Presence::Here(job);
        }
    }

    /// Keeps a Job that we changed: the watch tells later.
    pub fn changed_job(&self, job: Job) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(attempt) = seen.get_mut(&job.name_any()) {
            replace(&mut attempt.job, job);
        }
    }

    /// Keeps the pod of a Job that we changed: the watch tells later.
    pub fn changed_pod(&self, job: &str, pod: Pod) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(attempt) = seen.get_mut(job) {
            replace(&mut attempt.pod, pod);
        }
    }

    /// Names of the Jobs that are there, with the UID of their execution.
    #[must_use]
    pub fn present(&self) -> Vec<(String, String)> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let here = seen
            .iter()
            .filter(|(_, attempt)| matches!(attempt.job, Presence::Here(_)));
        here.map(|(job, attempt)| (job.clone(), attempt.execution_uid.clone()))
            .collect()
    }

    /// Names of the Jobs seen of an execution.
    #[must_use]
    pub fn jobs_of(&self, execution_uid: &str) -> Vec<String> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let its = seen
            .iter()
            .filter(|(_, attempt)| attempt.execution_uid == execution_uid);
        its.map(|(job, _)| job.clone()).collect()
    }

    /// UID of the execution that a Job belongs to.
    #[must_use]
    pub fn execution_uid(&self, job: &str) -> Option<String> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(job).map(|attempt| attempt.execution_uid.clone())
    }

    /// Forgets attempts of which nothing is left, once nobody can ask for them any more.
    pub fn forget_gone(&self, is_needed: impl Fn(&str) -> bool) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, attempt| {
            let here = matches!(attempt.job, Presence::Here(_))
                || matches!(attempt.pod, Presence::Here(_));
            here || is_needed(&attempt.execution_uid)
        });
    }
}

/// Takes the object in place of an older state of it. Resource versions of one kind can be compared (KEP-5504).
fn replace<K: Resource + Clone>(presence: &mut Presence<K>, object: K) {
    let version = |object: &K| {
        object
            .resource_version()
            .and_then(|text| text.parse::<u128>().ok())
    };
    if let Presence::Here(present) = presence
        && present.uid() == object.uid()
        && version(present) < version(&object)
    {
        *present = object;
    }
}

/// Marks an object as gone that a fresh list does not hold.
fn leave<K: Resource + Clone>(
    presence: &mut Presence<K>,
    listed: &[String],
    now: Timestamp,
) -> bool {
    let Presence::Here(object) = presence else {
        return false;
    };
    if object.uid().is_some_and(|uid| listed.contains(&uid)) {
        return false;
    }
    *presence = Presence::Gone {
        last: object.clone(),
        since: now,
    };
    true
}

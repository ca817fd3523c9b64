//! One pod while the node has it: its record, and the task that brings every change of it to the API server. A
//! change never waits for the API server; what changes while a write is under way goes out with the next one.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, task::AbortHandle, time::sleep};

use super::{host::Host, record::PodRecord};

/// Before a write or deletion that failed is tried again.
const RETRY: Duration = Duration::from_millis(200);

/// What names a pod for good.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
}

impl Key {
    pub(super) fn of(pod: &Pod) -> Self {
        Self {
            namespace: pod.namespace().unwrap_or_default(),
            name: pod.name_any(),
            uid: pod.uid().unwrap_or_default(),
        }
    }
}

/// A pod on this node.
#[derive(Debug)]
pub(super) struct LivePod {
    pub(super) key: Key,
    record: Mutex<PodRecord>,
    desired: watch::Sender<Desired>,
    written: watch::Receiver<Written>,
    writer: AbortHandle,
}

#[derive(Clone, Debug)]
struct Desired {
    version: u64,
    status: Arc<PodStatus>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Written {
    version: u64,
    /// The resourceVersion that our last write made, and whether it said Ready.
    at: u64,
    ready: bool,
    /// The pod is gone; nothing will be written any more.
    over: bool,
}

impl LivePod {
    /// Takes the pod and reports it as not yet started.
    pub(super) fn take(host: &Arc<Host>, pod: &Pod) -> Arc<Self> {
        let now = Timestamp::now();
        let mut record = PodRecord::new(pod, host.addresses.next(), now);
        let status = Arc::new(record.render(now));
        let (desired, wanted) = watch::channel(Desired { version: 1, status });
        let (done, written) = watch::channel(Written::default());
        let key = Key::of(pod);
        let writer = tokio::spawn(write(Arc::clone(host), key.clone(), wanted, done));
        Arc::new(Self {
            key,
            record: Mutex::new(record),
            desired,
            written,
            writer: writer.abort_handle(),
        })
    }

    /// Changes the record and reports the status that follows.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut PodRecord) -> T) -> T {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = change(&mut record);
        let status = Arc::new(record.render(Timestamp::now()));
        self.desired.send_modify(|desired| {
            desired.version += 1;
            desired.status = status;
        });
        answer
    }

    /// Reads the record.
    pub(super) fn read<T>(&self, read: impl FnOnce(&mut PodRecord) -> T) -> T {
        read(&mut self.record.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the pod as the API server has it, and reports again if someone else wrote over our Ready condition
    /// (the node controller does when it misses heartbeats).
    pub(super) fn compare(&self, observed: &Pod) {
        let written = *self.written.borrow();
        let version = observed
            .resource_version()
            .and_then(|version| version.parse::<u64>().ok());
        if version.is_some_and(|version| version > written.at)
            && written.at > 0
            && is_ready(observed) != written.ready
        {
            self.change(|_| ());
        }
    }

    /// Waits until everything reported so far is at the API server, or the pod is gone.
    pub(super) async fn settled(&self) {
        let version = self.desired.borrow().version;
        let mut written = self.written.clone();
        // The writer ends only when the pod is gone.
        let _ = written
            .wait_for(|written| written.over || written.version >= version)
            .await;
    }

    /// Removes the pod from the API server as a kubelet does when nothing of it is left: at once, and only if it is
    /// still this very pod.
    pub(super) async fn delete(&self, host: &Host) {
        let api = Api::<Pod>::namespaced(host.client.clone(), &self.key.namespace);
        let parameters = DeleteParams::default()
            .grace_period(0)
            .preconditions(Preconditions {
                uid: Some(self.key.uid.clone()),
                resource_version: None,
            });
        loop {
            host.linked().await;
            match api.delete(&self.key.name, &parameters).await {
                Err(error) if !is_refusal(&error) => sleep(RETRY).await,
                Ok(_) | Err(_) => return,
            }
        }
    }
}

impl Drop for LivePod {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

fn is_ready(pod: &Pod) -> bool {
    pod.status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten())
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

async fn write(
    host: Arc<Host>,
    key: Key,
    mut wanted: watch::Receiver<Desired>,
    done: watch::Sender<Written>,
) {
    let api = Api::<Pod>::namespaced(host.client.clone(), &key.namespace);
    let parameters = PatchParams::default();
    loop {
        host.linked().await;
        let desired = wanted.borrow_and_update().clone();
        let body = body(&key, &desired.status);
        match api
            .patch_status(&key.name, &parameters, &Patch::Strategic(body))
            .await
        {
            Ok(pod) => {
                let at = pod
                    .resource_version()
                    .and_then(|version| version.parse().ok());
                done.send_replace(Written {
                    version: desired.version,
                    at: at.unwrap_or_default(),
                    ready: is_ready(&pod),
                    over: false,
                });
            }
            Err(error) if is_gone(&error) => {
                done.send_modify(|written| written.over = true);
                return;
            }
            Err(error) => {
                tracing::warn!(%error, pod = key.name, "pod status not written");
                if !is_refusal(&error) {
                    sleep(RETRY).await;
                    continue;
                }
                done.send_modify(|written| written.version = desired.version);
            }
        }
        if wanted.changed().await.is_err() {
            return;
        }
    }
}

/// The patch that makes a pod's status this one. Its uid is a precondition: a pod of the same name that replaced this
/// one is not touched. What was said before and holds no longer must be taken back by a null.
fn body(key: &Key, status: &PodStatus) -> Value {
    let mut status = json!(status);
    take_back(&mut status, &["reason", "message"]);
    let conditions = status.get_mut("conditions").and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten() {
        take_back(condition, &["reason"]);
    }
    json!({"metadata": {"uid": key.uid}, "status": status})
}

fn take_back(object: &mut Value, fields: &[&str]) {
    if let Some(object) = object.as_object_mut() {
        for field in fields {
            object.entry(*field).or_insert(Value::Null);
        }
    }
}

/// The pod does not exist any more (404), or another one has its name (409 on the uid).
fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404 || status.code == 409)
}

/// The API server understood and said no; the same again would be answered the same.
fn is_refusal(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if (400..500).contains(&status.code) && status.code != 429)
}

//! The watches a proof needs: begun after the attempt's end, so that they show nothing older, and ended with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use kexec_core::facts::{Fact, Facts, Need};
use kube::api::DynamicObject;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Guarded, Waker};
use crate::cluster::reads;

/// Everything watched for proofs, by the UID of the execution.
#[derive(Clone)]
pub struct Proofs {
    client: Client,
    waker: Waker,
    watched: Arc<Mutex<HashMap<String, Proof>>>,
}

struct Proof {
    facts: Arc<Mutex<Facts>>,
    missing: watch::Receiver<usize>,
    /// Ends the watches when dropped.
    _watches: JoinSet<()>,
}

impl Proofs {
    /// Nothing watched yet.
    #[must_use]
    pub fn new(client: Client, waker: Waker) -> Self {
        Self {
            client,
            waker,
            watched: Arc::default(),
        }
    }

    /// Begins to watch for an execution, unless it is watched for already.
    pub fn begin(&self, uid: &str, execution: &ObjectRef<Guarded>, needs: Vec<Need>) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if watched.contains_key(uid) {
            return;
        }
        let facts = Arc::new(Mutex::new(Facts::default()));
        let (sender, missing) = watch::channel(needs.len());
        let sender = Arc::new(sender);
        let mut followed = JoinSet::new();
        for need in needs {
            let follow = Follow {
                facts: Arc::clone(&facts),
                missing: Arc::clone(&sender),
                execution: execution.clone(),
                waker: self.waker.clone(),
            };
            followed.spawn(follow.run(self.client.clone(), need));
        }
        watched.insert(
            uid.to_owned(),
            Proof {
                facts,
                missing,
                _watches: followed,
            },
        );
    }

    /// What is seen, once everything asked for has been read.
    #[must_use]
    pub fn facts(&self, uid: &str) -> Option<Facts> {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let proof = watched
            .get(uid)
            .filter(|proof| *proof.missing.borrow() == 0)?;
        Some(
            proof
                .facts
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        )
    }

    /// Waits until everything asked for has been read.
    pub async fn wait_until_read(&self, uid: &str) {
        let missing = {
            let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
            watched.get(uid).map(|proof| proof.missing.clone())
        };
        if let Some(mut missing) = missing {
            drop(missing.wait_for(|count| *count == 0).await);
        }
    }

    /// Ends the watches of an execution.
    pub fn end(&self, uid: &str) {
        self.watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(uid);
    }
}

/// One need, followed.
struct Follow {
    facts: Arc<Mutex<Facts>>,
    missing: Arc<watch::Sender<usize>>,
    execution: ObjectRef<Guarded>,
    waker: Waker,
}

impl Follow {
    async fn run(self, client: Client, need: Need) {
        let (kind, namespace, config) = match &need {
            Need::Object {
                kind,
                namespace,
                name,
            } => (
                kind,
                namespace,
                watcher::Config::default().fields(&format!("metadata.name={name}")),
            ),
            Need::List {
                kind,
                namespace,
                selector,
            } => (kind, namespace, watcher::Config::default().labels(selector)),
            Need::OnNode { kind, node } => (
                kind,
                &None,
                watcher::Config::default().fields(&format!("spec.nodeName={node}")),
            ),
        };
        let api = reads::api(client, kind, namespace.as_deref());
        let mut events = watcher(api, config.streaming_lists())
            .default_backoff()
            .boxed();
        let mut objects: HashMap<String, Value> = HashMap::new();
        let mut read = false;
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Init) => objects.clear(),
                Ok(watcher::Event::InitApply(object)) => insert(&mut objects, &object),
                Ok(watcher::Event::Apply(object)) => {
                    insert(&mut objects, &object);
                    self.tell(&need, fact(&need, &objects), &mut read);
                }
                Ok(watcher::Event::Delete(object)) => {
                    objects.remove(&object.uid().unwrap_or_default());
                    self.tell(&need, fact(&need, &objects), &mut read);
                }
                Ok(watcher::Event::InitDone) => self.tell(&need, fact(&need, &objects), &mut read),
                Err(error) if is_forbidden(&error) => {
                    let rule = reads::rule(need.kind(), "get, list, watch");
                    self.tell(&need, Fact::NotReadable(rule), &mut read);
                }
                Err(error) => {
                    tracing::debug!(%error, kind = need.kind().kind, "watch for a proof failed");
                }
            }
        }
    }

    fn tell(&self, need: &Need, fact: Fact, read: &mut bool) {
        self.facts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(need.clone(), fact);
        if *read {
            self.waker.wake(self.execution.clone());
        } else {
            *read = true;
            self.missing
                .send_modify(|count| *count = count.saturating_sub(1));
        }
    }
}

fn insert(objects: &mut HashMap<String, Value>, object: &DynamicObject) {
    objects.insert(object.uid().unwrap_or_default(), reads::plain(object));
}

fn fact(need: &Need, objects: &HashMap<String, Value>) -> Fact {
    match need {
        Need::Object { .. } => objects
            .values()
            .next()
            .cloned()
            .map_or(Fact::Absent, Fact::Object),
        Need::List { .. } | Need::OnNode { .. } => Fact::List(objects.values().cloned().collect()),
    }
}

fn is_forbidden(error: &watcher::Error) -> bool {
    let cause = match error {
        watcher::Error::InitialListFailed(cause)
        | watcher::Error::WatchStartFailed(cause)
        | watcher::Error::WatchFailed(cause) => cause,
        watcher::Error::WatchError(status) => return status.code == 403,
        watcher::Error::NoResourceVersion => return false,
    };
    matches!(cause, kube::Error::Api(status) if status.code == 403)
}

//! What every part of a process node shares: its client, folder, options, running processes, and the link to the API
//! server, which a test can cut.

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kube::Client;
use tokio::sync::{Semaphore, watch};

use super::{NodeOptions, addresses::Addresses, faults::Faults, live::LivePod};
use crate::processes::{Child, Order};

/// How pods of this node reach the API server.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    pub(super) url: String,
    pub(super) ca_pem: String,
    /// Its version, `v1.36.3`; the node says that it has the same.
    pub(super) version: String,
}

/// A pod's name in its namespace.
type Name = (String, String);

/// The shared part of a process node.
pub(super) struct Host {
    pub(super) options: NodeOptions,
    pub(super) client: Client,
    pub(super) cluster: Cluster,
    pub(super) folder: PathBuf,
    pub(super) addresses: Addresses,
    pub(super) faults: Faults,
    pub(super) slots: Semaphore,
    pub(super) log_port: u16,
    link: watch::Sender<bool>,
    processes: Mutex<HashMap<u32, Child>>,
    pods: Mutex<HashMap<Name, Arc<LivePod>>>,
}

impl fmt::Debug for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Host")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Host {
    pub(super) fn new(
        options: NodeOptions,
        client: Client,
        cluster: Cluster,
        folder: PathBuf,
        log_port: u16,
    ) -> Self {
        Self {
            slots: Semaphore::new(options.max_running_pods),
            options,
            client,
            cluster,
            folder,
            addresses: Addresses,
            faults: Faults::default(),
            log_port,
            link: watch::channel(true).0,
            processes: Mutex::default(),
            pods: Mutex::default(),
        }
    }

    /// Cuts or restores the link between this node and the API server.
    pub(super) fn set_link(&self, up: bool) {
        self.link.send_replace(up);
    }

    /// Returns as soon as the link is up.
    pub(super) async fn linked(&self) {
        // The sender is part of `self`, so this cannot fail.
        let _ = self.link.subscribe().wait_for(|up| *up).await;
    }

    /// Returns as soon as the link is down.
    pub(super) async fn unlinked(&self) {
        let _ = self.link.subscribe().wait_for(|up| !*up).await;
    }

    /// The folder of one pod.
    pub(super) fn pod_folder(&self, uid: &str) -> PathBuf {
        self.folder.join("pods").join(uid)
    }

    /// The program that stands for an image, if this node has one.
    pub(super) fn program_of(&self, image: &str) -> Option<&Path> {
        if image == self.options.runner_image {
            return Some(&self.options.runner_binary);
        }
        self.options.more_images.get(image).map(PathBuf::as_path)
    }

    pub(super) fn add_process(&self, child: &Child) {
        self.lock_processes().insert(child.pid(), child.clone());
    }

    pub(super) fn remove_process(&self, child: &Child) {
        self.lock_processes().remove(&child.pid());
    }

    /// Ends every process of every pod at once and waits for their end.
    pub(super) async fn kill_processes(&self) {
        let running: Vec<Child> = self.lock_processes().values().cloned().collect();
        for child in &running {
            child.order(Order::Kill);
        }
        for child in &running {
            child.ended().await;
        }
    }

    /// Process ids of all running pod processes.
    pub(super) fn pids(&self) -> Vec<u32> {
        self.lock_processes().keys().copied().collect()
    }

    pub(super) fn add_pod(&self, pod: &Arc<LivePod>) {
        self.lock_pods().insert(name_of(pod), Arc::clone(pod));
    }

    /// Forgets the pod, unless another one has its name by now.
    pub(super) fn remove_pod(&self, pod: &Arc<LivePod>) {
        let mut pods = self.lock_pods();
        if pods
            .get(&name_of(pod))
            .is_some_and(|known| Arc::ptr_eq(known, pod))
        {
            pods.remove(&name_of(pod));
        }
    }

    pub(super) fn pod(&self, namespace: &str, name: &str) -> Option<Arc<LivePod>> {
        self.lock_pods()
            .get(&(namespace.to_owned(), name.to_owned()))
            .cloned()
    }

    fn lock_processes(&self) -> MutexGuard<'_, HashMap<u32, Child>> {
        self.processes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_pods(&self) -> MutexGuard<'_, HashMap<Name, Arc<LivePod>>> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name_of(pod: &LivePod) -> Name {
    (pod.key.namespace.clone(), pod.key.name.clone())
}

//! Faults that a test can ask a node for, per pod. Pods made by a controller cannot be annotated by a test, so faults
//! are chosen by looking at the pod.

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use k8s_openapi::api::core::v1::Pod;

/// What goes wrong with a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This program runs instead of the image's.
    ReplaceBinary(PathBuf),
    /// No container is ever started.
    NeverStart,
    /// Every container is killed this long after its start and reported as `OOMKilled`.
    OutOfMemory {
        /// Time from the start.
        after: Duration,
    },
    /// When the pod is force-deleted (or its object vanishes), its processes live on until they end by themselves.
    SurviveForceDelete,
}

type Selector = Arc<dyn Fn(&Pod) -> bool + Send + Sync>;

#[derive(Clone)]
struct Entry {
    number: u64,
    selector: Selector,
    fault: Fault,
}

/// The faults that a node is asked for at present.
#[derive(Clone, Default)]
pub struct Faults {
    entries: Arc<Mutex<Vec<Entry>>>,
}

/// A fault that holds for as long as this exists. Pods that are running already keep what they started with.
#[must_use = "the fault ends when this is dropped"]
#[derive(Debug)]
pub struct ActiveFault {
    number: u64,
    faults: Weak<Mutex<Vec<Entry>>>,
}

impl Faults {
    /// Asks for `fault` on every pod that `selector` picks.
    pub fn for_pods_of(
        &self,
        selector: impl Fn(&Pod) -> bool + Send + Sync + 'static,
        fault: Fault,
    ) -> ActiveFault {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Entry {
                number,
                selector: Arc::new(selector),
                fault,
            });
        ActiveFault {
            number,
            faults: Arc::downgrade(&self.entries),
        }
    }

    /// The faults for this pod, the newest first.
    pub(super) fn of(&self, pod: &Pod) -> Vec<Fault> {
        let entries = self
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        entries
            .iter()
            .rev()
            .filter(|entry| (entry.selector)(pod))
            .map(|entry| entry.fault.clone())
            .collect()
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Faults").finish_non_exhaustive()
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Entry")
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

impl Drop for ActiveFault {
    fn drop(&mut self) {
        if let Some(entries) = self.faults.upgrade() {
            entries
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .retain(|entry| entry.number != self.number);
        }
    }
}

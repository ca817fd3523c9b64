//! The node's watch on its pods: one worker per pod, told of every change. While the link to the API server is cut,
//! nothing is seen; afterwards all is read again.

use std::{
    collections::{HashMap, HashSet},
    fs,
    pin::pin,
    sync::Arc,
};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    runtime::{WatchStreamExt, watcher, watcher::Event},
};
use tokio::task::JoinSet;

use super::{
    host::Host,
    images, lifecycle,
    live::LivePod,
    played,
    sight::{Seen, Sender, Sight},
};

/// Follows the pods bound to this node. Never returns; dropping it ends all workers and with them all processes.
pub(super) async fn follow(host: Arc<Host>) {
    let mut workers = Workers {
        host: Arc::clone(&host),
        known: HashMap::new(),
        listed: HashSet::new(),
        tasks: JoinSet::new(),
    };
    loop {
        host.linked().await;
        tokio::select! {
            () = workers.watch() => {}
            () = host.unlinked() => {}
        }
    }
}

struct Workers {
    host: Arc<Host>,
    known: HashMap<String, Sender>,
    listed: HashSet<String>,
    tasks: JoinSet<()>,
}

impl Workers {
    async fn watch(&mut self) {
        let config =
            watcher::Config::default().fields(&format!("spec.nodeName={}", self.host.options.name));
        let pods = Api::<Pod>::all(self.host.client.clone());
        let mut events = pin!(watcher(pods, config).default_backoff());
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => self.handle(event),
                Err(error) => tracing::debug!(%error, "watch on pods interrupted"),
            }
            // Workers that ended are forgotten.
            while self.tasks.try_join_next().is_some() {}
        }
    }

    fn handle(&mut self, event: Event<Pod>) {
        match event {
            Event::Apply(pod) => self.see(pod),
            Event::Delete(pod) => self.lose(&pod.uid().unwrap_or_default()),
            Event::Init => self.listed.clear(),
            Event::InitApply(pod) => {
                self.listed.insert(pod.uid().unwrap_or_default());
                self.see(pod);
            }
            Event::InitDone => {
                let gone = self.known.keys().filter(|uid| !self.listed.contains(*uid));
                let gone: Vec<String> = gone.cloned().collect();
                for uid in gone {
                    self.lose(&uid);
                }
            }
        }
    }

    fn see(&mut self, pod: Pod) {
        let pod = Arc::new(pod);
        let uid = pod.uid().unwrap_or_default();
        if let Some(worker) = self.known.get(&uid) {
            worker.send_replace(Seen::Here(pod));
        } else if !has_ended(&pod) {
            let (sender, sight) = Sight::new(pod);
            self.known.insert(uid, sender);
            self.tasks.spawn(work(Arc::clone(&self.host), sight));
        }
    }

    fn lose(&mut self, uid: &str) {
        if let Some(worker) = self.known.remove(uid) {
            worker.send_modify(|seen| {
                if let Seen::Here(pod) = seen {
                    *seen = Seen::Gone(Arc::clone(pod));
                }
            });
        }
    }
}

/// A pod that ended before this node was started needs no worker: the API server removes it at once when asked.
fn has_ended(pod: &Pod) -> bool {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

async fn work(host: Arc<Host>, sight: Sight) {
    let pod = sight.pod();
    let live = LivePod::take(&host, &pod);
    host.add_pod(&live);
    let worker = async {
        if images::is_process(&host, &pod) {
            lifecycle::run(&host, &live, sight.clone()).await;
        } else {
            played::run(&host, &live, sight.clone()).await;
        }
    };
    tokio::select! {
        () = worker => {}
        () = compare(&live, sight.clone()) => {}
    }
    host.remove_pod(&live);
    // A folder that is not there was never needed.
    let _ = fs::remove_dir_all(host.pod_folder(&live.key.uid));
}

/// Shows the pod every newer version of itself. Never returns.
async fn compare(live: &LivePod, mut sight: Sight) {
    loop {
        sight.changed().await;
        if let Seen::Here(pod) = sight.now() {
            live.compare(&pod);
        }
    }
}

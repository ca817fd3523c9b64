//! One execution whose runner a stand-in replaces, what befalls its Job and its pod, and how it must end.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kexec_api::condition::{FailureClass, Reason};
use kexec_api::execution::KubernetesExecution;
use kexec_devcluster::node::Fault;
use kexec_tests::harness::{
    Ending, HELD_AFTER_THE_WRITE, HELD_BEFORE_THE_WRITE, Operator, Scene, StandIn, error_of,
    eventually,
};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, EvictParams, ListParams, Patch, PatchParams};
use serde_json::json;

/// A Deployment `web` with 2 replicas, an operator, and an execution `up` that is to scale it to 4.
pub struct Attempt {
    pub scene: Scene,
    /// `None` while it is down.
    pub operator: Option<Operator>,
    pub stand_in: StandIn,
    pub execution: KubernetesExecution,
}

impl Attempt {
    pub async fn begin(name: &str, body: &str, faults: &[Fault]) -> Self {
        Self::begin_within(name, body, faults, "60s").await
    }

    pub async fn begin_within(name: &str, body: &str, faults: &[Fault], timeout: &str) -> Self {
        let scene = Scene::new(name).await;
        scene.deployment("web", 2).await;
        let operator = Some(scene.operator().await);
        let stand_in = StandIn::with_faults(&scene, body, faults);
        let mut order = scene.scaling("up", "web", 4);
        order["spec"]["executionConfig"]["timeout"] = json!(timeout);
        let execution = scene.create(&order).await;
        Self {
            scene,
            operator,
            stand_in,
            execution,
        }
    }

    /// Begins one whose runner is held back right before it begins to write.
    pub async fn held_before(name: &str) -> Self {
        let attempt = Self::begin(name, HELD_BEFORE_THE_WRITE, &[]).await;
        attempt.stand_in.says("holding").await;
        attempt.runs().await;
        attempt
    }

    /// Begins one whose runner has written, and is held in its container.
    pub async fn held_after(name: &str) -> Self {
        let attempt = Self::begin(name, HELD_AFTER_THE_WRITE, &[]).await;
        attempt.stand_in.says("written").await;
        attempt.runs().await;
        attempt
    }

    /// Waits until the API server knows that the container that writes runs.
    pub async fn runs(&self) -> Pod {
        let is_running = |pod: &Pod| {
            let status = pod.status.as_ref();
            status.is_some_and(|status| status.phase.as_deref() == Some("Running"))
        };
        self.scene
            .pod(&self.execution, "the runner's pod to run", is_running)
            .await
    }

    pub async fn delete_job(&self, how: DeleteParams) {
        let jobs: Api<Job> = self.scene.system_api();
        jobs.delete(&self.scene.job_name(&self.execution), &how)
            .await
            .expect("deleted");
    }

    pub async fn delete_pod(&self, how: DeleteParams) {
        let pods: Api<Pod> = self.scene.system_api();
        pods.delete(&self.pod().await, &how).await.expect("deleted");
    }

    /// Deletes the pod by force, and takes away the finalizer by which the Job controller still counts it.
    pub async fn tear_out_pod(&self) {
        let pods: Api<Pod> = self.scene.system_api();
        let pod = self.pod().await;
        pods.delete(&pod, &DeleteParams::default().grace_period(0))
            .await
            .expect("deleted");
        let nothing = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        match pods.patch(&pod, &PatchParams::default(), &nothing).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            patched => drop(patched.expect("patched")),
        }
    }

    pub async fn pod(&self) -> String {
        self.scene
            .pod(&self.execution, "the runner's pod", |_| true)
            .await
            .name_any()
    }

    pub async fn evict_pod(&self) {
        let pods: Api<Pod> = self.scene.system_api();
        pods.evict(&self.pod().await, &EvictParams::default())
            .await
            .expect("evicted");
    }

    pub async fn pod_is_gone(&self) {
        let pods: Api<Pod> = self.scene.system_api();
        let of_it = format!(
            "batch.kubernetes.io/job-name={}",
            self.scene.job_name(&self.execution)
        );
        let of_it = ListParams::default().labels(&of_it);
        eventually("the pod to be gone", || async {
            pods.list(&of_it).await.ok()?.items.is_empty().then_some(())
        })
        .await;
    }

    /// The attempt ends like this with nothing written, which its error says, and all goes on afterwards.
    pub async fn ends_unwritten(self, reason: Reason, class: FailureClass) -> KubernetesExecution {
        let execution = self.scene.ends("up", Ending::failed(reason, class)).await;
        self.stand_in.say("go");
        drop(self.stand_in);
        let error = error_of(&execution);
        assert!(
            error.contains("unchanged") || error.contains("nothing was written"),
            "{error}"
        );
        assert_eq!(self.scene.effects_on("deployments", "web"), 0);
        assert_eq!(self.scene.replicas("web").await, 2);
        self.scene.goes_on_after(&execution, "web").await;
        execution
    }

    /// The attempt ends completed, having written once, and all goes on afterwards.
    pub async fn ends_written(self) {
        let execution = self.scene.ends("up", Ending::COMPLETED).await;
        drop(self.stand_in);
        assert_eq!(self.scene.effects_on("deployments", "web"), 1);
        assert_eq!(self.scene.replicas("web").await, 4);
        self.scene.goes_on_after(&execution, "web").await;
    }
}

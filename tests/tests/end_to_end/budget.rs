//! What one execution costs the API server, counted in its audit log (performance.md, T1 to T4).

use kexec_api::phase::Phase;
use kexec_tests::audit::{Call, service_account};
use kexec_tests::harness::{Scene, eventually};
use kube::ResourceExt;
use serde_json::{Value, json};

/// All calls by the controller about one execution, in the order of their ends.
struct Costs {
    calls: Vec<Call>,
}

impl Costs {
    /// Counts once the Job has its time to live, which is the controller's last write.
    async fn of(scene: &Scene, name: &str) -> Self {
        let execution = scene.ended(name).await;
        assert_eq!(
            execution.status.as_ref().and_then(|status| status.phase),
            Some(Phase::Completed)
        );
        let job = scene.job_name(&execution);
        let controller = service_account(&scene.system_namespace, "kubernaut-executor");
        let uid = execution.uid().expect("a UID");
        let calls = || {
            let by_controller = scene
                .calls()
                .into_vec()
                .into_iter()
                .filter(|call| call.user == controller);
            let about_it = by_controller.filter(|call| {
                call.name == job
                    || call.namespace == scene.namespace
                    || speaks_of(call, &[&uid, &scene.namespace])
            });
            about_it.collect::<Vec<_>>()
        };
        let is_last = |call: &Call| call.resource == "jobs" && call.verb == "patch";
        eventually("the Job's time to live", || async {
            calls().iter().any(is_last).then_some(())
        })
        .await;
        Self { calls: calls() }
    }

    /// The writes of objects; events apart.
    fn writes(&self) -> Vec<String> {
        let writes = self
            .calls
            .iter()
            .filter(|call| call.is_write() && call.resource != "events");
        writes.map(shown).collect()
    }

    fn events(&self) -> usize {
        self.calls
            .iter()
            .filter(|call| call.resource == "events")
            .count()
    }

    /// Everything but what the controller does once for all executions of a namespace: their own watch.
    fn all(&self) -> Vec<String> {
        let is_own_watch = |call: &&Call| {
            call.resource == "kubernetesexecutions"
                && matches!(call.verb.as_str(), "list" | "watch")
        };
        self.calls
            .iter()
            .filter(|call| !is_own_watch(call))
            .map(shown)
            .collect()
    }

    fn conflicts(&self) -> usize {
        self.calls.iter().filter(|call| call.code == 409).count()
    }
}

fn speaks_of(call: &Call, words: &[&str]) -> bool {
    let body = call
        .request_object
        .as_ref()
        .map(Value::to_string)
        .unwrap_or_default();
    words.iter().any(|word| body.contains(word))
}

/// A call as one reads it, with the phase that it writes.
fn shown(call: &Call) -> String {
    let resource = match call.subresource.as_str() {
        "" => call.resource.clone(),
        subresource => format!("{}/{subresource}", call.resource),
    };
    let phase = call
        .request_object
        .as_ref()
        .and_then(|body| body.pointer("/status/phase")?.as_str());
    match phase {
        Some(phase) => format!("{} {resource} {phase}", call.verb),
        None => format!("{} {resource}", call.verb),
    }
}

/// T2, T3 and T4. What the controller asked about rights it believes for half a minute, for all executions alike.
fn assert_frugal(costs: &Costs) {
    let all = costs.all();
    let (reviews, calls): (Vec<_>, Vec<_>) = all
        .iter()
        .partition(|call| call.ends_with("subjectaccessreviews"));
    println!(
        "{} calls and {} reviews: {all:?}",
        calls.len(),
        reviews.len()
    );
    assert!(calls.len() <= 12 && reviews.len() <= 2, "{all:?}");
    assert_eq!(costs.events(), 2, "{all:?}");
    assert_eq!(costs.conflicts(), 0, "{:?}", costs.all());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_that_is_proven_at_once_costs_four_writes() {
    let scene = Scene::new("quick").await;
    let metadata = json!({"name": "settings", "namespace": scene.namespace});
    scene
        .apply(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}))
        .await;
    let operator = scene.operator().await;
    let parameters = json!({"data": {"color": "blue"}});
    scene
        .create(&scene.execution(
            "paint",
            "modify_configmap",
            ("v1", "ConfigMap", "settings"),
            &parameters,
        ))
        .await;

    let costs = Costs::of(&scene, "paint").await;
    // Watches are in the log when they end.
    operator.stop().await;

    let writes = [
        "update kubernetesexecutions/status executing",
        "create jobs",
        "update kubernetesexecutions/status completed",
        "patch jobs",
    ];
    assert_eq!(costs.writes(), writes);
    assert_frugal(&Costs::of(&scene, "paint").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_whose_proof_takes_time_costs_five_writes() {
    let scene = Scene::new("slow").await;
    slow_deployment(&scene).await;
    let operator = scene.operator().await;
    scene.create(&scene.scaling("up", "web", 2)).await;

    let costs = Costs::of(&scene, "up").await;
    operator.stop().await;

    let writes = [
        "update kubernetesexecutions/status executing",
        "create jobs",
        "update kubernetesexecutions/status monitoring",
        "update kubernetesexecutions/status completed",
        "patch jobs",
    ];
    let mut seen = costs.writes();
    // The Job gets its time to live as soon as the runner has ended, or after the proof.
    seen.sort_by_key(|write| write == "patch jobs");
    assert_eq!(seen, writes);
    assert_frugal(&Costs::of(&scene, "up").await);
}

/// A Deployment whose new pods take a while to be ready, longer than the controller takes to look.
async fn slow_deployment(scene: &Scene) {
    scene
        .apply(&json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "namespace": scene.namespace},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {
                        "labels": {"app": "web"},
                        "annotations": {"devcluster.kubernaut.io/behavior": "slow=3"},
                    },
                    "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "main", "image": "played"}]},
                },
            },
        }))
        .await;
}

//! What admission policies keep from those who have the rights (safety.md): runners in our own namespace, everybody but
//! the controller in a status; and that the operator does not act without these policies.

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, ServiceAccount};
use kexec_api::condition::{ConditionType, Reason};
use kexec_api::execution::KubernetesExecution;
use kexec_api::names;
use kexec_api::phase::Phase;
use kexec_tests::harness::{Scene, eventually, install, said};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use xtask::install::Installation;

const ACCOUNT: &str = "kexec-scale-deployment";
const JOB: &str = "kexec-11111111-2222-3333-4444-555555555555-1-x";
const FENCED: &str = "a runner may write nothing in";
const NO_CLAIM: &str =
    "a runner's claim is the Lease named as the Job of the pod its token is bound to";

fn object<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).expect("an object")
}

fn claim(name: &str, holder: &str) -> Lease {
    object(json!({"metadata": {"name": name}, "spec": {"holderIdentity": holder}}))
}

/// A runner that RBAC lets do everything: what it may not, a policy says.
struct Runner<'a> {
    scene: &'a Scene,
    client: Client,
    pod_uid: String,
}

impl<'a> Runner<'a> {
    async fn new(scene: &'a Scene) -> Self {
        scene
            .apply(&json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                "metadata": {"name": format!("{}-may-all", scene.namespace)},
                "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": scene.system_namespace}],
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            }))
            .await;
        let pods: Api<Pod> = scene.system_api();
        let pod = json!({
            "metadata": {"name": format!("{JOB}-abcde")},
            "spec": {
                "serviceAccountName": ACCOUNT,
                // It stands there for its token only.
                "nodeSelector": {"kubernetes.io/hostname": "none"},
                "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{
                    "name": "main", "image": "played",
                    "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                }],
            },
        });
        let pod = pods
            .create(&PostParams::default(), &object(pod))
            .await
            .expect("a pod");
        let pod_uid = pod.uid().expect("a UID");
        let bound_to = BoundObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: Some(pod.name_any()),
            uid: Some(pod_uid.clone()),
        };
        let client = Self::with_token(scene, Some(bound_to)).await;
        let leases: Api<Lease> = Api::namespaced(client.clone(), &scene.namespace);
        eventually("the runner's rights", || async {
            leases.list(&kube::api::ListParams::default()).await.ok()
        })
        .await;
        Self {
            scene,
            client,
            pod_uid,
        }
    }

    async fn with_token(scene: &Scene, bound_to: Option<BoundObjectReference>) -> Client {
        let accounts: Api<ServiceAccount> = scene.system_api();
        let request = TokenRequest {
            spec: TokenRequestSpec {
                bound_object_ref: bound_to,
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let answer = accounts
            .create_token_request(ACCOUNT, &PostParams::default(), &request)
            .await
            .expect("a token");
        let mut config = scene.cluster.admin();
        config.auth_info = kube::config::AuthInfo {
            token: Some(answer.status.expect("a status").token.into()),
            ..kube::config::AuthInfo::default()
        };
        Client::try_from(config).expect("a client")
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.scene.system_namespace)
    }

    async fn creates<K>(&self, value: Value) -> String
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K: Clone + std::fmt::Debug + serde::Serialize + DeserializeOwned,
        K::DynamicType: Default,
    {
        said(
            self.api::<K>()
                .create(&PostParams::default(), &object(value))
                .await,
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_writes_nothing_in_our_namespace_but_its_own_claim_once() {
    let scene = Scene::isolated("fence").await;
    let runner = Runner::new(&scene).await;
    let own = runner.pod_uid.as_str();
    let leases: Api<Lease> = runner.api();
    let creates = |lease: Lease| {
        let leases = leases.clone();
        async move { said(leases.create(&PostParams::default(), &lease).await) }
    };
    let container = json!([{"name": "main", "image": "played"}]);
    let job = json!({"metadata": {"name": "j"}, "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": container}}}});

    let others = [
        runner
            .creates::<ConfigMap>(json!({"metadata": {"name": "c"}}))
            .await,
        runner.creates::<Job>(job).await,
        runner
            .creates::<Secret>(json!({"metadata": {"name": "s"}}))
            .await,
    ];
    for refusal in others {
        assert!(refusal.contains(FENCED), "{refusal}");
    }
    let mut generated = claim(JOB, own);
    generated.metadata.name = None;
    generated.metadata.generate_name = Some(format!("{JOB}-"));
    let mut kept = claim(JOB, own);
    kept.metadata.finalizers = Some(vec!["example.com/keep".to_owned()]);
    let mut owned = claim(JOB, own);
    let stranger = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "1"});
    owned.metadata.owner_references = Some(vec![object(stranger)]);
    let leader = claim(names::LEADER_LEASE, own);
    let another = claim("kexec-99999999-2222-3333-4444-555555555555-1-x", own);
    for lease in [
        leader,
        another,
        claim(JOB, "somebody"),
        claim(JOB, ""),
        generated,
        kept,
        owned,
    ] {
        let what = format!("{lease:?}");
        let refusal = creates(lease).await;
        assert!(refusal.contains(NO_CLAIM), "{what}: {refusal}");
    }

    leases
        .create(&PostParams::default(), &claim(JOB, own))
        .await
        .expect("its own claim");
    let renewed = Patch::Merge(json!({"spec": {"holderIdentity": "somebody"}}));
    let changed = said(leases.patch(JOB, &PatchParams::default(), &renewed).await);
    let deleted = said(leases.delete(JOB, &DeleteParams::default()).await);
    for refusal in [changed, deleted] {
        assert!(refusal.contains(FENCED), "{refusal}");
    }
    let found = leases
        .get(JOB)
        .await
        .expect("a claim")
        .spec
        .and_then(|spec| spec.holder_identity);
    assert_eq!(found.as_deref(), Some(own));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_bound_to_no_pod_makes_no_claim() {
    let scene = Scene::isolated("unbound").await;
    let runner = Runner::new(&scene).await;
    let unbound = Runner::with_token(&scene, None).await;
    let leases: Api<Lease> = Api::namespaced(unbound, &scene.system_namespace);
    for lease in [claim(JOB, &runner.pod_uid), claim(JOB, "")] {
        let refusal = said(leases.create(&PostParams::default(), &lease).await);
        assert!(refusal.contains(NO_CLAIM), "{refusal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_cannot_take_the_lease_that_the_leader_holds() {
    let scene = Scene::isolated("leader").await;
    let runner = Runner::new(&scene).await;
    let _leader = scene.operator_with(&["--leader-election"]).await;
    let seen: Api<Lease> = scene.system_api();
    let held = || async { seen.get_opt(names::LEADER_LEASE).await.ok().flatten() };
    let held = eventually("a leader", held).await;

    let leases: Api<Lease> = runner.api();
    let name = names::LEADER_LEASE;
    let taken = json!({"holderIdentity": runner.pod_uid, "leaseDurationSeconds": 31_536_000});
    let patch = Patch::Merge(json!({ "spec": taken }));
    let refusals = [
        said(leases.patch(name, &PatchParams::default(), &patch).await),
        said(leases.delete(name, &DeleteParams::default()).await),
    ];
    for refusal in refusals {
        assert!(refusal.contains(FENCED), "{refusal}");
    }
    // The leader renews it meanwhile: a replacement of an older state is refused for that already.
    let replaces = || async {
        let mut lease = leases.get(name).await.ok()?;
        lease.spec = Some(object(taken.clone()));
        let refusal = said(leases.replace(name, &PostParams::default(), &lease).await);
        refusal.contains(FENCED).then_some(())
    };
    eventually("a replacement to be fenced", replaces).await;
    let refusal = runner
        .creates::<Lease>(json!({"metadata": {"name": name}, "spec": taken}))
        .await;
    assert!(refusal.contains(NO_CLAIM), "{refusal}");

    let renewed = || async {
        let now = seen.get(name).await.ok()?;
        (now.resource_version() != held.resource_version()).then_some(now)
    };
    let renewed = eventually("the leader to renew it", renewed).await;
    let holder = |lease: Lease| lease.spec.and_then(|spec| spec.holder_identity);
    assert_eq!(holder(renewed), holder(held));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_the_controller_writes_a_status() {
    let scene = Scene::isolated("status").await;
    let runner = Runner::new(&scene).await;
    scene.create(&scene.scaling("up", "web", 2)).await;
    let patch = Patch::Merge(json!({"status": {"phase": "completed"}}));
    for client in [&scene.client, &runner.client] {
        let executions: Api<KubernetesExecution> =
            Api::namespaced(client.clone(), &scene.namespace);
        let refusal = said(
            executions
                .patch_status("up", &PatchParams::default(), &patch)
                .await,
        );
        assert!(
            refusal.contains("only the controller writes the status of a KubernetesExecution"),
            "{refusal}"
        );
    }
    let controller = Client::try_from(scene.operator_config().await).expect("a client");
    let executions: Api<KubernetesExecution> = Api::namespaced(controller, &scene.namespace);
    executions
        .patch_status("up", &PatchParams::default(), &patch)
        .await
        .expect("it is the controller");
}

/// What is wrong with the policies, and what the operator says of it.
async fn assert_waits_until_restored(scene: &Scene, told: &str) {
    let target = ("v1", "ConfigMap", "settings");
    let parameters = json!({"data": {"color": "blue"}});
    let metadata = json!({"name": "settings", "namespace": scene.namespace});
    scene
        .apply(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}))
        .await;
    scene
        .create(&scene.execution("paint", "modify_configmap", target, &parameters))
        .await;
    let _operator = scene.operator().await;

    let waits = |execution: &KubernetesExecution| {
        let status = execution.status.as_ref();
        let ready = status.and_then(|status| status.condition(ConditionType::Ready));
        ready.is_some_and(|ready| {
            ready.known_reason() == Some(Reason::PoliciesMissing)
                && ready
                    .message
                    .as_deref()
                    .is_some_and(|message| message.contains(told))
        })
    };
    let waiting = scene
        .reaches("paint", &format!("waiting, told {told:?}"), waits)
        .await
        .status
        .expect("a status");
    assert_eq!((waiting.phase, waiting.job), (Some(Phase::Pending), None));
    assert_eq!(scene.effects_on("configmaps", "settings"), 0);

    let installation = Installation {
        system_namespace: &scene.system_namespace,
        suffix: &scene.suffix,
    };
    reinstall(scene, &installation).await;
    let status = scene.ended("paint").await.status.expect("a status");
    assert_eq!(status.phase, Some(Phase::Completed), "{status:#?}");
    assert_eq!(scene.effects_on("configmaps", "settings"), 1);
}

/// Puts every policy back as it is shipped: what was added to it goes with the old object.
async fn reinstall(scene: &Scene, installation: &Installation<'_>) {
    let name = format!("kexec-authorize-execution-{}", scene.suffix);
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(scene.client.clone());
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(scene.client.clone());
    drop(policies.delete(&name, &DeleteParams::default()).await);
    drop(bindings.delete(&name, &DeleteParams::default()).await);
    install(&scene.client, installation).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_policy_nothing_is_executed_until_it_is_back() {
    let scene = Scene::isolated("no-policy").await;
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(scene.client.clone());
    let name = format!("kexec-authorize-execution-{}", scene.suffix);
    policies
        .delete(&name, &DeleteParams::default())
        .await
        .expect("deleted");
    let told = format!(
        "ValidatingAdmissionPolicy \"{name}\" is missing: install it as the chart ships it"
    );
    assert_waits_until_restored(&scene, &told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_binding_nothing_is_executed_until_it_is_back() {
    let scene = Scene::isolated("no-binding").await;
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(scene.client.clone());
    let name = format!("kexec-runner-fence-{}", scene.suffix);
    let told = format!("ValidatingAdmissionPolicyBinding \"{name}\" is missing");
    bindings
        .delete(&name, &DeleteParams::default())
        .await
        .expect("deleted");
    assert_waits_until_restored(&scene, &told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_policy_that_was_altered_nothing_is_executed_until_it_is_restored() {
    let alterations = [
        json!({"validations": [{"expression": "true"}]}),
        json!({"failurePolicy": "Ignore"}),
        json!({"matchConditions": [{"name": "never", "expression": "false"}]}),
        json!({"matchConstraints": {"excludeResourceRules": [{
            "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "operations": ["*"],
        }]}}),
    ];
    for alteration in alterations {
        let scene = Scene::isolated("altered").await;
        let policies: Api<ValidatingAdmissionPolicy> = Api::all(scene.client.clone());
        let name = format!("kexec-authorize-execution-{}", scene.suffix);
        let patch = Patch::Merge(json!({ "spec": alteration }));
        policies
            .patch(&name, &PatchParams::default(), &patch)
            .await
            .expect("altered");
        let told = format!(
            "ValidatingAdmissionPolicy \"{name}\" was altered: restore it as the chart ships it"
        );
        assert_waits_until_restored(&scene, &told).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_binding_that_was_narrowed_nothing_is_executed_until_it_is_restored() {
    let scene = Scene::isolated("narrowed").await;
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(scene.client.clone());
    let name = format!("kexec-authorize-execution-{}", scene.suffix);
    let nowhere =
        json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "nowhere"}}});
    let patch = Patch::Merge(json!({"spec": {"matchResources": nowhere}}));
    bindings
        .patch(&name, &PatchParams::default(), &patch)
        .await
        .expect("narrowed");
    let told = format!("ValidatingAdmissionPolicyBinding \"{name}\" was altered");
    assert_waits_until_restored(&scene, &told).await;
}

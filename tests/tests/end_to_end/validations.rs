//! Each validation of the admission policies, one by one: what only that one refuses, with its own message, is let in
//! once it is taken out of the policy on the cluster. A validation without a case here fails the test.

use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;
use kexec_api::execution::KubernetesExecution;
use kexec_api::names;
use kexec_tests::harness::{Grantee, Scene, eventually, said};
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use serde::Deserialize;
use serde_json::{Value, json};

use super::service::spoil;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/policies");

/// The policy that refuses nothing; `admission::warnings` is about it.
const WARNS: &str = "kexec-tell-unperformed";

/// One validation as it is generated.
struct Validation {
    policy: String,
    number: usize,
    /// Its message, or what it says when its expression of a message fails.
    message: String,
    has_expression: bool,
}

/// What somebody asks for.
enum Ask {
    /// That an object is created.
    Create(ApiResource, Value),
    /// That the status of the execution `up` is written.
    WriteStatus,
}

/// What only one validation refuses.
struct Case {
    policy: &'static str,
    /// The beginning of the validation's message.
    message: String,
    /// What whoever asks is told.
    told: String,
    who: Client,
    ask: Ask,
}

fn validations() -> Vec<Validation> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(FOLDER).expect("the generated policies") {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("a file");
        for document in serde_yaml::Deserializer::from_str(&text) {
            let object = Value::deserialize(document).expect("YAML");
            let listed = object
                .pointer("/spec/validations")
                .filter(|_| object["metadata"]["name"] != WARNS)
                .and_then(Value::as_array);
            for (number, validation) in listed.into_iter().flatten().enumerate() {
                let text = |value: &Value| value.as_str().expect("a text").to_owned();
                found.push(Validation {
                    policy: text(&object["metadata"]["name"]),
                    number,
                    message: text(&validation["message"]),
                    has_expression: validation.get("messageExpression").is_some(),
                });
            }
        }
    }
    found
}

impl Ask {
    fn execution(execution: Value) -> Self {
        Self::Create(ApiResource::erase::<KubernetesExecution>(&()), execution)
    }

    /// An object in the system namespace.
    fn ours<K>(scene: &Scene, mut object: Value) -> Self
    where
        K: kube::Resource,
        K::DynamicType: Default,
    {
        object["metadata"]["namespace"] = json!(scene.system_namespace);
        Self::Create(ApiResource::erase::<K>(&K::DynamicType::default()), object)
    }
}

impl Case {
    /// Asks, by a dry run.
    async fn ask(&self, scene: &Scene) -> Result<(), kube::Error> {
        match &self.ask {
            Ask::Create(resource, object) => {
                let object: DynamicObject =
                    serde_json::from_value(object.clone()).expect("an object");
                let namespace = object.metadata.namespace.clone().unwrap_or_default();
                let api: Api<DynamicObject> =
                    Api::namespaced_with(self.who.clone(), &namespace, resource);
                let how = PostParams {
                    dry_run: true,
                    ..PostParams::default()
                };
                api.create(&how, &object).await.map(drop)
            }
            Ask::WriteStatus => {
                let api: Api<KubernetesExecution> =
                    Api::namespaced(self.who.clone(), &scene.namespace);
                let patch = Patch::Merge(json!({"status": {"phase": "completed"}}));
                let how = PatchParams {
                    dry_run: true,
                    ..PatchParams::default()
                };
                api.patch_status("up", &how, &patch).await.map(drop)
            }
        }
    }

    async fn is_let_in(&self, scene: &Scene) -> Option<()> {
        self.ask(scene).await.ok()
    }

    async fn is_refused(&self, scene: &Scene) -> Option<()> {
        let refusal = self.ask(scene).await.err()?;
        refusal.to_string().contains(&self.told).then_some(())
    }

    fn is_of(&self, validation: &Validation) -> bool {
        self.policy == validation.policy && validation.message.starts_with(&self.message)
    }
}

/// An execution that scales `web`, asked for in the name of somebody.
fn asked_by(scene: &Scene, requester: &Value) -> Value {
    let mut execution = scene.scaling("asked", "web", 2);
    execution["spec"]["requestedBy"] = requester.clone();
    execution
}

/// Cases of the policy that says who may have what done.
async fn of_authorization(scene: &Scene) -> Vec<Case> {
    const POLICY: &str = "kexec-authorize-execution";
    // Somebody whom RBAC lets do everything.
    let root = || scene.acting_as("root", &["system:masters"]);
    let clerk = scene.person("clerk", &[]).await;
    let user = json!({"username": "root"});
    let mut ours = asked_by(scene, &user);
    ours["spec"]["actionDefinition"]["targetResource"]["namespace"] = json!(scene.system_namespace);
    let by_clerk = asked_by(scene, &json!({"username": scene.username("clerk")}));
    let case = |message, told: &str, who, execution| Case {
        policy: POLICY,
        message: str::to_owned(message),
        told: told.to_owned(),
        who,
        ask: Ask::execution(execution),
    };
    vec![
        case(
            "spec.requestedBy is missing",
            "spec.requestedBy is missing",
            root(),
            scene.scaling("asked", "web", 2),
        ),
        case(
            "spec.requestedBy.username is another user",
            "spec.requestedBy.username is another user",
            root(),
            asked_by(scene, &json!({"username": "somebody"})),
        ),
        case(
            "spec.requestedBy says more of you",
            "spec.requestedBy says more of you",
            root(),
            asked_by(scene, &json!({"username": "root", "groups": ["forged"]})),
        ),
        case(
            "spec.actionDefinition.targetResource is in",
            "the operator's own namespace",
            root(),
            ours,
        ),
        case(
            "the requester may not execute",
            "may not execute scale_deployment in namespace",
            clerk,
            by_clerk,
        ),
    ]
}

/// Cases about what takes a verb of its own.
async fn of_further_verbs(scene: &Scene) -> Vec<Case> {
    let painter = scene.person("painter", &[]).await;
    let who = scene.username("painter");
    let only_execute = ["execute"];
    let grantee = Grantee::User(&who);
    scene
        .grant(grantee, &only_execute, "scale_deployment", &scene.namespace)
        .await;
    let mut forced = asked_by(scene, &json!({ "username": who }));
    let mut undone = forced.clone();
    forced["spec"]["actionDefinition"]["parameters"]["force"] = json!(true);
    undone["spec"]["control"] = json!({"rollback": true});
    let case = |policy, message, told: &str, execution| Case {
        policy,
        message: str::to_owned(message),
        told: told.to_owned(),
        who: painter.clone(),
        ask: Ask::execution(execution),
    };
    vec![
        case(
            "kexec-authorize-execution",
            "the requester may not force",
            "may not force scale_deployment",
            forced,
        ),
        case(
            "kexec-authorize-rollback",
            "you may not roll back",
            "may not roll back scale_deployment",
            undone,
        ),
    ]
}

/// Cases of the policies about our own namespace and about statuses.
fn of_the_fence(scene: &Scene) -> Vec<Case> {
    use k8s_openapi::api::coordination::v1::Lease;
    use k8s_openapi::api::core::v1::ConfigMap;
    let account = format!(
        "system:serviceaccount:{}:kexec-scale-deployment",
        scene.system_namespace
    );
    // RBAC lets it do everything: what it may not, a policy says.
    let runner = scene.acting_as(&account, &["system:masters"]);
    let config_map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}});
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "kubernaut-executor"},
    });
    let case = |policy, message: &'static str, who, ask| Case {
        policy,
        message: str::to_owned(message),
        told: message.to_owned(),
        who,
        ask,
    };
    vec![
        case(
            "kexec-runner-fence",
            "a runner may write nothing in",
            runner.clone(),
            Ask::ours::<ConfigMap>(scene, config_map),
        ),
        case(
            "kexec-runner-fence",
            "a runner's claim is the Lease",
            runner,
            Ask::ours::<Lease>(scene, lease),
        ),
        case(
            "kexec-status-by-controller",
            "only the controller writes the status",
            scene.client.clone(),
            Ask::WriteStatus,
        ),
    ]
}

/// Cases of the policy about the shared parameters: a list fits none of them.
fn of_parameters(scene: &Scene, validations: &[Validation]) -> Vec<Case> {
    const POLICY: &str = "kexec-check-parameters";
    let of_it = validations.iter().filter(|one| one.policy == POLICY);
    let case = |validation: &Validation| {
        let (field, _) = validation
            .message
            .split_once(" does not fit")
            .expect("a field");
        let mut execution = asked_by(scene, &json!({"username": "root"}));
        let place = field
            .split('.')
            .fold(&mut execution, |place, step| &mut place[step]);
        *place = json!([]);
        Case {
            policy: POLICY,
            message: format!("{field} does not fit"),
            told: format!("{field} is a list or an object"),
            who: scene.acting_as("root", &["system:masters"]),
            ask: Ask::execution(execution),
        }
    };
    of_it.map(case).collect()
}

/// Has nobody stamp the requester any more: what a policy says of a requester is about what people write then.
async fn without_a_stamp(scene: &Scene) {
    let name = format!("kexec-stamp-requester-{}", scene.suffix);
    spoil(scene, "MutatingAdmissionPolicyBinding", &name, None).await;
}

/// Sets the expression of a validation on the cluster; returns the one before.
async fn set_expression(scene: &Scene, validation: &Validation, expression: &str) -> String {
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(scene.client.clone());
    let name = format!("{}-{}", validation.policy, scene.suffix);
    let pointer = format!("/spec/validations/{}/expression", validation.number);
    let live = serde_json::to_value(policies.get(&name).await.expect("a policy")).expect("JSON");
    let before = live
        .pointer(&pointer)
        .and_then(Value::as_str)
        .expect("an expression");
    let patch = json!([{"op": "replace", "path": pointer, "value": expression}]);
    let patch = Patch::<()>::Json(serde_json::from_value(patch).expect("a patch"));
    policies
        .patch(&name, &PatchParams::default(), &patch)
        .await
        .expect("patched");
    before.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_validation_alone_refuses_its_case_with_its_own_message() {
    let scene = Scene::isolated("validations").await;
    scene.create(&scene.scaling("up", "web", 2)).await;
    let mut cases = of_authorization(&scene).await;
    cases.extend(of_further_verbs(&scene).await);
    cases.extend(of_the_fence(&scene));
    without_a_stamp(&scene).await;

    let validations = validations();
    assert!(!validations.is_empty());
    cases.extend(of_parameters(&scene, &validations));
    for validation in &validations {
        let what = format!("{}: \"{}\"", validation.policy, validation.message);
        let claimed: Vec<&Case> = cases.iter().filter(|case| case.is_of(validation)).collect();
        let [case] = claimed.as_slice() else {
            panic!("{} cases are about {what}", claimed.len());
        };
        eventually(&format!("a refusal by {what}"), || case.is_refused(&scene)).await;
        if !validation.has_expression {
            let message = validation
                .message
                .replace(names::DEFAULT_SYSTEM_NAMESPACE, &scene.system_namespace);
            let refusal = said(case.ask(&scene).await);
            assert!(refusal.contains(&message), "{what}: {refusal}");
        }
        let expression = set_expression(&scene, validation, "true").await;
        eventually(
            &format!("what {what} refuses to be let in without it"),
            || case.is_let_in(&scene),
        )
        .await;
        set_expression(&scene, validation, &expression).await;
        eventually(&format!("{what} to be back"), || case.is_refused(&scene)).await;
    }
    for case in &cases {
        let of = validations.iter().filter(|one| case.is_of(one)).count();
        assert_eq!(
            of, 1,
            "{}: {} is about {of} validations",
            case.policy, case.message
        );
    }
}

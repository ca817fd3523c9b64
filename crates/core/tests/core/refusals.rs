//! What is refused before anything happens: one test a refusal, each with the sentence that says what to write instead.

use jiff::SignedDuration;
use kexec_actions::facts::Fact;
use kexec_core::access::{Answer, Subject};
use kexec_core::decide::Decision;
use kexec_core::view::Connectivity;
use serde_json::{Value, json};

use crate::support::{ConfigChange, World, line, pods_need, target_need};

/// The reason and the sentence of a refusal; nothing was asked of the cluster before.
fn refused(spec: Value) -> (String, String) {
    told(&World::of(spec))
}

fn told(world: &World) -> (String, String) {
    let shown = line(world);
    let reason = shown.strip_prefix("record failed/").expect(&shown);
    let reason = reason.strip_suffix(" failure failed").expect(&shown);
    (
        reason.to_owned(),
        world.recorded().error.expect("has an error"),
    )
}

fn action(action_type: &str) -> Value {
    json!({"actionDefinition": {"actionType": action_type}})
}

fn target(target: impl Into<Value>) -> Value {
    json!({"actionDefinition": {"targetResource": target.into()}})
}

fn config(config: impl Into<Value>) -> Value {
    json!({"executionConfig": config.into()})
}

#[test]
fn what_this_version_does_not_do_is_refused_with_what_to_write_instead() {
    const FIELD: &str = "spec.actionDefinition.targetResource";
    let all = "status.actionRegistry.supportedActions, such as cordon_node, delete_pod, drain_node";
    let check = |required: bool| json!([{"name": "quiet", "cel": "true", "required": required}]);
    let version =
        |version: &str| json!({"actionDefinition": {"actionMetadata": {"version": version}}});
    let wrong_version = |asked: &str| {
        format!(
            "spec.actionDefinition.actionMetadata.version is {asked}, but scale_deployment is here in v1.2: write that \
             version, or leave the field out"
        )
    };
    let unavailable = |field: &str| {
        format!(
            "spec.executionConfig.validationConfig.{field} asks for \"quiet\", which this version cannot run: leave it \
             out, or set its required to false"
        )
    };
    let table = [
        (action("scale_deploymnet"), "UnknownAction",
            "spec.actionDefinition.actionType \"scale_deploymnet\" is not an action: did you mean \"scale_deployment\"?"
                .to_owned()),
        (action("xyzzy"), "UnknownAction",
            format!("spec.actionDefinition.actionType \"xyzzy\" is not an action: use one of {all}")),
        (action("gitops_pr_create"), "NotSupported",
            format!("spec.actionDefinition.actionType \"gitops_pr_create\" is not built into this version: use one of {all}")),
        (version("v2.0"), "NotSupported", wrong_version("v2.0")),
        (version("v0.9"), "NotSupported", wrong_version("v0.9")),
        (version("v1.3"), "NotSupported", wrong_version("v1.3")),
        (version("1.2"), "NotSupported", wrong_version("1.2")),
        (target(json!({"kind": "StatefulSet"})), "TargetKindMismatch",
            format!("{FIELD} is apps/v1 StatefulSet, which scale_deployment cannot be aimed at: name a target of kind \
                     apps/v1 Deployment")),
        (target(json!({"apiVersion": "apps/v1beta1"})), "TargetKindMismatch",
            format!("{FIELD} is apps/v1beta1 Deployment, which scale_deployment cannot be aimed at: name a target of \
                     kind apps/v1 Deployment")),
        (target(json!({"namespace": null})), "InvalidTarget",
            format!("{FIELD}.namespace is missing: a Deployment lives in a namespace, name it")),
        (target(json!({"namespace": ""})), "InvalidTarget",
            format!("{FIELD}.namespace is missing: a Deployment lives in a namespace, name it")),
        (json!({"actionDefinition": {"actionType": "cordon_node", "parameters": {"replicas": null},
            "targetResource": {"apiVersion": "v1", "kind": "Node", "namespace": "web", "name": "worker-1"}}}),
            "InvalidTarget",
            format!("{FIELD}.namespace is \"web\", but a Node lives in no namespace: leave it out")),
        (target(json!({"name": null, "labels": {"app": "shop"}})), "NotSupported",
            format!("{FIELD}.name is missing, and selecting targets is not built into this version: name one target")),
        (config(json!({"safetyConfig": {"requireApproval": true}})), "ApprovalUnavailable",
            "spec.executionConfig.safetyConfig.requireApproval is true, but this version takes no approvals: leave it \
             out, or wait for a version that does".to_owned()),
        (json!({"actionDefinition": {"parametersFrom": [{"name": "token", "secretKeyRef": {"name": "s", "key": "k"}}]}}),
            "NotSupported",
            "spec.actionDefinition.parametersFrom is not built into this version: leave it out".to_owned()),
        (config(json!({"validationConfig": {"preConditions": check(true)}})), "CheckUnavailable",
            unavailable("preConditions")),
        (config(json!({"validationConfig": {"postConditions": check(true)}})), "CheckUnavailable",
            unavailable("postConditions")),
        (json!({"actionDefinition": {"parameters": {"replicas": null}}}), "InvalidParameter",
            "spec.actionDefinition.parameters.replicas is missing: write a whole number".to_owned()),
        (json!({"actionDefinition": {"parameters": {"replicas": -1}}}), "InvalidParameter",
            "spec.actionDefinition.parameters.replicas is -1: write a number that is at least 0".to_owned()),
        (json!({"actionDefinition": {"parameters": {"dryRun": "yes"}}}), "InvalidParameter",
            "spec.actionDefinition.parameters.dryRun is \"yes\": write true or false, not text".to_owned()),
    ];
    for (spec, reason, message) in table {
        assert_eq!(refused(spec), (reason.to_owned(), message));
    }
}

#[test]
fn what_only_warns_or_fits_is_not_refused() {
    let optional = json!([{"name": "quiet", "cel": "true", "required": false}]);
    let fits = [
        json!({"actionDefinition": {"actionMetadata": {"version": "v1.2"}}}),
        json!({"actionDefinition": {"actionMetadata": {"version": "v1.0"}}}),
        config(json!({"validationConfig": {"preConditions": optional}})),
    ];
    for spec in fits {
        assert_eq!(line(&World::of(spec)), "take-turn");
    }
}

#[test]
fn protected_namespaces_and_our_own_are_out_of_reach() {
    for namespace in [
        "kube-system",
        "kube-public",
        "kube-node-lease",
        "kubernaut-system",
    ] {
        let (reason, message) = refused(target(json!({"namespace": namespace})));
        assert_eq!(reason, "ProtectedNamespace");
        assert_eq!(
            message,
            format!(
                "spec.actionDefinition.targetResource.namespace is \"{namespace}\", which no execution may touch: name a \
                 target in another namespace"
            )
        );
    }
}

#[test]
fn parameters_that_are_too_large_are_refused_before_they_are_looked_at() {
    let (reason, message) =
        refused(json!({"actionDefinition": {"parameters": {"more": "x".repeat(300_000)}}}));
    assert_eq!(reason, "InvalidParameter");
    assert_eq!(
        message,
        "spec.actionDefinition.parameters has 300024 bytes of JSON: write at most 262144"
    );
}

#[test]
fn a_plan_that_cannot_be_stored_is_refused() {
    let change = ConfigChange {
        from: "web",
        keys: 40,
        before: "b".repeat(5_000),
        after: "a".repeat(5_000),
    };
    let (reason, message) = told(&World::config_map(&change));
    assert_eq!(reason, "PlanTooLarge");
    assert!(
        message.starts_with("spec.actionDefinition.parameters asks for a plan of ")
            && message.ends_with("change fewer or smaller values"),
        "{message}"
    );
}

#[test]
fn checks_that_cannot_run_block() {
    for check in ["business-rules", "compliance-rules"] {
        let world =
            World::of(config(json!({"safetyConfig": {"safetyChecks": [check]}}))).with_facts();
        let (reason, message) = told(&world);
        assert_eq!(reason, "CheckUnavailable");
        assert_eq!(
            message,
            format!(
                "spec.executionConfig.safetyConfig.safetyChecks asks for {check}, which this version cannot run: leave it \
                 out"
            )
        );
        let checks = world
            .recorded()
            .validation_results
            .and_then(|results| results.pre_execution_validation);
        let last = checks
            .and_then(|mut checks| checks.safety_checks.pop())
            .expect("is told");
        assert_eq!(
            (last.check_type.as_deref(), last.performed),
            (Some(check), Some(false))
        );
    }
}

#[test]
fn a_target_that_is_not_there_or_on_its_way_out_is_refused() {
    let facing = |fact: Fact| {
        let mut world = World::ready();
        world.gathered.facts.insert(target_need(), fact);
        told(&world)
    };
    let mut going = crate::support::deployment(2, 2);
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    let table = [
        (
            Fact::Absent,
            "TargetNotFound",
            "Deployment \"web/shop\" does not exist: check spec.actionDefinition.targetResource",
        ),
        (
            Fact::NotServed,
            "ApiNotServed",
            "this cluster does not serve apps/v1 Deployment",
        ),
        (
            Fact::NotReadable("get deployments.apps".into()),
            "NotReadable",
            "Deployment \"web/shop\" may not be read by the controller: aggregate to kexec-reader the rule get \
             deployments.apps",
        ),
        (
            Fact::Object(going),
            "TargetBeingDeleted",
            "Deployment \"web/shop\" is being deleted: wait for its replacement and name that one",
        ),
    ];
    for (fact, reason, message) in table {
        assert_eq!(facing(fact), (reason.to_owned(), message.to_owned()));
    }
    let mut hidden_pods = World::ready();
    hidden_pods
        .gathered
        .facts
        .insert(pods_need(), Fact::NotReadable("list pods".into()));
    let advice =
        "Pod may not be read by the controller: aggregate to kexec-reader the rule list pods";
    assert_eq!(
        told(&hidden_pods),
        ("NotReadable".to_owned(), advice.to_owned())
    );
}

#[test]
fn a_named_target_must_meet_its_guards() {
    let guarded = |guards: Value| line(&World::of(target(guards)).with_facts());
    let met = [
        json!({"labels": {"app": "shop", "tier": "front"}}),
        json!({"fieldSelectors": ["metadata.name=shop", "metadata.uid==d-1", "spec.replicas=2", "metadata.name!=other"]}),
        json!({"fieldSelectors": ["spec.paused!=true", "spec.paused="]}),
    ];
    for guards in met {
        assert_eq!(
            guarded(guards.clone()),
            "intend executing/JobCreated",
            "{guards}"
        );
    }
    let missed = [
        json!({"labels": {"app": "shop", "tier": "back"}}),
        json!({"labels": {"track": "canary"}}),
        json!({"fieldSelectors": ["metadata.name!=shop"]}),
        json!({"fieldSelectors": ["metadata.name=shop", "spec.replicas=3"]}),
        json!({"fieldSelectors": ["spec.paused=true"]}),
        json!({"fieldSelectors": ["spec.replicas==20"]}),
    ];
    for guards in missed {
        assert_eq!(
            guarded(guards.clone()),
            "record failed/TargetGuardMismatch failure failed",
            "{guards}"
        );
    }
    let (_, message) = told(&World::of(target(json!({"labels": {"tier": "back"}}))).with_facts());
    assert_eq!(
        message,
        "Deployment \"web/shop\" does not have the label tier=back that spec.actionDefinition.targetResource demands: \
         correct the guard or the target"
    );
}

#[test]
fn nobody_in_particular_may_execute_nothing() {
    let (reason, message) = told(&World::of(json!({"requestedBy": null})).with_facts());
    assert_eq!(reason, "RequesterUnknown");
    assert!(
        message.starts_with("spec.requestedBy is missing"),
        "{message}"
    );
}

/// With every question answered but those that `picks`, which get another answer.
fn answered(picks: fn(&Subject) -> bool, answer: &Answer) -> World {
    let mut world = World::ready();
    world.all_allowed = false;
    let Decision::Ask(questions) = world.decide() else {
        panic!("nothing is asked")
    };
    for question in questions {
        let answer = if picks(&question.subject) {
            answer.clone()
        } else {
            Answer::Allowed
        };
        world.gathered.answers.insert(question, answer);
    }
    world
}

#[test]
fn who_may_not_is_refused_with_the_rule_to_grant() {
    let requester = |subject: &Subject| matches!(subject, Subject::Requester { .. });
    let account = |subject: &Subject| matches!(subject, Subject::ServiceAccount(_));
    assert_eq!(
        line(&answered(|_| false, &Answer::Denied)),
        "intend executing/JobCreated"
    );
    assert_eq!(
        told(&answered(requester, &Answer::Denied)),
        (
            "RequesterDenied".to_owned(),
            "\"ada\" may not execute scale_deployment: grant a Role in namespace \"web\" with apiGroups \
             [kubernetesexecution.kubernaut.io], resources [actiontypes], resourceNames [scale_deployment], verbs \
             [execute]"
                .to_owned()
        )
    );
    assert_eq!(
        told(&answered(account, &Answer::Denied)),
        (
            "PermissionDenied".to_owned(),
            "system:serviceaccount:kubernaut-system:kexec-scale-deployment may not patch deployments.apps/scale in \
             \"web\": its ClusterRole or binding is missing"
                .to_owned()
        )
    );
    let failed = Answer::Failed("no answer in 5 s".into());
    assert_eq!(
        told(&answered(account, &failed)),
        (
            "ConnectivityFailed".to_owned(),
            "it could not be asked whether patch deployments.apps/scale in \"web\": no answer in 5 s".to_owned()
        )
    );
}

#[test]
fn an_api_server_that_does_not_answer_is_named() {
    let mut world = World::ready();
    world.gathered.connectivity = Some(Connectivity {
        problem: Some("no answer in 5 s".into()),
        took: SignedDuration::from_secs(5),
    });
    assert_eq!(
        told(&world),
        (
            "ConnectivityFailed".to_owned(),
            "no answer in 5 s".to_owned()
        )
    );
}

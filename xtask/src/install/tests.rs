use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use kexec_actions::{Lookup, Registry};
use kexec_api::execution::KubernetesExecution;
use serde::Deserialize;
use serde_json::Value;

use super::*;

fn objects() -> Vec<Value> {
    install_objects(&Installation::default()).unwrap()
}

fn of_kind(kind: &str) -> Vec<Value> {
    objects()
        .into_iter()
        .filter(|object| object["kind"] == kind)
        .collect()
}

fn rules_of(kind: &str) -> Vec<(String, Value)> {
    let of_one = |role: Value| {
        let name = role["metadata"]["name"].as_str().unwrap().to_owned();
        let held = role["rules"].as_array().cloned().unwrap_or_default();
        held.into_iter().map(move |rule| (name.clone(), rule))
    };
    of_kind(kind).into_iter().flat_map(of_one).collect()
}

fn all_rules() -> Vec<(String, Value)> {
    rules_of("ClusterRole")
        .into_iter()
        .chain(rules_of("Role"))
        .collect()
}

fn strings(list: &Value) -> BTreeSet<&str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

fn names(objects: &[Value]) -> BTreeSet<&str> {
    objects
        .iter()
        .filter_map(|object| object["metadata"]["name"].as_str())
        .collect()
}

#[test]
fn no_rule_holds_a_wildcard_or_a_right_to_gain_rights() {
    let too_much = [
        "*",
        "secrets",
        "escalate",
        "bind",
        "impersonate",
        "pods/exec",
        "pods/attach",
        "pods/portforward",
        "pods/proxy",
        "nodes/proxy",
        "services/proxy",
        "serviceaccounts/token",
    ];
    for (role, rule) in all_rules() {
        for field in ["apiGroups", "resources", "verbs", "nonResourceURLs"] {
            let held = strings(&rule[field]);
            for one in too_much {
                assert!(!held.contains(one), "{role} holds {one}: {rule}");
            }
            assert!(
                !held.iter().any(|one| one.contains('*')),
                "{role} holds a wildcard: {rule}"
            );
        }
    }
}

#[test]
fn every_rule_stands_below_its_reason() {
    for Manifest { path, text } in manifests(&Installation::default()).unwrap() {
        if !path.starts_with("config/rbac/") {
            continue;
        }
        let lines: Vec<_> = text.lines().collect();
        for pair in lines.windows(2) {
            let is_rule =
                pair[1].starts_with("- apiGroups:") || pair[1].starts_with("- nonResourceURLs:");
            let reason = pair[0].strip_prefix("# ").unwrap_or_default();
            assert!(
                !is_rule || reason.len() > 10,
                "{path} gives no reason for the rule below {:?}",
                pair[0]
            );
        }
    }
}

#[test]
fn every_action_has_its_account_and_role_and_no_other_right_than_it_declares() {
    let accounts = of_kind("ServiceAccount");
    let bindings = of_kind("ClusterRoleBinding");
    for planner in Registry::built_in().planners() {
        let name = planner.metadata().service_account_name();
        assert!(
            names(&accounts).contains(name.as_str()),
            "{name} has no ServiceAccount"
        );
        let granted: Vec<Value> = rules_of("ClusterRole")
            .into_iter()
            .filter(|(role, _)| *role == name)
            .map(|(_, rule)| rule)
            .collect();
        let declared: Vec<Value> = planner
            .metadata()
            .rules
            .iter()
            .map(|rule| serde_json::json!({"apiGroups": [rule.group], "resources": [rule.resource], "verbs": [rule.verb]}))
            .collect();
        assert_eq!(granted, declared, "{name}");
        let bound: Vec<_> = bindings
            .iter()
            .filter(|binding| binds(binding, &name))
            .collect();
        assert_eq!(bound.len(), 1, "{name}");
        assert_eq!(bound[0]["roleRef"]["name"], name.as_str());
    }
}

fn binds(binding: &Value, account: &str) -> bool {
    let subjects = binding["subjects"].as_array().unwrap();
    subjects.iter().any(|subject| subject["name"] == account)
}

#[test]
fn every_runner_and_nobody_else_may_make_a_claim() {
    let bindings = of_kind("RoleBinding");
    let claim = bindings
        .iter()
        .find(|binding| binding["metadata"]["name"] == "kexec-claim")
        .unwrap();
    let subjects: BTreeSet<_> = claim["subjects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|subject| subject["name"].as_str().unwrap().to_owned())
        .collect();
    let runners: BTreeSet<_> = Registry::built_in()
        .planners()
        .iter()
        .map(|planner| planner.metadata().service_account_name())
        .collect();
    assert_eq!(subjects, runners);
}

#[test]
fn the_controller_writes_nothing_but_what_is_its_own() {
    let own = [
        "kubernetesexecutions",
        "kubernetesexecutions/status",
        "subjectaccessreviews",
        "events",
        "jobs",
        "pods",
        "leases",
        "configmaps",
    ];
    let reads = BTreeSet::from(["get", "list", "watch"]);
    let controllers = ["kubernaut-executor", "kexec-reader", "kexec-reader-base"];
    for (role, rule) in all_rules()
        .into_iter()
        .filter(|(role, _)| controllers.contains(&role.as_str()))
    {
        if !strings(&rule["verbs"]).is_subset(&reads) {
            assert!(
                strings(&rule["resources"]).is_subset(&BTreeSet::from(own)),
                "{role}: {rule}"
            );
        }
    }
    for (role, rule) in rules_of("ClusterRole") {
        let writes_what_is_not_its_own = strings(&rule["resources"])
            .iter()
            .any(|one| ["jobs", "pods", "leases", "configmaps"].contains(one))
            && !strings(&rule["verbs"]).is_subset(&reads);
        assert!(
            !(role == "kubernaut-executor" && writes_what_is_not_its_own),
            "outside its namespace: {rule}"
        );
    }
}

/// The policies that guard nothing, by what they do with what they find.
const HELPS: [(&str, &str); 2] = [
    ("kexec-check-parameters", "Deny"),
    ("kexec-tell-unperformed", "Warn"),
];

fn help(policy: &Value) -> Option<&'static str> {
    let mut helps = HELPS.iter();
    helps
        .find(|(name, _)| policy["metadata"]["name"] == *name)
        .map(|(_, does)| *does)
}

#[test]
fn nobody_may_change_a_lease_but_the_controller_its_own() {
    let changes = |verbs: &Value| {
        let verbs = strings(verbs);
        verbs.contains("update") || verbs.contains("patch")
    };
    let rules: Vec<_> = all_rules()
        .into_iter()
        .filter(|(_, rule)| strings(&rule["resources"]).contains("leases"))
        .filter(|(_, rule)| changes(&rule["verbs"]))
        .collect();
    let own = serde_json::json!({
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "resourceNames": [kexec_api::names::LEADER_LEASE],
        "verbs": ["update"],
    });
    assert_eq!(rules, [("kubernaut-executor".to_owned(), own)]);
}

#[test]
fn every_guard_denies_is_bound_and_fails_closed_and_every_help_fails_open() {
    for kind in ["ValidatingAdmissionPolicy", "MutatingAdmissionPolicy"] {
        let policies = of_kind(kind);
        let bindings = of_kind(&format!("{kind}Binding"));
        assert_eq!(names(&policies), names(&bindings));
        for policy in &policies {
            let when_broken = help(policy).map_or("Fail", |_| "Ignore");
            assert_eq!(policy["spec"]["failurePolicy"], when_broken, "{policy}");
        }
        for binding in &bindings {
            assert_eq!(binding["spec"]["policyName"], binding["metadata"]["name"]);
            assert_eq!(binding["spec"]["matchResources"], Value::Null, "{binding}");
            if kind == "ValidatingAdmissionPolicy" {
                assert_eq!(
                    binding["spec"]["validationActions"],
                    serde_json::json!([help(binding).unwrap_or("Deny")])
                );
            }
        }
    }
}

#[test]
fn every_message_fits_on_one_line() {
    for policy in of_kind("ValidatingAdmissionPolicy") {
        for validation in policy["spec"]["validations"].as_array().unwrap() {
            let message = validation["message"].as_str().unwrap();
            assert!(
                !message.contains('\n') && !message.ends_with('.'),
                "{message}"
            );
        }
    }
}

#[test]
fn rules_and_policies_name_the_group_of_the_resource() {
    let group = kexec_api::execution::crd().spec.group;
    let text: String = manifests(&Installation::default())
        .unwrap()
        .into_iter()
        .map(|manifest| manifest.text)
        .collect();
    let named: BTreeSet<_> = text
        .split(['"', '\'', '[', ']', ' ', ','])
        .filter(|word| word.starts_with("kubernetesexecution."))
        .collect();
    assert_eq!(named, BTreeSet::from([group.as_str()]));
}

#[test]
fn a_second_installation_shares_no_cluster_scoped_object_with_the_first() {
    let second = Installation {
        system_namespace: "blue-system",
        suffix: "blue",
    };
    let manifests = manifests(&second).unwrap();
    assert!(
        manifests
            .iter()
            .all(|manifest| !manifest.text.contains("kubernaut-system"))
    );
    let keys = |installation: &Installation<'_>| -> BTreeSet<String> {
        let objects = install_objects(installation).unwrap();
        let key = |object: &Value| {
            let metadata = &object["metadata"];
            format!(
                "{}/{}/{}",
                object["kind"], metadata["namespace"], metadata["name"]
            )
        };
        objects.iter().map(key).collect()
    };
    assert!(keys(&Installation::default()).is_disjoint(&keys(&second)));
    assert_eq!(keys(&Installation::default()).len(), keys(&second).len());
}

#[test]
fn the_policies_of_a_second_installation_concern_its_own_executions_only() {
    let second = Installation {
        system_namespace: "blue-system",
        suffix: "blue",
    };
    for object in install_objects(&second).unwrap() {
        let name = object["metadata"]["name"].as_str().unwrap();
        if object["kind"].as_str().unwrap().ends_with("PolicyBinding")
            && name != "kexec-runner-fence-blue"
        {
            let selected = &object["spec"]["matchResources"]["namespaceSelector"]["matchLabels"];
            assert_eq!(
                *selected,
                serde_json::json!({LABEL_INSTALLATION: "blue"}),
                "{name}"
            );
        }
    }
}

/// Every document of the examples, with the file it stands in.
fn examples() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut documents = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# "), "{name} does not say what it is for");
        for document in serde_yaml::Deserializer::from_str(&text) {
            documents.push((name.clone(), Value::deserialize(document).unwrap()));
        }
    }
    documents
}

#[test]
fn the_executions_of_the_examples_fit_the_actions_they_name() {
    let registry = Registry::built_in();
    let mut shown = BTreeSet::new();
    for (file, document) in examples() {
        if document["kind"] != "KubernetesExecution" {
            continue;
        }
        let api_version = document["apiVersion"].clone();
        let execution: KubernetesExecution = serde_json::from_value(document).unwrap();
        let definition = execution.spec.action_definition;
        let Lookup::Found(planner) = registry.lookup(&definition.action_type) else {
            panic!(
                "{file} names {:?}, which is no action",
                definition.action_type
            );
        };
        assert_eq!(
            api_version, "kubernetesexecution.kubernaut.io/v1alpha1",
            "{file}"
        );
        let metadata = planner.metadata();
        let target = definition.target_resource;
        let kind = metadata
            .targets
            .iter()
            .find(|kind| kind.api_version == target.api_version && kind.kind == target.kind);
        let kind = kind
            .unwrap_or_else(|| panic!("{file} aims {} at a {}", metadata.action_type, target.kind));
        assert_eq!(target.namespace().is_some(), kind.namespaced, "{file}");
        planner
            .check(&definition.parameters)
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        shown.insert(metadata.action_type);
    }
    let all: BTreeSet<_> = registry.action_types().into_iter().collect();
    assert_eq!(shown, all, "each action has an example");
}

#[test]
fn the_roles_of_the_examples_name_actions_and_verbs_that_exist() {
    let registry = Registry::built_in();
    let roles = examples()
        .into_iter()
        .filter(|(_, document)| document["kind"] == "Role");
    let mut seen = 0;
    for (file, role) in roles {
        for rule in role["rules"].as_array().unwrap() {
            assert_eq!(
                strings(&rule["resources"]),
                BTreeSet::from(["actiontypes"]),
                "{file}"
            );
            assert!(
                strings(&rule["verbs"])
                    .is_subset(&BTreeSet::from(["execute", "force", "rollback"])),
                "{file}"
            );
            let actions: BTreeSet<_> = registry.action_types().into_iter().collect();
            assert!(
                strings(&rule["resourceNames"]).is_subset(&actions),
                "{file}"
            );
            seen += 1;
        }
    }
    assert_ne!(seen, 0);
}

//! What is in the rendered chart: what `config/` holds, unchanged, and beside it the golden files.

use std::collections::{BTreeMap, BTreeSet};

use kexec_core::{Metadata, Planner, Registry};
use kexec_tests::helm::{RELEASE, chart, helm, render, render_variant, run, variant};
use serde_json::{Value, json};
use xtask::install::{Installation, install_objects};

/// The variants that the chart is checked in.
const VARIANTS: [&str; 4] = ["default", "namespaces", "everything", "off"];

fn key(object: &Value) -> String {
    let text = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    format!(
        "{} {}/{}",
        text("/kind"),
        text("/metadata/namespace"),
        text("/metadata/name")
    )
}

fn by_key(objects: Vec<Value>) -> BTreeMap<String, Value> {
    let count = objects.len();
    let by_key: BTreeMap<_, _> = objects.into_iter().map(|one| (key(&one), one)).collect();
    assert_eq!(by_key.len(), count, "an object is there twice");
    by_key
}

/// What `config/` holds, the namespace excepted, which Helm makes.
fn config() -> BTreeMap<String, Value> {
    let mut objects = by_key(install_objects(&Installation::default()).expect("manifests"));
    objects
        .remove("Namespace /kubernaut-system")
        .expect("a namespace");
    let crd = include_str!("../../../config/crd/kubernetesexecutions.yaml");
    let mut crd = kexec_tests::helm::objects(crd).remove(0);
    crd["metadata"]["annotations"]["helm.sh/resource-policy"] = json!("keep");
    objects.insert(key(&crd), crd);
    objects
}

fn is_right(key: &str) -> bool {
    let kinds = [
        "ClusterRole ",
        "Role ",
        "ClusterRoleBinding ",
        "RoleBinding ",
    ];
    kinds.iter().any(|kind| key.starts_with(kind))
}

#[test]
fn the_chart_ships_every_object_of_config_unchanged_and_no_other_right() {
    let rendered = by_key(render_variant("default"));
    let config = config();
    for (key, object) in &config {
        assert!(
            rendered.get(key) == Some(object),
            "{key} is not as in config/: {:?}",
            rendered.get(key)
        );
    }
    let rights = |objects: &BTreeMap<String, Value>| -> BTreeSet<String> {
        objects
            .keys()
            .filter(|key| is_right(key))
            .cloned()
            .collect()
    };
    assert_eq!(rights(&rendered), rights(&config));
}

#[test]
fn every_variant_has_the_same_rules_but_for_what_is_read_besides() {
    let config = config();
    for variant in VARIANTS {
        let rendered = by_key(render_variant(variant));
        for (key, role) in &rendered {
            if key.starts_with("ClusterRole ") || key.starts_with("Role ") {
                let is_extra = key == "ClusterRole /kexec-reader-extra";
                assert!(
                    is_extra || config.get(key) == Some(role),
                    "{variant}: {key}"
                );
            }
        }
        for key in config.keys().filter(|key| key.contains("Role ")) {
            assert!(rendered.contains_key(key), "{variant} lacks {key}");
        }
    }
}

#[test]
fn no_rule_of_any_variant_holds_a_wildcard_or_a_right_to_gain_rights() {
    let too_much = [
        "secrets",
        "escalate",
        "bind",
        "impersonate",
        "pods/exec",
        "serviceaccounts/token",
    ];
    let mut seen = 0;
    for variant in VARIANTS {
        for (key, role) in by_key(render_variant(variant)) {
            for rule in role["rules"].as_array().into_iter().flatten() {
                let words = rule.as_object().expect("a rule").values();
                for word in words.flat_map(|list| list.as_array().expect("a list")) {
                    let word = word.as_str().expect("a text");
                    assert!(
                        !word.contains('*') && !too_much.contains(&word),
                        "{variant}: {key}: {rule}"
                    );
                }
                seen += 1;
            }
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn with_namespaces_the_actions_and_the_reads_are_bound_there_and_nowhere_else() {
    let rendered = by_key(render_variant("namespaces"));
    let bindings = |kind: &str| -> Vec<&Value> {
        let of_kind = rendered.iter().filter(|(key, _)| key.starts_with(kind));
        of_kind.map(|(_, binding)| binding).collect()
    };
    let in_cluster: Vec<_> = bindings("ClusterRoleBinding ")
        .into_iter()
        .map(|one| one["metadata"]["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(in_cluster, ["kubernaut-executor"]);
    let bound: BTreeSet<(&str, &str)> = bindings("RoleBinding ")
        .into_iter()
        .map(|one| {
            let text = |pointer| {
                one.pointer(pointer)
                    .and_then(Value::as_str)
                    .expect("a text")
            };
            (text("/metadata/namespace"), text("/roleRef/name"))
        })
        .collect();
    let registry = Registry::built_in();
    let accounts: Vec<String> = registry
        .planners()
        .iter()
        .map(Planner::metadata)
        .filter(|action| action.targets.iter().any(|kind| kind.namespaced))
        .map(Metadata::service_account_name)
        .collect();
    let expected: BTreeSet<(&str, &str)> = accounts
        .iter()
        .map(|account| ("a", account.as_str()))
        .chain([
            ("a", "kexec-reader"),
            ("kubernaut-system", "kexec-claim"),
            ("kubernaut-system", "kubernaut-executor"),
        ])
        .collect();
    assert_eq!(bound, expected);
}

#[test]
fn what_is_written_by_hand_is_as_in_the_golden_files() {
    let config = config();
    for variant in VARIANTS {
        let mut rendered = by_key(render_variant(variant));
        rendered.retain(|key, object| {
            // The bindings of the actions are as many as these, and are looked at above.
            let of_action = object.pointer("/metadata/labels/kubernaut.io~1action");
            config.get(key) != Some(object) && of_action.is_none()
        });
        let objects: Vec<_> = rendered.into_values().collect();
        insta::assert_yaml_snapshot!(format!("the_chart_in_the_variant_{variant}"), objects);
    }
}

#[test]
fn before_1_36_nothing_stamps_and_all_else_is_the_same() {
    let stamping = [
        "MutatingAdmissionPolicy /kexec-stamp-requester",
        "MutatingAdmissionPolicyBinding /kexec-stamp-requester",
    ];
    let mut newest = by_key(render_variant("default"));
    for key in stamping {
        newest.remove(key).expect("a policy that stamps");
    }
    for version in ["1.33.0", "1.35.4"] {
        let rendered = render(&["--kube-version", version]).expect("the chart renders");
        assert_eq!(by_key(rendered), newest, "{version}");
    }
    let refused = render(&["--kube-version", "1.32.9"]).expect_err("too old");
    assert!(
        refused.contains("requires kubeVersion: >=1.33.0-0"),
        "{refused}"
    );
}

#[test]
fn what_stays_when_the_chart_goes_is_the_crd() {
    for object in render_variant("everything") {
        let kept = object["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep";
        assert_eq!(
            kept,
            object["kind"] == "CustomResourceDefinition",
            "{}",
            key(&object)
        );
    }
}

#[test]
fn the_quota_leaves_room_for_finished_jobs_and_for_our_own_pods() {
    let hard = |arguments: &[&str]| {
        let rendered = by_key(render(arguments).expect("the chart renders"));
        rendered["ResourceQuota kubernaut-system/kubernaut-jobs-quota"]["spec"]["hard"].clone()
    };
    assert_eq!(hard(&[]), json!({"count/jobs.batch": "700", "pods": "103"}));
    let small = [
        "--set",
        "controller.maxConcurrent=5,controller.replicas=1,quota.startsPerMinute=1",
    ];
    let odd = [
        small[0],
        &format!(
            "{},controller.jobTtlSeconds=61,prePuller.enabled=true,quota.nodes=7",
            small[1]
        ),
    ];
    assert_eq!(hard(&odd), json!({"count/jobs.batch": "7", "pods": "14"}));
}

/// What Helm says after the installation of a variant.
fn notes(name: &str) -> String {
    let mut command = helm();
    command
        .args(["install", RELEASE, "--namespace", "kubernaut-system"])
        .args(["--dry-run=client", "--output", "json", "--values"])
        .args([variant(name), chart()]);
    let release: Value = serde_json::from_str(&run(&mut command).expect("notes")).expect("JSON");
    release["info"]["notes"].as_str().expect("notes").to_owned()
}

#[test]
fn the_notes_say_what_to_do_next_and_what_this_variant_leaves_out() {
    let said = VARIANTS.map(|name| (name, notes(name)));
    let next = "kubectl -n kubernaut-system rollout status deployment/kubernaut-executor";
    assert!(said.iter().all(|(_, notes)| notes.contains(next)));
    let only_by = |sentence: &str| -> Vec<&str> {
        let by = said.iter().filter(|(_, notes)| notes.contains(sentence));
        by.map(|(name, _)| *name).collect()
    };
    assert_eq!(only_by("uncordon_node) have no rights"), ["namespaces"]);
    assert_eq!(only_by("WARNING: policies.enabled is false"), ["off"]);
    assert_eq!(
        only_by("There are no NetworkPolicies"),
        ["default", "namespaces", "off"]
    );
}

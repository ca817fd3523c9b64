use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

/// The actions that the spec names (SP-10…SP-35) and those that ADR-002 adds.
const OF_THE_SPEC: [&str; 29] = [
    "restart_pod",
    "scale_deployment",
    "drain_node",
    "increase_resources",
    "delete_pod",
    "rollback_deployment",
    "update_service",
    "modify_configmap",
    "patch_resource",
    "create_resource",
    "delete_resource",
    "cordon_node",
    "uncordon_node",
    "evict_pod",
    "update_labels",
    "update_annotations",
    "apply_manifest",
    "delete_manifest",
    "scale_statefulset",
    "update_ingress",
    "modify_networkpolicy",
    "update_pvc",
    "backup_resource",
    "restore_resource",
    "wait_for_condition",
    "validate_resource",
    "patch_configmap",
    "restart_deployment",
    "gitops_pr_create",
];

fn found(name: &str) -> Option<&'static str> {
    match Registry::built_in().lookup(name) {
        Lookup::Found(planner) => Some(planner.metadata().action_type),
        Lookup::NotSupported | Lookup::Unknown(_) => None,
    }
}

fn nearest_to(name: &str) -> Option<String> {
    match Registry::built_in().lookup(name) {
        Lookup::Unknown(near) => near.map(str::to_owned),
        Lookup::Found(_) | Lookup::NotSupported => panic!("{name} is known"),
    }
}

#[test]
fn every_action_of_the_spec_is_built_in_or_said_to_be_not_supported() {
    let registry = Registry::built_in();
    for name in OF_THE_SPEC {
        assert!(
            !matches!(registry.lookup(name), Lookup::Unknown(_)),
            "{name}"
        );
    }
}

#[test]
fn a_known_name_is_not_supported_only_while_no_action_bears_it() {
    let scale = || vec![Planner::of::<crate::scale_deployment::ScaleDeployment>()];
    for (planners, supported) in [(Vec::new(), false), (scale(), true)] {
        let registry = Registry::of(planners);
        assert_eq!(
            matches!(registry.lookup("scale_deployment"), Lookup::Found(_)),
            supported
        );
        assert_eq!(
            matches!(registry.lookup("scale_deployment"), Lookup::NotSupported),
            !supported
        );
    }
}

#[test]
fn every_built_in_name_and_alias_is_among_the_known_ones() {
    for name in Registry::built_in().by_name.keys() {
        assert!(
            KNOWN.contains(name),
            "\"{name}\" is no name of the spec: add it to KNOWN in registry.rs, if it is to become one"
        );
    }
    assert!(KNOWN.is_sorted(), "the list stays sorted");
}

#[test]
fn actions_are_found_by_name_and_by_alias() {
    for planner in Registry::built_in().planners() {
        let metadata = planner.metadata();
        for name in metadata.aliases.iter().chain([&metadata.action_type]) {
            assert_eq!(found(name), Some(metadata.action_type), "{name}");
        }
    }
    assert_eq!(found("patch_configmap"), Some("modify_configmap"));
}

#[test]
fn no_two_actions_share_a_name() {
    let registry = Registry::built_in();
    let names = |planner: &Planner| planner.metadata().aliases.len() + 1;
    assert_eq!(
        registry.by_name.len(),
        registry.planners.iter().map(names).sum::<usize>()
    );
}

#[test]
fn an_unknown_name_suggests_the_nearest_or_none() {
    assert_eq!(
        nearest_to("scale_deploymnet").as_deref(),
        Some("scale_deployment")
    );
    assert_eq!(nearest_to("restartpod").as_deref(), Some("restart_pod"));
    assert_eq!(nearest_to("uncordon").as_deref(), Some("uncordon_node"));
    assert_eq!(nearest_to("custom_remediation_action"), None);
}

#[test]
fn action_types_are_sorted_and_hold_no_alias() {
    let registry = Registry::built_in();
    let names = registry.action_types();
    assert!(names.is_sorted(), "{names:?}");
    assert_eq!(names.len(), registry.planners.len());
    assert!(names.contains(&"modify_configmap") && !names.contains(&"patch_configmap"));
}

#[test]
fn one_registry_serves_all_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&Registry::built_in());
}

#[test]
fn metadata_is_complete_and_well_formed() {
    let mut accounts = BTreeSet::new();
    for planner in Registry::built_in().planners() {
        let metadata = planner.metadata();
        let name = metadata.action_type;
        for name in metadata.aliases.iter().chain([&name]) {
            assert!(is_snake_case(name), "{name}");
        }
        assert!(metadata.version.starts_with("v1."), "{name}");
        assert!(
            metadata.description.ends_with('.') && metadata.description.len() > 20,
            "{name}"
        );
        assert!(!metadata.targets.is_empty(), "{name}");
        assert!(!metadata.only_looks() || !metadata.reversible, "{name}");
        assert!(
            metadata.rules.iter().all(|rule| rule.reason.len() > 20),
            "{name}"
        );
        let account = metadata.service_account_name();
        assert_eq!(account, account_of(name), "ADR-39, ADR-002");
        assert!(accounts.insert(account), "{name}");
    }
}

/// The ServiceAccount's name by ADR-39, or the one that ADR-002 gives to three actions.
fn account_of(name: &str) -> String {
    match name {
        "modify_configmap" => "configmap-patcher".to_owned(),
        "restart_deployment" => "deployment-restarter".to_owned(),
        "gitops_pr_create" => "git-operator".to_owned(),
        _ => format!("kexec-{}", name.replace('_', "-")),
    }
}

/// SP-09.
fn is_snake_case(name: &str) -> bool {
    (3..=64).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('_')
        && name
            .chars()
            .all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '_')
}

#[test]
fn every_parameter_is_described_bounded_and_never_null() {
    for planner in Registry::built_in().planners() {
        described(planner.metadata().action_type, planner.schema().as_json());
    }
}

fn described(place: &str, schema: &Value) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let place = format!("{place}.{name}");
        let text = property["description"].as_str().unwrap_or_default();
        assert!(text.ends_with('.'), "{place} has no description");
        let bound = match property["type"].as_str() {
            Some("string") => property.get("maxLength").or_else(|| property.get("enum")),
            Some("array") => property.get("maxItems"),
            Some("integer") => property.get("maximum"),
            Some("object") if property.get("additionalProperties") == Some(&false.into()) => {
                Some(&Value::Null)
            }
            Some("object") => property.get("maxProperties"),
            Some("boolean") => Some(&Value::Null),
            other => panic!("{place} is of type {other:?}"),
        };
        assert!(bound.is_some(), "{place} has no bound");
        described(&place, property);
        described(&place, property.get("items").unwrap_or(&Value::Null));
    }
}

#[test]
fn schemas_look_like_this() {
    for planner in Registry::built_in().planners() {
        insta::assert_json_snapshot!(
            format!("{}-parameters", planner.metadata().action_type),
            planner.schema().as_json()
        );
    }
}

#[test]
fn the_readme_names_every_action_and_alias() {
    let readme = include_str!("../../../../README.md");
    for planner in Registry::built_in().planners() {
        let metadata = planner.metadata();
        for name in metadata.aliases.iter().chain([&metadata.action_type]) {
            assert!(
                readme.contains(&format!("`{name}`")),
                "README.md does not name {name}: write it into \"What works and what does not yet\""
            );
        }
    }
}

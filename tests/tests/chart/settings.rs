//! What the chart tells the controller: every setting it has, in words it understands.

use std::collections::BTreeMap;

use clap::{CommandFactory, Parser};
use kexec_controller::Options;
use kexec_tests::helm::{render, render_variant};
use serde_json::{Value, json};

/// Settings that the chart has no use for: of installations that share a cluster, which are for tests, and of the leader
/// Lease, whose name and times are the controller's own in the one release there is.
const NOT_OF_THE_CHART: [&str; 6] = [
    "KEXEC_INSTALLATION_SUFFIX",
    "KEXEC_LEADER_LEASE_NAME",
    "KEXEC_LEADER_LEASE_NAMESPACE",
    "KEXEC_LEADER_LEASE_SECONDS",
    "KEXEC_LEADER_RENEW_DEADLINE_SECONDS",
    "KEXEC_LEADER_RETRY_SECONDS",
];

/// The environment that the controller's container is given.
fn environment(objects: &[Value]) -> BTreeMap<String, Value> {
    let deployment = objects
        .iter()
        .find(|object| object["kind"] == "Deployment")
        .expect("a Deployment");
    let variables = &deployment["spec"]["template"]["spec"]["containers"][0]["env"];
    let variables = variables.as_array().expect("an environment").iter();
    variables
        .map(|one| {
            (
                one["name"].as_str().expect("a name").to_owned(),
                one.clone(),
            )
        })
        .collect()
}

/// The controller's options, as it reads them from the environment it is given.
fn options(objects: &[Value]) -> Options {
    let environment = environment(objects);
    let command = Options::command();
    let mut arguments = vec!["kubernaut-executor".to_owned()];
    for argument in command.get_arguments() {
        let Some(name) = argument.get_env().and_then(|name| name.to_str()) else {
            continue;
        };
        let Some(value) = environment.get(name).map(|one| &one["value"]) else {
            continue;
        };
        let long = argument.get_long().expect("a long name");
        match value.as_str() {
            Some("true") if !argument.get_action().takes_values() => {
                arguments.push(format!("--{long}"));
            }
            Some(value) => arguments.push(format!("--{long}={value}")),
            None => {}
        }
    }
    Options::try_parse_from(arguments).expect("the controller understands its settings")
}

#[test]
fn every_setting_of_the_controller_has_its_place_in_the_chart() {
    let mut given = environment(&render_variant("everything"));
    given.extend(environment(&render_variant("off")));
    for argument in Options::command().get_arguments() {
        let Some(name) = argument.get_env().and_then(|name| name.to_str()) else {
            continue;
        };
        assert!(
            given.contains_key(name) || NOT_OF_THE_CHART.contains(&name),
            "the chart says nothing of {name}"
        );
    }
}

#[test]
fn as_it_comes_the_chart_leaves_the_controllers_own_defaults() {
    let own = [
        "kubernaut-executor",
        "--runner-image",
        "kubernaut-runner:0.1.0",
    ];
    let own = Options::try_parse_from(own).expect("options");
    let given = options(&render_variant("default"));
    assert_eq!(
        format!("{given:?}").replace("leader_election: true", "leader_election: false"),
        format!("{own:?}")
    );
}

#[test]
fn every_value_reaches_the_controller() {
    let given = options(&render_variant("everything"));
    let digest = "2".repeat(64);
    assert_eq!(
        given.runner_image,
        format!("registry.example.com/kubernaut-runner@sha256:{digest}")
    );
    assert_eq!(given.execution_namespaces, ["a", "b"]);
    assert_eq!(given.protected_namespaces, ["kube-system", "vault"]);
    assert_eq!(
        (given.max_concurrent, given.start_timeout_seconds),
        (50, 90)
    );
    assert_eq!(
        (given.job_ttl_seconds, given.execution_ttl_seconds),
        (100, 0)
    );
    assert!(!given.without_policies);
    let pod = given.settings().runner_pod;
    assert_eq!(pod.image_pull_secrets, ["registry", "mirror"]);
    assert_eq!(pod.node_selector["pool"], "jobs");
    assert_eq!(pod.tolerations[0].toleration_seconds, Some(60));
    assert_eq!(pod.priority_class_name, "high");
    let resources = &pod.resources["restart_pod"];
    assert_eq!(resources.requests.cpu.as_deref(), Some("20m"));
    assert_eq!(resources.limits.memory.as_deref(), Some("256Mi"));
    assert!(options(&render_variant("off")).without_policies);
}

#[test]
fn an_image_is_named_by_digest_before_tag_before_version() {
    let image = |arguments: &[&str]| {
        let objects = render(arguments).expect("the chart renders");
        environment(&objects)["KEXEC_RUNNER_IMAGE"]["value"].clone()
    };
    let digest = format!("sha256:{}", "a".repeat(64));
    let by_digest = format!("runner.image.tag=1.2,runner.image.digest={digest}");
    assert_eq!(image(&[]), json!("kubernaut-runner:0.1.0"));
    assert_eq!(
        image(&["--set", "runner.image.tag=1.2"]),
        json!("kubernaut-runner:1.2")
    );
    assert_eq!(
        image(&["--set", &by_digest]),
        json!(format!("kubernaut-runner@{digest}"))
    );
}

#[test]
fn large_numbers_reach_the_controller_as_they_are_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let values = folder.path().join("values.yaml");
    let numbers =
        "startTimeoutSeconds: 3000000, jobTtlSeconds: 2000000, executionTtlSeconds: 31536000";
    let text = format!("controller: {{{numbers}}}\npolicies: {{lookSeconds: 4000000}}\n");
    std::fs::write(&values, text).expect("a file");
    let objects = render(&["--values", &values.to_string_lossy()]).expect("the chart renders");
    let given = options(&objects);
    assert_eq!(given.start_timeout_seconds, 3_000_000);
    assert_eq!(
        (given.job_ttl_seconds, given.execution_ttl_seconds),
        (2_000_000, 31_536_000)
    );
    assert_eq!(given.policy_look_seconds, 4_000_000);
}

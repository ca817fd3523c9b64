//! What `namespaces` is for: with `namespaces: [a]` nothing outside `a` can be touched, whatever is asked for.

use std::collections::BTreeSet;

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kexec_api::phase::Phase;
use kexec_core::{Metadata, Planner, Registry};
use kexec_tests::audit::{Mark, is_runner, service_account};
use kexec_tests::harness::{apply, eventually, phase};
use kexec_tests::helm::{chart, variant};
use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use xtask::install::{Installation, install_objects};

use crate::site::{SYSTEM, Site};

/// An execution of every action on something of this namespace, or on a node.
fn everything_in(namespace: &str) -> [(&'static str, Value); 5] {
    let definition =
        |action: &str, api_version: &str, kind: &str, name: &str, parameters: Value| {
            let mut target = json!({"apiVersion": api_version, "kind": kind, "name": name});
            if kind != "Node" {
                target["namespace"] = json!(namespace);
            }
            json!({"actionType": action, "targetResource": target, "parameters": parameters})
        };
    let data = json!({"data": {"color": "blue"}});
    let force = json!({"force": true});
    [
        (
            "scale",
            definition(
                "scale_deployment",
                "apps/v1",
                "Deployment",
                "web",
                json!({"replicas": 2}),
            ),
        ),
        (
            "modify",
            definition("modify_configmap", "v1", "ConfigMap", "settings", data),
        ),
        (
            "restart",
            definition("restart_pod", "v1", "Pod", "alone", force),
        ),
        (
            "cordon",
            definition("cordon_node", "v1", "Node", "process-node", json!({})),
        ),
        (
            "uncordon",
            definition("uncordon_node", "v1", "Node", "process-node", json!({})),
        ),
    ]
}

async fn furnish(site: &Site, namespace: &str) {
    site.workload(namespace, "ready").await;
    let metadata = |name: &str| json!({"name": name, "namespace": namespace});
    apply(
        &site.client,
        &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("settings"), "data": {"color": "red"}}),
    )
    .await;
    apply(
        &site.client,
        &json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata("alone"),
                "spec": {"containers": [{"name": "main", "image": "played"}]}}),
    )
    .await;
}

/// Whether the authorizer lets an account do what a rule says, in a namespace or, without one, everywhere.
async fn may(site: &Site, right: &Right, namespace: Option<&str>) -> bool {
    let (resource, subresource) = match right.resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (right.resource.as_str(), None),
    };
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(service_account(SYSTEM, &right.holder)),
            resource_attributes: Some(ResourceAttributes {
                group: Some(right.group.clone()),
                resource: Some(resource.to_owned()),
                subresource,
                verb: Some(right.verb.clone()),
                namespace: namespace.map(str::to_owned),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let reviews: Api<SubjectAccessReview> = Api::all(site.client.clone());
    let answer = reviews.create(&PostParams::default(), &review).await;
    answer
        .expect("an answer")
        .status
        .is_some_and(|status| status.allowed)
}

/// One verb on one resource, and who is granted it.
#[derive(Debug)]
struct Right {
    holder: String,
    group: String,
    resource: String,
    verb: String,
}

/// What the actions' roles and that of the controller's reads grant.
fn rights() -> Vec<Right> {
    let mut rights = Vec::new();
    for role in install_objects(&Installation::default()).expect("manifests") {
        let name = role["metadata"]["name"].as_str().expect("a name");
        let is_reader = name == "kexec-reader-base";
        let is_action = role["metadata"]["labels"]["kubernaut.io/action"].is_string();
        if role["kind"] != "ClusterRole" || !(is_reader || is_action) {
            continue;
        }
        let holder = if is_reader {
            "kubernaut-executor"
        } else {
            name
        };
        for rule in role["rules"].as_array().expect("rules") {
            let each = |field: &str| -> Vec<String> {
                let words = rule[field].as_array().expect("a list").iter();
                words
                    .map(|word| word.as_str().expect("a text").to_owned())
                    .collect()
            };
            for (group, resource) in each("apiGroups").iter().flat_map(|group| {
                let resources = each("resources").into_iter();
                resources.map(move |resource| (group.clone(), resource))
            }) {
                rights.extend(each("verbs").into_iter().map(|verb| Right {
                    holder: holder.to_owned(),
                    group: group.clone(),
                    resource: resource.clone(),
                    verb,
                }));
            }
        }
    }
    rights
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_namespace_nothing_outside_it_can_be_touched_whatever_is_asked_for() {
    let site = Site::new().await;
    furnish(&site, "a").await;
    furnish(&site, "b").await;
    let values = variant("namespaces");
    site.release(
        "install",
        &chart(),
        &["--values", &values.to_string_lossy()],
    )
    .await;

    for (name, definition) in everything_in("b") {
        site.ask(name, "b", &definition).await;
    }
    for (name, _) in everything_in("b") {
        let ended = site.ended(name, "b").await;
        assert_eq!(
            phase(&ended),
            Some(Phase::Failed),
            "{name}: {:?}",
            ended.status
        );
        let error = ended
            .status
            .and_then(|status| status.error)
            .unwrap_or_default();
        assert!(error.contains("may not"), "{name}: {error}");
    }
    for (name, definition) in everything_in("a").into_iter().take(3) {
        site.ask(name, "a", &definition).await;
        let ended = site.ended(name, "a").await;
        assert_eq!(
            phase(&ended),
            Some(Phase::Completed),
            "{name}: {:?}",
            ended.status
        );
    }

    let calls = site.audit().since(Mark::START).expect("an audit log");
    let reached: BTreeSet<_> = calls
        .iter()
        .filter(|call| is_runner(&call.user) && call.is_write())
        .map(|call| call.namespace.clone())
        .collect();
    assert_eq!(reached, BTreeSet::from(["a".to_owned(), SYSTEM.to_owned()]));
    site.plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_namespace_every_rule_of_an_action_holds_there_and_nowhere_else() {
    let site = Site::new().await;
    furnish(&site, "a").await;
    furnish(&site, "b").await;
    let values = variant("namespaces");
    site.release(
        "install",
        &chart(),
        &["--values", &values.to_string_lossy()],
    )
    .await;
    let rights = rights();
    let read = rights
        .iter()
        .find(|right| right.holder == "kubernaut-executor");
    let read = read.expect("a right to read");
    eventually("the reads to be aggregated", || async {
        may(&site, read, Some("a")).await.then_some(())
    })
    .await;
    let on_nodes: BTreeSet<String> = Registry::built_in()
        .planners()
        .iter()
        .map(Planner::metadata)
        .filter(|action| action.targets.iter().all(|kind| !kind.namespaced))
        .map(Metadata::service_account_name)
        .collect();
    for right in &rights {
        let on_nodes = on_nodes.contains(&right.holder);
        assert_eq!(
            may(&site, right, Some("a")).await,
            !on_nodes,
            "{right:?} in a"
        );
        // The controller's own role lets it read one definition of a kind: that of its own resource.
        if right.resource == "customresourcedefinitions" && right.verb == "get" {
            continue;
        }
        assert!(!may(&site, right, Some("b")).await, "{right:?} in b");
        assert!(!may(&site, right, None).await, "{right:?} everywhere");
    }
    assert!(rights.len() > 70, "{}", rights.len());
    site.plane.stop().await;
}

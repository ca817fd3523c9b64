//! The control plane itself: rights, audit log, admission policies, identities.

use std::fs;

use k8s_openapi::{
    api::{
        admissionregistration::v1::ValidatingAdmissionPolicy,
        authentication::v1::SelfSubjectReview,
        core::v1::{ConfigMap, Pod},
    },
    apimachinery::pkg::apis::meta::v1::APIResourceList,
};
use kube::{
    Api, Client,
    api::{ListParams, PostParams},
};
use serde_json::{Value, json};

use crate::harness::{Space, cluster, create};

#[tokio::test]
async fn a_user_without_rights_is_refused_and_one_with_them_is_not() {
    let plane = &cluster().await.plane;
    let nobody = plane
        .config_for_user("alice", &["developers"])
        .await
        .unwrap();
    let pods = Api::<Pod>::default_namespaced(Client::try_from(nobody).unwrap());
    let refused = pods.list(&ListParams::default()).await.unwrap_err();
    assert!(
        matches!(&refused, kube::Error::Api(status) if status.code == 403),
        "{refused}"
    );
    let admin = plane.client().unwrap();
    let pods = Api::<Pod>::default_namespaced(admin);
    pods.list(&ListParams::default()).await.unwrap();
}

#[tokio::test]
async fn a_user_certificate_carries_both_its_groups() {
    let plane = &cluster().await.plane;
    let config = plane.config_for_user("bob", &["one", "two"]).await.unwrap();
    let reviews = Api::<SelfSubjectReview>::all(Client::try_from(config).unwrap());
    let review = reviews
        .create(&PostParams::default(), &SelfSubjectReview::default())
        .await
        .unwrap();
    let user = review.status.unwrap().user_info.unwrap();
    assert_eq!(user.username.as_deref(), Some("bob"));
    let groups = user.groups.unwrap();
    assert!(
        groups.contains(&"one".to_owned()) && groups.contains(&"two".to_owned()),
        "{groups:?}"
    );
}

#[tokio::test]
async fn the_audit_log_has_a_write_with_its_body_as_soon_as_its_answer_is_seen() {
    let space = Space::new("audit").await;
    let map = json!({"metadata": {"name": "seen"}, "data": {"key": "value"}});
    create(&space.api::<ConfigMap>(), map).await;
    let log = fs::read_to_string(cluster().await.plane.audit_log()).unwrap();
    let events = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut writes = events.filter(|event| {
        event["verb"] == "create"
            && event["objectRef"]["resource"] == "configmaps"
            && event["objectRef"]["namespace"] == "audit"
            && event["user"]["username"] == "kubernetes-admin"
    });
    let write = writes.next().unwrap();
    assert_eq!(write["requestObject"]["data"]["key"], "value");
    assert_eq!(write["responseStatus"]["code"], 201);
    assert!(writes.next().is_none());
}

#[tokio::test]
async fn admission_policies_of_both_kinds_are_served_as_v1() {
    let client = cluster().await.plane.client().unwrap();
    let served: APIResourceList = client
        .list_api_group_resources("admissionregistration.k8s.io/v1")
        .await
        .unwrap();
    for kind in ["MutatingAdmissionPolicy", "ValidatingAdmissionPolicy"] {
        assert!(served.resources.iter().any(|it| it.kind == kind), "{kind}");
    }
    let policies = Api::<ValidatingAdmissionPolicy>::all(client);
    policies.list(&ListParams::default()).await.unwrap();
}

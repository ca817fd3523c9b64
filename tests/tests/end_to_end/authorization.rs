//! Who may have which action done where (safety.md, "Who may do what"): at admission, and again before anything is
//! started.

mod painting;

use k8s_openapi::api::authorization::v1::ResourceAttributes;
use k8s_openapi::api::rbac::v1::{ClusterRole, RoleBinding};
use kexec_api::condition::Reason;
use kexec_tests::harness::{Grantee, Scene, create, eventually, said};
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;

use painting::{
    assert_completed, assert_refused, color, config_map, foreign_namespace, painting, patch,
};

#[tokio::test(flavor = "multi_thread")]
async fn who_may_create_executions_but_not_execute_is_refused_and_told_which_right_is_missing() {
    let scene = Scene::new("no-right").await;
    let clerk = scene.person("clerk", &[]).await;
    let shop = foreign_namespace(&scene).await;

    for namespace in [scene.namespace.as_str(), &shop] {
        let refusal = said(
            create(
                &clerk,
                &painting(&scene, "paint", "modify_configmap", namespace),
            )
            .await,
        );
        let who = scene.username("clerk");
        assert!(
            refusal.contains(&format!(
                "\"{who}\" may not execute modify_configmap in namespace \"{namespace}\""
            )),
            "{refusal}"
        );
        assert!(
            refusal.contains(&format!("grant a Role in namespace \"{namespace}\"")),
            "{refusal}"
        );
        assert!(
            refusal.contains("resourceNames [modify_configmap], verbs [execute]"),
            "{refusal}"
        );
    }
    // The scene's user may execute everything, but in the scene's namespace only.
    let refusal = said(
        scene
            .try_create(&painting(&scene, "paint", "modify_configmap", &shop))
            .await,
    );
    assert!(refusal.contains("may not execute"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_to_one_action_in_one_namespace_is_worth_exactly_that() {
    let scene = Scene::new("one-right").await;
    let painter = scene.person("painter", &[]).await;
    let shop = foreign_namespace(&scene).await;
    config_map(&scene, &shop).await;
    scene
        .grant(
            Grantee::User(&scene.username("painter")),
            &["execute"],
            "modify_configmap",
            &shop,
        )
        .await;
    let _operator = scene.operator().await;

    let mut on_a_node =
        scene.execution("node", "cordon_node", ("v1", "Node", "worker"), &json!({}));
    let mut node_beside_a_namespace = on_a_node.clone();
    node_beside_a_namespace["spec"]["actionDefinition"]["targetResource"]["namespace"] =
        json!(shop);
    on_a_node["metadata"]["name"] = json!("node-1");
    let mut without_namespace = painting(&scene, "nowhere", "modify_configmap", "");
    let target = &mut without_namespace["spec"]["actionDefinition"]["targetResource"];
    target
        .as_object_mut()
        .expect("an object")
        .remove("namespace");
    let refused = [
        (
            painting(&scene, "here", "modify_configmap", &scene.namespace),
            "may not execute modify_configmap",
        ),
        (
            painting(&scene, "other", "restart_pod", &shop),
            "may not execute restart_pod",
        ),
        (
            painting(&scene, "unknown", "modify_configmaps", &shop),
            "no action of that name is built in",
        ),
        (
            on_a_node,
            "may not execute cordon_node on a target without a namespace: grant a ClusterRole",
        ),
        (
            node_beside_a_namespace,
            "may not execute cordon_node on a target without a namespace",
        ),
        (without_namespace, "or write the namespace of the target"),
    ];
    for (execution, words) in refused {
        let refusal = said(create(&painter, &execution).await);
        assert!(refusal.contains(words), "{refusal}");
    }

    create(
        &painter,
        &painting(&scene, "paint", "modify_configmap", &shop),
    )
    .await
    .expect("it is let");
    assert_completed(&scene, "paint").await;
    assert_eq!(color(&scene, &shop).await.as_deref(), Some("blue"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_held_by_group_counts_and_an_alias_is_the_action_it_means() {
    let scene = Scene::new("group").await;
    let shop = foreign_namespace(&scene).await;
    config_map(&scene, &shop).await;
    let group = format!("{}-painters", scene.namespace);
    let member = scene.person("member", &[&group]).await;
    scene
        .grant(
            Grantee::Group(&group),
            &["execute"],
            "modify_configmap",
            &shop,
        )
        .await;
    let _operator = scene.operator().await;

    let created = create(
        &member,
        &painting(&scene, "paint", "patch_configmap", &shop),
    )
    .await
    .expect("it is let");
    let requester = created.spec.requested_by.expect("a requester");
    assert!(requester.groups.contains(&group), "{requester:?}");
    assert_completed(&scene, "paint").await;

    let outsider = scene.person("outsider", &[]).await;
    let refusal = said(
        create(
            &outsider,
            &painting(&scene, "again", "patch_configmap", &shop),
        )
        .await,
    );
    assert!(
        refusal.contains("resourceNames [modify_configmap]"),
        "{refusal}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_revoked_before_the_start_is_missed_then() {
    let scene = Scene::new("revoked").await;
    let painter = scene.person("painter", &[]).await;
    let shop = foreign_namespace(&scene).await;
    config_map(&scene, &shop).await;
    let who = scene.username("painter");
    let binding = scene
        .grant(Grantee::User(&who), &["execute"], "modify_configmap", &shop)
        .await;
    create(
        &painter,
        &painting(&scene, "paint", "modify_configmap", &shop),
    )
    .await
    .expect("it is let");

    let bindings: Api<RoleBinding> = Api::namespaced(scene.client.clone(), &shop);
    bindings
        .delete(&binding, &DeleteParams::default())
        .await
        .expect("deleted");
    let right = ResourceAttributes {
        group: Some("kubernetesexecution.kubernaut.io".to_owned()),
        resource: Some("actiontypes".to_owned()),
        verb: Some("execute".to_owned()),
        name: Some("modify_configmap".to_owned()),
        namespace: Some(shop.clone()),
        ..ResourceAttributes::default()
    };
    eventually("the right to be gone", || async {
        (!scene.may(&who, &[], &right).await).then_some(())
    })
    .await;
    let _operator = scene.operator().await;

    let error = assert_refused(&scene, "paint", Reason::RequesterDenied).await;
    assert!(
        error.contains(&format!("\"{who}\" may not execute modify_configmap")),
        "{error}"
    );
    assert!(
        error.contains(&format!("grant a Role in namespace \"{shop}\"")),
        "{error}"
    );
    assert_eq!(color(&scene, &shop).await.as_deref(), Some("red"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_requester_is_overwritten_with_who_really_asks() {
    let scene = Scene::new("forged").await;
    let mut forged = painting(&scene, "paint", "modify_configmap", &scene.namespace);
    forged["spec"]["requestedBy"] = json!({
        "username": "system:admin", "uid": "0", "groups": ["system:masters"], "extra": {"forged": ["yes"]},
    });

    let requester = scene
        .create(&forged)
        .await
        .spec
        .requested_by
        .expect("a requester");

    assert_eq!(requester.username, scene.username("user"));
    assert_eq!(requester.groups, ["system:authenticated"]);
    assert!(!requester.extra.contains_key("forged"), "{requester:?}");
    assert_ne!(requester.uid.as_deref(), Some("0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_workflow_controller_may_name_another_requester_whose_own_rights_then_count() {
    let scene = Scene::new("on-behalf").await;
    config_map(&scene, &scene.namespace).await;
    let account = format!(
        "system:serviceaccount:{}:workflowexecution-controller",
        scene.system_namespace
    );
    scene
        .grant(
            Grantee::User(&account),
            &["execute"],
            "modify_configmap",
            &scene.namespace,
        )
        .await;
    let workflows = scene.acting_as(&account, &["system:masters"]);
    let _operator = scene.operator().await;
    let on_behalf_of = |name: &str, who: &str| {
        let mut execution = painting(&scene, name, "modify_configmap", &scene.namespace);
        execution["spec"]["requestedBy"] = json!({"username": who});
        execution
    };

    let created = create(&workflows, &on_behalf_of("nobody", "nobody"))
        .await
        .expect("it is let");
    assert_eq!(
        created.spec.requested_by.expect("a requester").username,
        "nobody"
    );
    assert_refused(&scene, "nobody", Reason::RequesterDenied).await;
    create(&workflows, &on_behalf_of("user", &scene.username("user")))
        .await
        .expect("it is let");
    assert_completed(&scene, "user").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn to_force_takes_the_verb_force() {
    let scene = Scene::new("force").await;
    let painter = scene.person("painter", &[]).await;
    let who = scene.username("painter");
    scene
        .grant(
            Grantee::User(&who),
            &["execute"],
            "modify_configmap",
            &scene.namespace,
        )
        .await;
    let mut forced = painting(&scene, "forced", "modify_configmap", &scene.namespace);
    forced["spec"]["actionDefinition"]["parameters"]["force"] = json!(true);

    let refusal = said(create(&painter, &forced).await);
    assert!(
        refusal.contains("may not force modify_configmap"),
        "{refusal}"
    );
    assert!(
        refusal.contains("leave spec.actionDefinition.parameters.force out, or grant"),
        "{refusal}"
    );
    let mut not_forced = forced.clone();
    not_forced["metadata"]["name"] = json!("not-forced");
    not_forced["spec"]["actionDefinition"]["parameters"]["force"] = json!(false);
    create(&painter, &not_forced).await.expect("it is let");

    scene
        .grant(
            Grantee::User(&who),
            &["force"],
            "modify_configmap",
            &scene.namespace,
        )
        .await;
    create(&painter, &forced).await.expect("it is let");
}

#[tokio::test(flavor = "multi_thread")]
async fn to_ask_for_a_rollback_takes_the_verb_rollback_and_to_cancel_takes_none() {
    let scene = Scene::new("rollback").await;
    let painter = scene.person("painter", &[]).await;
    let who = scene.username("painter");
    scene
        .grant(
            Grantee::User(&who),
            &["execute"],
            "modify_configmap",
            &scene.namespace,
        )
        .await;
    let paint = painting(&scene, "paint", "patch_configmap", &scene.namespace);
    let mut with_rollback = paint.clone();
    with_rollback["metadata"]["name"] = json!("with-rollback");
    with_rollback["spec"]["control"] = json!({"rollback": true});

    create(&painter, &paint).await.expect("it is let");
    let rollback = || {
        patch(
            &painter,
            &scene,
            "paint",
            json!({"spec": {"control": {"rollback": true}}}),
        )
    };
    for refusal in [
        said(create(&painter, &with_rollback).await),
        said(rollback().await),
    ] {
        assert!(
            refusal.contains("may not roll back modify_configmap"),
            "{refusal}"
        );
        assert!(
            refusal.contains("leave spec.control.rollback out, or grant"),
            "{refusal}"
        );
    }
    patch(
        &painter,
        &scene,
        "paint",
        json!({"spec": {"control": {"cancel": true}}}),
    )
    .await
    .expect("it is let");

    scene
        .grant(
            Grantee::User(&who),
            &["rollback"],
            "modify_configmap",
            &scene.namespace,
        )
        .await;
    rollback().await.expect("it is let");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_whose_account_lacks_a_right_is_refused_with_the_rule() {
    let scene = Scene::isolated("no-rule").await;
    config_map(&scene, &scene.namespace).await;
    let roles: Api<ClusterRole> = Api::all(scene.client.clone());
    let role = format!("configmap-patcher-{}", scene.suffix);
    let none = Patch::Merge(json!({"rules": []}));
    roles
        .patch(&role, &PatchParams::default(), &none)
        .await
        .expect("a ClusterRole");
    let account = format!(
        "system:serviceaccount:{}:configmap-patcher",
        scene.system_namespace
    );
    let right = ResourceAttributes {
        group: Some(String::new()),
        resource: Some("configmaps".to_owned()),
        verb: Some("patch".to_owned()),
        namespace: Some(scene.namespace.clone()),
        ..ResourceAttributes::default()
    };
    eventually("the right to be gone", || async {
        (!scene.may(&account, &[], &right).await).then_some(())
    })
    .await;
    let _operator = scene.operator().await;
    scene
        .create(&painting(
            &scene,
            "paint",
            "modify_configmap",
            &scene.namespace,
        ))
        .await;

    let error = assert_refused(&scene, "paint", Reason::PermissionDenied).await;

    assert!(
        error.contains(&format!("{account} may not patch configmaps")),
        "{error}"
    );
    assert!(
        error.contains("its ClusterRole or binding is missing"),
        "{error}"
    );
    assert_eq!(
        color(&scene, &scene.namespace).await.as_deref(),
        Some("red")
    );
}

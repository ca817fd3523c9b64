use super::*;

/// The same with the Service `shop`, whose ready endpoints lead to the pods with these UIDs.
fn served(replicas: u32, pods: Vec<Value>, ready: &[&str]) -> Facts {
    let mut world = world(replicas, pods);
    let service = json!({"metadata": {"name": "shop"}, "spec": {"selector": {"app": "shop"}}});
    let endpoints: Vec<Value> = ready
        .iter()
        .map(|uid| json!({"targetRef": {"uid": uid}, "conditions": {"ready": true}}))
        .collect();
    let slice = json!({"metadata": {"labels": {"kubernetes.io/service-name": "shop"}}, "endpoints": endpoints});
    world.insert(endpoints::services(Some("web")), Fact::List(vec![service]));
    world.insert(slices(), Fact::List(vec![slice]));
    world
}

fn slices() -> Need {
    endpoints::slices(Some("web"), ["shop"]).expect("of a Service")
}

#[test]
fn needs_go_from_the_pod_to_its_owner_and_to_what_serves_it() {
    let target = pod(of_replica_set("p-1", true));
    let parameters = Parameters::default();
    let first = RestartPod::needs(&target, &parameters, &Facts::default());
    let services = endpoints::services(Some("web"));
    assert_eq!(first, [Need::object(&owner()), services.clone()]);
    let mut read = served(1, Vec::new(), &[]);
    let mut before = facts([(
        services.clone(),
        read.get(&services).cloned().expect("read"),
    )]);
    before.insert(Need::object(&owner()), Fact::Object(replica_set(1)));
    let second = RestartPod::needs(&target, &parameters, &before);
    let pods = Need::pods(Some("web"), "app=shop");
    assert_eq!(before.missing(second), [slices(), pods]);
    read.insert(services.clone(), Fact::List(Vec::new()));
    assert!(!RestartPod::needs(&target, &parameters, &read).contains(&slices()));
    assert_eq!(
        RestartPod::needs(&pod(bare_pod("p-1", true)), &parameters, &Facts::default()),
        []
    );
}

#[test]
fn each_service_that_selects_the_pod_has_afterwards_the_endpoints_beside_it_and_one_more() {
    let back = |world: &Facts| {
        let parameters = Parameters::default();
        let draft = plan(of_replica_set("p-1", true), &parameters, world).expect("plans");
        match draft.expectations.into_iter().next() {
            Some(Expectation::Replaced { services, .. }) => services,
            other => panic!("{other:?}"),
        }
    };
    let pods = || vec![of_replica_set("p-1", true), of_replica_set("p-2", true)];
    let shop = |ready| {
        vec![ServiceEndpoints {
            service: "shop".into(),
            ready,
        }]
    };
    assert_eq!(back(&served(2, pods(), &["p-1", "p-2"])), shop(2));
    assert_eq!(back(&served(2, pods(), &["p-2"])), shop(2));
    assert_eq!(
        back(&served(2, pods(), &["p-1", "of-another-owner"])),
        shop(1)
    );
    assert_eq!(back(&served(2, pods(), &[])), shop(1));
    assert_eq!(back(&world(2, pods())), []);
}

#[test]
fn unread_services_and_endpoints_are_not_taken_for_none() {
    for need in [endpoints::services(Some("web")), slices()] {
        let mut world = served(1, vec![of_replica_set("p-1", true)], &["p-1"]);
        world.insert(need, Fact::NotReadable("it lacks list".into()));
        let refused = plan(of_replica_set("p-1", true), &Parameters::default(), &world);
        assert!(matches!(refused, Err(PlanError::UseFact(_))), "{refused:?}");
    }
}

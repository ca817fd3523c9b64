//! `dependency-validation`: quotas, volume claims, autoscalers and disruption budgets, as far as the plan touches them.

use kexec_actions::facts::{Fact, Kind, Need};
use serde_json::{Value, json};

use super::{
    asked, asking_for, assert_blocks, assert_passes, autoscaler, autoscalers, list, told,
    with_list, with_target,
};
use crate::support::{World, line, patch};

const CHECK: &str = "dependency-validation";
const GROWS: &str =
    "no autoscaler would undo the change, and quotas and volume claims leave room for the new pods";

fn quotas() -> Need {
    list(&Kind::new("v1", "ResourceQuota", "resourcequotas"))
}

fn budgets() -> Need {
    list(&Kind::new(
        "policy/v1",
        "PodDisruptionBudget",
        "poddisruptionbudgets",
    ))
}

fn claim() -> Need {
    Need::Object {
        kind: Kind::new("v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
        namespace: Some("web".into()),
        name: "data".into(),
    }
}

/// From 2 to 5 replicas, with this template and these quotas.
fn growing(template: &Value, quota: Option<Value>) -> World {
    let world = with_target(
        asking_for(CHECK),
        json!({"spec": {"template": {"spec": template}}}),
    );
    let world = with_list(world, autoscalers(), Vec::new());
    with_list(world, quotas(), quota.into_iter().collect())
}

fn quota(resource: &str, hard: &str, used: impl Into<Value>) -> Value {
    json!({
        "metadata": {"namespace": "web", "name": "small"},
        "spec": {"hard": {resource: hard}},
        "status": {"hard": {resource: hard}, "used": {resource: used.into()}},
    })
}

fn container(resources: impl Into<Value>) -> Value {
    json!({"name": "main", "resources": resources.into()})
}

fn no_room(used: &str, each: &str) -> String {
    format!(
        "ResourceQuota \"small\" leaves no room for 3 more pods of Deployment \"web/shop\": {used} are used and each pod \
         takes {each}: raise the quota, or ask for fewer replicas"
    )
}

#[test]
fn only_what_the_plan_touches_is_read() {
    assert_eq!(
        line(&asking_for(CHECK)),
        "read horizontalpodautoscalers in \"web\", resourcequotas in \"web\""
    );
    let mut shrinking = asked(CHECK);
    patch(
        &mut shrinking,
        json!({"actionDefinition": {"parameters": {"replicas": 1}}}),
    );
    let world = World::of(shrinking).with_facts();
    assert_eq!(line(&world), "read horizontalpodautoscalers in \"web\"");
    assert_passes(
        &with_list(world, autoscalers(), Vec::new()),
        CHECK,
        "no autoscaler would undo the change",
    );
    let mut as_is = asked(CHECK);
    patch(
        &mut as_is,
        json!({"actionDefinition": {"parameters": {"replicas": 2}}}),
    );
    let world = World::of(as_is).with_facts();
    assert_eq!(line(&world), "intend monitoring/VerifyingOutcome");
    let message =
        "the plan takes no pod away and changes no replicas, so nothing had to be looked at";
    assert_eq!(
        told(&world, CHECK),
        (Some(true), Some(true), message.to_owned())
    );
}

#[test]
fn an_autoscaler_of_the_target_blocks_a_scaling() {
    let world = growing(&json!({}), None);
    assert_passes(&world, CHECK, GROWS);
    assert_blocks(
        &with_list(world, autoscalers(), vec![autoscaler("Deployment", "shop")]),
        CHECK,
        "HorizontalPodAutoscaler \"by-load\" sets the replicas of Deployment \"web/shop\" between 2 and 9 and would undo the \
         change: change its minReplicas or maxReplicas instead",
    );
}

#[test]
fn quotas_must_leave_room_for_the_new_pods() {
    let plain = json!({"containers": [container(json!({}))]});
    let requests = json!({
        "containers": [
            container(json!({"requests": {"cpu": "100m"}, "limits": {"memory": "1Gi"}})),
            container(json!({"limits": {"cpu": "100m"}})),
        ],
    });
    let starts = json!({
        "containers": [container(json!({"requests": {"cpu": "100m"}}))],
        "initContainers": [
            container(json!({"requests": {"cpu": "400m"}})),
            {"name": "side", "restartPolicy": "Always", "resources": {"requests": {"cpu": "50m"}}},
        ],
    });
    let table = [
        (&plain, quota("pods", "5", "2"), None),
        (&plain, quota("pods", "4", "2"), Some(no_room("2 of 4 pods", "1"))),
        (&plain, quota("count/pods", "4", "2"), Some(no_room("2 of 4 count/pods", "1"))),
        (&plain, quota("requests.cpu", "1", "1"), None),
        (&plain, quota("services", "1", "1"), None),
        (&requests, quota("cpu", "1", "400m"), None),
        (&requests, quota("cpu", "1", "401m"), Some(no_room("401m of 1 cpu", "200m"))),
        (&requests, quota("requests.cpu", "1", "0.5"), Some(no_room("0.5 of 1 requests.cpu", "200m"))),
        (&requests, quota("limits.cpu", "1", "800m"), Some(no_room("800m of 1 limits.cpu", "100m"))),
        (&requests, quota("requests.memory", "3Gi", "0"), None),
        (&requests, quota("memory", "3Gi", "1"), Some(no_room("1 of 3Gi memory", "1073741824"))),
        (&starts, quota("requests.cpu", "1", "0"), Some(no_room("0 of 1 requests.cpu", "400m"))),
        (&plain, quota("pods", "5", json!(null)), Some(
            "ResourceQuota \"small\" was not counted yet for pods: create the execution again in a moment".to_owned())),
        (&plain, quota("pods", "5", "odd"), Some(no_room("odd of 5 pods", "1"))),
    ];
    for (template, quota, expected) in table {
        let world = growing(template, Some(quota));
        match expected {
            None => assert_passes(&world, CHECK, GROWS),
            Some(message) => assert_blocks(&world, CHECK, &message),
        }
    }
    let mut scoped = quota("pods", "2", "2");
    scoped["spec"]["scopes"] = json!(["BestEffort"]);
    assert_passes(&growing(&plain, Some(scoped)), CHECK, GROWS);
}

#[test]
fn the_claims_of_the_template_must_be_there_and_be_for_many_pods() {
    let template = json!({"volumes": [
        {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}, {"name": "scratch", "emptyDir": {}},
    ]});
    let mut world = growing(&template, None);
    assert_eq!(line(&world), "read PersistentVolumeClaim/web/data");
    world.gathered.facts.insert(claim(), Fact::Absent);
    assert_blocks(
        &world,
        CHECK,
        "PersistentVolumeClaim/web/data, which the pods of Deployment \"web/shop\" mount, does not exist: create it first",
    );
    let mut with_modes = |modes: Value| {
        let live = json!({"spec": {"accessModes": modes}});
        world.gathered.facts.insert(claim(), Fact::Object(live));
        world.clone()
    };
    assert_blocks(
        &with_modes(json!(["ReadWriteOncePod"])),
        CHECK,
        "PersistentVolumeClaim/web/data, which the pods of Deployment \"web/shop\" mount, is ReadWriteOncePod, so only one \
         of them can run: ask for one replica, or mount another claim",
    );
    assert_passes(&with_modes(json!(["ReadWriteOnce"])), CHECK, GROWS);
}

/// The restart of a pod that is ready or not, with these budgets.
fn restart(ready: &str, all: Vec<Value>) -> World {
    let owner = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "shop-1", "uid": "r-1", "controller": true,
    });
    let pod = json!({
        "metadata": {
            "namespace": "web", "name": "shop-1-a", "uid": "p-1", "labels": {"app": "shop", "track": "stable"},
            "ownerReferences": [owner],
        },
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    });
    let mut spec = asked(CHECK);
    let target = json!({"apiVersion": "v1", "kind": "Pod", "namespace": "web", "name": "shop-1-a"});
    patch(
        &mut spec,
        json!({"actionDefinition": {
            "actionType": "restart_pod", "targetResource": target, "parameters": {"replicas": null},
        }}),
    );
    let mut world = World::of(spec).with_turn();
    let set = json!({
        "metadata": {"namespace": "web", "name": "shop-1", "uid": "r-1"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "shop"}}},
    });
    let named = |api_version, kind, resource, name: &str| Need::Object {
        kind: Kind::new(api_version, kind, resource),
        namespace: Some("web".into()),
        name: name.into(),
    };
    let facts = &mut world.gathered.facts;
    facts.insert(
        named("v1", "Pod", "pods", "shop-1-a"),
        Fact::Object(pod.clone()),
    );
    facts.insert(
        named("apps/v1", "ReplicaSet", "replicasets", "shop-1"),
        Fact::Object(set),
    );
    facts.insert(Need::pods(Some("web"), "app=shop"), Fact::List(vec![pod]));
    let services = list(&Kind::new("v1", "Service", "services"));
    facts.insert(services, Fact::List(Vec::new()));
    with_list(world, budgets(), all)
}

fn budget(allowed: impl Into<Value>, selector: impl Into<Value>) -> Value {
    json!({
        "metadata": {"namespace": "web", "name": "keep"},
        "spec": {"selector": selector.into()},
        "status": {"disruptionsAllowed": allowed.into()},
    })
}

#[test]
fn a_budget_that_selects_the_pod_must_allow_its_loss() {
    let blocked = "PodDisruptionBudget \"keep\" allows no disruption of Pod \"web/shop-1-a\" now: wait until more of its \
                   pods are ready, or loosen the budget";
    let free = "no disruption budget stands against the loss of the pod";
    let selecting = json!({"matchLabels": {"app": "shop"}});
    let by = |operator: &str, values: Value| json!({"matchExpressions": [{"key": "track", "operator": operator, "values": values}]});
    let none = json!(null);
    let stops = [
        budget(0, selecting.clone()),
        budget(none.clone(), selecting.clone()),
        budget(0, json!({})),
        budget(0, by("In", json!(["stable", "old"]))),
        budget(0, by("NotIn", json!(["canary"]))),
        budget(0, by("Exists", none.clone())),
        budget(0, by("Resembles", none.clone())),
    ];
    for one in stops {
        assert_blocks(&restart("True", vec![one.clone()]), CHECK, blocked);
        assert_passes(&restart("False", vec![one]), CHECK, free);
    }
    let lets = [
        budget(1, selecting.clone()),
        budget(0, json!({"matchLabels": {"app": "other"}})),
        budget(0, json!({"matchLabels": {"app": "shop", "tier": "x"}})),
        budget(0, by("In", json!(["canary"]))),
        budget(0, by("NotIn", json!(["stable"]))),
        budget(0, by("DoesNotExist", none)),
    ];
    for one in lets {
        assert_passes(&restart("True", vec![one]), CHECK, free);
    }
    assert_passes(&restart("True", Vec::new()), CHECK, free);
}

#[test]
fn force_skips_the_check_and_has_nothing_read_for_it() {
    let mut spec = asked(CHECK);
    patch(
        &mut spec,
        json!({"actionDefinition": {"parameters": {"force": true}}}),
    );
    let world = World::of(spec).with_facts();
    assert_eq!(line(&world), "intend executing/JobCreated");
    let message =
        "not performed: skipped, because spec.actionDefinition.parameters.force is true".to_owned();
    assert_eq!(told(&world, CHECK), (Some(false), Some(false), message));
}

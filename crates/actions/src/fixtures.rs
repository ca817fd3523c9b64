//! Objects that the tests of several actions start from, and a stand-in for the API server that runs a plan's steps
//! on one of them.

use kexec_api::plan::{ObjectRef, Step};
use serde_json::{Map, Value, json};

use crate::action::Target;
use crate::facts::{Fact, Facts, Need};
use crate::metadata::TargetKind;

/// A target of a kind: `live` with the reference that fits its metadata.
pub(crate) fn target(kind: TargetKind, live: Value) -> Target {
    let text = |pointer: &str| {
        live.pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    Target {
        reference: ObjectRef {
            api_version: kind.api_version.into(),
            kind: kind.kind.into(),
            resource: kind.resource.into(),
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name").expect("has a name"),
            uid: text("/metadata/uid").expect("has a UID"),
        },
        live,
        asked_at: "2026-07-01T12:00:00Z".into(),
    }
}

/// Facts that were read.
pub(crate) fn facts(read: impl IntoIterator<Item = (Need, Fact)>) -> Facts {
    let mut facts = Facts::default();
    for (need, fact) in read {
        facts.insert(need, fact);
    }
    facts
}

/// Parameters from a JSON object.
pub(crate) fn parameters(parameters: Value) -> Map<String, Value> {
    match parameters {
        Value::Object(map) => map,
        other => panic!("{other} is no object"),
    }
}

/// A Deployment that selects `app=shop`.
pub(crate) fn deployment(replicas: &Value) -> Target {
    let live = json!({
        "metadata": {"namespace": "web", "name": "shop", "uid": "d-1"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "shop"}}},
    });
    target(TargetKind::DEPLOYMENT, live)
}

/// A workload of a kind that rolls out pods of the image `shop:1`.
pub(crate) fn workload(kind: TargetKind) -> Target {
    let mut live = deployment(&2.into()).live;
    live["spec"]["template"] = json!({
        "metadata": {"labels": {"app": "shop"}},
        "spec": {"containers": [{"name": "main", "image": "shop:1", "resources": {}}]},
    });
    if kind == TargetKind::DAEMON_SET {
        live["spec"]
            .as_object_mut()
            .expect("is an object")
            .remove("replicas");
    }
    target(kind, live)
}

/// A pod of the Deployment that is such a workload.
pub(crate) fn workload_pod(uid: &str) -> Value {
    let mut pod = owned_pod(uid, ("apps/v1", "ReplicaSet", "shop-7d9c"), true);
    pod["spec"] = json!({"containers": [{"name": "main", "image": "shop:1", "resources": {}}]});
    pod
}

/// What must be known of such a workload, with these pods and no disruption budget.
pub(crate) fn workload_facts(pods: Vec<Value>) -> Facts {
    let budgets = Need::all(TargetKind::POD_DISRUPTION_BUDGET.to_kind(), Some("web"));
    facts([
        (Need::pods(Some("web"), "app=shop"), Fact::List(pods)),
        (budgets, Fact::List(Vec::new())),
    ])
}

/// A ReplicaSet that keeps a revision of the Deployment that is such a workload.
pub(crate) fn replica_set(revision: u64, image: &str) -> Value {
    let hash = revision.to_string();
    let mut template = workload(TargetKind::DEPLOYMENT).live["spec"]["template"].clone();
    template["metadata"]["labels"]["pod-template-hash"] = hash.as_str().into();
    template["spec"]["containers"][0]["image"] = image.into();
    json!({
        "metadata": {
            "name": format!("shop-{hash}"), "uid": format!("r-{hash}"),
            "annotations": {"deployment.kubernetes.io/revision": hash},
            "labels": {"app": "shop", "pod-template-hash": hash},
            "ownerReferences": [{"kind": "Deployment", "name": "shop", "uid": "d-1", "controller": true}],
        },
        "spec": {"template": template},
    })
}

/// A `ControllerRevision` of such a workload.
pub(crate) fn controller_revision(target: &Target, revision: u64, image: &str) -> Value {
    let mut template = target.live["spec"]["template"].clone();
    template["$patch"] = "replace".into();
    template["spec"]["containers"][0]["image"] = image.into();
    json!({
        "metadata": {
            "name": format!("shop-{revision}"), "uid": format!("c-{revision}"),
            "labels": {"app": "shop", "controller-revision-hash": format!("{revision}")},
            "ownerReferences": [{"kind": target.reference.kind, "name": "shop", "uid": target.reference.uid, "controller": true}],
        },
        "revision": revision,
        "data": {"spec": {"template": template}},
    })
}

/// What must be known of such a workload to roll it back.
pub(crate) fn with_revisions(target: &Target, kept: Vec<Value>, pods: Vec<Value>) -> Facts {
    let kind = if target.reference.kind == "Deployment" {
        TargetKind::REPLICA_SET
    } else {
        TargetKind::CONTROLLER_REVISION
    };
    let mut facts = workload_facts(pods);
    facts.insert(
        Need::List {
            kind: kind.to_kind(),
            namespace: Some("web".into()),
            selector: "app=shop".into(),
        },
        Fact::List(kept),
    );
    facts
}

/// The node `worker-1` with UID `n-1`.
pub(crate) fn node(spec: &Value) -> Target {
    let mut live = ready_node("n-1");
    live["spec"] = spec.clone();
    target(TargetKind::NODE, live)
}

/// A node that takes pods.
pub(crate) fn ready_node(uid: &str) -> Value {
    json!({
        "metadata": {"name": uid.replace("n-", "worker-"), "uid": uid},
        "spec": {},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    })
}

/// A ConfigMap with these fields beside its metadata.
pub(crate) fn config_map(fields: Value) -> Target {
    let mut live = json!({"metadata": {"namespace": "web", "name": "settings", "uid": "c-1"}});
    live.as_object_mut()
        .expect("is an object")
        .extend(parameters(fields));
    target(TargetKind::CONFIG_MAP, live)
}

/// A pod that belongs to an owner with UID `o-1`.
pub(crate) fn owned_pod(uid: &str, owner: (&str, &str, &str), ready: bool) -> Value {
    let (api_version, kind, name) = owner;
    let mut pod = bare_pod(uid, ready);
    pod["metadata"]["ownerReferences"] = json!([{"apiVersion": api_version, "kind": kind, "name": name, "uid": "o-1", "controller": true}]);
    pod
}

/// A pod without an owner.
pub(crate) fn bare_pod(uid: &str, ready: bool) -> Value {
    let status = if ready { "True" } else { "False" };
    json!({
        "metadata": {"namespace": "web", "name": format!("shop-{uid}"), "uid": uid, "labels": {"app": "shop"}},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": status}]},
    })
}

/// The CronJob `report`.
pub(crate) fn cron_job(spec: &Value) -> Target {
    let live = json!({
        "metadata": {"namespace": "web", "name": "report", "uid": "j-1"},
        "spec": spec,
    });
    target(TargetKind::CRON_JOB, live)
}

/// A disruption budget over the pods `app=shop` that allows so many disruptions.
pub(crate) fn budget(name: &str, allowed: i64) -> Value {
    json!({
        "metadata": {"namespace": "web", "name": name},
        "spec": {"selector": {"matchLabels": {"app": "shop"}}},
        "status": {"disruptionsAllowed": allowed, "currentHealthy": 2, "desiredHealthy": 2},
    })
}

/// Why the stand-in refused a step.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    /// No object of that UID: 409 or 404.
    OtherObject,
    /// A field did not have its old value: 422.
    OtherValue(String),
    /// A JSON Patch operation had no place to go to: 422.
    NoPlace(String),
}

/// Runs one step as the API server would: wholly or not at all, and without showing empty values afterwards.
pub(crate) fn run(step: &Step, object: &mut Option<Value>) -> Result<(), Refusal> {
    let live = object.as_ref().ok_or(Refusal::OtherObject)?;
    match step {
        Step::Delete { target, .. } | Step::Evict { target, .. } => {
            if live.pointer("/metadata/uid") != Some(&target.uid.clone().into()) {
                return Err(Refusal::OtherObject);
            }
            *object = None;
        }
        Step::Patch { subresource, .. } => {
            let operations = step.json_patch().expect("a patch has operations");
            let mut view = if subresource.is_some() {
                scale_of(live)
            } else {
                live.clone()
            };
            for operation in operations.as_array().expect("is a list") {
                operate(operation, &mut view)?;
            }
            *object = Some(if subresource.is_some() {
                scaled(live, &view)
            } else {
                without_empty(view)
            });
        }
    }
    Ok(())
}

/// The scale subresource of a workload, which leaves out a zero.
fn scale_of(live: &Value) -> Value {
    let replicas = live["spec"]["replicas"].as_u64().unwrap_or(1);
    let spec = if replicas == 0 {
        json!({})
    } else {
        json!({"replicas": replicas})
    };
    json!({"metadata": {"uid": live["metadata"]["uid"]}, "spec": spec})
}

fn scaled(live: &Value, scale: &Value) -> Value {
    let mut changed = live.clone();
    changed["spec"]["replicas"] = scale["spec"]
        .get("replicas")
        .cloned()
        .unwrap_or_else(|| 0.into());
    changed
}

/// What Kubernetes' types leave out when they are written: empty maps of a ConfigMap, a false `unschedulable`.
fn without_empty(mut object: Value) -> Value {
    let fields = object.as_object_mut().expect("is an object");
    for name in ["data", "binaryData"] {
        if fields.get(name) == Some(&json!({})) {
            fields.remove(name);
        }
    }
    if let Some(Value::Object(spec)) = fields.get_mut("spec")
        && spec.get("unschedulable") == Some(&false.into())
    {
        spec.remove("unschedulable");
    }
    object
}

/// One operation of RFC 6902; `test` with null passes where nothing is, as the API server has it.
fn operate(operation: &Value, object: &mut Value) -> Result<(), Refusal> {
    let path = operation["path"].as_str().expect("has a path").to_owned();
    let (parent, key) = path.rsplit_once('/').expect("is a pointer");
    let key = key.replace("~1", "/").replace("~0", "~");
    let held = object.pointer(&path).cloned();
    let place = object.pointer_mut(parent).and_then(Value::as_object_mut);
    let place = place.ok_or_else(|| Refusal::NoPlace(path.clone()))?;
    match (operation["op"].as_str().expect("has an op"), held) {
        ("test", held) if held.clone().unwrap_or_default() == operation["value"] => {}
        ("test", _) if path == "/metadata/uid" => return Err(Refusal::OtherObject),
        ("test", _) => return Err(Refusal::OtherValue(path)),
        ("add", _) | ("replace", Some(_)) => drop(place.insert(key, operation["value"].clone())),
        ("remove", Some(_)) => drop(place.remove(&key)),
        _ => return Err(Refusal::NoPlace(path)),
    }
    Ok(())
}

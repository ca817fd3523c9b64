//! A server that the test plays: it holds objects and applies JSON Patches as the API server does, and faults befall its
//! requests.

use std::collections::BTreeMap;
use std::io;

use http::Response;
use kexec_api::plan::{FieldChange, ObjectRef, Step};
use kexec_api::work::{Stage, StepOutcome};
use kube::client::Body;
use serde_json::{Value, json};

use crate::fixture::{
    deployment, failure, failure_because, identity, limits, mock, order, success,
};
use crate::order::{Assignment, Mode};
use crate::run::{Report, run};

const TEST_FAILED: &str = "the server rejected our request due to an error in our request";
pub(super) const SETTINGS: &str = "/api/v1/namespaces/web/configmaps/settings";
pub(super) const SCALE: &str = "/apis/apps/v1/namespaces/web/deployments/shop/scale";
pub(super) const NODE: &str = "/api/v1/nodes/n1";

/// What befalls one request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// It takes effect, and its answer is lost.
    LostAfter,
    /// It takes no effect, and no answer comes.
    LostBefore,
    /// It is refused by an admission webhook.
    Denied(u16),
    /// It is the claim, and somebody holds it.
    Taken,
    /// An admission webhook cannot be asked.
    NoWebhook,
    /// It is answered as usual, and the pod is asked to stop.
    Stop,
}

/// A server with its objects by path, and the faults by the number of the request, the claim being number 0.
#[derive(Default)]
pub(super) struct World {
    pub(super) objects: BTreeMap<&'static str, Value>,
    faults: BTreeMap<usize, Fault>,
    /// Every request from this one on is struck by the last of the faults.
    from: Option<(usize, Fault)>,
    /// Name of the claim.
    pub(super) claim: Value,
    /// Address of each request.
    pub(super) seen: Vec<String>,
}

impl World {
    pub(super) fn with(path: &'static str, object: Value) -> Self {
        Self::default().and(path, object)
    }

    pub(super) fn and(mut self, path: &'static str, object: Value) -> Self {
        self.objects.insert(path, object);
        self
    }

    pub(super) fn fault(mut self, number: usize, fault: Fault) -> Self {
        self.faults.insert(number, fault);
        self
    }

    pub(super) fn always(mut self, number: usize, fault: Fault) -> Self {
        self.from = Some((number, fault));
        self
    }

    /// What befalls the request that comes next.
    fn next_fault(&self) -> Option<Fault> {
        let number = self.seen.len();
        let lasting = self.from.filter(|(from, _)| number >= *from);
        self.faults
            .get(&number)
            .copied()
            .or(lasting.map(|(_, fault)| fault))
    }

    /// Does as asked, as the API server would.
    fn perform(&mut self, method: &str, address: &str, body: &Value) -> Response<Body> {
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        if method == "POST" {
            self.claim = body["metadata"]["name"].clone();
            return success(201, &json!({}));
        }
        let Some(object) = self.objects.get_mut(path) else {
            return failure(404, "not found", json!({}));
        };
        if method == "DELETE" {
            let uid = object.pointer("/metadata/uid");
            if uid != body.pointer("/preconditions/uid") {
                return failure_because(409, "Conflict", "UID in precondition", json!({}));
            }
            self.objects.remove(path);
            return success(200, &json!({}));
        }
        let mut changed = object.clone();
        let mut operations = body.as_array().unwrap().iter();
        if !operations.all(|operation| operate(operation, &mut changed)) {
            return failure(422, TEST_FAILED, json!({}));
        }
        if !query.contains("dryRun=All") {
            *object = changed;
        }
        success(200, object)
    }
}

/// One operation of RFC 6902; a test with null passes where nothing is, but not where nothing could be.
fn operate(operation: &Value, object: &mut Value) -> bool {
    let path = operation["path"].as_str().unwrap();
    let (parent, key) = path.rsplit_once('/').unwrap();
    let held = object.pointer(path).cloned();
    let Some(place) = object.pointer_mut(parent).and_then(Value::as_object_mut) else {
        return false;
    };
    match (operation["op"].as_str().unwrap(), held) {
        ("test", held) => held.unwrap_or_default() == operation["value"],
        ("add", _) | ("replace", Some(_)) => {
            place.insert(key.to_owned(), operation["value"].clone());
            true
        }
        ("remove", held) => place.remove(key).is_some() && held.is_some(),
        _ => false,
    }
}

/// Rolls `steps` back in `world`, with `seconds` to the deadline.
pub(super) async fn roll_back_within(
    seconds: i64,
    steps: Vec<Step>,
    mut world: World,
) -> (Report, World) {
    let (server, mut handle) = mock();
    let (limits, stop) = limits(seconds);
    let mut order = order(vec![]);
    order.stage = Stage::Rollback;
    order.plan.rollback = steps;
    let mode = Mode::Write(identity());
    let assignment = Assignment { order, mode };
    let report = tokio::spawn(async move { run(&server, &limits, &assignment).await });
    while let Some((request, respond)) = handle.next_request().await {
        let (method, address) = (request.method().to_string(), request.uri().to_string());
        let body = request.into_body().collect_bytes().await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let lost = || io::Error::from(io::ErrorKind::ConnectionReset);
        match world.next_fault() {
            None => respond.send_response(world.perform(&method, &address, &body)),
            Some(Fault::Stop) => {
                stop.cancel();
                respond.send_response(world.perform(&method, &address, &body));
            }
            Some(Fault::LostBefore) => respond.send_error(lost()),
            Some(Fault::LostAfter) => {
                drop(world.perform(&method, &address, &body));
                respond.send_error(lost());
            }
            Some(Fault::Denied(code)) => {
                let said = "admission webhook \"x.example\" denied the request: frozen";
                respond.send_response(failure(code, said, json!({})));
            }
            Some(Fault::Taken) => {
                let taken = failure_because(409, "AlreadyExists", "exists", json!({}));
                respond.send_response(taken);
            }
            Some(Fault::NoWebhook) => {
                let said = "Internal error occurred: failed calling webhook \"x.example\"";
                respond.send_response(failure(500, said, json!({})));
            }
        }
        world.seen.push(address);
    }
    (report.await.unwrap(), world)
}

pub(super) async fn roll_back(steps: Vec<Step>, world: World) -> (Report, World) {
    roll_back_within(300, steps, world).await
}

fn settings_ref() -> ObjectRef {
    ObjectRef {
        api_version: "v1".into(),
        kind: "ConfigMap".into(),
        resource: "configmaps".into(),
        namespace: Some("web".into()),
        name: "settings".into(),
        uid: "u-settings".into(),
    }
}

pub(super) fn settings_of(uid: &str, data: &Value) -> Value {
    json!({"metadata": {"uid": uid}, "data": data})
}

pub(super) fn settings(data: &Value) -> Value {
    settings_of("u-settings", data)
}

/// The inverse step that takes the image of the first member of a list from "ours" back to "old", and its port from 2 to
/// 1, while it is named "web".
pub(super) fn restore_member() -> Step {
    let change = |key: &str, before: Value, after: Value| FieldChange {
        path: format!("/list/0/{key}"),
        before: Some(before),
        after: Some(after),
    };
    Step::Patch {
        target: settings_ref(),
        subresource: None,
        changes: vec![
            change("port", json!(2), json!(1)),
            change("image", json!("ours"), json!("old")),
            change("name", json!("web"), json!("web")),
        ],
    }
}

/// An object with a list of one member.
pub(super) fn with_member(member: &Value) -> Value {
    json!({"metadata": {"uid": "u-settings"}, "list": [member]})
}

/// The inverse step that takes each of the keys from "ours" back to "old".
pub(super) fn restore_keys(keys: &[&str]) -> Step {
    let change = |key: &&str| FieldChange {
        path: format!("/data/{key}"),
        before: Some("ours".into()),
        after: Some("old".into()),
    };
    Step::Patch {
        target: settings_ref(),
        subresource: None,
        changes: keys.iter().map(change).collect(),
    }
}

/// The inverse step that takes away the keys that the action added.
pub(super) fn remove_keys(keys: &[&str]) -> Step {
    let mut step = restore_keys(keys);
    if let Step::Patch { changes, .. } = &mut step {
        for change in changes {
            change.after = None;
        }
    }
    step
}

pub(super) fn restore_scale(before: Option<u32>, after: Option<u32>) -> Step {
    Step::Patch {
        target: deployment(),
        subresource: Some("scale".into()),
        changes: vec![FieldChange {
            path: "/spec/replicas".into(),
            before: before.map(Into::into),
            after: after.map(Into::into),
        }],
    }
}

pub(super) fn scale_object(replicas: Option<u32>) -> Value {
    let mut scale = json!({"metadata": {"uid": "u-shop"}, "spec": {}});
    if let Some(replicas) = replicas {
        scale["spec"]["replicas"] = replicas.into();
    }
    scale
}

pub(super) fn node_object() -> Value {
    json!({"metadata": {"uid": "u-node"}})
}

/// Step, field and outcome of each record.
pub(super) fn outcomes(report: &Report) -> Vec<(u32, Option<u32>, StepOutcome)> {
    let records = report.steps.iter();
    records
        .map(|record| (record.step, record.field, record.outcome))
        .collect()
}

//! What the tests of this crate share: a plan, an order, limits on a paused clock, and a server played by the test.

use http::{Request, Response};
use jiff::Timestamp;
use kexec_api::plan::{FieldChange, ObjectRef, PlanContent, Step};
use kexec_api::work::{ExecutionRef, Stage, WorkOrder};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower_test::mock::{self, Handle};

use crate::limits::Limits;
use crate::order::Identity;
use crate::server::Server;

pub(crate) type ServerHandle = Handle<Request<Body>, Response<Body>>;

pub(crate) fn deployment() -> ObjectRef {
    ObjectRef {
        api_version: "apps/v1".into(),
        kind: "Deployment".into(),
        resource: "deployments".into(),
        namespace: Some("web".into()),
        name: "shop".into(),
        uid: "u-shop".into(),
    }
}

pub(crate) fn node() -> ObjectRef {
    ObjectRef {
        api_version: "v1".into(),
        kind: "Node".into(),
        resource: "nodes".into(),
        namespace: None,
        name: "n1".into(),
        uid: "u-node".into(),
    }
}

pub(crate) fn scale(before: i32, after: i32) -> Step {
    Step::Patch {
        target: deployment(),
        subresource: Some("scale".into()),
        changes: vec![FieldChange {
            path: "/spec/replicas".into(),
            before: Some(before.into()),
            after: Some(after.into()),
        }],
    }
}

pub(crate) fn delete_node() -> Step {
    Step::Delete {
        target: node(),
        grace_period_seconds: None,
    }
}

/// The eviction of a pod; with `drain_seconds` one of a drain.
pub(crate) fn evict(drain_seconds: Option<u32>) -> Step {
    Step::Evict {
        target: ObjectRef {
            api_version: "v1".into(),
            kind: "Pod".into(),
            resource: "pods".into(),
            namespace: Some("web".into()),
            name: "shop-1".into(),
            uid: "u-pod".into(),
        },
        grace_period_seconds: Some(7),
        drain_seconds,
    }
}

/// What the API server answers to an eviction that a disruption budget forbids.
pub(crate) fn forbidden_by_budget() -> Response<Body> {
    let cause = json!({
        "reason": "DisruptionBudget",
        "message": "The disruption budget shop-budget needs 2 healthy pods and has 2 currently",
    });
    let said = "Cannot evict pod as it would violate the pod's disruption budget.";
    failure(429, said, json!({"causes": [cause]}))
}

pub(crate) fn order(steps: Vec<Step>) -> WorkOrder {
    let plan = PlanContent {
        action: "scale_deployment".into(),
        version: "v1.2".into(),
        targets: vec![deployment()],
        steps,
        expectations: vec![],
        rollback: vec![scale(5, 2)],
        permissions: vec![],
    };
    WorkOrder {
        execution: ExecutionRef {
            namespace: "web".into(),
            name: "scale-shop".into(),
            uid: "e-1".into(),
        },
        attempt: 1,
        stage: Stage::Execute,
        deadline: "2100-01-01T00:00:00Z".parse().unwrap(),
        plan_hash: plan.hash().unwrap(),
        plan,
    }
}

pub(crate) fn identity() -> Identity {
    Identity {
        pod_namespace: "kubernaut-system".into(),
        pod_uid: "u-pod".into(),
        job_uid: "u-job".into(),
    }
}

/// Limits that end `seconds` from now on tokio's clock, and the token that ends them earlier.
pub(crate) fn limits(seconds: i64) -> (Limits, CancellationToken) {
    let stop = CancellationToken::new();
    let (began, now) = (Instant::now(), Timestamp::UNIX_EPOCH);
    let deadline = now + jiff::SignedDuration::from_secs(seconds);
    let clock = move || now + jiff::SignedDuration::try_from(began.elapsed()).unwrap();
    (Limits::new(deadline, stop.clone(), clock), stop)
}

/// A server whose answers the test gives by hand.
pub(crate) fn mock() -> (Server, ServerHandle) {
    let (service, handle) = mock::pair::<Request<Body>, Response<Body>>();
    (Server::new(Client::new(service, "default")), handle)
}

pub(crate) fn success(code: u16, body: &Value) -> Response<Body> {
    Response::builder()
        .status(code)
        .body(Body::from(body.to_string().into_bytes()))
        .unwrap()
}

pub(crate) fn failure(code: u16, message: &str, details: Value) -> Response<Body> {
    failure_because(code, "", message, details)
}

pub(crate) fn failure_because(
    code: u16,
    reason: &str,
    message: &str,
    details: Value,
) -> Response<Body> {
    let mut status = json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message});
    status["details"] = details;
    success(code, &status)
}

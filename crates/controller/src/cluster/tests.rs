use std::sync::Mutex;
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use kexec_api::execution::KubernetesExecution;
use kexec_api::plan::Permission;
use kexec_core::access::{Question, Subject};
use kube::runtime::events::{Event, EventType, Recorder};
use serde_json::json;
use tokio::net::TcpListener;

use super::*;

type Seen = Arc<Mutex<Vec<Method>>>;

/// An API server that holds nothing and notes what it is asked for.
async fn server() -> (Config, Seen) {
    let seen = Seen::default();
    let note = |State(seen): State<Seen>, method: Method| async move {
        seen.lock().unwrap().push(method);
        let status = json!({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound", "message": "no"});
        (StatusCode::NOT_FOUND, status.to_string())
    };
    let routes = Router::new().fallback(note).with_state(Arc::clone(&seen));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (Config::new(url.parse().unwrap()), seen)
}

fn object<K: serde::de::DeserializeOwned>(name: &str) -> K {
    let metadata = json!({"name": name, "namespace": "ours", "uid": "1", "resourceVersion": "1"});
    let target = json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "namespace": "n"});
    let definition = json!({"actionType": "restart_pod", "targetResource": target});
    serde_json::from_value(json!({"metadata": metadata, "spec": {"actionDefinition": definition}}))
        .unwrap()
}

fn question() -> Question {
    Question {
        subject: Subject::ServiceAccount("system:serviceaccount:ours:runner".to_owned()),
        permission: Permission {
            group: String::new(),
            resource: "pods".to_owned(),
            subresource: None,
            verb: "delete".to_owned(),
            namespace: None,
        },
        name: None,
    }
}

/// Makes every call there is that is no read.
async fn write_everything(cluster: &Cluster) {
    let (execution, pod, lease) = (
        object::<KubernetesExecution>("e"),
        object::<Pod>("p"),
        object::<Lease>("l"),
    );
    let mut job = Job::default();
    job.metadata.name = Some("j".to_owned());
    drop(cluster.create_job(&job).await);
    drop(cluster.expire_job("j", 1).await);
    drop(cluster.delete_job("j").await);
    drop(cluster.stop_pod(&pod).await);
    drop(cluster.tombstone("j", "1", Timestamp::UNIX_EPOCH).await);
    drop(cluster.remove_tombstone(&lease).await);
    let status = kexec_api::execution::KubernetesExecutionStatus::default();
    drop(cluster.write_status(&execution, &status).await);
    drop(cluster.delete_execution(&execution).await);
    drop(cluster.refuse_undecodable("n", "e", "no").await);
    cluster.ask(&question()).await;
    let event = Event {
        type_: EventType::Normal,
        reason: "Started".to_owned(),
        note: None,
        action: "Execute".to_owned(),
        secondary: None,
    };
    let recorder = Recorder::new(cluster.events(), "tests".into());
    let about = ObjectReference {
        namespace: Some("n".to_owned()),
        ..ObjectReference::default()
    };
    drop(recorder.publish(&event, &about).await);
}

const WRITES: usize = 11;

#[tokio::test]
async fn a_replica_sends_writes_only_while_it_leads_and_reads_at_any_time() {
    let (config, seen) = server().await;
    let metrics = Arc::new(Metrics::new().unwrap());
    let fence = Fence::closed();
    let cluster = Cluster::connect(&config, "ours", metrics, &fence).unwrap();
    let sent = || -> (usize, usize) {
        let all = std::mem::take(&mut *seen.lock().unwrap());
        let reads = all.iter().filter(|method| method.is_safe()).count();
        (reads, all.len() - reads)
    };

    write_everything(&cluster).await;
    let (reads, writes) = sent();
    assert_eq!(writes, 0, "it stands by");
    assert_ne!(reads, 0);

    fence.extend(Instant::now() + CALL_TIMEOUT * 12);
    write_everything(&cluster).await;
    assert_eq!(sent().1, WRITES, "it leads");

    fence.extend(Instant::now());
    write_everything(&cluster).await;
    assert_eq!(sent().1, 0, "its time is over, and nobody has told it");
    let refused = cluster.delete_job("j").await.unwrap_err();
    assert!(
        refused.to_string().contains("this replica does not lead"),
        "{refused}"
    );
}

#[tokio::test]
async fn the_leader_lease_is_written_by_who_does_not_lead_yet() {
    let (config, seen) = server().await;
    let leases = Leases::connect(&config, Arc::new(Metrics::new().unwrap())).unwrap();
    assert_eq!(leases.read("ours", "leader").await.unwrap(), None);
    let lease = object::<Lease>("leader");
    assert_eq!(
        leases.create(&lease).await.unwrap_err().class(),
        Class::Absent
    );
    assert_eq!(
        leases.replace(&lease).await.unwrap_err().class(),
        Class::Absent
    );
    assert_eq!(
        *seen.lock().unwrap(),
        [Method::GET, Method::POST, Method::PUT]
    );
}

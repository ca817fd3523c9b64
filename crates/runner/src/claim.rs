//! The claim: the Lease that makes at most one process write in one (execution, attempt, stage) (I1). Made right
//! before the first write, never renewed, never deleted here: it goes with its Job.

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use kexec_api::names;
use kexec_api::work::WorkOrder;

use crate::limits::Limits;
use crate::order::Identity;
use crate::request::{create_claim_request, read_claim_request};
use crate::server::{Answer, Reply, Server, with_causes};
use crate::settle::{Judgement, settle};
use crate::text::{MAX_TEXT_CHARS, printable};

/// Whether this process may write.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// It may: the claim is its own.
    Held,
    /// It may not: the claim is, or may be, someone else's.
    Lost(String),
    /// It may not: the server refuses the claim.
    Refused(String),
    /// It may not: the run had to stop first.
    Interrupted(String),
}

/// What came of trying to create the claim.
enum Created {
    Yes,
    /// A claim of that name exists. `ours_may_be_it`: the answer to an earlier try of this process was lost.
    Exists {
        ours_may_be_it: bool,
    },
    Refused(String),
}

/// Takes the claim of `order` for this process. A claim that exists counts as ours only when its holder is our pod
/// *and* the answer to our own try was lost: otherwise an earlier process of this pod made it.
pub async fn take(
    server: &Server,
    limits: &Limits,
    order: &WorkOrder,
    identity: &Identity,
) -> Claim {
    let name = names::job_name(&order.execution.uid, order.attempt, order.stage);
    let lease = lease(&name, order, identity, limits);
    let request = match create_claim_request(&identity.pod_namespace, &lease) {
        Ok(request) => request,
        Err(error) => return Claim::Refused(printable(&with_causes(&error), MAX_TEXT_CHARS)),
    };
    let mut lost_answer = false;
    let created = settle(server, limits, &request, |reply| {
        judge_create(reply, &mut lost_answer)
    })
    .await;
    let claim = match created.end {
        Ok(Created::Yes) => Claim::Held,
        Ok(Created::Exists {
            ours_may_be_it: true,
        }) => compare_holder(server, limits, identity, &name).await,
        Ok(Created::Exists {
            ours_may_be_it: false,
        }) => Claim::Lost(format!("the claim \"{name}\" was taken before")),
        Ok(Created::Refused(why)) => Claim::Refused(why),
        Err(interrupted) => Claim::Interrupted(interrupted.to_string()),
    };
    tracing::info!(claim = name, result = ?claim, "claim ended");
    claim
}

/// After a lost answer: is the claim that exists ours?
async fn compare_holder(
    server: &Server,
    limits: &Limits,
    identity: &Identity,
    name: &str,
) -> Claim {
    let request = match read_claim_request(&identity.pod_namespace, name) {
        Ok(request) => request,
        Err(error) => return Claim::Refused(printable(&with_causes(&error), MAX_TEXT_CHARS)),
    };
    match settle(server, limits, &request, |reply| {
        judge_read(reply, identity, name)
    })
    .await
    .end
    {
        Ok(claim) => claim,
        Err(interrupted) => Claim::Interrupted(interrupted.to_string()),
    }
}

/// The Lease of this pod: holder is the pod, owner is its Job.
fn lease(name: &str, order: &WorkOrder, identity: &Identity, limits: &Limits) -> Lease {
    Lease {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(identity.pod_namespace.clone()),
            labels: Some(
                [
                    (names::LABEL_APP_NAME.to_owned(), names::APP_NAME.to_owned()),
                    (
                        names::LABEL_EXECUTION_UID.to_owned(),
                        order.execution.uid.clone(),
                    ),
                ]
                .into(),
            ),
            owner_references: Some(vec![OwnerReference {
                api_version: "batch/v1".to_owned(),
                kind: "Job".to_owned(),
                name: name.to_owned(),
                uid: identity.job_uid.clone(),
                controller: Some(false),
                block_owner_deletion: None,
            }]),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(identity.pod_uid.clone()),
            acquire_time: Some(MicroTime(limits.now())),
            ..LeaseSpec::default()
        }),
    }
}

/// Creating may always be repeated: the name is fixed, so a second try cannot make a second claim.
fn judge_create(reply: &Reply, lost_answer: &mut bool) -> Judgement<Created> {
    match reply {
        Reply::Answered(answer) => match answer.code {
            200..=299 => Judgement::Settled(Created::Yes),
            409 if is_already_exists(answer) => Judgement::Settled(Created::Exists {
                ours_may_be_it: *lost_answer,
            }),
            409 | 429 => again(answer),
            408 | 500..=599 => {
                *lost_answer = true;
                again(answer)
            }
            _ => Judgement::Settled(Created::Refused(answer.message())),
        },
        Reply::NotSent(why) => Judgement::Again {
            why: why.clone(),
            after: None,
        },
        Reply::NoAnswer { why, .. } => {
            *lost_answer = true;
            Judgement::Again {
                why: why.clone(),
                after: None,
            }
        }
    }
}

/// A claim that vanished again went with its Job, or with the controller's verdict on this attempt: not ours to retake.
fn judge_read(reply: &Reply, identity: &Identity, name: &str) -> Judgement<Claim> {
    let answer = match reply {
        Reply::Answered(answer) => answer,
        Reply::NotSent(why) | Reply::NoAnswer { why, .. } => {
            return Judgement::Again {
                why: why.clone(),
                after: None,
            };
        }
    };
    match answer.code {
        200..=299 => Judgement::Settled(judge_holder(answer, identity, name)),
        404 => Judgement::Settled(Claim::Lost(format!("the claim \"{name}\" vanished"))),
        408 | 429 | 500..=599 => again(answer),
        _ => Judgement::Settled(Claim::Refused(answer.message())),
    }
}

fn judge_holder(answer: &Answer, identity: &Identity, name: &str) -> Claim {
    let holder = serde_json::from_slice::<Lease>(&answer.body)
        .ok()
        .and_then(|lease| lease.spec?.holder_identity);
    if holder.as_deref() == Some(identity.pod_uid.as_str()) {
        return Claim::Held;
    }
    let holder = printable(holder.as_deref().unwrap_or("nobody"), 64);
    Claim::Lost(format!("the claim \"{name}\" is held by \"{holder}\""))
}

fn is_already_exists(answer: &Answer) -> bool {
    answer
        .status()
        .is_none_or(|status| status.is_already_exists())
}

fn again<T>(answer: &Answer) -> Judgement<T> {
    Judgement::Again {
        why: answer.message(),
        after: answer.wanted_pause(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use serde_json::{Value, json};

    use super::*;
    use crate::fixture::{
        ServerHandle, failure, failure_because, identity, limits, mock, order, scale, success,
    };

    const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kubernaut-system/leases";

    /// Begins to take the claim, with `seconds` to the deadline.
    fn begin(seconds: i64) -> (tokio::task::JoinHandle<Claim>, ServerHandle) {
        let (server, handle) = mock();
        let (limits, stop) = limits(seconds);
        let task = tokio::spawn(async move {
            let claim = take(&server, &limits, &order(vec![scale(2, 5)]), &identity()).await;
            drop(stop);
            claim
        });
        (task, handle)
    }

    fn already_exists() -> http::Response<kube::client::Body> {
        failure_because(
            409,
            "AlreadyExists",
            "leases \"x\" already exists",
            json!({}),
        )
    }

    fn held_by(holder: &str) -> http::Response<kube::client::Body> {
        let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {}, "spec": {"holderIdentity": holder}});
        success(200, &lease)
    }

    async fn lose_answer(handle: &mut ServerHandle) {
        let (request, respond) = handle.next_request().await.unwrap();
        assert_eq!(request.method(), "POST");
        respond.send_error(io::Error::from(io::ErrorKind::ConnectionReset));
    }

    async fn answer(
        handle: &mut ServerHandle,
        method: &str,
        response: http::Response<kube::client::Body>,
    ) {
        let (request, respond) = handle.next_request().await.unwrap();
        assert_eq!(request.method(), method);
        respond.send_response(response);
    }

    #[tokio::test(start_paused = true)]
    async fn a_claim_is_the_lease_of_the_job_held_by_the_pod() {
        let (claim, mut handle) = begin(60);
        let (request, respond) = handle.next_request().await.unwrap();
        assert_eq!(
            (request.method().as_str(), request.uri().path()),
            ("POST", LEASES)
        );
        let body: Value =
            serde_json::from_slice(&request.into_body().collect_bytes().await.unwrap()).unwrap();
        assert_eq!(
            body,
            json!({
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {
                    "name": "kexec-e-1-1-x",
                    "namespace": "kubernaut-system",
                    "labels": {
                        "app.kubernetes.io/name": "kubernetes-executor",
                        "kubernaut.io/execution-uid": "e-1",
                    },
                    "ownerReferences": [{
                        "apiVersion": "batch/v1",
                        "kind": "Job",
                        "name": "kexec-e-1-1-x",
                        "uid": "u-job",
                        "controller": false,
                    }],
                },
                "spec": {"holderIdentity": "u-pod", "acquireTime": "1970-01-01T00:00:00.000000Z"},
            })
        );
        respond.send_response(success(201, &body));
        assert_eq!(claim.await.unwrap(), Claim::Held);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_answer_to_our_own_claim_is_found_out_by_its_holder() {
        let (claim, mut handle) = begin(60);
        lose_answer(&mut handle).await;
        answer(&mut handle, "POST", already_exists()).await;
        let (request, respond) = handle.next_request().await.unwrap();
        assert_eq!(request.uri().path(), format!("{LEASES}/kexec-e-1-1-x"));
        respond.send_response(held_by("u-pod"));
        assert_eq!(claim.await.unwrap(), Claim::Held);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_error_to_our_own_claim_counts_as_a_lost_answer() {
        let (claim, mut handle) = begin(60);
        answer(
            &mut handle,
            "POST",
            failure(500, "etcdserver: request timed out", json!({})),
        )
        .await;
        answer(&mut handle, "POST", already_exists()).await;
        answer(&mut handle, "GET", held_by("u-pod")).await;
        assert_eq!(claim.await.unwrap(), Claim::Held);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_lost_answer_the_claim_of_another_pod_is_lost() {
        let (claim, mut handle) = begin(60);
        lose_answer(&mut handle).await;
        answer(&mut handle, "POST", already_exists()).await;
        answer(&mut handle, "GET", held_by("u-other")).await;
        let lost = "the claim \"kexec-e-1-1-x\" is held by \"u-other\"";
        assert_eq!(claim.await.unwrap(), Claim::Lost(lost.into()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_claim_that_existed_before_our_first_try_is_lost() {
        let (claim, mut handle) = begin(60);
        answer(&mut handle, "POST", already_exists()).await;
        assert!(matches!(claim.await.unwrap(), Claim::Lost(_)));
        assert!(handle.next_request().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_claim_that_vanished_again_is_lost() {
        let (claim, mut handle) = begin(60);
        lose_answer(&mut handle).await;
        answer(&mut handle, "POST", already_exists()).await;
        answer(&mut handle, "GET", failure(404, "not found", json!({}))).await;
        assert!(matches!(claim.await.unwrap(), Claim::Lost(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_claim_keeps_the_servers_words() {
        for code in [403, 422] {
            let (claim, mut handle) = begin(60);
            answer(&mut handle, "POST", failure(code, "not yours", json!({}))).await;
            assert_eq!(
                claim.await.unwrap(),
                Claim::Refused(format!("HTTP {code}: not yours"))
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn trying_again_ends_at_the_deadline() {
        let (claim, mut handle) = begin(3);
        let mut tries = 0;
        while let Some((_, respond)) = handle.next_request().await {
            tries += 1;
            assert!(tries <= 30, "it tries on and on");
            respond.send_response(failure(429, "busy", json!({})));
        }
        let Claim::Interrupted(why) = claim.await.unwrap() else {
            panic!("not interrupted")
        };
        assert!(why.contains("deadline") && why.contains("busy"), "{why}");
        assert!(tries >= 2, "{tries}");
    }
}

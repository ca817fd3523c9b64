//! What one answer of the API server to a write means: written, refused, no longer fitting, worth repeating, or
//! unknown. Pure; nothing is sent or waited for here.

use std::time::Duration;

use kexec_api::plan::Step;

use crate::server::{Answer, Reply};
use crate::text::{MAX_TEXT_CHARS, printable};

/// What is known about a write after one call.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The server confirmed it.
    Written,
    /// The target is not as planned; not written.
    Stale(String),
    /// The server refused it for good; not written.
    Refused(String),
    /// Certainly not written, and worth another try.
    Later {
        /// What stood in the way.
        why: String,
        /// How long the server wants to be left alone.
        after: Option<Duration>,
    },
    /// A disruption budget forbids the eviction for now; not written.
    Held {
        /// Which one, in the server's words.
        why: String,
        /// How long the server wants to be left alone.
        after: Option<Duration>,
    },
    /// It may or may not have been written.
    Lost(String),
}

/// The verdict on `reply` to the write of `step`.
#[must_use]
pub fn judge(step: &Step, reply: &Reply) -> Verdict {
    match reply {
        Reply::Answered(answer) => judge_answer(step, answer),
        Reply::NotSent(why) => Verdict::Later {
            why: why.clone(),
            after: None,
        },
        Reply::NoAnswer { why, .. } => Verdict::Lost(why.clone()),
    }
}

fn judge_answer(step: &Step, answer: &Answer) -> Verdict {
    let said = answer.message();
    match (answer.code, step) {
        (200..=299, _) => Verdict::Written,
        (404, _) => Verdict::Stale(format!("it does not exist any more ({said})")),
        (409, Step::Delete { .. } | Step::Evict { .. }) => Verdict::Stale(said),
        (429, Step::Evict { .. }) => held(answer).unwrap_or_else(|| later(answer, said)),
        // Two budgets over one pod: the server evicts it never, and answers so before it looks at them.
        (500, Step::Evict { .. }) if said.contains("more than one PodDisruptionBudget") => {
            Verdict::Refused(said)
        }
        // The budget could not be counted down, which comes before the deletion.
        (504, Step::Evict { .. }) if said.contains("couldn't update PodDisruptionBudget") => {
            later(answer, said)
        }
        (422, Step::Patch { .. }) if is_failed_test(answer) => Verdict::Stale(format!(
            "its UID, or a field to be changed, is not what it was when the plan was made ({said})"
        )),
        // The server gave up after its own retries against concurrent writers; each try tests the old values anew.
        (409, Step::Patch { .. }) | (429, _) => later(answer, said),
        (500 | 503, _) if was_not_processed(answer) => later(answer, said),
        // A server error from behind the storage, and a gateway's, can follow a write that took place.
        (408 | 500..=599, _) => Verdict::Lost(said),
        _ => Verdict::Refused(said),
    }
}

fn later(answer: &Answer, why: String) -> Verdict {
    Verdict::Later {
        why,
        after: answer.wanted_pause(),
    }
}

/// The verdict on an eviction that a disruption budget forbids; `None` for any other refusal to serve it now.
fn held(answer: &Answer) -> Option<Verdict> {
    let causes = answer.status()?.details?.causes;
    let cause = causes
        .into_iter()
        .find(|cause| cause.reason == "DisruptionBudget")?;
    Some(Verdict::Held {
        why: printable(&cause.message, MAX_TEXT_CHARS),
        after: answer.wanted_pause(),
    })
}

/// True for the answer to a JSON Patch whose `test` failed: 422 with nothing in `details`. An invalid object, and a
/// denial by policy, name the object and list causes; a webhook that denies with 422 says so in its message.
fn is_failed_test(answer: &Answer) -> bool {
    answer.status().is_some_and(|status| {
        let nothing_named = status.details.is_none_or(|details| {
            details.causes.is_empty() && details.name.is_empty() && details.kind.is_empty()
        });
        nothing_named && !status.message.starts_with("admission webhook ")
    })
}

/// True for the server errors that are known to come from before the write: no server was available, or an admission
/// webhook could not be asked.
fn was_not_processed(answer: &Answer) -> bool {
    let message = answer.message();
    match answer.code {
        503 => !message.contains("error trying to reach service"),
        _ => message.contains("failed calling webhook"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fixture::{evict, node, scale};

    fn answered(code: u16, message: &str, details: &Value) -> Reply {
        Reply::Answered(Answer {
            code,
            retry_after: None,
            body: json!({"kind": "Status", "status": "Failure", "code": code, "message": message, "details": details})
                .to_string()
                .into_bytes(),
        })
    }

    fn plain(code: u16, body: &str) -> Reply {
        Reply::Answered(Answer {
            code,
            retry_after: None,
            body: body.into(),
        })
    }

    fn delete() -> Step {
        Step::Delete {
            target: node(),
            grace_period_seconds: None,
        }
    }

    fn kind(step: &Step, reply: &Reply) -> &'static str {
        match judge(step, reply) {
            Verdict::Written => "written",
            Verdict::Stale(_) => "stale",
            Verdict::Refused(_) => "refused",
            Verdict::Later { .. } => "later",
            Verdict::Held { .. } => "held",
            Verdict::Lost(_) => "lost",
        }
    }

    const TEST_FAILED: &str = "the server rejected our request due to an error in our request";

    #[test]
    fn any_confirmation_means_written_whatever_its_body() {
        for code in [200, 201, 202] {
            assert_eq!(kind(&scale(2, 5), &plain(code, "\u{0}not json")), "written");
        }
    }

    #[test]
    fn a_failed_test_of_a_patch_is_stale() {
        assert_eq!(
            kind(&scale(2, 5), &answered(422, TEST_FAILED, &json!({}))),
            "stale"
        );
        assert_eq!(
            kind(&scale(2, 5), &answered(422, TEST_FAILED, &json!(null))),
            "stale"
        );
    }

    #[test]
    fn an_invalid_object_is_refused_and_not_stale() {
        let details = json!({"name": "shop", "kind": "Deployment", "causes": [{"message": "must be positive"}]});
        assert_eq!(
            kind(&scale(2, 5), &answered(422, "invalid", &details)),
            "refused"
        );
        let named = json!({"name": "shop", "kind": "Deployment"});
        assert_eq!(
            kind(&scale(2, 5), &answered(422, "invalid", &named)),
            "refused"
        );
        let caused = json!({"causes": [{"message": "denied by policy"}]});
        assert_eq!(
            kind(&scale(2, 5), &answered(422, "denied", &caused)),
            "refused"
        );
    }

    #[test]
    fn a_webhook_that_denies_with_422_is_refused_and_not_stale() {
        let denied = answered(
            422,
            "admission webhook \"x.example\" denied the request: no",
            &json!(null),
        );
        assert_eq!(kind(&scale(2, 5), &denied), "refused");
    }

    #[test]
    fn a_422_that_is_no_status_or_answers_a_deletion_is_refused() {
        assert_eq!(kind(&scale(2, 5), &plain(422, "unprocessable")), "refused");
        assert_eq!(
            kind(&delete(), &answered(422, TEST_FAILED, &json!({}))),
            "refused"
        );
    }

    #[test]
    fn a_target_that_is_gone_is_stale() {
        let reply = answered(404, "deployments.apps \"shop\" not found", &json!({}));
        assert_eq!(kind(&scale(2, 5), &reply), "stale");
        assert_eq!(kind(&delete(), &reply), "stale");
    }

    #[test]
    fn a_deletion_of_another_object_under_the_same_name_is_stale() {
        let reply = answered(409, "UID in precondition", &json!({}));
        assert_eq!(kind(&evict(None), &reply), "stale");
        assert_eq!(
            kind(&delete(), &answered(409, "UID in precondition", &json!({}))),
            "stale"
        );
    }

    #[test]
    fn what_was_certainly_not_processed_is_tried_later() {
        assert_eq!(
            kind(
                &scale(2, 5),
                &answered(409, "please apply your changes", &json!({}))
            ),
            "later"
        );
        assert_eq!(
            kind(
                &scale(2, 5),
                &answered(429, "too many requests", &json!({}))
            ),
            "later"
        );
        assert_eq!(
            kind(&scale(2, 5), &plain(503, "no server is available")),
            "later"
        );
        let webhook = answered(
            500,
            "Internal error occurred: failed calling webhook \"x\"",
            &json!({}),
        );
        assert_eq!(kind(&scale(2, 5), &webhook), "later");
        assert_eq!(
            kind(&scale(2, 5), &Reply::NotSent("refused".into())),
            "later"
        );
    }

    #[test]
    fn an_eviction_is_held_by_its_budget_and_by_nothing_else() {
        let cause = json!({"reason": "DisruptionBudget", "message": "The disruption budget b needs 2 healthy pods"});
        let by_budget = answered(429, "Cannot evict pod", &json!({"causes": [cause]}));
        assert_eq!(
            judge(&evict(None), &by_budget),
            Verdict::Held {
                why: "The disruption budget b needs 2 healthy pods".into(),
                after: None
            }
        );
        let overloaded = answered(429, "too many requests", &json!({}));
        assert_eq!(kind(&evict(None), &overloaded), "later");
        assert_eq!(kind(&scale(2, 5), &by_budget), "later");
    }

    #[test]
    fn an_eviction_that_two_budgets_forbid_for_ever_is_refused() {
        let said = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
        assert_eq!(
            kind(&evict(None), &answered(500, said, &json!(null))),
            "refused"
        );
    }

    #[test]
    fn a_budget_that_could_not_be_counted_down_is_asked_again() {
        let said = "Timeout: couldn't update PodDisruptionBudget \"b\" due to conflicts";
        assert_eq!(
            kind(&evict(None), &answered(504, said, &json!({}))),
            "later"
        );
    }

    #[test]
    fn the_pause_the_server_asks_for_is_kept() {
        let verdict = judge(
            &scale(2, 5),
            &answered(429, "wait", &json!({"retryAfterSeconds": 4})),
        );
        assert!(
            matches!(verdict, Verdict::Later { after: Some(after), .. } if after == Duration::from_secs(4))
        );
    }

    #[test]
    fn what_may_have_been_processed_is_lost() {
        let etcd = answered(500, "etcdserver: request timed out", &json!({}));
        assert_eq!(kind(&scale(2, 5), &etcd), "lost");
        let aggregated = answered(503, "error trying to reach service: EOF", &json!({}));
        assert_eq!(kind(&scale(2, 5), &aggregated), "lost");
        for code in [408, 500, 502, 504] {
            assert_eq!(kind(&scale(2, 5), &plain(code, "")), "lost", "{code}");
        }
        let silent = Reply::NoAnswer {
            why: "reset".into(),
            timed_out: false,
        };
        assert_eq!(kind(&scale(2, 5), &silent), "lost");
    }

    #[test]
    fn every_other_error_is_refused_with_the_servers_words() {
        for code in [400, 401, 403, 405, 410, 413, 415] {
            assert_eq!(
                kind(&scale(2, 5), &answered(code, "no", &json!({}))),
                "refused",
                "{code}"
            );
        }
        let said = "admission webhook \"x\" does not support dry run";
        assert_eq!(
            judge(&scale(2, 5), &answered(400, said, &json!({}))),
            Verdict::Refused(format!("HTTP 400: {said}"))
        );
    }
}

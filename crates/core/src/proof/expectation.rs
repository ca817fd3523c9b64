//! One expectation against the facts: what was expected, what is there, and the verdict.

use kexec_actions::facts::{Fact, Facts, Need};
use kexec_api::plan::{Expectation, FieldValue, ObjectRef, dotted};
use serde_json::Value;

use super::drained;
use super::live::{text, uid};
use super::replacement::{self, Replacement};
use super::rollout::{self, Rollout};
use super::{Finding, Verdict};

pub(super) fn finding(expectation: &Expectation, facts: &Facts) -> Finding {
    let expected = describe(expectation);
    let (verdict, actual) = match expectation {
        Expectation::Fields { object, fields } => {
            with_object(object, facts, |live| fields_hold(live, fields))
        }
        Expectation::Condition {
            object,
            condition_type,
            status,
            reason,
        } => with_object(object, facts, |live| {
            condition_holds(live, condition_type, status, reason.as_deref())
        }),
        Expectation::Gone { object } => gone(object, facts),
        Expectation::Observed { object } => with_object(object, facts, rollout::observed),
        Expectation::WorkloadReady {
            object,
            selector,
            replicas,
            known_crash_loops,
        } => with_workload(object, selector, facts, |live, pods| {
            rollout::ready(live, object, *replicas, (pods, known_crash_loops))
        }),
        Expectation::RolledOut {
            object,
            selector,
            old_pods,
            known_crash_loops,
        } => with_workload(object, selector, facts, |live, pods| {
            let rollout = Rollout {
                object,
                old_pods,
                known_crash_loops,
            };
            rollout.judge(live, pods)
        }),
        Expectation::Drained { node, pods, owners } => drained::judge(node, pods, owners, facts),
        Expectation::Replaced {
            object,
            owner,
            selector,
            known_pods,
            ready,
            services,
        } => {
            let replacement = Replacement {
                old: object,
                owner,
                known: known_pods,
                ready: *ready,
                services,
            };
            replacement.judge(selector, facts)
        }
    };
    Finding {
        verdict,
        expected,
        actual,
    }
}

/// An expectation as a sentence part.
fn describe(expectation: &Expectation) -> String {
    match expectation {
        Expectation::Fields { object, fields } => {
            let fields: Vec<String> = fields.iter().map(show_field).collect();
            format!("{object} has {}", fields.join(", "))
        }
        Expectation::WorkloadReady {
            object, replicas, ..
        } => {
            format!(
                "{object} has {replicas} replicas, all updated and available, and no pod crash-loops anew"
            )
        }
        Expectation::RolledOut { object, .. } => {
            format!(
                "{object} runs its template on all replicas, none of the old pods is left, and no pod crash-loops anew"
            )
        }
        Expectation::Observed { object } => format!("{object} is observed as it is now"),
        Expectation::Gone { object } => format!("{object} (uid {}) is gone", object.uid),
        Expectation::Replaced {
            object,
            owner,
            ready,
            services,
            ..
        } => {
            let replaced = format!(
                "{object} (uid {}) is replaced by a new pod, and {owner} has {ready} ready",
                object.uid
            );
            std::iter::once(replaced)
                .chain(services.iter().map(replacement::describe))
                .collect()
        }
        Expectation::Drained { node, owners, .. } => drained::describe(node, owners),
        Expectation::Condition {
            object,
            condition_type,
            status,
            ..
        } => {
            format!("{object} has condition {condition_type}={status}")
        }
    }
}

fn show_field(field: &FieldValue) -> String {
    let value = field
        .value
        .as_ref()
        .map_or_else(|| "(unset)".to_owned(), Value::to_string);
    format!("{} = {value}", dotted(&field.path))
}

/// Judges the live object, unless it could not be read, is gone, or is another one under the same name.
fn with_object(
    object: &ObjectRef,
    facts: &Facts,
    judge: impl FnOnce(&Value) -> (Verdict, String),
) -> (Verdict, String) {
    match facts.get(&Need::object(object)) {
        Some(Fact::Object(live)) if uid(live) == object.uid => judge(live),
        Some(Fact::Object(live)) => (
            Verdict::Refuted,
            format!(
                "{object} is another object now (uid {}, planned for {})",
                uid(live),
                object.uid
            ),
        ),
        Some(Fact::Absent) => (
            Verdict::Refuted,
            format!("{object} does not exist any more"),
        ),
        other => unread(other, &object.to_string()),
    }
}

/// Judges the live workload with the pods that its selector picks.
fn with_workload(
    object: &ObjectRef,
    selector: &str,
    facts: &Facts,
    judge: impl FnOnce(&Value, &[Value]) -> (Verdict, String),
) -> (Verdict, String) {
    let pods = Need::pods(object.namespace.as_deref(), selector);
    with_object(object, facts, |live| match facts.get(&pods) {
        Some(Fact::List(pods)) => judge(live, pods),
        other => unread(other, "its pods"),
    })
}

pub(super) fn unread(fact: Option<&Fact>, what: &str) -> (Verdict, String) {
    let why = match fact {
        Some(Fact::NotReadable(rule)) => format!("{what} may not be read: {rule}"),
        Some(Fact::NotServed) => format!("{what} is of a kind that is not served any more"),
        Some(Fact::Object(_) | Fact::List(_) | Fact::Absent) | None => {
            format!("{what} could not be read")
        }
    };
    (Verdict::Unknown, why)
}

fn fields_hold(live: &Value, fields: &[FieldValue]) -> (Verdict, String) {
    let wrong: Vec<String> = fields
        .iter()
        .filter(|field| live.pointer(&field.path) != field.value.as_ref())
        .map(|field| {
            show_field(&FieldValue {
                path: field.path.clone(),
                value: live.pointer(&field.path).cloned(),
            })
        })
        .collect();
    if wrong.is_empty() {
        (
            Verdict::Proven,
            "all fields read back as planned".to_owned(),
        )
    } else {
        (Verdict::NotYet, wrong.join(", "))
    }
}

fn condition_holds(
    live: &Value,
    kind: &str,
    status: &str,
    reason: Option<&str>,
) -> (Verdict, String) {
    let conditions = live.pointer("/status/conditions").and_then(Value::as_array);
    let found = conditions
        .into_iter()
        .flatten()
        .find(|condition| text(condition, "type") == kind);
    let Some(condition) = found else {
        return (Verdict::NotYet, format!("no condition {kind}"));
    };
    let live_reason = text(condition, "reason");
    let reason_fits = reason.is_none_or(|reason| live_reason.is_empty() || live_reason == reason);
    let actual = format!(
        "condition {kind}={} ({live_reason})",
        text(condition, "status")
    );
    if text(condition, "status") == status && reason_fits {
        (Verdict::Proven, actual)
    } else {
        (Verdict::NotYet, actual)
    }
}

fn gone(object: &ObjectRef, facts: &Facts) -> (Verdict, String) {
    match facts.get(&Need::object(object)) {
        Some(Fact::Absent) => (Verdict::Proven, format!("{object} does not exist any more")),
        Some(Fact::Object(live)) if uid(live) != object.uid => (
            Verdict::Proven,
            format!("{object} is another object now (uid {})", uid(live)),
        ),
        Some(Fact::Object(_)) => (Verdict::NotYet, format!("{object} is still there")),
        other => unread(other, &object.to_string()),
    }
}

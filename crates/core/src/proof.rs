//! Whether the live cluster proves what a plan expects (BR-EXEC-027), and whether it shows the plan's writes at all.
//! Facts in, verdicts out; a thing that could not be read is unknown, which is neither proof nor refutation.

use kexec_actions::facts::{Fact, Facts, Need};
use kexec_api::plan::{Expectation, FieldChange, FieldValue, ObjectRef, PlanContent, Step, dotted};
use serde_json::Value;

/// What the facts say of one expectation, or of all.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub enum Verdict {
    /// It holds.
    Proven,
    /// It does not hold, but still may.
    NotYet,
    /// It could not be read.
    Unknown,
    /// It does not hold and never will.
    Refuted,
}

/// The verdict on one expectation, with what was expected and what is there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// The verdict.
    pub verdict: Verdict,
    /// What was expected, for people.
    pub expected: String,
    /// What is there, for people.
    pub actual: String,
}

/// The verdict on a whole plan: the worst of its findings.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// One finding an expectation, in the plan's order.
    pub findings: Vec<Finding>,
}

/// Whether the touched fields hold the plan's values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Effect {
    /// Every step can still be seen not to have happened.
    None,
    /// Every step can be seen to have happened.
    Whole,
    /// Neither.
    Mixed,
    /// A target could not be read.
    Unknown,
}

/// What must be read to judge a plan: what its expectations speak of, and the objects its steps write.
#[must_use]
pub fn needs(content: &PlanContent) -> Vec<Need> {
    let expected = content.expectations.iter().flat_map(expectation_needs);
    let written = content.steps.iter().map(|step| Need::object(step.target()));
    let mut needs: Vec<Need> = expected.chain(written).collect();
    needs.sort();
    needs.dedup();
    needs
}

fn expectation_needs(expectation: &Expectation) -> Vec<Need> {
    match expectation {
        Expectation::Fields { object, .. }
        | Expectation::Gone { object }
        | Expectation::Condition { object, .. } => vec![Need::object(object)],
        Expectation::WorkloadReady {
            object, selector, ..
        } => {
            vec![
                Need::object(object),
                Need::pods(object.namespace.as_deref(), selector),
            ]
        }
        Expectation::Replaced {
            object, selector, ..
        } => vec![Need::pods(object.namespace.as_deref(), selector)],
    }
}

/// The verdict on a plan. A plan that expects nothing is proven by nothing: its verdict is unknown.
#[must_use]
pub fn judge(content: &PlanContent, facts: &Facts) -> Judgement {
    let findings: Vec<Finding> = content
        .expectations
        .iter()
        .map(|one| finding(one, facts))
        .collect();
    let verdict = findings
        .iter()
        .map(|finding| finding.verdict)
        .max()
        .unwrap_or(Verdict::Unknown);
    Judgement { verdict, findings }
}

/// The same judgement without a value of a field: for those who may not read the objects it is about.
#[must_use]
pub fn without_values(content: &PlanContent, judgement: Judgement) -> Judgement {
    let told = content.expectations.iter().zip(judgement.findings);
    let findings = told.map(|(expectation, finding)| match expectation {
        Expectation::Fields { object, fields } => {
            let paths: Vec<String> = fields.iter().map(|field| dotted(&field.path)).collect();
            Finding {
                expected: format!("{object} has {} as planned", paths.join(", ")),
                actual: match finding.verdict {
                    Verdict::NotYet => "some of these fields hold other values".to_owned(),
                    Verdict::Proven | Verdict::Unknown | Verdict::Refuted => finding.actual,
                },
                ..finding
            }
        }
        Expectation::WorkloadReady { .. }
        | Expectation::Gone { .. }
        | Expectation::Replaced { .. }
        | Expectation::Condition { .. } => finding,
    });
    Judgement {
        findings: findings.collect(),
        ..judgement
    }
}

fn finding(expectation: &Expectation, facts: &Facts) -> Finding {
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
        Expectation::WorkloadReady {
            object,
            selector,
            replicas,
            known_crash_loops,
        } => {
            let pods = Need::pods(object.namespace.as_deref(), selector);
            with_object(object, facts, |live| match facts.get(&pods) {
                Some(Fact::List(pods)) => workload_ready(live, *replicas, pods, known_crash_loops),
                other => unread(other, "its pods"),
            })
        }
        Expectation::Replaced {
            object,
            owner,
            selector,
            known_pods,
            ready,
        } => {
            let pods = Need::pods(object.namespace.as_deref(), selector);
            match facts.get(&pods) {
                Some(Fact::List(pods)) => replaced(object, owner, pods, known_pods, *ready),
                other => unread(other, "the owner's pods"),
            }
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
        Expectation::Gone { object } => format!("{object} (uid {}) is gone", object.uid),
        Expectation::Replaced {
            object,
            owner,
            ready,
            ..
        } => {
            format!(
                "{object} (uid {}) is replaced by a new pod, and {owner} has {ready} ready",
                object.uid
            )
        }
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

fn unread(fact: Option<&Fact>, what: &str) -> (Verdict, String) {
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

fn workload_ready(
    live: &Value,
    replicas: u32,
    pods: &[Value],
    known: &[String],
) -> (Verdict, String) {
    let number = |path: &str| live.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let (total, updated) = (
        number("/status/replicas"),
        number("/status/updatedReplicas"),
    );
    let (ready, available) = (
        number("/status/readyReplicas"),
        number("/status/availableReplicas"),
    );
    let observed = number("/status/observedGeneration") >= number("/metadata/generation");
    let asked = live
        .pointer("/spec/replicas")
        .and_then(Value::as_u64)
        .unwrap_or(1);
    let looping: Vec<&str> = pods
        .iter()
        .filter(|pod| crash_loops(pod) && !known.iter().any(|one| one == uid(pod)))
        .map(name)
        .collect();
    let actual = format!(
        "{total} replicas, {updated} updated, {ready} ready, {available} available (spec asks for {asked})"
    );
    if !looping.is_empty() {
        return (
            Verdict::NotYet,
            format!("{actual}; crash-looping: {}", looping.join(", ")),
        );
    }
    let wanted = u64::from(replicas);
    let settled = observed
        && [asked, total, updated, ready, available]
            .iter()
            .all(|count| *count == wanted);
    (
        if settled {
            Verdict::Proven
        } else {
            Verdict::NotYet
        },
        actual,
    )
}

fn replaced(
    old: &ObjectRef,
    owner: &ObjectRef,
    pods: &[Value],
    known: &[String],
    wanted: u32,
) -> (Verdict, String) {
    let still_there = pods.iter().any(|pod| uid(pod) == old.uid);
    let ready: Vec<&Value> = pods
        .iter()
        .filter(|pod| owned_by(pod, owner) && is_ready(pod))
        .collect();
    let fresh = ready
        .iter()
        .any(|pod| !known.iter().any(|one| one == uid(pod)));
    let enough = u32::try_from(ready.len()).is_ok_and(|count| count >= wanted);
    let actual = format!(
        "{} of {wanted} ready pods, {}; the old pod is {}",
        ready.len(),
        if fresh {
            "at least one new"
        } else {
            "none of them new"
        },
        if still_there { "still there" } else { "gone" }
    );
    (
        if fresh && enough && !still_there {
            Verdict::Proven
        } else {
            Verdict::NotYet
        },
        actual,
    )
}

/// Whether the steps of a plan can be seen on the live objects.
#[must_use]
pub fn effect(content: &PlanContent, facts: &Facts) -> Effect {
    let mut seen = content.steps.iter().map(|step| step_effect(step, facts));
    let Some(first) = seen.next() else {
        return Effect::None;
    };
    seen.fold(first, |all, one| match (all, one) {
        (Effect::Unknown, _) | (_, Effect::Unknown) => Effect::Unknown,
        (all, one) if all == one => all,
        (_, _) => Effect::Mixed,
    })
}

fn step_effect(step: &Step, facts: &Facts) -> Effect {
    let target = step.target();
    let live = match facts.get(&Need::object(target)) {
        Some(Fact::Object(live)) => Some(live).filter(|live| uid(live) == target.uid),
        Some(Fact::Absent) => None,
        Some(Fact::List(_) | Fact::NotServed | Fact::NotReadable(_)) | None => {
            return Effect::Unknown;
        }
    };
    match (step, live) {
        (Step::Delete { .. }, None) => Effect::Whole,
        (Step::Delete { .. }, Some(live))
            if live.pointer("/metadata/deletionTimestamp").is_some() =>
        {
            Effect::Whole
        }
        (Step::Delete { .. }, Some(_)) => Effect::None,
        (Step::Patch { .. }, None) => Effect::Mixed,
        (
            Step::Patch {
                subresource,
                changes,
                ..
            },
            Some(live),
        ) => {
            let holds = |value: fn(&FieldChange) -> Option<&Value>| {
                changes.iter().all(|change| {
                    same(
                        live.pointer(&change.path),
                        value(change),
                        subresource.as_deref(),
                    )
                })
            };
            match (
                holds(|change| change.before.as_ref()),
                holds(|change| change.after.as_ref()),
            ) {
                (true, _) => Effect::None,
                (false, true) => Effect::Whole,
                (false, false) => Effect::Mixed,
            }
        }
    }
}

/// Whether a live value is the planned one. The scale subresource leaves out a zero that the object itself shows.
fn same(live: Option<&Value>, planned: Option<&Value>, subresource: Option<&str>) -> bool {
    match (live, planned) {
        (Some(live), None) if subresource == Some("scale") => live.as_u64() == Some(0),
        (live, planned) => live == planned,
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn uid(object: &Value) -> &str {
    object
        .pointer("/metadata/uid")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn name(object: &Value) -> &str {
    object
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn crash_loops(pod: &Value) -> bool {
    let statuses = pod
        .pointer("/status/containerStatuses")
        .and_then(Value::as_array);
    statuses.into_iter().flatten().any(|status| {
        status
            .pointer("/state/waiting/reason")
            .and_then(Value::as_str)
            == Some("CrashLoopBackOff")
    })
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    let ready = conditions
        .into_iter()
        .flatten()
        .any(|condition| text(condition, "type") == "Ready" && text(condition, "status") == "True");
    ready && pod.pointer("/metadata/deletionTimestamp").is_none()
}

fn owned_by(pod: &Value, owner: &ObjectRef) -> bool {
    let owners = pod
        .pointer("/metadata/ownerReferences")
        .and_then(Value::as_array);
    owners
        .into_iter()
        .flatten()
        .any(|one| text(one, "uid") == owner.uid)
}

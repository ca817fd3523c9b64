//! Whether a workload has as many ready pods as it is to have, and whether it has rolled out its pod template: what its
//! controller counts, and which pods are left that had to go.

use kexec_api::plan::ObjectRef;
use kexec_api::uid_set::UidSet;
use serde_json::Value;

use super::Verdict;
use super::live::{crash_loops, has_ended, name, uid};

/// What a workload's controller says of it.
struct Counts {
    /// Replicas that the spec asks for.
    asked: u64,
    total: u64,
    updated: u64,
    ready: u64,
    available: u64,
}

impl Counts {
    fn of(live: &Value, object: &ObjectRef) -> Self {
        let number = |path: &str| live.pointer(path).and_then(Value::as_u64);
        let status = |path: &str| number(path).unwrap_or(0);
        if object.kind == "DaemonSet" {
            return Self {
                asked: status("/status/desiredNumberScheduled"),
                total: status("/status/currentNumberScheduled"),
                updated: status("/status/updatedNumberScheduled"),
                ready: status("/status/numberReady"),
                available: status("/status/numberAvailable"),
            };
        }
        Self {
            asked: number("/spec/replicas").unwrap_or(1),
            total: status("/status/replicas"),
            updated: status("/status/updatedReplicas"),
            ready: status("/status/readyReplicas"),
            available: status("/status/availableReplicas"),
        }
    }

    fn all_are(&self, wanted: u64) -> bool {
        [self.asked, self.total, self.ready, self.available]
            .iter()
            .all(|count| *count == wanted)
    }

    fn shown(&self) -> String {
        let Self {
            asked,
            total,
            updated,
            ready,
            available,
        } = self;
        format!(
            "{total} replicas, {updated} updated, {ready} ready, {available} available (spec asks for {asked})"
        )
    }
}

fn is_observed(live: &Value) -> bool {
    let number = |path: &str| live.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    number("/status/observedGeneration") >= number("/metadata/generation")
}

fn proven_if(holds: bool) -> Verdict {
    if holds {
        Verdict::Proven
    } else {
        Verdict::NotYet
    }
}

/// Whether the present spec is observed.
pub(super) fn observed(live: &Value) -> (Verdict, String) {
    if is_observed(live) {
        (Verdict::Proven, "its controller has observed it".to_owned())
    } else {
        let actual = "its controller has not observed it yet";
        (Verdict::NotYet, actual.to_owned())
    }
}

/// `; crash-looping: a, b`, of the pods that did not crash-loop before; empty when none does.
fn new_crash_loops(pods: &[Value], known: &[String]) -> String {
    let looping: Vec<&str> = pods
        .iter()
        .filter(|pod| crash_loops(pod) && !known.iter().any(|one| one == uid(pod)))
        .map(name)
        .collect();
    listed("; crash-looping: ", &looping)
}

fn listed(what: &str, names: &[&str]) -> String {
    if names.is_empty() {
        String::new()
    } else {
        format!("{what}{}", names.join(", "))
    }
}

/// Whether a workload has that many replicas, all ready, and none of its pods crash-loops that is not known to.
pub(super) fn ready(
    live: &Value,
    object: &ObjectRef,
    replicas: u32,
    (pods, known_crash_loops): (&[Value], &[String]),
) -> (Verdict, String) {
    let counts = Counts::of(live, object);
    let wanted = u64::from(replicas);
    let updated = object.kind == "StatefulSet" || counts.updated == wanted;
    let looping = new_crash_loops(pods, known_crash_loops);
    let settled = is_observed(live) && updated && counts.all_are(wanted) && looping.is_empty();
    (proven_if(settled), counts.shown() + &looping)
}

/// What is expected of a rollout.
pub(super) struct Rollout<'a> {
    /// The workload.
    pub(super) object: &'a ObjectRef,
    /// The pods that had to go.
    pub(super) old_pods: &'a UidSet,
    /// The pods whose crash loop is not the rollout's.
    pub(super) known_crash_loops: &'a [String],
}

impl Rollout<'_> {
    /// The verdict, with what is there.
    pub(super) fn judge(&self, live: &Value, pods: &[Value]) -> (Verdict, String) {
        let counts = Counts::of(live, self.object);
        let looping = new_crash_loops(pods, self.known_crash_loops);
        let left: Vec<&str> = pods
            .iter()
            .filter(|pod| !has_ended(pod) && !self.old_pods.lacks(uid(pod)))
            .map(name)
            .collect();
        let complete = is_observed(live)
            && counts.updated == counts.asked
            && counts.all_are(counts.asked)
            && has_one_revision(live);
        let actual = [
            counts.shown(),
            listed("; old pods left: ", &left),
            looping.clone(),
            stuck(live),
        ];
        let proven = complete && left.is_empty() && looping.is_empty();
        (proven_if(proven), actual.concat())
    }
}

/// A StatefulSet names two revisions until its rollout is complete; the others name none.
fn has_one_revision(live: &Value) -> bool {
    let status = |key: &str| live.get("status").and_then(|status| status.get(key));
    status("currentRevision") == status("updateRevision")
}

/// What a Deployment says of a rollout that does not go on.
fn stuck(live: &Value) -> String {
    let conditions = live.pointer("/status/conditions").and_then(Value::as_array);
    let exceeded = conditions.into_iter().flatten().any(|condition| {
        condition.get("reason").and_then(Value::as_str) == Some("ProgressDeadlineExceeded")
    });
    if exceeded {
        "; its progress deadline is exceeded".to_owned()
    } else {
        String::new()
    }
}

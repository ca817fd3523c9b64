//! Whether a pod's owner has replaced it: by a new ready pod, to which the Services lead that led to the old one.

use kexec_actions::endpoints;
use kexec_actions::facts::{Fact, Facts, Need};
use kexec_api::plan::{ObjectRef, ServiceEndpoints};
use kexec_api::uid_set::UidSet;
use serde_json::Value;

use super::Verdict;
use super::expectation::unread;
use super::live::{is_ready, owned_by, uid};

/// What is expected of a replacement.
pub(super) struct Replacement<'a> {
    /// The pod that had to go.
    pub(super) old: &'a ObjectRef,
    /// Who replaces it.
    pub(super) owner: &'a ObjectRef,
    /// The pods there were before.
    pub(super) known: &'a UidSet,
    /// Ready pods the owner must have.
    pub(super) ready: u32,
    /// Endpoints that must be back.
    pub(super) services: &'a [ServiceEndpoints],
}

/// The need for the endpoints of these Services; `None` when there are no Services.
pub(super) fn slices(namespace: Option<&str>, services: &[ServiceEndpoints]) -> Option<Need> {
    endpoints::slices(namespace, services.iter().map(|one| one.service.as_str()))
}

/// What is expected of one Service, to follow what is expected of the pods.
pub(super) fn describe(expected: &ServiceEndpoints) -> String {
    format!(
        "; Service \"{}\" has {} ready endpoints on them, a new one among them",
        expected.service, expected.ready
    )
}

impl Replacement<'_> {
    /// The verdict, with what is there.
    pub(super) fn judge(&self, selector: &str, facts: &Facts) -> (Verdict, String) {
        let namespace = self.old.namespace.as_deref();
        let pods = match facts.get(&Need::pods(namespace, selector)) {
            Some(Fact::List(pods)) => pods,
            other => return unread(other, "the owner's pods"),
        };
        let slices: &[Value] = match slices(namespace, self.services) {
            None => &[],
            Some(need) => match facts.get(&need) {
                Some(Fact::List(slices)) => slices,
                other => return unread(other, "the endpoints of the pod's Services"),
            },
        };
        let (replaced, mut actual) = self.replaced(pods);
        let mut proven = replaced;
        for expected in self.services {
            let (back, found) = self.served(expected, pods, slices);
            proven &= back;
            actual.push_str(&found);
        }
        let verdict = if proven {
            Verdict::Proven
        } else {
            Verdict::NotYet
        };
        (verdict, actual)
    }

    fn replaced(&self, pods: &[Value]) -> (bool, String) {
        let still_there = pods.iter().any(|pod| uid(pod) == self.old.uid);
        let of_owner = pods.iter().filter(|pod| owned_by(pod, self.owner));
        let ready: Vec<&str> = of_owner.filter(|pod| is_ready(pod)).map(uid).collect();
        let enough = reaches(ready.len(), self.ready);
        let fresh = self.has_new(&ready);
        let actual = format!(
            "{} of {} ready pods, {}; the old pod is {}",
            ready.len(),
            self.ready,
            news(fresh),
            if still_there { "still there" } else { "gone" }
        );
        (fresh && enough && !still_there, actual)
    }

    /// Whether a Service leads to enough pods of the owner that are there, and to a new one.
    fn served(
        &self,
        expected: &ServiceEndpoints,
        pods: &[Value],
        slices: &[Value],
    ) -> (bool, String) {
        let led_to = endpoints::ready_pods(slices, &expected.service);
        let of_owner = pods.iter().filter(|pod| owned_by(pod, self.owner)).map(uid);
        let ready: Vec<&str> = of_owner.filter(|pod| led_to.contains(pod)).collect();
        let fresh = self.has_new(&ready);
        let found = format!(
            "; Service \"{}\" has {} of {} ready endpoints, {}",
            expected.service,
            ready.len(),
            expected.ready,
            news(fresh)
        );
        (fresh && reaches(ready.len(), expected.ready), found)
    }

    fn has_new(&self, uids: &[&str]) -> bool {
        uids.iter().any(|uid| self.known.lacks(uid))
    }
}

fn reaches(count: usize, wanted: u32) -> bool {
    u32::try_from(count).is_ok_and(|count| count >= wanted)
}

fn news(fresh: bool) -> &'static str {
    if fresh {
        "at least one new"
    } else {
        "none of them new"
    }
}

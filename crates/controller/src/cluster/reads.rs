//! Reads of whatever an action or a proof needs, and the look whether the API server is well.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use kexec_core::facts::{Fact, Kind, Need};
use kexec_core::view::Connectivity;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use serde_json::Value;

use super::{CallError, Class, Cluster};

/// The library's name of a kind.
#[must_use]
pub fn api_resource(kind: &Kind) -> ApiResource {
    let (group, version) = kind
        .api_version
        .split_once('/')
        .unwrap_or(("", &kind.api_version));
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: kind.api_version.clone(),
        kind: kind.kind.clone(),
        plural: kind.resource.clone(),
    }
}

/// The objects of a kind in a namespace, or in the cluster.
#[must_use]
pub fn api(client: kube::Client, kind: &Kind, namespace: Option<&str>) -> Api<DynamicObject> {
    let resource = api_resource(kind);
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    }
}

/// An object as plain JSON, with its kind: lists leave it out.
#[must_use]
pub fn plain(object: &DynamicObject) -> Value {
    serde_json::to_value(object).unwrap_or_default()
}

/// The RBAC rule that a read of this kind needs, for people.
#[must_use]
pub fn rule(kind: &Kind, verbs: &str) -> String {
    let group = kind
        .api_version
        .split_once('/')
        .map_or("", |(group, _)| group);
    format!(
        "apiGroups [\"{group}\"], resources [{}], verbs [{verbs}]",
        kind.resource
    )
}

impl Cluster {
    /// Reads one thing; what is absent, not served or not allowed is a fact too.
    pub async fn read(&self, need: &Need) -> Result<Fact, CallError> {
        let result = match need {
            Need::Object {
                kind,
                namespace,
                name,
            } => {
                let objects = api(self.calls.clone(), kind, namespace.as_deref());
                let got = self.call("read an object", objects.get(name)).await;
                got.map(|object| Fact::Object(plain(&object)))
            }
            Need::List {
                kind,
                namespace,
                selector,
            } => {
                let objects = api(self.calls.clone(), kind, namespace.as_deref());
                let selected = ListParams::default().labels(selector);
                let got = self.call("list objects", objects.list(&selected)).await;
                got.map(|list| Fact::List(list.items.iter().map(plain).collect()))
            }
            Need::OnNode { kind, node } => {
                let objects = api(self.calls.clone(), kind, None);
                let selected = ListParams::default().fields(&format!("spec.nodeName={node}"));
                let got = self
                    .call("list objects on a node", objects.list(&selected))
                    .await;
                got.map(|list| Fact::List(list.items.iter().map(plain).collect()))
            }
        };
        result.or_else(|error| match error.class() {
            Class::Absent
                if error
                    .said()
                    .contains("could not find the requested resource") =>
            {
                Ok(Fact::NotServed)
            }
            Class::Absent => Ok(Fact::Absent),
            Class::Denied => Ok(Fact::NotReadable(rule(need.kind(), "get, list, watch"))),
            Class::Transient | Class::Conflict | Class::Invalid | Class::Bug => Err(error),
        })
    }

    /// Whether the API server says that it is ready, within the time-out of a call; asked again before it counts as not.
    pub async fn probe(&self) -> Connectivity {
        const WHAT: &str = "ask whether the API server is ready";
        let begun = Instant::now();
        let answer = self
            .ask_until_answered(WHAT, || async {
                let start = Instant::now();
                let request = axum::http::Request::get("/readyz")
                    .body(Vec::new())
                    .map_err(kube::Error::HttpError)?;
                self.calls.request_text(request).await?;
                Ok(start.elapsed())
            })
            .await;
        let took = |took: Duration| SignedDuration::try_from(took).unwrap_or(SignedDuration::MAX);
        match answer {
            Ok(elapsed) => Connectivity {
                problem: None,
                took: took(elapsed),
            },
            Err(error) => Connectivity {
                problem: Some(error.to_string()),
                took: took(begun.elapsed()),
            },
        }
    }
}

//! What a request means to the API server: verb, resource and object, read from method, path and query by the
//! server's own rules (its `RequestInfo`), and what its body adds to that. What to do about it is the script's matter.

use http::{HeaderMap, Method, Uri, header::USER_AGENT, request::Parts};
use hyper::body::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::audit::{is_dry_run, is_review};

/// Bytes of a body that the log keeps.
pub const LOGGED_BODY_LIMIT: usize = 256 * 1024;

/// Parts of a namespace that are not resources in it.
const NAMESPACE_SUBRESOURCES: [&str; 2] = ["status", "finalize"];

/// What a request addresses. Strings are empty where the request has no such part, as in the API server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; for a path that names no
    /// resource the method in lower case.
    pub verb: String,
    /// API group; empty for the core group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Plural resource; empty for a path that names none, such as `/readyz` or `/apis/apps`.
    pub resource: String,
    /// Subresource.
    pub subresource: String,
    /// Namespace.
    pub namespace: String,
    /// Name in the path (or in a `metadata.name` field selector); a created object's name stands only in its body.
    pub name: String,
}

impl Attributes {
    /// Reads them from `method` and `uri`.
    #[must_use]
    pub fn parse(method: &Method, uri: &Uri) -> Self {
        let segments: Vec<String> = uri
            .path()
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
            .collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let resource_request = match segments.as_slice() {
            ["api", version, rest @ ..] => Some(("", *version, rest)),
            ["apis", group, version, rest @ ..] => Some((*group, *version, rest)),
            _ => None,
        };
        match resource_request {
            Some((group, version, rest)) if !rest.is_empty() => {
                let mut attributes = Self::of_resource(rest);
                group.clone_into(&mut attributes.group);
                version.clone_into(&mut attributes.version);
                attributes.settle_verb(method, uri.query().unwrap_or_default());
                attributes
            }
            Some(_) | None => Self {
                verb: method.as_str().to_ascii_lowercase(),
                ..Self::default()
            },
        }
    }

    fn of_resource(segments: &[&str]) -> Self {
        let (namespace, segments) = match segments {
            ["namespaces", namespace, part, ..] if NAMESPACE_SUBRESOURCES.contains(part) => {
                (*namespace, segments)
            }
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            ["namespaces", namespace] => (*namespace, segments),
            _ => ("", segments),
        };
        let mut parts = segments.iter().map(|segment| (*segment).to_owned());
        Self {
            namespace: namespace.to_owned(),
            resource: parts.next().unwrap_or_default(),
            name: parts.next().unwrap_or_default(),
            subresource: parts.next().unwrap_or_default(),
            ..Self::default()
        }
    }

    fn settle_verb(&mut self, method: &Method, query: &str) {
        let verb = match (method.as_str(), self.name.is_empty()) {
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", false) => "delete",
            ("DELETE", true) => "deletecollection",
            ("GET" | "HEAD", false) => "get",
            ("GET" | "HEAD", true) if asks_to_watch(query) => "watch",
            ("GET" | "HEAD", true) => "list",
            _ => "",
        };
        verb.clone_into(&mut self.verb);
        if matches!(verb, "list" | "watch" | "deletecollection") {
            self.name = selected_name(query);
        }
    }

    /// `resource`, or `resource/subresource`, as RBAC rules write it.
    #[must_use]
    pub fn resource_path(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.clone()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }
}

/// The server takes any value but `0` and `false` as true, the empty one too.
fn asks_to_watch(query: &str) -> bool {
    form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key == "watch")
        .is_some_and(|(_, value)| value != "0" && !value.eq_ignore_ascii_case("false"))
}

fn selected_name(query: &str) -> String {
    form_urlencoded::parse(query.as_bytes())
        .filter(|(key, _)| key == "fieldSelector")
        .find_map(|(_, selector)| {
            selector.split(',').find_map(|term| {
                let name = term.strip_prefix("metadata.name=")?;
                Some(name.strip_prefix('=').unwrap_or(name).to_owned())
            })
        })
        .unwrap_or_default()
}

/// One request that reached the proxy.
#[derive(Clone, Debug)]
pub struct RequestInfo {
    /// Number among all requests of this proxy, from 1.
    pub ordinal: u64,
    /// Number among the writes of this proxy, from 1; `None` for reads and for writes that are not numbered.
    pub write: Option<u64>,
    /// Lives of the controller before this one.
    pub generation: u64,
    /// HTTP method.
    pub method: Method,
    /// Path and query.
    pub uri: String,
    /// What it addresses.
    pub attributes: Attributes,
    /// Whether the server is asked to change nothing.
    pub dry_run: bool,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// The body: all of it for the script, at most [`LOGGED_BODY_LIMIT`] bytes in the log.
    pub body: Bytes,
}

impl RequestInfo {
    pub(super) fn new(head: &Parts, body: Bytes, ordinal: u64, generation: u64) -> Self {
        Self {
            ordinal,
            write: None,
            generation,
            method: head.method.clone(),
            uri: head.uri.to_string(),
            attributes: Attributes::parse(&head.method, &head.uri),
            dry_run: is_dry_run(
                head.uri.query().unwrap_or_default(),
                serde_json::from_slice(&body).ok().as_ref(),
            ),
            user_agent: user_agent(&head.headers),
            body,
        }
    }

    /// Whether it may change an object: not the reads, and not the reviews, which are reads sent by POST. Dry runs
    /// are writes too; [`Self::dry_run`] tells them apart.
    #[must_use]
    pub fn is_write(&self) -> bool {
        let writes = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
        writes.contains(&self.method)
            && !is_review(&self.attributes.group, &self.attributes.resource)
    }

    /// The body as JSON; `None` when it is none, or was cut for the log.
    #[must_use]
    pub fn object(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The object's name: the one in the path, else the one in the body, else empty.
    #[must_use]
    pub fn object_name(&self) -> String {
        if !self.attributes.name.is_empty() {
            return self.attributes.name.clone();
        }
        self.object()
            .and_then(|object| Some(object.pointer("/metadata/name")?.as_str()?.to_owned()))
            .unwrap_or_default()
    }

    /// A copy with the body cut to what a log may keep.
    pub(super) fn for_log(&self) -> Self {
        let mut copy = self.clone();
        if let Some(kept) = self
            .body
            .get(..LOGGED_BODY_LIMIT)
            .filter(|_| self.body.len() > LOGGED_BODY_LIMIT)
        {
            copy.body = Bytes::copy_from_slice(kept);
        }
        copy
    }
}

fn user_agent(headers: &HeaderMap) -> String {
    headers
        .get(USER_AGENT)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "verb group/version resource/subresource namespace name", with "-" for what is empty.
    fn parsed(method: &str, uri: &str) -> String {
        let a = Attributes::parse(&method.parse().unwrap(), &uri.parse().unwrap());
        [
            a.verb.clone(),
            format!("{}/{}", a.group, a.version),
            a.resource_path(),
            a.namespace,
            a.name,
        ]
        .map(|part| {
            if part.is_empty() {
                "-".to_owned()
            } else {
                part
            }
        })
        .join(" ")
    }

    #[test]
    fn paths_are_read_as_the_api_server_reads_them() {
        for (method, uri, expected) in [
            ("GET", "/api/v1/namespaces", "list /v1 namespaces - -"),
            ("GET", "/api/v1/namespaces/a", "get /v1 namespaces a a"),
            ("POST", "/api/v1/namespaces", "create /v1 namespaces - -"),
            (
                "PUT",
                "/api/v1/namespaces/a/finalize",
                "update /v1 namespaces/finalize a a",
            ),
            (
                "PATCH",
                "/api/v1/namespaces/a/status",
                "patch /v1 namespaces/status a a",
            ),
            ("GET", "/api/v1/namespaces/a/pods", "list /v1 pods a -"),
            ("GET", "/api/v1/namespaces/a/pods/b", "get /v1 pods a b"),
            ("HEAD", "/api/v1/namespaces/a/pods/b", "get /v1 pods a b"),
            (
                "POST",
                "/api/v1/namespaces/a/pods/b/eviction",
                "create /v1 pods/eviction a b",
            ),
            (
                "PATCH",
                "/apis/apps/v1/namespaces/a/deployments/b/scale",
                "patch apps/v1 deployments/scale a b",
            ),
            ("DELETE", "/api/v1/nodes/n", "delete /v1 nodes - n"),
            ("DELETE", "/api/v1/nodes", "deletecollection /v1 nodes - -"),
            (
                "GET",
                "/apis/batch/v1/jobs?watch=true",
                "watch batch/v1 jobs - -",
            ),
            (
                "GET",
                "/apis/batch/v1/jobs?watch=1",
                "watch batch/v1 jobs - -",
            ),
            (
                "GET",
                "/apis/batch/v1/jobs?watch",
                "watch batch/v1 jobs - -",
            ),
            (
                "GET",
                "/apis/batch/v1/jobs?watch=False",
                "list batch/v1 jobs - -",
            ),
            (
                "GET",
                "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
                "get rbac.authorization.k8s.io/v1 clusterroles - system:node",
            ),
            (
                "GET",
                "/api/v1/namespaces/a/pods?watch=true&fieldSelector=metadata.name%3Db",
                "watch /v1 pods a b",
            ),
        ] {
            assert_eq!(parsed(method, uri), expected, "{method} {uri}");
        }
    }

    #[test]
    fn a_watch_parameter_does_not_turn_a_get_into_a_watch() {
        assert_eq!(
            parsed("GET", "/api/v1/nodes/n?watch=true"),
            "get /v1 nodes - n"
        );
    }

    #[test]
    fn paths_without_a_resource_have_only_a_verb() {
        for uri in [
            "/",
            "/readyz",
            "/version",
            "/api",
            "/api/v1",
            "/apis",
            "/apis/apps/v1",
        ] {
            assert_eq!(parsed("GET", uri), "get / - - -", "{uri}");
        }
    }

    fn request(method: &str, uri: &str, body: &str) -> RequestInfo {
        let (head, ()) = http::Request::builder()
            .method(method)
            .uri(uri)
            .body(())
            .unwrap()
            .into_parts();
        RequestInfo::new(&head, Bytes::copy_from_slice(body.as_bytes()), 1, 0)
    }

    #[test]
    fn reviews_are_not_writes() {
        for uri in [
            "/apis/authorization.k8s.io/v1/subjectaccessreviews",
            "/apis/authorization.k8s.io/v1/namespaces/a/localsubjectaccessreviews",
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
            "/apis/authentication.k8s.io/v1/tokenreviews",
            "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        ] {
            assert!(!request("POST", uri, "{}").is_write(), "{uri}");
        }
        assert!(request("POST", "/apis/batch/v1/namespaces/a/jobs", "{}").is_write());
        assert!(!request("GET", "/apis/batch/v1/namespaces/a/jobs", "").is_write());
    }

    #[test]
    fn a_dry_run_is_seen_in_the_query_and_in_delete_options() {
        let deployment = "/apis/apps/v1/namespaces/a/deployments/b";
        let pod = "/api/v1/namespaces/a/pods/b";
        assert!(request("PATCH", &format!("{deployment}?dryRun=All"), "{}").dry_run);
        assert!(request("DELETE", pod, r#"{"dryRun":["All"]}"#).dry_run);
        assert!(
            request(
                "POST",
                &format!("{pod}/eviction"),
                r#"{"deleteOptions":{"dryRun":["All"]}}"#
            )
            .dry_run
        );
        assert!(!request("DELETE", pod, r#"{"preconditions":{"uid":"u"}}"#).dry_run);
    }

    #[test]
    fn a_created_object_is_named_by_its_body() {
        let created = request(
            "POST",
            "/apis/batch/v1/namespaces/a/jobs",
            r#"{"metadata":{"name":"kexec-1"}}"#,
        );
        assert_eq!(created.object_name(), "kexec-1");
    }

    #[test]
    fn the_log_keeps_a_bounded_body() {
        let long = "x".repeat(LOGGED_BODY_LIMIT + 1);
        let seen = request("POST", "/api/v1/namespaces", &long);
        assert_eq!(seen.body.len(), LOGGED_BODY_LIMIT + 1);
        assert_eq!(seen.for_log().body.len(), LOGGED_BODY_LIMIT);
    }
}

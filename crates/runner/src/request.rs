//! The requests the runner makes: a step's write, and making and reading its claim. Built, not sent.

use http::{Method, Request, header};
use k8s_openapi::api::coordination::v1::Lease;
use kexec_api::names;
use kexec_api::plan::{ObjectRef, Step};
use kube::Resource as _;
use kube::core::{ApiResource, DynamicObject};
use serde_json::{Value, json};

/// Why a request could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildRequestError {
    /// The object's names do not make an address.
    #[error("failed to make an address for \"{object}\"")]
    Address {
        /// What was to be addressed.
        object: String,
        /// What is wrong with it.
        #[source]
        source: http::Error,
    },
    /// The content could not be written as JSON.
    #[error("failed to write the request for \"{object}\" as JSON")]
    Content {
        /// What was to be addressed.
        object: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// The one write of `step`; with `dry_run` the server checks it fully and persists nothing.
pub fn step_request(step: &Step, dry_run: bool) -> Result<Request<Vec<u8>>, BuildRequestError> {
    match step {
        Step::Patch {
            target,
            subresource,
            ..
        } => {
            let mut address = object_path(target);
            if let Some(subresource) = subresource {
                address.push('/');
                address.push_str(subresource);
            }
            address.push_str("?fieldManager=");
            address.push_str(names::RUNNER_FIELD_MANAGER);
            if dry_run {
                address.push_str("&dryRun=All");
            }
            let content = Content {
                method: Method::PATCH,
                media_type: "application/json-patch+json",
                value: step.json_patch().unwrap_or(Value::Null),
            };
            build(&target.to_string(), &address, &content)
        }
        Step::Delete {
            target,
            grace_period_seconds,
        } => {
            // The server takes a deletion's options from the body alone when there is one, the dry run included.
            let mut options = json!({
                "apiVersion": "v1",
                "kind": "DeleteOptions",
                "preconditions": {"uid": target.uid},
            });
            if let (Some(options), Some(seconds)) = (options.as_object_mut(), grace_period_seconds)
            {
                options.insert("gracePeriodSeconds".to_owned(), json!(seconds));
            }
            if let (Some(options), true) = (options.as_object_mut(), dry_run) {
                options.insert("dryRun".to_owned(), json!(["All"]));
            }
            let content = Content {
                method: Method::DELETE,
                media_type: "application/json",
                value: options,
            };
            build(&target.to_string(), &object_path(target), &content)
        }
        Step::Evict {
            target,
            grace_period_seconds,
            drain_seconds: _,
        } => {
            let mut address = format!("{}/eviction?fieldManager=", object_path(target));
            address.push_str(names::RUNNER_FIELD_MANAGER);
            if dry_run {
                address.push_str("&dryRun=All");
            }
            let content = Content {
                method: Method::POST,
                media_type: "application/json",
                value: eviction(target, *grace_period_seconds),
            };
            build(&target.to_string(), &address, &content)
        }
    }
}

/// The eviction of the pod `target`, and of no other of its name.
fn eviction(target: &ObjectRef, grace_period_seconds: Option<u32>) -> Value {
    let mut options = json!({"preconditions": {"uid": target.uid}});
    if let (Some(options), Some(seconds)) = (options.as_object_mut(), grace_period_seconds) {
        options.insert("gracePeriodSeconds".to_owned(), json!(seconds));
    }
    json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": target.name, "namespace": target.namespace},
        "deleteOptions": options,
    })
}

/// Creates the claim `lease`.
pub fn create_claim_request(
    namespace: &str,
    lease: &Lease,
) -> Result<Request<Vec<u8>>, BuildRequestError> {
    let object = "Lease (the claim)".to_owned();
    let value = serde_json::to_value(lease).map_err(|source| BuildRequestError::Content {
        object: object.clone(),
        source,
    })?;
    let address = format!(
        "{}?fieldManager={}",
        Lease::url_path(&(), Some(namespace)),
        names::RUNNER_FIELD_MANAGER
    );
    let content = Content {
        method: Method::POST,
        media_type: "application/json",
        value,
    };
    build(&object, &address, &content)
}

/// Reads the claim called `name`.
pub fn read_claim_request(
    namespace: &str,
    name: &str,
) -> Result<Request<Vec<u8>>, BuildRequestError> {
    Request::get(format!("{}/{name}", Lease::url_path(&(), Some(namespace))))
        .header(header::ACCEPT, "application/json")
        .body(Vec::new())
        .map_err(|source| BuildRequestError::Address {
            object: format!("Lease/{namespace}/{name}"),
            source,
        })
}

/// What a request carries.
struct Content {
    method: Method,
    media_type: &'static str,
    value: Value,
}

fn build(
    object: &str,
    address: &str,
    content: &Content,
) -> Result<Request<Vec<u8>>, BuildRequestError> {
    let body = serde_json::to_vec(&content.value).map_err(|source| BuildRequestError::Content {
        object: object.to_owned(),
        source,
    })?;
    Request::builder()
        .method(&content.method)
        .uri(address)
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, content.media_type)
        .body(body)
        .map_err(|source| BuildRequestError::Address {
            object: object.to_owned(),
            source,
        })
}

/// Path of `target` on the API server.
fn object_path(target: &ObjectRef) -> String {
    let resource = ApiResource {
        group: target.group().to_owned(),
        version: target.version().to_owned(),
        api_version: target.api_version.clone(),
        kind: target.kind.clone(),
        plural: target.resource.clone(),
    };
    format!(
        "{}/{}",
        DynamicObject::url_path(&resource, target.namespace.as_deref()),
        target.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{deployment, evict, node, scale};

    fn body(request: &Request<Vec<u8>>) -> Value {
        serde_json::from_slice(request.body()).unwrap()
    }

    fn delete(grace_period_seconds: Option<u32>) -> Step {
        Step::Delete {
            target: node(),
            grace_period_seconds,
        }
    }

    #[test]
    fn a_patch_goes_to_the_subresource_with_its_tests_and_our_name() {
        let request = step_request(&scale(2, 5), false).unwrap();
        assert_eq!(request.method(), Method::PATCH);
        assert_eq!(
            request.uri(),
            "/apis/apps/v1/namespaces/web/deployments/shop/scale?fieldManager=kexec-runner"
        );
        assert_eq!(
            request.headers()[header::CONTENT_TYPE],
            "application/json-patch+json"
        );
        assert_eq!(Some(body(&request)), scale(2, 5).json_patch());
    }

    #[test]
    fn a_dry_run_patch_says_so_in_its_query() {
        let request = step_request(&scale(2, 5), true).unwrap();
        assert_eq!(
            request.uri().query(),
            Some("fieldManager=kexec-runner&dryRun=All")
        );
    }

    #[test]
    fn a_deletion_carries_the_uid_and_of_a_cluster_scoped_kind_no_namespace() {
        let request = step_request(&delete(Some(0)), false).unwrap();
        assert_eq!(
            (request.method(), request.uri().path()),
            (&Method::DELETE, "/api/v1/nodes/n1")
        );
        assert_eq!(
            body(&request),
            json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": "u-node"}, "gracePeriodSeconds": 0})
        );
    }

    #[test]
    fn a_dry_run_deletion_says_so_in_its_body() {
        let body = body(&step_request(&delete(None), true).unwrap());
        assert_eq!(body["dryRun"], json!(["All"]));
        assert_eq!(body.get("gracePeriodSeconds"), None);
    }

    #[test]
    fn an_eviction_carries_the_uid_and_says_in_its_query_that_it_is_a_dry_run() {
        let request = step_request(&evict(None), false).unwrap();
        assert_eq!(request.method(), Method::POST);
        assert_eq!(
            request.uri(),
            "/api/v1/namespaces/web/pods/shop-1/eviction?fieldManager=kexec-runner"
        );
        assert_eq!(
            body(&request),
            json!({
                "apiVersion": "policy/v1", "kind": "Eviction",
                "metadata": {"name": "shop-1", "namespace": "web"},
                "deleteOptions": {"preconditions": {"uid": "u-pod"}, "gracePeriodSeconds": 7},
            })
        );
        let tried = step_request(&evict(Some(60)), true).unwrap();
        assert_eq!(
            tried.uri().query(),
            Some("fieldManager=kexec-runner&dryRun=All")
        );
    }

    #[test]
    fn names_that_make_no_address_are_refused() {
        let mut target = deployment();
        target.name = "sh op".into();
        let step = Step::Delete {
            target,
            grace_period_seconds: None,
        };
        let error = step_request(&step, false).unwrap_err();
        assert_eq!(
            error.to_string(),
            "failed to make an address for \"Deployment/web/sh op\""
        );
    }
}

//! One line of the audit log, as the API server writes it, and the call it tells of.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{AuditError, Call, is_dry_run};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event<B> {
    stage: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    verb: String,
    user: User,
    impersonated_user: Option<User>,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    object_ref: ObjectRef,
    response_status: Option<ResponseStatus>,
    request_object: Option<B>,
    request_received_timestamp: Timestamp,
    #[serde(default)]
    annotations: Annotations,
}

#[derive(Deserialize)]
struct User {
    /// Absent when the caller was not authenticated.
    #[serde(default)]
    username: String,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    extra: Extra,
}

#[derive(Default, Deserialize)]
struct Extra {
    #[serde(default, rename = "authentication.kubernetes.io/credential-id")]
    credential: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ObjectRef {
    resource: String,
    namespace: String,
    name: String,
    uid: String,
    api_group: String,
    subresource: String,
}

#[derive(Deserialize)]
struct ResponseStatus {
    #[serde(default)]
    code: u16,
    #[serde(default)]
    details: Details,
}

#[derive(Default, Deserialize)]
struct Details {
    /// Given where the answer is a status about one object, as that to a deletion may be.
    #[serde(default)]
    uid: String,
}

#[derive(Default, Deserialize)]
struct Annotations {
    #[serde(default, rename = "authorization.k8s.io/decision")]
    decision: String,
}

/// The call a line tells of; `None` for the stages before its end. A body nested deeper than it can be decoded is left
/// out.
pub(super) fn parse(line: &[u8]) -> Result<Option<Call>, AuditError> {
    let read = serde_json::from_slice(line).map(Event::finished);
    read.or_else(|source| {
        let without_body = serde_json::from_slice::<Event<IgnoredAny>>(line);
        without_body
            .map(|event| event.without_body().finished())
            .map_err(|_| AuditError::ParseEvent {
                line: String::from_utf8_lossy(line).into_owned(),
                source,
            })
    })
}

impl Event<IgnoredAny> {
    fn without_body(self) -> Event<Value> {
        Event {
            stage: self.stage,
            request_uri: self.request_uri,
            verb: self.verb,
            user: self.user,
            impersonated_user: self.impersonated_user,
            user_agent: self.user_agent,
            object_ref: self.object_ref,
            response_status: self.response_status,
            request_object: None,
            request_received_timestamp: self.request_received_timestamp,
            annotations: self.annotations,
        }
    }
}

impl Event<Value> {
    fn finished(self) -> Option<Call> {
        let finished = matches!(self.stage.as_str(), "ResponseComplete" | "Panic");
        finished.then(|| self.into_call())
    }

    fn into_call(self) -> Call {
        let query = self
            .request_uri
            .split_once('?')
            .map_or("", |(_, query)| query);
        let dry_run = is_dry_run(query, self.request_object.as_ref());
        let (code, answered_uid) = self
            .response_status
            .map(|status| (status.code, status.details.uid))
            .unwrap_or_default();
        let object_uid = if self.object_ref.uid.is_empty() {
            answered_uid
        } else {
            self.object_ref.uid
        };
        let credential = self.user.extra.credential.first();
        let credential = credential.cloned().unwrap_or_default();
        let user = self.impersonated_user.unwrap_or(self.user);
        Call {
            credential,
            user: user.username,
            groups: user.groups,
            verb: self.verb,
            group: self.object_ref.api_group,
            resource: self.object_ref.resource,
            subresource: self.object_ref.subresource,
            namespace: self.object_ref.namespace,
            name: self.object_ref.name,
            object_uid,
            code,
            dry_run,
            rbac_denied: self.annotations.decision == "forbid",
            request_uri: self.request_uri,
            user_agent: self.user_agent,
            received: self.request_received_timestamp,
            request_object: self.request_object,
        }
    }
}

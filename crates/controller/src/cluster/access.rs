//! Questions of who may do what, by `SubjectAccessReview`.

use std::collections::BTreeMap;

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kexec_core::access::{Answer, Question, Subject};
use kube::api::{Api, PostParams};

use super::Cluster;

impl Cluster {
    /// The API server's answer to one question.
    pub async fn ask(&self, question: &Question) -> Answer {
        let api: Api<SubjectAccessReview> = Api::all(self.calls.clone());
        let review = SubjectAccessReview {
            spec: spec(question),
            ..SubjectAccessReview::default()
        };
        let how = PostParams::default();
        match self
            .ask_until_answered("ask for a right", || api.create(&how, &review))
            .await
        {
            Err(error) => Answer::Failed(error.to_string()),
            Ok(review) if review.status.as_ref().is_some_and(|status| status.allowed) => {
                Answer::Allowed
            }
            Ok(_) => Answer::Denied,
        }
    }
}

fn spec(question: &Question) -> SubjectAccessReviewSpec {
    let permission = &question.permission;
    let attributes = ResourceAttributes {
        group: Some(permission.group.clone()),
        resource: Some(permission.resource.clone()),
        subresource: permission.subresource.clone(),
        verb: Some(permission.verb.clone()),
        namespace: permission.namespace.clone(),
        name: question.name.clone(),
        ..ResourceAttributes::default()
    };
    let (user, uid, groups, extra) = match &question.subject {
        Subject::ServiceAccount(user) => (
            user.clone(),
            None,
            service_account_groups(user),
            BTreeMap::new(),
        ),
        Subject::Requester {
            username,
            uid,
            groups,
            extra,
        } => (username.clone(), uid.clone(), groups.clone(), extra.clone()),
    };
    SubjectAccessReviewSpec {
        resource_attributes: Some(attributes),
        user: Some(user),
        uid,
        groups: Some(groups).filter(|groups| !groups.is_empty()),
        extra: Some(extra).filter(|extra| !extra.is_empty()),
        non_resource_attributes: None,
    }
}

/// The groups that the API server itself gives a `ServiceAccount`.
fn service_account_groups(user: &str) -> Vec<String> {
    let namespace = user.split(':').nth(2).unwrap_or_default();
    vec![
        "system:serviceaccounts".to_owned(),
        format!("system:serviceaccounts:{namespace}"),
        "system:authenticated".to_owned(),
    ]
}

//! Who must be allowed what before a Job is created: the requester to execute the action in the target's namespace,
//! the action's ServiceAccount every right of the plan. Asked by `SubjectAccessReview`; nothing here asks.

use std::collections::BTreeMap;

use kexec_api::execution::spec::RequestedBy;
use kexec_api::plan::Permission;

use crate::planning::Planned;
use crate::request::Request;
use crate::settings::Settings;

/// API group of the virtual resource that requesters are granted rights on.
pub const GROUP: &str = "kubernetesexecution.kubernaut.io";
/// The virtual resource.
pub const ACTION_TYPES: &str = "actiontypes";

/// Whose right is in question.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub enum Subject {
    /// An action's ServiceAccount in the system namespace.
    ServiceAccount(String),
    /// The recorded requester, with groups and extra: without them a review denies people who hold rights by group.
    Requester {
        /// User name.
        username: String,
        /// UID, if any.
        uid: Option<String>,
        /// Groups.
        groups: Vec<String>,
        /// Extra attributes.
        extra: BTreeMap<String, Vec<String>>,
    },
}

/// One question to the API server.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Question {
    /// Whose right.
    pub subject: Subject,
    /// Which right.
    pub permission: Permission,
    /// On which object by name; all of them when absent.
    pub name: Option<String>,
}

/// The API server's answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// Allowed.
    Allowed,
    /// Not allowed.
    Denied,
    /// It could not be asked.
    Failed(String),
}

/// All answers so far.
pub type Answers = BTreeMap<Question, Answer>;

/// Everything that must be allowed for this plan.
#[must_use]
pub fn questions(
    request: &Request<'_>,
    planned: &Planned,
    requester: &RequestedBy,
    settings: &Settings,
) -> Vec<Question> {
    let mut all = vec![on_action(request, requester, "execute")];
    if request.common.force {
        all.push(on_action(request, requester, "force"));
    }
    let account = request.metadata().service_account_name();
    let account = Subject::ServiceAccount(format!(
        "system:serviceaccount:{}:{account}",
        settings.system_namespace
    ));
    all.extend(
        planned
            .content
            .permissions
            .iter()
            .map(|permission| Question {
                subject: account.clone(),
                permission: permission.clone(),
                name: None,
            }),
    );
    all
}

fn on_action(request: &Request<'_>, requester: &RequestedBy, verb: &str) -> Question {
    Question {
        subject: Subject::Requester {
            username: requester.username.clone(),
            uid: requester.uid.clone(),
            groups: requester.groups.clone(),
            extra: requester.extra.clone(),
        },
        permission: Permission {
            group: GROUP.to_owned(),
            resource: ACTION_TYPES.to_owned(),
            subresource: None,
            verb: verb.to_owned(),
            namespace: request.namespace.map(str::to_owned),
        },
        name: Some(request.metadata().action_type.to_owned()),
    }
}

/// One sentence on a right that is missing, with the rule to grant.
#[must_use]
pub fn denial(question: &Question) -> String {
    let permission = &question.permission;
    match &question.subject {
        Subject::ServiceAccount(name) => {
            format!("{name} may not {permission}: its ClusterRole or binding is missing")
        }
        Subject::Requester { username, .. } => {
            let scope = permission.namespace.as_ref().map_or_else(
                || "a ClusterRole".to_owned(),
                |namespace| format!("a Role in namespace \"{namespace}\""),
            );
            format!(
                "\"{username}\" may not {} {}: grant {scope} with apiGroups [{GROUP}], resources [{ACTION_TYPES}], \
                 resourceNames [{}], verbs [{}]",
                permission.verb,
                question.name.as_deref().unwrap_or_default(),
                question.name.as_deref().unwrap_or_default(),
                permission.verb
            )
        }
    }
}

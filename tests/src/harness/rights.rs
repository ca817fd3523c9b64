//! Who may do what in a scene: its user's rights, those a test grants besides, and the wait until rights and admission
//! policies are in force, which they are a moment after they are written.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use super::scene::{Scene, create_with};
use super::wait::eventually;

const GROUP: &str = "kubernetesexecution.kubernaut.io";
const RBAC: &str = "rbac.authorization.k8s.io";

/// Who a right is granted to.
#[derive(Clone, Copy, Debug)]
pub enum Grantee<'a> {
    /// A user.
    User(&'a str),
    /// Everybody in a group.
    Group(&'a str),
}

impl Grantee<'_> {
    fn subject(self) -> Value {
        let (kind, name) = match self {
            Self::User(name) => ("User", name),
            Self::Group(name) => ("Group", name),
        };
        json!({"apiGroup": RBAC, "kind": kind, "name": name})
    }
}

impl Scene {
    /// Waits until the installation's policies are enforced and the scene's user has the rights of [`rights`].
    pub(super) async fn wait_for_rights_and_policies(&self) {
        let account = format!(
            "system:serviceaccount:{}:kexec-scale-deployment",
            self.system_namespace
        );
        let fenced = self.acting_as(&account, &[]);
        let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "probe"}});
        let lease: Lease = serde_json::from_value(lease).expect("a Lease");
        let dry_run = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let is_fenced = || async {
            let leases: Api<Lease> = Api::namespaced(fenced.clone(), &self.system_namespace);
            let refusal = leases.create(&dry_run, &lease).await.err()?;
            refusal
                .to_string()
                .contains("a runner's claim is")
                .then_some(())
        };
        eventually("the fence to stand", is_fenced).await;
        let node = ("v1", "Node", "probe");
        for probe in [
            self.scaling("probe", "probe", 1),
            self.execution("probe", "cordon_node", node, &json!({})),
        ] {
            let is_stamped = || async {
                let created = create_with(&self.user, &probe, &dry_run).await.ok()?;
                created.spec.requested_by.map(drop)
            };
            eventually("the scene's user to be let and stamped", is_stamped).await;
        }
    }

    /// A client that acts as somebody else.
    #[must_use]
    pub fn acting_as(&self, user: &str, groups: &[&str]) -> Client {
        let mut config = self.cluster.admin();
        config.auth_info.impersonate = Some(user.to_owned());
        let groups = groups.iter().copied().map(str::to_owned).collect();
        config.auth_info.impersonate_groups = Some(groups);
        Client::try_from(config).expect("a client")
    }

    /// A user who may create executions in the scene's namespace, and execute nothing.
    pub async fn person(&self, name: &str, groups: &[&str]) -> Client {
        let username = self.username(name);
        let rule = json!({"apiGroups": [GROUP], "resources": ["kubernetesexecutions"], "verbs": ["create", "get", "patch"]});
        self.bind(
            &format!("create-{name}"),
            &self.namespace,
            Grantee::User(&username),
            &rule,
        )
        .await;
        self.wait_for_right(
            &username,
            groups,
            ("create", "kubernetesexecutions", ""),
            &self.namespace,
        )
        .await;
        let config = self
            .cluster
            .plane()
            .config_for_user(&username, groups)
            .await
            .expect("a user");
        Client::try_from(config).expect("a client")
    }

    /// User name of a [`Self::person`].
    #[must_use]
    pub fn username(&self, name: &str) -> String {
        format!("{}-{name}", self.namespace)
    }

    /// Grants verbs on an action in a namespace by a Role and a `RoleBinding`, both of the name that is returned.
    pub async fn grant(
        &self,
        whom: Grantee<'_>,
        verbs: &[&str],
        action: &str,
        namespace: &str,
    ) -> String {
        let rule = json!({"apiGroups": [GROUP], "resources": ["actiontypes"], "resourceNames": [action], "verbs": verbs});
        let (Grantee::User(who) | Grantee::Group(who)) = whom;
        let name = format!("{who}-{}-{action}", verbs.join("-")).replace([':', '_'], "-");
        self.bind(&name, namespace, whom, &rule).await;
        let (user, groups) = match whom {
            Grantee::User(user) => (user, vec![]),
            Grantee::Group(group) => ("somebody", vec![group]),
        };
        for verb in verbs {
            self.wait_for_right(user, &groups, (verb, "actiontypes", action), namespace)
                .await;
        }
        name
    }

    async fn bind(&self, name: &str, namespace: &str, whom: Grantee<'_>, rule: &Value) {
        let (api_version, metadata) = (
            format!("{RBAC}/v1"),
            json!({"name": name, "namespace": namespace}),
        );
        self.apply(&json!({"apiVersion": api_version, "kind": "Role", "metadata": metadata, "rules": [rule]})).await;
        self.apply(&json!({
            "apiVersion": api_version, "kind": "RoleBinding", "metadata": metadata, "subjects": [whom.subject()],
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": name},
        }))
        .await;
    }

    async fn wait_for_right(
        &self,
        user: &str,
        groups: &[&str],
        right: (&str, &str, &str),
        namespace: &str,
    ) {
        let (verb, resource, name) = right;
        let right = ResourceAttributes {
            group: Some(GROUP.to_owned()),
            resource: Some(resource.to_owned()),
            verb: Some(verb.to_owned()),
            name: Some(name.to_owned()),
            namespace: Some(namespace.to_owned()),
            ..ResourceAttributes::default()
        };
        eventually("a right to be in force", || async {
            self.may(user, groups, &right).await.then_some(())
        })
        .await;
    }

    /// Whether somebody may do something, as the API server sees it now.
    pub async fn may(&self, user: &str, groups: &[&str], right: &ResourceAttributes) -> bool {
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(user.to_owned()),
                groups: Some(groups.iter().copied().map(str::to_owned).collect()),
                resource_attributes: Some(right.clone()),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let api: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let answer = api
            .create(&PostParams::default(), &review)
            .await
            .expect("a review");
        answer.status.is_some_and(|status| status.allowed)
    }
}

/// What the API server says of a refused call.
#[must_use]
pub fn said<T>(result: Result<T, kube::Error>) -> String {
    match result {
        Ok(_) => panic!("it was not refused"),
        Err(kube::Error::Api(status)) => status.message,
        Err(error) => panic!("it was not refused by the API server: {error:?}"),
    }
}

/// The right to create executions in the namespace, and to execute every action on what is in it, and on nodes.
pub(super) fn rights(namespace: &str, user: &str) -> [Value; 4] {
    let subjects = json!([Grantee::User(user).subject()]);
    let actions = json!({"apiGroups": [GROUP], "resources": ["actiontypes"], "verbs": ["execute", "force", "rollback"]});
    let executions = json!({
        "apiGroups": [GROUP], "resources": ["kubernetesexecutions"],
        "verbs": ["create", "get", "list", "watch", "update", "patch", "delete"],
    });
    let reference = |kind: &str, name: &str| json!({"apiGroup": RBAC, "kind": kind, "name": name});
    let metadata = json!({"name": "user", "namespace": namespace});
    let api_version = format!("{RBAC}/v1");
    [
        json!({"apiVersion": api_version, "kind": "Role", "metadata": metadata, "rules": [executions, actions]}),
        json!({
            "apiVersion": api_version, "kind": "RoleBinding", "metadata": metadata, "subjects": subjects,
            "roleRef": reference("Role", "user"),
        }),
        json!({"apiVersion": api_version, "kind": "ClusterRole", "metadata": {"name": user}, "rules": [{
            "apiGroups": [GROUP], "resources": ["actiontypes"], "verbs": ["execute"],
            "resourceNames": ["cordon_node", "drain_node", "taint_node", "uncordon_node", "untaint_node"],
        }]}),
        json!({
            "apiVersion": api_version, "kind": "ClusterRoleBinding", "metadata": {"name": user}, "subjects": subjects,
            "roleRef": reference("ClusterRole", user),
        }),
    ]
}

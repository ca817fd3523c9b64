//! Who is who in an installation: what stands in the templates for namespaces, accounts and actions. Which user is
//! trusted with what is decided here.

use kexec_actions::metadata::Metadata;
use kexec_api::names::{CONTROLLER_SERVICE_ACCOUNT, LEADER_LEASE};

use super::bindings::{self, Reach, Subject};
use super::template::Values;
use super::{Installation, LABEL_INSTALLATION, parameters, unperformed};

/// Accounts of the system namespace that may name another requester than themselves: the controller of
/// workflows asks on behalf of a workflow's author.
const TRUSTED_SERVICE_ACCOUNTS: [&str; 1] = ["workflowexecution-controller"];

/// The names of one installation and the actions it knows.
pub(super) struct Names<'a> {
    installation: &'a Installation<'a>,
    reach: Reach,
    actions: &'a [&'a Metadata],
}

impl<'a> Names<'a> {
    pub(super) fn of(
        installation: &'a Installation<'a>,
        reach: Reach,
        actions: &'a [&'a Metadata],
    ) -> Self {
        Self {
            installation,
            reach,
            actions,
        }
    }

    pub(super) fn actions(&self) -> &'a [&'a Metadata] {
        self.actions
    }

    /// What every template may name.
    pub(super) fn values(&self) -> Values {
        let trusted = TRUSTED_SERVICE_ACCOUNTS.map(|account| self.user(account));
        let controller = self.user(CONTROLLER_SERVICE_ACCOUNT);
        let not_fenced = std::iter::once(&controller).chain(&trusted);
        [
            (
                "system-namespace",
                self.installation.system_namespace.to_owned(),
            ),
            ("suffix", self.suffix()),
            ("controller", CONTROLLER_SERVICE_ACCOUNT.to_owned()),
            ("leader-lease", LEADER_LEASE.to_owned()),
            ("not-fenced", cel_list(not_fenced)),
            ("trusted", cel_list(&trusted)),
            ("controller-user", controller),
            ("accounts", self.accounts()),
            ("reader-bindings", self.reader_bindings()),
            (
                "actions",
                cel_list(self.actions.iter().map(|action| action.action_type)),
            ),
            ("aliases", self.aliases()),
            ("cluster-scoped-actions", self.actions_on(false)),
            ("namespaced-actions", self.actions_on(true)),
            ("executions-concerned", self.executions_concerned()),
            ("parameter-rules", parameters::rules()),
            ("unperformed-rules", unperformed::rules()),
            (
                "right",
                include_str!("policies/right.yaml").trim_end().to_owned(),
            ),
        ]
        .into()
    }

    /// What binds an action's role to its account.
    pub(super) fn bindings_of(&self, action: &Metadata) -> String {
        let account = action.service_account_name();
        let subject = Subject {
            role: &account,
            account: &account,
            labels: "\n    kubernaut.io/action: <<dashed-action>>",
            in_namespaces: action.targets.iter().any(|kind| kind.namespaced),
        };
        bindings::text(&subject, self.reach)
    }

    /// What binds the role of the controller's reads to its account.
    fn reader_bindings(&self) -> String {
        let subject = Subject {
            role: "kexec-reader",
            account: CONTROLLER_SERVICE_ACCOUNT,
            labels: "",
            in_namespaces: true,
        };
        bindings::text(&subject, self.reach)
    }

    /// The user name of a ServiceAccount of ours.
    fn user(&self, account: &str) -> String {
        format!(
            "system:serviceaccount:{}:{account}",
            self.installation.system_namespace
        )
    }

    fn suffix(&self) -> String {
        match self.installation.suffix {
            "" => String::new(),
            suffix => format!("-{suffix}"),
        }
    }

    /// The runners' accounts as subjects of a binding.
    fn accounts(&self) -> String {
        let mut accounts: Vec<_> = self
            .actions
            .iter()
            .map(|action| action.service_account_name())
            .collect();
        accounts.sort_unstable();
        accounts.dedup();
        let namespace = self.installation.system_namespace;
        let subjects = accounts.iter().map(|account| {
            format!("- kind: ServiceAccount\n  name: {account}\n  namespace: {namespace}")
        });
        subjects.collect::<Vec<_>>().join("\n")
    }

    /// The aliases with the actions they mean, as a CEL map.
    fn aliases(&self) -> String {
        let pairs = self.actions.iter().flat_map(|action| {
            let one = |alias| format!("'{alias}': '{}'", action.action_type);
            action.aliases.iter().map(one)
        });
        format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
    }

    /// The actions all of whose targets live in namespaces, or none of whose do, as a CEL list.
    fn actions_on(&self, namespaced: bool) -> String {
        let all_so = |action: &&&Metadata| {
            action
                .targets
                .iter()
                .all(|kind| kind.namespaced == namespaced)
        };
        cel_list(
            self.actions
                .iter()
                .filter(all_so)
                .map(|action| action.action_type),
        )
    }

    /// The end of a binding to a policy on executions: which of them it concerns.
    fn executions_concerned(&self) -> String {
        match self.installation.suffix {
            "" => String::new(),
            suffix => format!(
                "\n  matchResources:\n    matchPolicy: Equivalent\n    namespaceSelector:\n      matchLabels:\n        \
                 {LABEL_INSTALLATION}: {suffix:?}\n    objectSelector: {{}}"
            ),
        }
    }
}

/// A list of texts in CEL. None of ours holds a quote or a backslash.
fn cel_list(texts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let quoted = texts.into_iter().map(|text| format!("'{}'", text.as_ref()));
    format!("[{}]", quoted.collect::<Vec<_>>().join(", "))
}

//! The registry (BR-EXEC-016): every built-in action by name and alias, and what an unknown name most resembles. Which
//! actions there are is listed in `lib.rs`.

use std::collections::BTreeMap;

use crate::action::Planner;
use crate::parameters::nearest;

/// Version of the registry as status shows it (ST-13).
pub const REGISTRY_VERSION: &str = "v1.0";

/// The built-in actions, one `file::Type` each: declares the file as a module, and makes it part of the registry and of
/// the tests that hold for every action. An action without cases for them does not build as a test.
macro_rules! actions {
    ($($file:ident::$action:ident),* $(,)?) => {
        $(mod $file;)*

        /// One planner for each action.
        fn planners() -> Vec<$crate::Planner> {
            vec![$($crate::Planner::of::<$file::$action>()),*]
        }

        /// The cases of all actions.
        #[cfg(test)]
        fn cases() -> Vec<$crate::every_action::Case> {
            let of_each = [$(<$file::$action as $crate::every_action::Cases>::cases()),*];
            of_each.into_iter().flatten().collect()
        }
    };
}

pub(crate) use actions;

/// Every name of an action that the spec knows or a later release will: those without a planner are refused as not
/// supported, all other names as unknown.
const KNOWN: &[&str] = &[
    "apply_manifest",
    "backup_resource",
    "collect_diagnostics",
    "cordon_node",
    "create_resource",
    "delete_manifest",
    "delete_pod",
    "delete_resource",
    "drain_node",
    "evict_pod",
    "expand_pvc",
    "gitops_pr_create",
    "increase_resources",
    "migrate_workload",
    "modify_configmap",
    "modify_networkpolicy",
    "notify_only",
    "patch_configmap",
    "patch_resource",
    "pause_rollout",
    "quarantine_pod",
    "restart_daemonset",
    "restart_deployment",
    "restart_pod",
    "restart_statefulset",
    "restore_resource",
    "resume_cronjob",
    "resume_rollout",
    "rollback_daemonset",
    "rollback_deployment",
    "rollback_statefulset",
    "rollout_restart",
    "scale_deployment",
    "scale_statefulset",
    "set_image",
    "suspend_cronjob",
    "taint_node",
    "trigger_cronjob",
    "uncordon_node",
    "untaint_node",
    "update_annotations",
    "update_hpa",
    "update_ingress",
    "update_labels",
    "update_pvc",
    "update_secret",
    "update_service",
    "validate_resource",
    "wait_for_condition",
];

/// All built-in actions.
pub struct Registry {
    planners: Vec<Planner>,
    by_name: BTreeMap<&'static str, usize>,
}

/// What the registry knows of a name.
pub enum Lookup<'a> {
    /// The action, its alias resolved.
    Found(&'a Planner),
    /// A name of the spec that this version cannot run.
    NotSupported,
    /// No such action; the most similar name, if any is similar.
    Unknown(Option<&'a str>),
}

impl Registry {
    /// The actions that `lib.rs` lists.
    #[must_use]
    pub fn built_in() -> Self {
        Self::of(crate::planners())
    }

    fn of(planners: Vec<Planner>) -> Self {
        let mut by_name = BTreeMap::new();
        for (index, planner) in planners.iter().enumerate() {
            let metadata = planner.metadata();
            by_name.insert(metadata.action_type, index);
            by_name.extend(metadata.aliases.iter().map(|alias| (*alias, index)));
        }
        Self { planners, by_name }
    }

    /// The action of that name or alias.
    #[must_use]
    pub fn lookup(&self, name: &str) -> Lookup<'_> {
        match self
            .by_name
            .get(name)
            .and_then(|index| self.planners.get(*index))
        {
            Some(planner) => Lookup::Found(planner),
            None if KNOWN.contains(&name) => Lookup::NotSupported,
            None => Lookup::Unknown(nearest(name, self.by_name.keys().copied())),
        }
    }

    /// All actions.
    #[must_use]
    pub fn planners(&self) -> &[Planner] {
        &self.planners
    }

    /// Names of all actions, sorted, without aliases (ST-11).
    #[must_use]
    pub fn action_types(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self
            .planners
            .iter()
            .map(|planner| planner.metadata().action_type)
            .collect();
        names.sort_unstable();
        names
    }
}

#[cfg(test)]
mod tests;

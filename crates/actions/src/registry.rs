//! The registry (BR-EXEC-016): every built-in action by name and alias, and what an unknown name most resembles.

use std::collections::BTreeMap;

use crate::action::Planner;
use crate::cordon_node::CordonNode;
use crate::modify_configmap::ModifyConfigMap;
use crate::parameters::nearest;
use crate::restart_pod::RestartPod;
use crate::scale_deployment::ScaleDeployment;
use crate::uncordon_node::UncordonNode;

/// Version of the registry as status shows it (ST-13).
pub const REGISTRY_VERSION: &str = "v1.0";

/// Actions that the spec or a later release names and this version does not have: asked for by these names they are
/// refused as not supported, not as unknown.
const NOT_SUPPORTED: &[&str] = &[
    "apply_manifest",
    "backup_resource",
    "collect_diagnostics",
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
    "modify_networkpolicy",
    "notify_only",
    "patch_resource",
    "pause_rollout",
    "quarantine_pod",
    "restart_daemonset",
    "restart_deployment",
    "restart_statefulset",
    "restore_resource",
    "resume_cronjob",
    "resume_rollout",
    "rollback_daemonset",
    "rollback_deployment",
    "rollback_statefulset",
    "rollout_restart",
    "scale_statefulset",
    "set_image",
    "suspend_cronjob",
    "taint_node",
    "trigger_cronjob",
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
    /// The built-in actions: one line each.
    #[must_use]
    pub fn built_in() -> Self {
        Self::of(vec![
            Planner::of::<CordonNode>(),
            Planner::of::<ModifyConfigMap>(),
            Planner::of::<RestartPod>(),
            Planner::of::<ScaleDeployment>(),
            Planner::of::<UncordonNode>(),
        ])
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
            None if NOT_SUPPORTED.contains(&name) => Lookup::NotSupported,
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

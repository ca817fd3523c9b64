//! The actions: one file each, with its parameters, its metadata and a pure planner. What an action must know it
//! names by `needs`; reading it is the controller's business, running the plan the runner's. No client, no clock.
//! The list of the actions is at the end; a new one is its file and its line there.

mod action;
mod containers;
mod difference;
pub mod endpoints;
pub mod facts;
pub mod metadata;
pub mod parameters;
mod pausing;
mod pod_owner;
mod pod_template;
mod quantity;
mod registry;
mod resource_room;
mod restart;
mod revisions;
mod rollout;
mod rollout_risk;
mod scaling;
mod schedulability;

#[cfg(test)]
mod every_action;
#[cfg(test)]
mod fixtures;

pub use action::{Action, Draft, PlanError, Planner, RiskFactor, Target};
pub use registry::{Lookup, REGISTRY_VERSION, Registry};

registry::actions! {
    cordon_node::CordonNode,
    modify_configmap::ModifyConfigMap,
    restart_pod::RestartPod,
    scale_deployment::ScaleDeployment,
    uncordon_node::UncordonNode,
    restart_deployment::RestartDeployment,
    restart_statefulset::RestartStatefulSet,
    restart_daemonset::RestartDaemonSet,
    scale_statefulset::ScaleStatefulSet,
    pause_rollout::PauseRollout,
    resume_rollout::ResumeRollout,
    set_image::SetImage,
    rollback_deployment::RollbackDeployment,
    rollback_statefulset::RollbackStatefulSet,
    rollback_daemonset::RollbackDaemonSet,
    increase_resources::IncreaseResources,
}

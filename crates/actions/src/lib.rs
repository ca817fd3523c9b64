//! The actions: one file each, with its parameters, its metadata and a pure planner. What an action must know it
//! names by `needs`; reading it is the controller's business, running the plan the runner's. No client, no clock.
//! The list of the actions is at the end; a new one is its file and its line there.

mod action;
mod budgets;
mod containers;
mod difference;
pub mod endpoints;
mod evacuation;
pub mod facts;
mod label_selector;
pub mod metadata;
pub mod parameters;
mod pausing;
mod pod_owner;
mod pod_removal;
mod pod_template;
pub mod quantity;
mod registry;
mod resource_room;
mod restart;
mod revisions;
mod rollout;
mod rollout_risk;
mod room;
mod scaling;
mod schedulability;
mod suspension;
mod taints;

#[cfg(test)]
mod every_action;
#[cfg(test)]
mod fixtures;

pub use action::{Action, Draft, PlanError, Planner, RiskFactor, Target};
pub use registry::{Lookup, REGISTRY_VERSION, Registry};

registry::actions! {
    cordon_node::CordonNode,
    delete_pod::DeletePod,
    drain_node::DrainNode,
    evict_pod::EvictPod,
    increase_resources::IncreaseResources,
    modify_configmap::ModifyConfigMap,
    notify_only::NotifyOnly,
    pause_rollout::PauseRollout,
    restart_daemonset::RestartDaemonSet,
    restart_deployment::RestartDeployment,
    restart_pod::RestartPod,
    restart_statefulset::RestartStatefulSet,
    resume_cronjob::ResumeCronJob,
    resume_rollout::ResumeRollout,
    rollback_daemonset::RollbackDaemonSet,
    rollback_deployment::RollbackDeployment,
    rollback_statefulset::RollbackStatefulSet,
    scale_deployment::ScaleDeployment,
    scale_statefulset::ScaleStatefulSet,
    set_image::SetImage,
    suspend_cronjob::SuspendCronJob,
    taint_node::TaintNode,
    uncordon_node::UncordonNode,
    untaint_node::UntaintNode,
    validate_resource::ValidateResource,
    wait_for_condition::WaitForCondition,
}

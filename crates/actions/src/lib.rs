//! The actions: one file each, with its parameters, its metadata and a pure planner. What an action must know it
//! names by `needs`; reading it is the controller's business, running the plan the runner's. No client, no clock.

mod action;
pub mod facts;
pub mod metadata;
pub mod parameters;
mod pod_owner;
mod registry;
mod rollout;
mod schedulability;

mod cordon_node;
mod modify_configmap;
mod restart_pod;
mod scale_deployment;
mod uncordon_node;

#[cfg(test)]
mod every_action;
#[cfg(test)]
mod fixtures;

pub use action::{Action, Draft, PlanError, Planner, RiskFactor, Target};
pub use registry::{Lookup, REGISTRY_VERSION, Registry};

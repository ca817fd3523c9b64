//! What the tests of the core crate start from. Each test says only what differs from the plain case: one Deployment
//! `web/shop` with two replicas, and an execution beside it that asks for five.

mod pods;
mod shown;
mod target;
mod world;

pub use pods::{Runner, ended_at, job, node_gone, pod, result, step};
pub use shown::{assert_consistent, line};
pub use target::{Facing, deployment, fact, patch, pods_need, target_need};
pub use world::{ConfigChange, World, at};

//! All Kubernetes I/O of the operator: it gathers what a decision needs, has `kexec-core` decide, and performs that.
//! What is decided must not go in here.

mod cluster;
mod events;
mod leadership;
mod memory;
mod metrics;
mod operator;
mod options;
mod policies;
mod reconcile;
mod serve;
mod takeover;
mod watches;

pub use operator::{OperatorError, run};
pub use options::Options;

//! The KubernetesExecution resource: one action on one target, what came of it, and the schema that the API server
//! checks it by. What an action does with its parameters is not decided here.

mod crd;
pub mod duration;
mod schema;
pub mod spec;
pub mod status;

pub use crd::crd;
pub use spec::{KubernetesExecution, KubernetesExecutionSpec};
pub use status::KubernetesExecutionStatus;

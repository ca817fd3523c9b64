//! What the project makes from its own sources: the generated files, the objects an installation consists of, and
//! which crate may depend on which. Nothing here talks to a cluster.

pub mod edges;
pub mod generate;
pub mod install;
pub mod openapi;

//! What crosses a process boundary: the custom resources, the plan, what the runner is told and what it answers,
//! and the names all of them share. No client and no I/O belong here.
#![deny(missing_docs)]

mod closed_enum;
pub mod condition;
pub mod execution;
pub mod names;
pub mod phase;
pub mod plan;
pub mod uid_set;
pub mod work;

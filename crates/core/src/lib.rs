//! Facts in, decisions out: the phase machine, the Job of an attempt, and what its end means. No client and no clock
//! belong here; time comes in with the facts.

/// The registry and the facts: what of the actions the controller handles without knowing any of them.
pub use kexec_actions::metadata::{Metadata, TargetKind};
pub use kexec_actions::{Lookup, Planner, Registry, facts};

pub mod access;
pub mod attempt;
pub mod checks;
pub mod decide;
pub mod job;
pub mod outcome;
pub mod planning;
pub mod proof;
pub mod queue;
pub mod request;
pub mod risk;
pub mod settings;
pub mod status;
pub mod storage;
pub mod view;

//! The operator on a real API server, with real runners on a process node.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::large_futures,
    reason = "a test ends when what it stands on breaks, and its futures live once each"
)]

mod actions;
mod admission;
mod attempt;
mod authorization;
mod budget;
mod cancellation;
mod checks;
mod contention;
mod crashes;
mod deletion;
mod fence;
mod leadership;
mod lies;
mod life;
mod load;
mod losses;
mod lost_pods;
mod nodes;
mod plans;
mod refusals;
mod resource;
mod rollback;
mod service;
mod starts;
mod undo;
mod unreliable;
mod validations;
mod watches;

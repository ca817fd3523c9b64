//! Which of several replicas acts: the one that holds the leader Lease, by its own monotonic clock. The others stand by
//! and write nothing. It keeps replicas from getting in each other's way; that a double write is impossible is not its
//! matter (I10).

mod candidacy;
mod elector;
mod fence;
mod timing;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use candidacy::Loss;
pub use elector::{Elector, Place};
pub use fence::{Fence, NotLeading};
pub use timing::{Timing, TimingError};

//! One real cluster for all tests of a process, a scene of its own for each test, and the operator as a test runs it:
//! in this process, killed at will.

mod cluster;
mod ending;
mod operator;
mod rights;
mod scene;
mod stand_in;
mod wait;

pub use cluster::{Cluster, RUNNER_IMAGE, SHARED, apply, binary, install, repository};
pub use ending::{Ending, error_of};
pub use operator::Operator;
pub use rights::{Grantee, said};
pub use scene::{EXECUTION_TIMEOUT, Scene, create, phase};
pub use stand_in::{HELD_AFTER_THE_WRITE, HELD_BEFORE_THE_WRITE, StandIn, fault_on};
pub use wait::{DEADLINE, eventually};

//! The Job's binary: runs the steps of a plan exactly as planned, once, and says what happened. It knows no actions
//! and makes no decisions about what should be written.

pub mod answer;
pub mod claim;
pub mod client;
#[cfg(test)]
mod fixture;
pub mod limits;
pub mod meter;
pub mod order;
pub mod process;
pub mod request;
pub mod restore;
pub mod result;
pub mod run;
pub mod server;
pub mod settle;
pub mod step;
pub mod text;
pub mod undo;

//! Development only.
#[path = "end_to_end/lies.rs"]
mod lies;

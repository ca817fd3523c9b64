//! Crash suite alone.
#[path = "end_to_end/crashes.rs"]
mod crashes;
#[path = "end_to_end/runners.rs"]
mod runners;

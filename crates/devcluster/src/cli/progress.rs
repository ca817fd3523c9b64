//! What a person sees while a command works: one line per step, with the time since its start.

use std::time::Instant;

/// The clock of one command.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    began: Instant,
}

impl Progress {
    /// Starts counting.
    #[must_use]
    pub fn start() -> Self {
        Self {
            began: Instant::now(),
        }
    }

    /// One step was done or begins.
    pub fn say(&self, what: &str) {
        println!("[{:5.1} s] {what}", self.began.elapsed().as_secs_f64());
    }
}

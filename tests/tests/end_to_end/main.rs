//! The operator on a real API server, with real runners on a process node.

mod life;

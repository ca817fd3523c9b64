//! A real control plane and process node, shared by these tests; each test has a namespace of its own.
#![cfg(test)]

mod control_plane;
mod faults;
mod harness;
mod lifetime;
mod operator;
mod played;
mod processes;

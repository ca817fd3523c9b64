//! What the end-to-end tests stand on: ways to disturb the operator ([`fault_proxy`]) and to judge what it did
//! ([`audit`]). No tests of the operator itself here.

pub mod audit;
pub mod fault_proxy;

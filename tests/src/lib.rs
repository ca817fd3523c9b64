//! What the end-to-end tests stand on: ways to disturb the operator ([`fault_proxy`]) and to judge what it did
//! ([`audit`]), on a real API server ([`harness`]). No tests of the operator itself here.

#![expect(
    clippy::missing_panics_doc,
    reason = "what a test stands on ends the test when it breaks"
)]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what a test stands on ends the test when it breaks"
)]

pub mod audit;
pub mod fault_proxy;
pub mod harness;
pub mod helm;

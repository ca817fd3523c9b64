//! The Helm chart: what it renders to, and how it lives on a real API server.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends when what it stands on breaks, and its futures live once each"
)]

mod contents;
mod life;
mod reach;
mod settings;
mod site;
mod values;

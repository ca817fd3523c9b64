//! Child processes that cannot outlive this one: how they are started ([`launcher`], [`spawner`]) and how they are
//! watched and ended ([`child`]). What they are (an API server, a runner) is decided elsewhere.

pub mod child;
pub mod launcher;
pub(crate) mod spawner;

pub use child::{Child, Exit, Order};
pub use spawner::{Program, StartError};

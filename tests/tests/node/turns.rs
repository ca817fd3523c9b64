//! Whose turn it is: most stories share the nodes, those that take one away or fill them have them alone.

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

static NODES: RwLock<()> = RwLock::const_new(());

/// The nodes, with other stories.
pub async fn shared() -> RwLockReadGuard<'static, ()> {
    NODES.read().await
}

/// The nodes, alone.
pub async fn alone() -> RwLockWriteGuard<'static, ()> {
    NODES.write().await
}

//! Waiting for a condition, with a deadline. Nothing here sleeps for a time that a test depends on.

use std::future::Future;
use std::time::Duration;

/// How long a test waits for what must come; far longer than it takes.
pub const DEADLINE: Duration = Duration::from_secs(90);
/// How often a condition is looked at that cannot be watched.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Waits until `look` finds something; on the deadline the test fails with `what`.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let found = tokio::time::timeout(DEADLINE, found).await;
    found.unwrap_or_else(|_| panic!("waited {DEADLINE:?} in vain for: {what}"))
}

//! The one tokio runtime on which everything of this crate that outlives a call runs: the supervision of child
//! processes and the process nodes. A cluster shared by many `#[tokio::test]` functions, each with a runtime of
//! its own, must not die with the first of them. Nothing else belongs here.

use std::{
    io,
    sync::{Arc, OnceLock},
};

use tokio::runtime::{Builder, Handle, Runtime};

static RUNTIME: OnceLock<Result<Runtime, Arc<io::Error>>> = OnceLock::new();

/// The process-wide runtime could not be made.
#[derive(Debug, thiserror::Error)]
#[error("failed to start the background threads of the dev cluster")]
pub struct StartRuntimeError(#[source] Arc<io::Error>);

/// The handle of the process-wide runtime, which is made on first use and lives as long as the process.
pub(crate) fn handle() -> Result<Handle, StartRuntimeError> {
    RUNTIME
        .get_or_init(|| {
            Builder::new_multi_thread()
                .worker_threads(2)
                .thread_name("devcluster")
                .enable_all()
                .build()
                .map_err(Arc::new)
        })
        .as_ref()
        .map(|runtime| runtime.handle().clone())
        .map_err(|error| StartRuntimeError(Arc::clone(error)))
}

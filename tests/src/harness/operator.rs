//! The operator as a test runs it: in this process, in a runtime of its own, so that it can be killed at any moment.

use std::time::Duration;

use clap::Parser;
use kexec_controller::Options;
use kube::Config;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::cluster::RUNNER_IMAGE;

/// A running operator; dropping it kills it.
pub struct Operator {
    runtime: Option<Runtime>,
    stop: CancellationToken,
}

impl Operator {
    /// Starts one that runs the executions of one namespace.
    #[must_use]
    pub fn start(config: Config, namespace: &str, more: &[&str]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let mut arguments = vec![
            "kubernaut-executor",
            "--listen",
            "127.0.0.1:0",
            "--execution-namespace",
            namespace,
        ];
        if !more.contains(&"--runner-image") {
            arguments.extend(["--runner-image", RUNNER_IMAGE]);
        }
        arguments.extend(more);
        let options = Options::try_parse_from(arguments).expect("options");
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        runtime.spawn(async move {
            if let Err(error) = kexec_controller::run(config, options, stopped).await {
                panic!("the operator ended: {error:?}");
            }
        });
        Self {
            runtime: Some(runtime),
            stop,
        }
    }

    /// Kills it: nothing it was about to do is done any more.
    pub fn kill(mut self) {
        self.end();
    }

    /// Tells it to stop, and drops it once it has.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(runtime) = self.runtime.take() {
            let ended = tokio::task::spawn_blocking(move || {
                runtime.shutdown_timeout(Duration::from_secs(15));
            })
            .await;
            ended.expect("the operator ends");
        }
    }

    fn end(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.end();
    }
}

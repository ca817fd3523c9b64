//! Waits until an execution would be executed: the operator is ready and the API server enforces the admission policies,
//! which it does some moments after they were made.

use std::{io, time::Duration};

use kexec_api::execution::KubernetesExecution;
use kube::{Api, api::PostParams};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep},
};

/// How long it may take.
const LIMIT: Duration = Duration::from_mins(1);

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(100);

/// What it was that did not come about.
#[derive(Debug, thiserror::Error)]
#[error("failed to see the cluster ready for executions within {} s: {last}", LIMIT.as_secs())]
pub struct NotReady {
    last: String,
}

/// Returns when the operator at this local port, unless it is a pod that was awaited already, is ready and `execution`, by the user of `executions`, would be accepted
/// with that user stamped as its requester. Nothing is created.
pub(super) async fn wait(
    port: Option<u16>,
    executions: &Api<KubernetesExecution>,
    execution: &KubernetesExecution,
) -> Result<(), NotReady> {
    let end = Instant::now() + LIMIT;
    loop {
        let operator = match port {
            Some(port) => operator_problem(port).await,
            None => None,
        };
        let problem = match operator {
            Some(problem) => Some(problem),
            None => admission_problem(executions, execution).await,
        };
        match problem {
            None => return Ok(()),
            Some(last) if Instant::now() >= end => return Err(NotReady { last }),
            Some(_) => sleep(INTERVAL).await,
        }
    }
}

/// Why the operator would not act, if it would not.
async fn operator_problem(port: u16) -> Option<String> {
    match readyz(port).await {
        Err(error) => Some(format!("the operator does not answer: {error}")),
        Ok(answer) if is_ok(&answer) => None,
        Ok(answer) => Some(format!("the operator is not ready: {}", body(&answer))),
    }
}

async fn readyz(port: u16) -> io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream
        .write_all(b"GET /readyz HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

fn is_ok(answer: &str) -> bool {
    answer.split(' ').nth(1) == Some("200")
}

fn body(answer: &str) -> &str {
    answer
        .split_once("\r\n\r\n")
        .map_or("", |(_, body)| body.trim())
}

/// Why the execution would not be accepted as it should, if it would not.
async fn admission_problem(
    executions: &Api<KubernetesExecution>,
    execution: &KubernetesExecution,
) -> Option<String> {
    let only_try = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    match executions.create(&only_try, execution).await {
        Err(error) => Some(format!("the execution is not accepted: {error}")),
        Ok(accepted) if accepted.spec.requested_by.is_some() => None,
        Ok(_) => Some("the requester is not stamped".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_good_only_by_its_status() {
        assert!(is_ok("HTTP/1.0 200 OK\r\n\r\nok"));
        let refused =
            "HTTP/1.1 503 Service Unavailable\r\nx: 200\r\n\r\nthe policies are missing\n";
        assert!(!is_ok(refused));
        assert_eq!(body(refused), "the policies are missing");
        assert!(!is_ok(""));
    }
}

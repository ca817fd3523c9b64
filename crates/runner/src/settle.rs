//! Sends one request until its answer settles the matter, within the run's limits. Which answers do so, and which are
//! safe to repeat after, is the caller's judgement.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use http::Request;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::limits::{Limits, StopReason};
use crate::server::{Reply, Server};

/// Pauses between tries: 100 ms, doubling to 2 s, each up to twice as long so that many runners spread out.
const BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_max_delay(Duration::from_secs(2))
    .without_max_times()
    .with_jitter();

/// What a judgement says about one reply.
#[derive(Debug, PartialEq)]
pub enum Judgement<T> {
    /// The matter is settled.
    Settled(T),
    /// The request is safe to send again.
    Again {
        /// What stood in the way.
        why: String,
        /// How long the server wants to be left alone.
        after: Option<Duration>,
    },
}

/// The last time a request was sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sent {
    /// When.
    pub at: Timestamp,
    /// How long its reply took.
    pub took: Duration,
    /// HTTP status of the reply.
    pub code: Option<u16>,
}

/// Why a matter was left unsettled. The request was never sent, or is known to have had no effect, or, where the
/// judgement lets requests of unknown effect be repeated, may have had one.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("{reason}{}", last.as_ref().map(|why| format!("; the last try failed: {why}")).unwrap_or_default())]
pub struct Interrupted {
    /// Why the work must stop.
    pub reason: StopReason,
    /// What stood in the way of the last try.
    pub last: Option<String>,
}

/// How it ended, and the last time the request was sent, if it was.
#[derive(Debug)]
pub struct Outcome<T> {
    /// How it ended.
    pub end: Result<T, Interrupted>,
    /// The last time the request was sent.
    pub sent: Option<Sent>,
}

/// Sends `request` until `judge` settles the matter or the run must stop. A request in flight is always awaited.
pub async fn settle<T>(
    server: &Server,
    limits: &Limits,
    request: &Request<Vec<u8>>,
    mut judge: impl FnMut(&Reply) -> Judgement<T>,
) -> Outcome<T> {
    let mut backoff = BACKOFF.build();
    let (mut sent, mut last) = (None, None);
    loop {
        if let Err(reason) = limits.check() {
            let end = Err(Interrupted { reason, last });
            return Outcome { end, sent };
        }
        let (at, began) = (limits.now(), Instant::now());
        let reply = server.send(request.clone()).await;
        sent = Some(Sent {
            at,
            took: began.elapsed(),
            code: reply.code(),
        });
        match judge(&reply) {
            Judgement::Settled(end) => return Outcome { end: Ok(end), sent },
            Judgement::Again { why, after } => {
                let pause = backoff.next().unwrap_or(Duration::from_secs(2));
                tracing::info!(why, "trying again");
                last = Some(why);
                // The loop's own check reports why the wait ended early.
                limits.wait(after.unwrap_or(pause).max(pause)).await.ok();
            }
        }
    }
}

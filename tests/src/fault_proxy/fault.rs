//! The faults there are, and scripts that pick one per request. How a fault is carried out stands in the other files.

use std::time::Duration;

use http::StatusCode;
use kube::core::Status;

use super::{request::RequestInfo, watch::WatchEvent};

/// What is done with a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Forwarded, and answered with what the server says.
    Pass,
    /// The controller dies right before this request: it never reaches the server, and neither does any later one.
    KillBefore,
    /// Lost on its way to the server; the client sees its connection reset.
    LoseRequest,
    /// Done by the server; its answer is lost and the client sees its connection reset.
    LoseAnswer,
    /// The controller dies when the server has answered and before it learns of it.
    KillAfter,
    /// The controller dies when it has got the answer; nothing it does after that reaches the server.
    KillAfterDelivery,
    /// Answered by the proxy with this status; it never reaches the server. See [`Fault::answer`].
    Answer(Box<Status>),
    /// Held back until [`super::FaultProxy::release`], then forwarded, unless the client has gone by then.
    Hang,
    /// Held back for so long, then forwarded, unless the client has gone by then.
    Delay(Duration),
}

impl Fault {
    /// An answer with `code` and the reason the API server gives with it.
    #[must_use]
    pub fn answer(code: StatusCode) -> Self {
        let reason = match code {
            StatusCode::UNAUTHORIZED => "Unauthorized",
            StatusCode::FORBIDDEN => "Forbidden",
            StatusCode::NOT_FOUND => "NotFound",
            StatusCode::CONFLICT => "Conflict",
            StatusCode::GONE => "Expired",
            StatusCode::UNPROCESSABLE_ENTITY => "Invalid",
            StatusCode::TOO_MANY_REQUESTS => "TooManyRequests",
            StatusCode::INTERNAL_SERVER_ERROR => "InternalError",
            StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
            StatusCode::GATEWAY_TIMEOUT => "Timeout",
            _ => "",
        };
        let message = format!("scripted answer {}", code.as_u16());
        Self::Answer(
            Status::failure(&message, reason)
                .with_code(code.as_u16())
                .boxed(),
        )
    }
}

/// What is done with an event on a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchFault {
    /// Passed on.
    Pass,
    /// Left out.
    Drop,
    /// Lost with its watch: the connection is reset in its place.
    Cut,
    /// Passed on twice.
    Duplicate,
    /// Passed on after so long; the events behind it on the same watch wait with it.
    Delay(Duration),
    /// Passed on after [`super::FaultProxy::release`]; the events behind it on the same watch wait with it.
    Hold,
}

/// Decides per request. It is asked one request at a time and must not call the proxy.
pub(super) type Script = Box<dyn Fn(&RequestInfo) -> Fault + Send + Sync>;
/// Decides per event on a watch, as [`Script`] does per request.
pub(super) type WatchScript = Box<dyn Fn(&WatchEvent) -> WatchFault + Send + Sync>;
/// Says which writes are numbered.
pub(super) type Numbered = Box<dyn Fn(&RequestInfo) -> bool + Send + Sync>;

/// No faults.
pub fn pass() -> impl Fn(&RequestInfo) -> Fault + Send + Sync + 'static {
    |_| Fault::Pass
}

/// The controller dies before its `n`th write.
pub fn kill_before_write(n: u64) -> impl Fn(&RequestInfo) -> Fault + Send + Sync + 'static {
    at_write(n, Fault::KillBefore)
}

/// The controller dies after its `n`th write is done and before it learns of it.
pub fn kill_after_write(n: u64) -> impl Fn(&RequestInfo) -> Fault + Send + Sync + 'static {
    at_write(n, Fault::KillAfter)
}

/// The `n`th write is done and its answer lost; the controller lives on.
pub fn lose_answer_of_write(n: u64) -> impl Fn(&RequestInfo) -> Fault + Send + Sync + 'static {
    at_write(n, Fault::LoseAnswer)
}

/// `fault` for the `n`th write only.
pub fn at_write(n: u64, fault: Fault) -> impl Fn(&RequestInfo) -> Fault + Send + Sync + 'static {
    move |request| {
        if request.write == Some(n) {
            fault.clone()
        } else {
            Fault::Pass
        }
    }
}

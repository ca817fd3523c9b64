//! Every call the operator makes, one file a kind of object: each has a time-out, takes part in the concurrency limit,
//! is counted, and fails with an error that says what may be done about it. No write leaves a replica that does not
//! lead. No decision is made here.

mod access;
mod attempts;
mod depth;
mod error;
mod executions;
mod leases;
mod plans;
mod policies;
pub mod reads;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{Request, Response};
use http_body_util::BodyExt;
use kube::client::{Body, ClientBuilder, DynBody};
use kube::{Client, Config};
use tokio::sync::Semaphore;
use tower::filter::FilterLayer;
use tower::util::MapResponseLayer;

use depth::Shallow;

use crate::leadership::{Fence, NotLeading};
use crate::metrics::{CallResult, Metrics};

pub use attempts::Created;
pub use error::{CallError, Class, ConnectError};
pub use executions::Written;
pub use leases::Leases;
pub use policies::{LivePolicy, PolicyObject};

/// Longest time one call may take (BR-PERF-001).
pub const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Calls in flight at once; the API server gains nothing from more.
const MAX_IN_FLIGHT: usize = 32;
/// Longest silence of a watch: the API server sends a bookmark about every minute, so a longer one is a lost connection.
const WATCH_SILENCE: Duration = Duration::from_secs(150);
/// Times that a question is asked which decides whether an execution begins: one lost answer refuses nothing.
const ASK_TIMES: u32 = 4;
/// Pause before the second time; doubled before each further one.
const ASK_PAUSE: Duration = Duration::from_millis(250);
/// Longest time to open a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A client whose answers can all be decoded, however deeply they are nested, and whose writes the fence lets pass.
fn client(config: Config, fence: &Fence) -> Result<Client, ConnectError> {
    let shallow = MapResponseLayer::new(|response: Response<_>| {
        let mut shallow = Shallow::default();
        response.map(|body: Box<DynBody>| {
            body.map_frame(move |frame| frame.map_data(|bytes| shallow.pass(bytes)))
        })
    });
    let builder = ClientBuilder::try_from(config).map_err(ConnectError::BuildClient)?;
    let fence = fence.clone();
    // The outermost of all: a request that waits for anything else, but for its connection, has not passed yet.
    let fenced = FilterLayer::new(move |request: Request<Body>| -> Result<_, NotLeading> {
        if !request.method().is_safe() {
            fence.pass()?;
        }
        Ok(request)
    });
    Ok(builder.with_layer(&shallow).with_layer(&fenced).build())
}

/// How calls reach the API server: without the library's retries, which repeat any verb.
fn calls_of(config: &Config) -> Config {
    let mut calls = config.clone();
    calls.default_retry = false;
    calls.connect_timeout = Some(CONNECT_TIMEOUT);
    calls.write_timeout = Some(CALL_TIMEOUT);
    calls
}

/// Makes one call, within its time-out, and counts it.
async fn timed<T>(
    metrics: &Metrics,
    what: &'static str,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, CallError> {
    let start = Instant::now();
    // Boxed, for the futures of reconciles hold many calls.
    let result = match tokio::time::timeout(CALL_TIMEOUT, Box::pin(call)).await {
        Err(_) => Err(CallError::TimeOut { what }),
        Ok(Err(cause)) => Err(CallError::Call {
            what,
            cause: Box::new(cause),
        }),
        Ok(Ok(answer)) => Ok(answer),
    };
    let outcome = match &result {
        Ok(_) => CallResult::Ok,
        Err(CallError::TimeOut { .. }) => CallResult::TimedOut,
        Err(CallError::Call { .. } | CallError::ReadAnswer { .. }) => CallResult::Failed,
    };
    metrics.call(what, outcome, start.elapsed());
    result
}

/// The API server, as the operator uses it.
#[derive(Clone)]
pub struct Cluster {
    calls: Client,
    watches: Client,
    in_flight: Arc<Semaphore>,
    metrics: Arc<Metrics>,
    system_namespace: String,
}

impl Cluster {
    /// Two clients of one API server: watches as the library makes them, and calls.
    pub fn connect(
        config: &Config,
        system_namespace: &str,
        metrics: Arc<Metrics>,
        fence: &Fence,
    ) -> Result<Self, ConnectError> {
        let mut watches = config.clone();
        watches.connect_timeout = Some(CONNECT_TIMEOUT);
        watches.read_timeout = Some(WATCH_SILENCE);
        watches.reset_reader_on_write = true;
        Ok(Self {
            calls: client(calls_of(config), fence)?,
            watches: client(watches, fence)?,
            in_flight: Arc::new(Semaphore::new(MAX_IN_FLIGHT)),
            metrics,
            system_namespace: system_namespace.to_owned(),
        })
    }

    /// The client for watches.
    #[must_use]
    pub fn watches(&self) -> Client {
        self.watches.clone()
    }

    /// The client for events.
    #[must_use]
    pub fn events(&self) -> Client {
        self.calls.clone()
    }

    /// Makes one call.
    async fn call<T>(
        &self,
        what: &'static str,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, CallError> {
        let Ok(_permit) = self.in_flight.acquire().await else {
            return Err(CallError::TimeOut { what });
        };
        timed(&self.metrics, what, call).await
    }

    /// Makes a call that changes nothing, again when it got no answer that counts.
    async fn ask_until_answered<T, F>(
        &self,
        what: &'static str,
        call: impl Fn() -> F,
    ) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, kube::Error>>,
    {
        let mut pause = ASK_PAUSE;
        for _ in 1..ASK_TIMES {
            match self.call(what, call()).await {
                Err(error) if error.class() == Class::Transient => {
                    tracing::debug!(%error, "asked again");
                }
                answer => return answer,
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2);
        }
        self.call(what, call()).await
    }
}

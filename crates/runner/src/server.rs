//! One call to the API server: sent once, bounded in time and size, counted. What an answer means is not decided
//! here, and nothing is repeated here.

use std::error::Error;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{Request, Response, header};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use kube::core::Status;
use tokio::time::{Instant, timeout_at};

use crate::meter::CallFigures;
use crate::text::{MAX_TEXT_CHARS, printable};

/// Longest time one call may take, from sending to the end of its answer (I9, BR-PERF-001).
pub const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest answer that is read; the API server's own messages are far smaller.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// What came of one call.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// The server answered.
    Answered(Answer),
    /// The request never reached the server: no connection could be opened, or no credentials were had.
    NotSent(String),
    /// The request was sent, or may have been, and no answer came.
    NoAnswer {
        /// What happened instead.
        why: String,
        /// The call ran into [`CALL_TIMEOUT`].
        timed_out: bool,
    },
}

/// An answer of the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub code: u16,
    /// How long the server wants to be left alone.
    pub retry_after: Option<Duration>,
    /// The answer's body, as far as it could be read.
    pub body: Vec<u8>,
}

impl Answer {
    /// The answer as a Kubernetes `Status`, when it is one.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        let status: Status = serde_json::from_slice(&self.body).ok()?;
        status.is_failure().then_some(status)
    }

    /// What the server said in words, safe to show.
    #[must_use]
    pub fn message(&self) -> String {
        let said = self.status().map_or_else(
            || String::from_utf8_lossy(&self.body).into_owned(),
            |status| status.message,
        );
        let said = printable(said.trim(), MAX_TEXT_CHARS);
        if said.is_empty() {
            format!("HTTP {} without a message", self.code)
        } else {
            format!("HTTP {}: {said}", self.code)
        }
    }

    /// How long the server wants to be left alone, by its header or its `Status`.
    #[must_use]
    pub fn wanted_pause(&self) -> Option<Duration> {
        self.retry_after.or_else(|| {
            let seconds = self.status()?.details?.retry_after_seconds;
            (seconds > 0).then(|| Duration::from_secs(seconds.into()))
        })
    }
}

impl Reply {
    /// HTTP status, when there was an answer.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Answered(answer) => Some(answer.code),
            Self::NotSent(_) | Self::NoAnswer { .. } => None,
        }
    }
}

/// The API server and the figures of the calls made to it.
pub struct Server {
    client: Client,
    figures: Mutex<CallFigures>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

impl Server {
    /// The server behind `client`, which must not retry on its own.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            figures: Mutex::default(),
        }
    }

    /// Sends `request` once and waits for its answer, at most [`CALL_TIMEOUT`] for both.
    pub async fn send(&self, request: Request<Vec<u8>>) -> Reply {
        let began = Instant::now();
        let give_up = began + CALL_TIMEOUT;
        let reply = match timeout_at(give_up, self.client.send(request.map(Body::from))).await {
            Ok(Ok(response)) => Reply::Answered(read(response, give_up).await),
            Ok(Err(error)) => from_error(&error),
            Err(_) => Reply::NoAnswer {
                why: format!("no answer within {} s", CALL_TIMEOUT.as_secs()),
                timed_out: true,
            },
        };
        self.figures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .record(began.elapsed(), &reply);
        reply
    }

    /// The figures of the calls so far.
    #[must_use]
    pub fn figures(&self) -> CallFigures {
        self.figures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// The answer's head is what counts; its body is read as far as time and size allow.
async fn read(response: Response<Body>, give_up: Instant) -> Answer {
    let (head, mut content) = response.into_parts();
    let mut body = Vec::new();
    while let Ok(Some(Ok(frame))) = timeout_at(give_up, content.frame()).await {
        if let Some(data) = frame.data_ref() {
            body.extend_from_slice(data);
        }
        if body.len() > MAX_ANSWER_BYTES {
            body.truncate(MAX_ANSWER_BYTES);
            break;
        }
    }
    let retry_after = head
        .headers
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    Answer {
        code: head.status.as_u16(),
        retry_after,
        body,
    }
}

/// Tells an error from before the request was sent from one after.
fn from_error(error: &kube::Error) -> Reply {
    let why = printable(&with_causes(error), MAX_TEXT_CHARS);
    if causes(error).any(is_from_before_sending) {
        Reply::NotSent(why)
    } else {
        Reply::NoAnswer {
            why,
            timed_out: false,
        }
    }
}

/// True when the connection could not be opened, or no credentials were had to send over it.
fn is_from_before_sending(cause: &(dyn Error + 'static)) -> bool {
    cause.is::<kube::client::AuthError>()
        || cause
            .downcast_ref::<hyper_util::client::legacy::Error>()
            .is_some_and(hyper_util::client::legacy::Error::is_connect)
}

/// `error` and everything below it.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The messages of `error` and its causes; many of them repeat their cause's, which is then left out.
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut shown = String::new();
    for cause in causes(error) {
        let message = cause.to_string();
        if !shown.contains(&message) {
            if !shown.is_empty() {
                shown.push_str(": ");
            }
            shown.push_str(&message);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::io;

    use serde_json::json;

    use super::*;
    use crate::fixture::{failure, mock};

    fn get(path: &str) -> Request<Vec<u8>> {
        Request::get(path).body(vec![]).unwrap()
    }

    #[tokio::test]
    async fn a_closed_port_is_known_not_to_have_been_reached() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let mut config = kube::Config::new(format!("http://{address}").parse().unwrap());
        crate::client::restrain(&mut config);
        let server = Server::new(Client::try_from(config).unwrap());
        let reply = server.send(get("/api/v1/pods")).await;
        assert!(
            matches!(&reply, Reply::NotSent(why) if why.contains("onnect")),
            "{reply:?}"
        );
    }

    #[tokio::test]
    async fn without_credentials_nothing_is_sent() {
        let (server, mut handle) = mock();
        let call = tokio::spawn(async move { server.send(get("/x")).await });
        let (_, respond) = handle.next_request().await.unwrap();
        respond.send_error(kube::client::AuthError::UnrefreshableTokenResponse);
        let reply = call.await.unwrap();
        assert!(
            matches!(&reply, Reply::NotSent(why) if why.contains("token")),
            "{reply:?}"
        );
    }

    #[tokio::test]
    async fn a_connection_reset_after_sending_is_no_answer() {
        let (server, mut handle) = mock();
        let call = tokio::spawn(async move { server.send(get("/x")).await });
        let (_, respond) = handle.next_request().await.unwrap();
        respond.send_error(io::Error::from(io::ErrorKind::ConnectionReset));
        let reply = call.await.unwrap();
        assert!(
            matches!(
                &reply,
                Reply::NoAnswer {
                    timed_out: false,
                    ..
                }
            ),
            "{reply:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_is_given_up_after_five_seconds_and_counted() {
        let (server, mut handle) = mock();
        let began = Instant::now();
        let call = tokio::spawn(async move { (server.send(get("/x")).await, server.figures()) });
        let _held = handle.next_request().await.unwrap();
        let (reply, figures) = call.await.unwrap();
        assert!(matches!(
            reply,
            Reply::NoAnswer {
                timed_out: true,
                ..
            }
        ));
        assert_eq!(began.elapsed().as_secs(), 5);
        assert_eq!(
            (figures.calls, figures.failed, figures.timed_out),
            (1, 1, 1)
        );
    }

    #[tokio::test]
    async fn an_answer_of_ten_mebibytes_is_read_in_part_only() {
        let (server, mut handle) = mock();
        let call = tokio::spawn(async move { server.send(get("/x")).await });
        let (_, respond) = handle.next_request().await.unwrap();
        respond.send_response(failure(500, &"y".repeat(10 * 1024 * 1024), json!({})));
        let Reply::Answered(answer) = call.await.unwrap() else {
            panic!("no answer")
        };
        assert_eq!((answer.code, answer.body.len()), (500, MAX_ANSWER_BYTES));
        assert!(answer.message().len() < 5000);
    }

    #[tokio::test]
    async fn the_pause_the_server_asks_for_is_found_in_header_and_status() {
        let (server, mut handle) = mock();
        let call =
            tokio::spawn(
                async move { (server.send(get("/x")).await, server.send(get("/x")).await) },
            );
        let (_, respond) = handle.next_request().await.unwrap();
        let mut response = failure(429, "slow down", json!({}));
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, "7".parse().unwrap());
        respond.send_response(response);
        let (_, respond) = handle.next_request().await.unwrap();
        respond.send_response(failure(429, "slow down", json!({"retryAfterSeconds": 3})));
        let (Reply::Answered(header), Reply::Answered(status)) = call.await.unwrap() else {
            panic!("no answer")
        };
        assert_eq!(header.wanted_pause(), Some(Duration::from_secs(7)));
        assert_eq!(status.wanted_pause(), Some(Duration::from_secs(3)));
        assert_eq!(status.message(), "HTTP 429: slow down");
    }

    #[test]
    fn an_answer_that_is_no_status_is_shown_as_it_is_without_control_characters() {
        let answer = Answer {
            code: 502,
            retry_after: None,
            body: b"<html>\x1b[2J bad gateway\n".to_vec(),
        };
        assert_eq!(answer.message(), "HTTP 502: <html>\\u{1b}[2J bad gateway");
    }
}

//! One request and its answer: carries out the fault the script picked.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER},
    request::Parts,
};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Incoming};
use kube::core::Status;
use serde_json::Value;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{
    fault::Fault,
    ledger::{Admission, Generation, Ledger},
    request::RequestInfo,
    upstream::{Upstream, UpstreamError},
    watch,
};

pub(super) type AnswerBody = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// Why a client gets no answer: its connection is reset.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unanswered {
    /// The request did not arrive whole.
    #[error("failed to read the request")]
    ReadRequest(#[source] hyper::Error),
    /// It came from a controller that counts as dead.
    #[error("failed to admit a request of a controller that was killed")]
    Dead,
    /// The script wants it so.
    #[error("failed on purpose, as scripted")]
    Scripted,
    /// The server could not be asked.
    #[error("failed to forward the request")]
    Forward(#[source] UpstreamError),
    /// The server's answer did not arrive whole.
    #[error("failed to read the answer")]
    ReadAnswer(#[source] hyper::Error),
    /// The answer is not valid HTTP.
    #[error("failed to build the answer")]
    BuildAnswer(#[source] http::Error),
    /// The task that asked the server is gone.
    #[error("failed to finish forwarding")]
    Join(#[source] tokio::task::JoinError),
}

/// What happens when the server has answered.
#[derive(Clone, Copy)]
enum AfterAnswer {
    Nothing,
    Kill,
    LastAnswer,
}

/// What a connection's requests share.
#[derive(Clone)]
pub(super) struct Exchange {
    pub(super) ledger: Arc<Ledger>,
    pub(super) upstream: Upstream,
    pub(super) generation: Generation,
    /// Set when the end of the connection is the end of the controller's life.
    pub(super) kill_at_end: Arc<AtomicBool>,
}

impl Exchange {
    /// Answers one request, or resets its connection.
    pub(super) async fn answer(
        self,
        request: Request<Incoming>,
    ) -> Result<Response<AnswerBody>, Unanswered> {
        let (head, body) = request.into_parts();
        let body = body
            .collect()
            .await
            .map_err(Unanswered::ReadRequest)?
            .to_bytes();
        let admission = self
            .ledger
            .admit(&head, body, self.generation.number)
            .ok_or(Unanswered::Dead)?;
        let mut outcome = Outcome {
            ledger: &self.ledger,
            ordinal: admission.request.ordinal,
            decided: false,
        };
        let answer = self.carry_out(head, admission).await;
        outcome.decided = true;
        if let Ok(answer) = &answer {
            outcome.answered(answer.status());
        }
        answer
    }

    async fn carry_out(
        &self,
        head: Parts,
        admission: Admission,
    ) -> Result<Response<AnswerBody>, Unanswered> {
        let Admission {
            request,
            fault,
            ticket,
            mut release,
        } = admission;
        match fault {
            Fault::Pass => {
                self.forward(head, request, ticket, AfterAnswer::Nothing)
                    .await
            }
            Fault::KillBefore | Fault::LoseRequest => Err(Unanswered::Scripted),
            Fault::LoseAnswer => {
                self.forward(head, request, ticket, AfterAnswer::Nothing)
                    .await?;
                Err(Unanswered::Scripted)
            }
            Fault::KillAfter => {
                self.forward(head, request, ticket, AfterAnswer::Kill)
                    .await?;
                Err(Unanswered::Scripted)
            }
            Fault::KillAfterDelivery => {
                self.kill_at_end.store(true, Ordering::SeqCst);
                let mut answer = self
                    .forward(head, request, ticket, AfterAnswer::LastAnswer)
                    .await?;
                answer
                    .headers_mut()
                    .insert(CONNECTION, HeaderValue::from_static("close"));
                Ok(answer)
            }
            Fault::Answer(status) => scripted_answer(&status),
            Fault::Hang => {
                drop(ticket);
                release.wait().await;
                self.forward_late(head, request).await
            }
            Fault::Delay(duration) => {
                drop(ticket);
                tokio::time::sleep(duration).await;
                self.forward_late(head, request).await
            }
        }
    }

    async fn forward_late(
        &self,
        head: Parts,
        request: RequestInfo,
    ) -> Result<Response<AnswerBody>, Unanswered> {
        let ticket = self
            .ledger
            .readmit(self.generation.number)
            .ok_or(Unanswered::Dead)?;
        self.forward(head, request, ticket, AfterAnswer::Nothing)
            .await
    }

    /// Asks the server in a task of its own: a write that was let through is done whatever becomes of the client.
    async fn forward(
        &self,
        head: Parts,
        request: RequestInfo,
        ticket: TaskTrackerToken,
        after: AfterAnswer,
    ) -> Result<Response<AnswerBody>, Unanswered> {
        let this = self.clone();
        let task = tokio::spawn(async move {
            let ordinal = request.ordinal;
            let generation = this.generation.number;
            let answer = tokio::select! {
                answer = this.ask(head, &request) => answer,
                () = this.generation.death.cancelled(), if !request.is_write() => Err(Unanswered::Dead),
            };
            this.ledger.note(ordinal, |seen| match &answer {
                Ok(answer) => seen.code = Some(answer.status().as_u16()),
                Err(error) => seen.error = Some(describe(error)),
            });
            match after {
                AfterAnswer::Nothing => {}
                AfterAnswer::Kill => this.ledger.kill(generation),
                AfterAnswer::LastAnswer => this.ledger.last_answer(generation),
            }
            drop(ticket);
            answer
        });
        task.await.map_err(Unanswered::Join)?
    }

    /// The server's answer: to a write whole, to a read as a stream, to a watch as events.
    async fn ask(
        &self,
        head: Parts,
        request: &RequestInfo,
    ) -> Result<Response<AnswerBody>, Unanswered> {
        let watches = request.attributes.verb == "watch";
        let answer = self
            .upstream
            .send(head, request.body.clone(), watches)
            .await
            .map_err(Unanswered::Forward)?;
        let (mut head, body) = answer.into_parts();
        super::upstream::strip_hop_by_hop(&mut head.headers);
        let body = if request.is_write() {
            let whole = body.collect().await.map_err(Unanswered::ReadAnswer)?;
            full(whole.to_bytes())
        } else if watches && head.status == StatusCode::OK {
            let request = request.for_log();
            let frames = watch::frames(Arc::clone(&self.ledger), request, body);
            StreamBody::new(frames).map_err(Into::into).boxed_unsync()
        } else {
            body.map_err(Into::into).boxed_unsync()
        };
        Ok(Response::from_parts(head, body))
    }
}

/// Notes in the log how an exchange ended, also when it was cut short.
struct Outcome<'a> {
    ledger: &'a Ledger,
    ordinal: u64,
    decided: bool,
}

impl Outcome<'_> {
    fn answered(&self, code: StatusCode) {
        self.ledger
            .note(self.ordinal, |seen| seen.answered = Some(code.as_u16()));
    }
}

impl Drop for Outcome<'_> {
    fn drop(&mut self) {
        if !self.decided {
            self.ledger.note(self.ordinal, |seen| seen.abandoned = true);
        }
    }
}

fn full(bytes: Bytes) -> AnswerBody {
    Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// `status` as the API server sends it.
fn scripted_answer(status: &Status) -> Result<Response<AnswerBody>, Unanswered> {
    let mut object = serde_json::json!(status);
    if let Value::Object(fields) = &mut object {
        fields.insert("kind".to_owned(), "Status".into());
        fields.insert("apiVersion".to_owned(), "v1".into());
    }
    let mut answer = Response::builder()
        .status(status.code)
        .header(CONTENT_TYPE, "application/json");
    let retry_after = status
        .details
        .as_ref()
        .map_or(0, |details| details.retry_after_seconds);
    if retry_after > 0 {
        answer = answer.header(RETRY_AFTER, retry_after);
    }
    answer
        .body(full(object.to_string().into()))
        .map_err(Unanswered::BuildAnswer)
}

/// The error with its causes.
fn describe(error: &Unanswered) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

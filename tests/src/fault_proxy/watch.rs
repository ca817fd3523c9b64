//! The events of a watch: cuts the streamed answer into its lines, one JSON event each, and passes them on as the
//! watch script says. Bytes that are no whole line, or no event, go through as they are.

use std::{collections::VecDeque, io, sync::Arc};

use futures::{Stream, StreamExt, stream};
use http_body_util::BodyDataStream;
use hyper::body::{Body, Bytes, Frame};
use serde::Deserialize;
use serde_json::Value;

use super::{fault::WatchFault, ledger::Ledger, request::RequestInfo};

/// An event on a watch.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchEvent {
    /// [`RequestInfo::ordinal`] of the watch.
    pub watch: u64,
    /// API group of the watched resource.
    pub group: String,
    /// The watched resource.
    pub resource: String,
    /// `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK` or `ERROR`.
    pub event_type: String,
    /// The object's namespace; empty for a cluster-scoped one.
    pub namespace: String,
    /// The object's name; empty for bookmarks and errors.
    pub name: String,
    /// The object's resourceVersion.
    pub resource_version: String,
    /// The object.
    pub object: Arc<Value>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    event_type: String,
    object: Value,
}

impl WatchEvent {
    fn parse(request: &RequestInfo, line: &[u8]) -> Option<Self> {
        let Line { event_type, object } = serde_json::from_slice(line).ok()?;
        let metadata = |field: &str| {
            object
                .pointer("/metadata")
                .and_then(|metadata| metadata.get(field)?.as_str())
                .unwrap_or_default()
                .to_owned()
        };
        Some(Self {
            watch: request.ordinal,
            group: request.attributes.group.clone(),
            resource: request.attributes.resource.clone(),
            event_type,
            namespace: metadata("namespace"),
            name: metadata("name"),
            resource_version: metadata("resourceVersion"),
            object: Arc::new(object),
        })
    }
}

/// Collects bytes and hands out whole lines, newline included.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn pop(&mut self) -> Option<Bytes> {
        let end = self.0.iter().position(|byte| *byte == b'\n')?;
        let rest = self.0.split_off(end + 1);
        Some(Bytes::from(std::mem::replace(&mut self.0, rest)))
    }

    fn rest(&mut self) -> Option<Bytes> {
        (!self.0.is_empty()).then(|| Bytes::from(std::mem::take(&mut self.0)))
    }
}

struct Framing<B> {
    ledger: Arc<Ledger>,
    request: RequestInfo,
    body: BodyDataStream<B>,
    lines: Lines,
    /// To be passed on before anything else.
    ready: VecDeque<io::Result<Bytes>>,
}

/// The answer to the watch `request`, event by event, as the watch script wants it.
pub(super) fn frames<B>(
    ledger: Arc<Ledger>,
    request: RequestInfo,
    body: B,
) -> impl Stream<Item = Result<Frame<Bytes>, io::Error>>
where
    B: Body<Data = Bytes, Error = hyper::Error> + Unpin,
{
    let framing = Framing {
        ledger,
        request,
        body: BodyDataStream::new(body),
        lines: Lines::default(),
        ready: VecDeque::new(),
    };
    stream::unfold(framing, |mut framing| async move {
        let item = framing.next().await?;
        Some((item.map(Frame::data), framing))
    })
}

impl<B> Framing<B>
where
    B: Body<Data = Bytes, Error = hyper::Error> + Unpin,
{
    async fn next(&mut self) -> Option<Result<Bytes, io::Error>> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(ready);
            }
            if let Some(line) = self.lines.pop() {
                self.judge(line).await;
                continue;
            }
            match self.body.next().await {
                Some(Ok(bytes)) => self.lines.push(&bytes),
                Some(Err(error)) => return Some(Err(io::Error::other(error))),
                None => return self.lines.rest().map(Ok),
            }
        }
    }

    /// Queues `line` as often as the script says, when it says.
    async fn judge(&mut self, line: Bytes) {
        let Some(event) = WatchEvent::parse(&self.request, &line) else {
            self.ready.push_back(Ok(line));
            return;
        };
        let (fault, mut release) = self.ledger.judge_event(event);
        match fault {
            WatchFault::Pass => {}
            WatchFault::Drop => return,
            WatchFault::Cut => {
                let reset = io::Error::new(io::ErrorKind::ConnectionReset, "cut on purpose");
                self.ready.push_back(Err(reset));
                return;
            }
            WatchFault::Duplicate => self.ready.push_back(Ok(line.clone())),
            WatchFault::Delay(duration) => tokio::time::sleep(duration).await,
            WatchFault::Hold => release.wait().await,
        }
        self.ready.push_back(Ok(line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_however_the_bytes_arrive() {
        let mut lines = Lines::default();
        lines.push(b"{\"a\":1}\n{\"b\"");
        assert_eq!(lines.pop().as_deref(), Some(b"{\"a\":1}\n".as_slice()));
        assert_eq!(lines.pop(), None);
        lines.push(b":2}\n");
        assert_eq!(lines.pop().as_deref(), Some(b"{\"b\":2}\n".as_slice()));
        assert_eq!(lines.rest(), None);
    }
}

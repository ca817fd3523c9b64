//! The server that stands for the API server: remembers what it got and answers as its paths say.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use futures::{StreamExt, channel::mpsc};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Bytes, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};

/// Writes to this path are answered only once [`Server::open_gate`] was called.
pub(super) const GATED: &str = "/api/v1/namespaces/gated/configmaps";

#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

struct Shared {
    received: watch::Sender<Vec<Received>>,
    gate: Semaphore,
    watch: Mutex<Option<mpsc::UnboundedReceiver<Bytes>>>,
}

pub(super) struct Server {
    url: Uri,
    shared: Arc<Shared>,
    events: mpsc::UnboundedSender<Bytes>,
}

impl Server {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (events, watch) = mpsc::unbounded();
        let shared = Arc::new(Shared {
            received: watch::Sender::new(Vec::new()),
            gate: Semaphore::new(0),
            watch: Mutex::new(Some(watch)),
        });
        tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self {
            url: url.parse().unwrap(),
            shared,
            events,
        }
    }

    pub(super) fn url(&self) -> Uri {
        self.url.clone()
    }

    pub(super) fn received(&self) -> Vec<Received> {
        self.shared.received.borrow().clone()
    }

    /// The names of the objects it was asked to create.
    pub(super) fn created(&self) -> Vec<String> {
        self.received()
            .iter()
            .filter(|received| received.method == Method::POST)
            .map(|received| {
                let object: Value = serde_json::from_slice(&received.body).unwrap();
                object["metadata"]["name"].as_str().unwrap().to_owned()
            })
            .collect()
    }

    pub(super) async fn wait_until_it_received(&self, count: usize) {
        let mut received = self.shared.received.subscribe();
        super::soon(received.wait_for(|received| received.len() >= count))
            .await
            .unwrap();
    }

    pub(super) fn open_gate(&self) {
        self.shared.gate.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    /// Sends these bytes on the open watch, or the first that will be opened.
    pub(super) fn send(&self, bytes: &str) {
        self.events
            .unbounded_send(Bytes::copy_from_slice(bytes.as_bytes()))
            .unwrap();
    }

    pub(super) fn end_watch(&self) {
        self.events.close_channel();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| answer(Arc::clone(&shared), request));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<UnsyncBoxBody<Bytes, Infallible>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let path = head.uri.to_string();
    shared.received.send_modify(|received| {
        received.push(Received {
            method: head.method.clone(),
            path: path.clone(),
            headers: head.headers,
            body: body.clone(),
        });
    });
    if path == GATED {
        shared.gate.acquire().await.unwrap().forget();
    }
    let watch = if path.contains("watch=true") {
        shared.watch.lock().unwrap().take()
    } else {
        None
    };
    let body = match watch {
        Some(watch) => StreamBody::new(watch.map(|bytes| Ok(Frame::data(bytes)))).boxed_unsync(),
        None => Full::new(Bytes::from(path)).boxed_unsync(),
    };
    let mut response = Response::new(body);
    if head.method == Method::POST {
        *response.status_mut() = StatusCode::CREATED;
    }
    Ok(response)
}

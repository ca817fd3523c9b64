//! `containerLogs` over HTTPS, which is all that `kubectl logs` asks of a kubelet. Only the cluster's API server is let
//! in, by its client certificate.

use std::{convert::Infallible, io, path::PathBuf, sync::Arc, time::Duration};

use futures::{Stream, StreamExt, stream};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Bytes, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
    net::{TcpListener, TcpStream},
    time::sleep,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, RootCertStore, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::WebPkiClientVerifier,
    },
};

use super::{HOST_ADDRESS, container::log_file, host::Host, live::LivePod};
use crate::certificates::{Authority, CertificateError};

/// Between two looks at a log that is followed.
const FOLLOW: Duration = Duration::from_millis(100);

const CHUNK: usize = 64 * 1024;

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// What keeps logs from being served.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// The serving certificate.
    #[error("failed to make the node's serving certificate")]
    Certificate(#[source] CertificateError),
    /// The certificate is not one the TLS library reads.
    #[error("failed to read back the node's serving certificate")]
    ReadPem(#[source] rustls::pki_types::pem::Error),
    /// The TLS setup.
    #[error("failed to set up TLS")]
    Tls(#[source] rustls::Error),
    /// The check of clients.
    #[error("failed to set up the check of client certificates")]
    Verifier(#[source] rustls::server::VerifierBuilderError),
    /// The port.
    #[error("failed to listen on {HOST_ADDRESS}")]
    Listen(#[source] io::Error),
}

/// A bound endpoint that does not answer yet.
pub(super) struct Listener {
    socket: TcpListener,
    port: u16,
    tls: TlsAcceptor,
}

impl Listener {
    /// Listens on a free port with a certificate of the cluster's authority.
    pub(super) async fn bind(authority: &Authority, node: &str) -> Result<Self, LogsError> {
        let tls = tls(authority, node)?;
        let socket = TcpListener::bind((HOST_ADDRESS, 0))
            .await
            .map_err(LogsError::Listen)?;
        let port = socket.local_addr().map_err(LogsError::Listen)?.port();
        Ok(Self { socket, port, tls })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Answers for ever.
    pub(super) async fn serve(self, host: Arc<Host>) {
        loop {
            match self.socket.accept().await {
                Ok((stream, _)) => {
                    let connection = connection(self.tls.clone(), stream, Arc::clone(&host));
                    tokio::spawn(connection);
                }
                Err(error) => {
                    tracing::debug!(%error, "connection for logs not accepted");
                    sleep(FOLLOW).await;
                }
            }
        }
    }
}

fn tls(authority: &Authority, node: &str) -> Result<TlsAcceptor, LogsError> {
    let identity = authority
        .server(&format!("system:node:{node}"), &["127.0.0.1", "localhost"])
        .map_err(LogsError::Certificate)?;
    let ca = certificate(&authority.identity().certificate)?;
    let own = certificate(&identity.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).map_err(LogsError::ReadPem)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(ca).map_err(LogsError::Tls)?;
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(LogsError::Verifier)?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(LogsError::Tls)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![own], key)
        .map_err(LogsError::Tls)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificate(pem: &str) -> Result<CertificateDer<'static>, LogsError> {
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(LogsError::ReadPem)
}

async fn connection(tls: TlsAcceptor, stream: TcpStream, host: Arc<Host>) {
    let stream = match tls.accept(stream).await {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%error, "connection for logs refused");
            return;
        }
    };
    let service = service_fn(move |request: Request<Incoming>| {
        let host = Arc::clone(&host);
        async move { Ok::<_, Infallible>(answer(&host, request.uri()).await) }
    });
    let served = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "connection for logs ended");
    }
}

async fn answer(host: &Host, uri: &Uri) -> Response<Body> {
    let path: Vec<&str> = uri.path().split('/').collect();
    let ["", "containerLogs", namespace, pod, container] = path.as_slice() else {
        return text(
            StatusCode::NOT_FOUND,
            "this node serves containerLogs only\n",
        );
    };
    let Some(pod) = host.pod(namespace, pod) else {
        return text(StatusCode::NOT_FOUND, "the pod is not on this node\n");
    };
    let query = Query::of(uri.query().unwrap_or_default());
    let path = log_file(host, &pod.key.uid, container);
    match Log::open(path, query, pod, (*container).to_owned()).await {
        Ok(log) => {
            let frames = log.stream().map(|chunk| chunk.map(Frame::data));
            Response::new(StreamBody::new(frames).boxed_unsync())
        }
        // A container that has not started has no output.
        Err(_) => text(StatusCode::OK, ""),
    }
}

fn text(status: StatusCode, text: &'static str) -> Response<Body> {
    let body = Full::new(Bytes::from_static(text.as_bytes()));
    let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Query {
    follow: bool,
    tail_lines: Option<usize>,
    limit_bytes: Option<usize>,
}

impl Query {
    fn of(query: &str) -> Self {
        let mut result = Self::default();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "follow" => result.follow = value == "true",
                "tailLines" => result.tail_lines = value.parse().ok(),
                "limitBytes" => result.limit_bytes = value.parse().ok(),
                _ => {}
            }
        }
        result
    }
}

/// A container's log while it is sent.
struct Log {
    file: File,
    pod: Arc<LivePod>,
    container: String,
    follow: bool,
    left: usize,
}

impl Log {
    async fn open(
        path: PathBuf,
        query: Query,
        pod: Arc<LivePod>,
        container: String,
    ) -> io::Result<Self> {
        let mut file = File::open(path).await?;
        if let Some(lines) = query.tail_lines {
            let mut content = Vec::new();
            file.read_to_end(&mut content).await?;
            let start = start_of_last_lines(&content, lines);
            file.seek(io::SeekFrom::Start(start.try_into().unwrap_or_default()))
                .await?;
        }
        Ok(Self {
            file,
            pod,
            container,
            follow: query.follow,
            left: query.limit_bytes.unwrap_or(usize::MAX),
        })
    }

    fn stream(self) -> impl Stream<Item = io::Result<Bytes>> {
        stream::try_unfold(self, |mut log| async move {
            let chunk = log.next().await?;
            Ok(chunk.map(|chunk| (chunk, log)))
        })
    }

    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            // Asked before the read: what is written before the end is then read for sure.
            let running = self.is_running();
            let mut chunk = Vec::with_capacity(CHUNK);
            self.file.read_buf(&mut chunk).await?;
            chunk.truncate(self.left);
            self.left -= chunk.len();
            if !chunk.is_empty() {
                return Ok(Some(chunk.into()));
            }
            if !self.follow || !running || self.left == 0 {
                return Ok(None);
            }
            sleep(FOLLOW).await;
        }
    }

    fn is_running(&self) -> bool {
        self.pod.read(|record| {
            record
                .container(&self.container)
                .is_some_and(|container| container.state.is_running())
        })
    }
}

/// Where the last `lines` lines of `content` begin.
fn start_of_last_lines(content: &[u8], lines: usize) -> usize {
    let body = content.strip_suffix(b"\n").unwrap_or(content);
    if lines == 0 {
        return content.len();
    }
    body.iter()
        .enumerate()
        .rev()
        .filter(|(_, byte)| **byte == b'\n')
        .nth(lines - 1)
        .map_or(0, |(place, _)| place + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_found_with_and_without_a_final_newline() {
        assert_eq!(start_of_last_lines(b"a\nb\nc\n", 2), 2);
        assert_eq!(start_of_last_lines(b"a\nb\nc", 1), 4);
        assert_eq!(start_of_last_lines(b"a\n", 5), 0);
        assert_eq!(start_of_last_lines(b"a\n", 0), 2);
    }
}

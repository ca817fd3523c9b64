//! The way to the API server: sends a request on as it came, credentials included, and adds none of its own. Nothing
//! is retried.

use http::{
    HeaderMap, HeaderName, Request, Response, Uri,
    header::{
        ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    },
    request::Parts,
};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper_util::{
    client::legacy::{Client, Error as ClientError},
    rt::TokioExecutor,
};
use kube::{
    client::ConfigExt,
    config::{AuthInfo, Config},
};
use tower::{ServiceExt, util::BoxCloneSyncService};

/// Headers that belong to one connection and not to the message.
const HOP_BY_HOP: [HeaderName; 5] = [CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

/// What keeps a request from its answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum UpstreamError {
    /// The address made of the server's and the request's is none.
    #[error("failed to build the address of '{path}' at the API server")]
    BuildAddress {
        path: String,
        #[source]
        source: http::Error,
    },
    /// No answer.
    #[error("failed to get an answer from the API server")]
    Send(#[source] ClientError),
}

#[derive(Clone)]
pub(super) struct Upstream {
    base: Uri,
    client: BoxCloneSyncService<Request<Full<Bytes>>, Response<Incoming>, ClientError>,
}

impl Upstream {
    /// Takes address and CA from `config`, and nothing else.
    pub(super) fn new(mut config: Config) -> Result<Self, kube::Error> {
        config.auth_info = AuthInfo::default();
        if config.cluster_url.scheme_str() == Some("http") {
            // Without TLS there is nothing to trust, and the system's trust store need not be there.
            config.root_cert.get_or_insert_default();
        }
        let connector = config.rustls_https_connector()?;
        Ok(Self {
            base: config.cluster_url,
            client: BoxCloneSyncService::new(
                Client::builder(TokioExecutor::new()).build(connector),
            ),
        })
    }

    /// Sends one request. `plain` forbids a compressed answer.
    pub(super) async fn send(
        &self,
        head: Parts,
        body: Bytes,
        plain: bool,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let uri = self.address(&head.uri)?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = head.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = head.headers;
        strip_hop_by_hop(request.headers_mut());
        request.headers_mut().remove(HOST);
        request.headers_mut().remove(CONTENT_LENGTH);
        if plain {
            request.headers_mut().remove(ACCEPT_ENCODING);
        }
        self.client
            .clone()
            .oneshot(request)
            .await
            .map_err(UpstreamError::Send)
    }

    fn address(&self, uri: &Uri) -> Result<Uri, UpstreamError> {
        let path = uri
            .path_and_query()
            .map_or("/", |path_and_query| path_and_query.as_str());
        let path = format!("{}{path}", self.base.path().trim_end_matches('/'));
        let mut parts = self.base.clone().into_parts();
        let built = path
            .parse()
            .map_err(http::Error::from)
            .and_then(|path_and_query| {
                parts.path_and_query = Some(path_and_query);
                Uri::from_parts(parts).map_err(http::Error::from)
            });
        built.map_err(|source| UpstreamError::BuildAddress { path, source })
    }
}

/// Removes what concerns only the connection a message came by.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

//! The proxy between a client and a server of this process, which stands for the API server.

mod faults;
mod kills;
mod server;
mod watches;

use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::{
    client::legacy::{Client, Error, connect::HttpConnector},
    rt::TokioExecutor,
};

use self::server::Server;
use super::FaultProxy;

const JOBS: &str = "/apis/batch/v1/namespaces/a/jobs";

/// Ends a test that waits for what never comes.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), future)
        .await
        .expect("what the test waits for did not come within its deadline")
}

/// A server, the proxy before it and a client of the proxy.
struct Setup {
    server: Server,
    proxy: FaultProxy,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Setup {
    async fn new() -> Self {
        let server = Server::start().await;
        let proxy = FaultProxy::start(kube::Config::new(server.url()))
            .await
            .unwrap();
        Self {
            server,
            proxy,
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        body: &str,
    ) -> impl Future<Output = Result<Response<Incoming>, Error>> + Send + 'static {
        let request = Request::builder()
            .method(method)
            .uri(format!(
                "{}{path}",
                self.proxy.url().to_string().trim_end_matches('/')
            ))
            .header("authorization", "Bearer token-of-the-controller")
            .header("accept-encoding", "gzip")
            .header("user-agent", "controller")
            .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
            .unwrap();
        let client = self.client.clone();
        async move { client.request(request).await }
    }

    /// The code and body of the answer, or `None` when the connection was cut.
    async fn call(&self, method: &str, path: &str, body: &str) -> Option<(StatusCode, Bytes)> {
        let answer = soon(self.send(method, path, body)).await.ok()?;
        let code = answer.status();
        let body = soon(answer.into_body().collect()).await.ok()?.to_bytes();
        Some((code, body))
    }

    /// The code of the answer to the creation of the Job `name`.
    async fn create_job(&self, name: &str) -> Option<u16> {
        let body = format!(r#"{{"metadata":{{"name":"{name}"}}}}"#);
        let (code, _) = self.call("POST", JOBS, &body).await?;
        Some(code.as_u16())
    }
}

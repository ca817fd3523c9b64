//! The client of the API server: where it is, who we are, and no retries but our own. Makes no calls.

use std::time::Duration;

use kube::{Client, Config};

use crate::server::CALL_TIMEOUT;

/// Longest time to open a connection; shorter than a call, so that a call that was never sent is known as such.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Neither `KUBECONFIG` nor the pod's ServiceAccount says how to reach the API server.
    #[error("failed to find out how to reach the API server")]
    InferConfig(#[source] kube::config::InferConfigError),
    /// What was found is not usable, such as an unreadable token.
    #[error("failed to build the client of the API server")]
    BuildClient(#[source] kube::Error),
}

/// The client by `KUBECONFIG` or, in a pod, its ServiceAccount. Both read a rotated token again within a minute.
pub async fn connect() -> Result<Client, ConnectError> {
    let mut config = Config::infer().await.map_err(ConnectError::InferConfig)?;
    restrain(&mut config);
    Client::try_from(config).map_err(ConnectError::BuildClient)
}

/// Turns off the library's own retries (it repeats any verb on 429, 503 and 504) and bounds connecting and sending.
/// The answer's time is bounded per call, see [`CALL_TIMEOUT`].
pub fn restrain(config: &mut Config) {
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.write_timeout = Some(CALL_TIMEOUT);
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use http::Request;

    use super::*;
    use crate::server::Server;

    #[tokio::test]
    async fn the_library_repeats_nothing_on_its_own() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut line = String::new();
                BufReader::new(stream.try_clone().unwrap())
                    .read_line(&mut line)
                    .unwrap();
                seen.fetch_add(1, Ordering::SeqCst);
                let answer = if line.contains("/first") {
                    "503 Unavailable"
                } else {
                    "200 OK"
                };
                write!(
                    stream,
                    "HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                )
                .unwrap();
            }
        });
        let mut config = Config::new(format!("http://{address}").parse().unwrap());
        restrain(&mut config);
        let server = Server::new(Client::try_from(config).unwrap());
        let first = server
            .send(Request::patch("/first").body(vec![]).unwrap())
            .await;
        let last = server
            .send(Request::get("/last").body(vec![]).unwrap())
            .await;
        assert_eq!((first.code(), last.code()), (Some(503), Some(200)));
        assert_eq!(requests.load(Ordering::SeqCst), 2);
    }
}

//! An HTTP proxy between a controller and the API server that can lose requests and answers, answer itself, hang,
//! disturb watches, and declare the controller dead at an exact point, after which nothing of it reaches the server.
//! It numbers the writes, so that a test can go through all crash points. Which fault comes when is the test's
//! script; aborting the controller is the harness's part ([`FaultProxy::killed`]).
//!
//! The controller talks plain HTTP to it and its credentials pass through; protocol upgrades are not supported.

mod exchange;
mod fault;
mod ledger;
mod request;
mod server;
#[cfg(test)]
mod tests;
mod upstream;
mod watch;

use std::{io, net::SocketAddr, sync::Arc};

use http::Uri;
use kube::Config;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::{
    fault::{
        Fault, WatchFault, at_write, kill_after_write, kill_before_write, lose_answer_of_write,
        pass,
    },
    ledger::{Seen, SeenEvent},
    request::{Attributes, LOGGED_BODY_LIMIT, RequestInfo},
    watch::WatchEvent,
};
use self::{ledger::Ledger, upstream::Upstream};

/// What keeps a proxy from starting.
#[derive(Debug, thiserror::Error)]
pub enum FaultProxyError {
    /// The way to the API server.
    #[error("failed to prepare the connection to the API server")]
    PrepareUpstream(#[source] Box<kube::Error>),
    /// The listening socket.
    #[error("failed to listen on a loopback port")]
    Listen(#[source] io::Error),
    /// The proxy's own address.
    #[error("failed to build the proxy's address")]
    BuildAddress(#[source] http::uri::InvalidUri),
}

/// A running proxy. Dropping it ends it and resets its connections.
pub struct FaultProxy {
    ledger: Arc<Ledger>,
    address: SocketAddr,
    url: Uri,
    _stop: DropGuard,
}

impl FaultProxy {
    /// Starts a proxy on a free loopback port, in front of the server that `upstream` names; of `upstream` only
    /// address and CA count, its credentials are not used.
    pub async fn start(upstream: Config) -> Result<Self, FaultProxyError> {
        let upstream = Upstream::new(upstream)
            .map_err(|source| FaultProxyError::PrepareUpstream(Box::new(source)))?;
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .map_err(FaultProxyError::Listen)?;
        let address = listener.local_addr().map_err(FaultProxyError::Listen)?;
        let url = format!("http://{address}")
            .parse()
            .map_err(FaultProxyError::BuildAddress)?;
        let stop = CancellationToken::new();
        let ledger = Arc::new(Ledger::new(stop.clone()));
        tokio::spawn(server::serve(
            listener,
            Arc::clone(&ledger),
            upstream,
            stop.clone(),
        ));
        Ok(Self {
            ledger,
            address,
            url,
            _stop: stop.drop_guard(),
        })
    }

    /// `http://127.0.0.1:<port>`, the `server` of the controller's kubeconfig.
    #[must_use]
    pub fn url(&self) -> Uri {
        self.url.clone()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on `script` decides per request. It is asked for one request at a time and must not call the proxy.
    pub fn set_script(&self, script: impl Fn(&RequestInfo) -> Fault + Send + Sync + 'static) {
        self.ledger.set_script(Box::new(script));
    }

    /// From now on `script` decides per event on a watch, also on watches that are open. It must not call the proxy.
    pub fn set_watch_script(
        &self,
        script: impl Fn(&WatchEvent) -> WatchFault + Send + Sync + 'static,
    ) {
        self.ledger.set_watch_script(Box::new(script));
    }

    /// From now on only writes for which `numbered` holds get a number (by default all do): what a timer sends, such
    /// as a leader's Lease, would make the numbers of two runs differ. It must not call the proxy.
    pub fn number_writes(&self, numbered: impl Fn(&RequestInfo) -> bool + Send + Sync + 'static) {
        self.ledger.set_numbered(Box::new(numbered));
    }

    /// Every request let in, in the order of arrival. Those of a controller that was dead are not in it.
    #[must_use]
    pub fn log(&self) -> Vec<Seen> {
        self.ledger.seen()
    }

    /// The writes of [`Self::log`], numbered or not, dry runs included.
    #[must_use]
    pub fn writes(&self) -> Vec<Seen> {
        let mut seen = self.log();
        seen.retain(|seen| seen.request.is_write());
        seen
    }

    /// Every event of every watch that was judged, in the order the server sent them.
    #[must_use]
    pub fn watch_log(&self) -> Vec<SeenEvent> {
        self.ledger.events()
    }

    /// The first entry of [`Self::log`] for which `wanted` holds, as soon as there is one. What the script made of a
    /// request is known at once, [`Seen::code`] and [`Seen::answered`] later.
    pub async fn wait_for_request(&self, wanted: impl Fn(&Seen) -> bool) -> Seen {
        self.ledger
            .wait_for(|seen, _| seen.iter().find(|seen| wanted(seen)).cloned())
            .await
    }

    /// The first entry of [`Self::watch_log`] for which `wanted` holds, as soon as there is one.
    pub async fn wait_for_event(&self, wanted: impl Fn(&SeenEvent) -> bool) -> SeenEvent {
        self.ledger
            .wait_for(|_, events| events.iter().find(|event| wanted(event)).cloned())
            .await
    }

    /// Declares the controller dead now: every connection is reset, and nothing it sends reaches the server.
    pub fn kill(&self) {
        self.ledger.kill_now();
    }

    /// Ready as soon as the controller is declared dead, or if it is already. The harness then aborts it.
    pub fn killed(&self) -> impl Future<Output = ()> + Send + use<> {
        self.ledger.killed()
    }

    /// Lets a new controller through, once the server has answered all that the dead one sent before it died. Abort
    /// the dead one first. Without a kill before it, this does nothing.
    pub async fn revive(&self) {
        self.ledger.revive().await;
    }

    /// Lets go all requests that hang and all events that are held now.
    pub fn release(&self) {
        self.ledger.release();
    }
}

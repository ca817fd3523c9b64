//! The listening side: takes connections while the controller counts as alive, and resets them all when it dies.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::{
    exchange::Exchange,
    ledger::{Generation, Ledger},
    upstream::Upstream,
};

/// Serves until `stop` is cancelled.
pub(super) async fn serve(
    listener: TcpListener,
    ledger: Arc<Ledger>,
    upstream: Upstream,
    stop: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                continue;
            }
        };
        match ledger.generation() {
            Some(generation) => {
                tokio::spawn(serve_connection(
                    stream,
                    Arc::clone(&ledger),
                    upstream.clone(),
                    generation,
                ));
            }
            None => reset(stream),
        }
    }
}

async fn serve_connection(
    stream: TcpStream,
    ledger: Arc<Ledger>,
    upstream: Upstream,
    generation: Generation,
) {
    let kill_at_end = Arc::new(AtomicBool::new(false));
    let exchange = Exchange {
        ledger: Arc::clone(&ledger),
        upstream,
        generation: generation.clone(),
        kill_at_end: Arc::clone(&kill_at_end),
    };
    let service = service_fn(|request| Box::pin(exchange.clone().answer(request)));
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let served = tokio::select! {
        biased;
        () = generation.death.cancelled() => false,
        served = &mut connection => served.is_ok(),
    };
    if !served {
        reset(connection.into_parts().io.into_inner());
    }
    if kill_at_end.load(Ordering::SeqCst) {
        ledger.kill(generation.number);
    }
}

/// Closes `stream` so that the other side sees a reset and not an orderly end.
fn reset(stream: TcpStream) {
    if let Err(error) = stream.set_zero_linger() {
        tracing::debug!(%error, "failed to ask for a reset; the connection is closed instead");
    }
    drop(stream);
}

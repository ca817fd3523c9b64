//! Health, readiness and metrics over HTTP.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::leadership::Fence;
use crate::metrics::Metrics;
use crate::policies::Policies;
use crate::watches::WatchHealth;

/// What the answers are made from.
#[derive(Clone)]
pub struct Served {
    /// The figures.
    pub metrics: Arc<Metrics>,
    /// Whether the watches work.
    pub health: Arc<WatchHealth>,
    /// Whether the policies are in force.
    pub policies: Policies,
    /// Whether this replica leads; one that stands by is as ready as the leader.
    pub fence: Fence,
}

/// Serves until told to stop.
pub async fn serve(
    listener: TcpListener,
    served: Served,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(served);
    axum::serve(listener, routes)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

async fn healthz(State(served): State<Served>) -> impl IntoResponse {
    if served.health.is_alive() {
        (StatusCode::OK, "ok")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "a watch has been failing for too long",
        )
    }
}

async fn readyz(State(served): State<Served>) -> impl IntoResponse {
    match served.policies.problem() {
        Some(problem) => (StatusCode::SERVICE_UNAVAILABLE, problem),
        None if !served.health.is_ready() => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the watches are not read yet, or one is failing".to_owned(),
        ),
        None => (StatusCode::OK, "ok".to_owned()),
    }
}

async fn metrics(State(served): State<Served>) -> impl IntoResponse {
    served
        .metrics
        .watches_synced
        .set(i64::from(served.health.is_ready()));
    served
        .metrics
        .leader
        .set(i64::from(served.fence.pass().is_ok()));
    match served.metrics.text() {
        Ok(text) => (StatusCode::OK, text),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            error.to_string().into_bytes(),
        ),
    }
}

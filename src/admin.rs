//! What is seen from outside: metrics, and whether the process is alive and ready.
//!
//! `GET /metrics` is Prometheus' text format. `/healthz` answers 200 while every worker turns; `/readyz` answers
//! 200 once the group has assigned partitions. Nothing can be changed from here.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::metrics::{Health, Metrics};

#[derive(Clone)]
struct Seen {
    metrics: Arc<Metrics>,
    health: Arc<Health>,
}

/// Listens on `address`.
///
/// # Errors
/// If the address is taken or not ours.
pub async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Answers until the future is dropped.
///
/// # Errors
/// If the listener fails for good.
pub async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(text))
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .with_state(Seen { metrics, health });
    axum::serve(listener, router).await
}

async fn text(State(seen): State<Seen>) -> impl IntoResponse {
    match seen.metrics.text() {
        Ok(text) => {
            let kind = [(
                header::CONTENT_TYPE,
                "text/plain; version=0.0.4; charset=utf-8",
            )];
            (kind, text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn alive(State(seen): State<Seen>) -> impl IntoResponse {
    answer(
        seen.health.alive(),
        "alive\n",
        "a worker has not turned for a minute\n",
    )
}

async fn ready(State(seen): State<Seen>) -> impl IntoResponse {
    answer(
        seen.health.ready(),
        "ready\n",
        "waiting for the group to assign partitions\n",
    )
}

fn answer(good: bool, yes: &'static str, no: &'static str) -> (StatusCode, &'static str) {
    if good {
        (StatusCode::OK, yes)
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, no)
    }
}

//! HTTP: health, and the dialects of other systems' SDKs.

mod events;
mod health;
mod lease;
mod metrics;
mod refusal;
pub mod statsig;

use axum::Router;
use axum::http::StatusCode;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Services;
use refusal::Refusal;

/// Serves until the stop, then ends the calls that are under way.
pub async fn serve(
    services: Services,
    listener: TcpListener,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let Services { live, ingest, admin, clock, max_event_skew_ms, .. } = services;
    let router = Router::new()
        .route("/health", health::route(live.clone(), admin, ingest.clone(), clock.clone()))
        .route("/metrics", metrics::route(live.clone(), ingest.clone(), clock.clone()))
        .route("/v1/events", events::route(ingest.clone(), clock.clone(), max_event_skew_ms))
        .merge(statsig::router(live, ingest, clock, max_event_skew_ms))
        .fallback(async || Refusal::new(StatusCode::NOT_FOUND, "there is nothing at this address"));
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

//! What Statsig's SDKs speak.

mod access;
mod client;
pub mod dialect;
mod events;
mod id_lists;
pub mod initialize;
mod log;
pub mod names;
mod projects;
pub mod read;
pub mod scope;
mod specs;
pub mod user;
pub mod write;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::Method;
use axum::routing::{get, post};
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowHeaders, Any, CorsLayer};
use tower_http::decompression::RequestDecompressionLayer;

use crate::clock::Clock;
use crate::ingest::Ingest;
use crate::live::Live;
use projects::Projects;

/// Largest body in bytes, unpacked.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// All that the endpoints stand on.
#[derive(Debug)]
struct Statsig {
    live: Arc<Live>,
    ingest: Ingest,
    clock: Clock,
    max_event_skew_ms: i64,
    projects: Projects,
}

/// The endpoints of server SDKs, and those of client SDKs, which browsers reach from anywhere.
pub(super) fn router(live: Arc<Live>, ingest: Ingest, clock: Clock, max_event_skew_ms: i64) -> Router {
    let state = Arc::new(Statsig { live, ingest, clock, max_event_skew_ms, projects: Projects::default() });
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::OPTIONS])
        .allow_headers(AllowHeaders::mirror_request());
    let for_clients = Router::new()
        .route("/v1/initialize", post(client::start))
        .route("/v1/rgstr", post(log::log_event))
        .route("/v1/log_event", post(log::log_event))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(RequestDecompressionLayer::new())
        .layer(CompressionLayer::new())
        .layer(cors);
    // Rules are packed once, and id lists never, since SDKs count their bytes.
    Router::new()
        .route("/v1/download_config_specs/{file}", get(specs::v1))
        .route("/v2/download_config_specs/{file}", get(specs::v2))
        .route("/v1/get_id_lists", post(id_lists::map))
        .route("/v1/get_id_lists/{file}", get(id_lists::map_by_key))
        .route("/v1/id_lists/{id}/{name}/{revision}/{token}", get(id_lists::file))
        .merge(for_clients)
        .with_state(state)
}

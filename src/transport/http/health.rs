//! Whether the server serves, and how far it is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::routing::{MethodRouter, get};
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::ingest::Ingest;
use crate::live::Live;

/// Answers with what is in force, how long ago the guard last judged a launch, null where it never did, and what waits on
/// the local disk for the store.
pub(super) fn route(live: Arc<Live>, ingest: Ingest, clock: Clock) -> MethodRouter {
    get(health).with_state((live, ingest, clock))
}

async fn health(State((live, ingest, clock)): State<(Arc<Live>, Ingest, Clock)>) -> Json<Value> {
    let age = live.judged_at().map(|at| clock.now().ms_since(at));
    let spooled = ingest.spooled();
    Json(json!({
        "status": "serving",
        "config_revision": live.in_force().catalogue.revision,
        "guard_age_ms": age,
        "spool": {
            "batches": spooled.batches,
            "bytes": spooled.bytes,
            "oldest_age_ms": spooled.oldest.map(|at| clock.now().ms_since(at)),
            "refused_batches": spooled.refused,
        },
    }))
}

//! Whether the server serves, and how far it is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::routing::{MethodRouter, get};
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::live::Live;

/// Answers with what is in force and how long ago the guard last judged a launch; null where it never did.
pub(super) fn route(live: Arc<Live>, clock: Clock) -> MethodRouter {
    get(health).with_state((live, clock))
}

async fn health(State((live, clock)): State<(Arc<Live>, Clock)>) -> Json<Value> {
    let age = live.judged_at().map(|at| clock.now().ms_since(at));
    Json(json!({
        "status": "serving",
        "config_revision": live.in_force().catalogue.revision,
        "guard_age_ms": age,
    }))
}

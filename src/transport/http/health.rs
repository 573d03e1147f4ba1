//! Whether the server serves, and how far it is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::routing::{MethodRouter, get};
use serde_json::{Value, json};

use crate::admin::Admin;
use crate::live::Live;

/// Answers with what is in force, how long ago the guard last judged a launch (null where it never did), and whether it has
/// stalled: then serving goes on, and nothing is raised.
pub(super) fn route(live: Arc<Live>, admin: Admin) -> MethodRouter {
    get(health).with_state((live, admin))
}

async fn health(State((live, admin)): State<(Arc<Live>, Admin)>) -> Json<Value> {
    let guard = admin.guard_health();
    Json(json!({
        "status": "serving",
        "config_revision": live.in_force().catalogue.revision,
        "guard": if guard.stalled_launches == 0 { "working" } else { "stalled" },
        "guard_age_ms": guard.age_ms,
        "stalled_launches": guard.stalled_launches,
    }))
}
